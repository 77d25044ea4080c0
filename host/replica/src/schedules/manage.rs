//! What operators ask of schedules.

use super::served::OfFlow;
use super::view::ScheduleView;
use crate::Error;
use crate::host::Host;
use faas_flow_core::schedule::{Kept, Timed, run_of};
use faas_flow_core::{FlowName, Millis, RunId};
use serde::Serialize;
use std::sync::Arc;

/// The most moments that one request for a backfill handles.
pub const MOST_BACKFILLED: usize = 100;

/// The most runs of one schedule's backfills that go on at once.
pub const MOST_AT_ONCE: usize = 100;
/// How many runs of one schedule's backfills go on at once, unless the request says otherwise.
pub const AT_ONCE: usize = 10;
/// How many moments of a range are counted.
const MOST_COUNTED: usize = 10_000;

/// How much one request for a backfill does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackfillBounds {
    /// How many moments are handled at most, from 1 to [`MOST_BACKFILLED`].
    pub limit: usize,
    /// How many runs of the schedule's backfills go on at once, from 1 to [`MOST_AT_ONCE`].
    pub at_once: usize,
}

/// What a backfill would handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BackfillPlan {
    /// How many past moments the range has, at most 10,000. Those that have a run already get none.
    pub moments: usize,
    /// The first one, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Millis>,
    /// The last one that was counted, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Millis>,
    /// Whether there are more.
    pub more: bool,
}

/// What a part of a backfill has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Backfilled {
    /// The runs that have begun, in the order of their moments.
    #[schema(value_type = Vec<String>)]
    pub started: Vec<RunId>,
    /// How many moments had a run already.
    pub existed: usize,
    /// How many runs of the schedule's backfills are in progress now.
    pub running: usize,
    /// The first moment that is left, in milliseconds since the Unix epoch: ask again from there. If no run has begun, too many
    /// are in progress: ask again once one of them may have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Millis>,
}

impl Host {
    fn of_flow(&self, flow: &FlowName) -> Result<Arc<OfFlow>, Error> {
        let active = self.versions().active(flow);
        let active = active.ok_or_else(|| Error::UnknownFlow { flow: flow.clone(), known: Vec::new() })?;
        Ok(self.schedules.of(&active, &self.services.settings.schedules, self.now()))
    }

    fn schedule<'a>(&self, flow: &FlowName, of: &'a OfFlow, name: &str) -> Result<&'a Timed, Error> {
        of.named(name).ok_or_else(|| Error::UnknownSchedule {
            flow: flow.clone(),
            name: name.chars().take(80).collect(),
            known: of.timed.iter().map(|timed| timed.spec.name.clone()).collect(),
        })
    }

    /// The schedules of a flow, by name.
    pub async fn schedules(&self, flow: &FlowName) -> Result<Vec<ScheduleView>, Error> {
        let of = self.of_flow(flow)?;
        if of.timed.is_empty() {
            return Ok(Vec::new());
        }
        let (stored, _) = self.read_schedules(flow).await?;
        let now = self.now();
        let view = |timed: &Timed| ScheduleView::new(timed, stored.schedules.get(&timed.spec.name), now);
        let mut views: Vec<ScheduleView> = of.timed.iter().map(view).collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(views)
    }

    /// What is stored of the schedules of a flow, which need not be served here; by name.
    pub async fn stored_schedules(&self, flow: &FlowName) -> Result<Vec<(String, Kept)>, Error> {
        let (stored, _) = self.read_schedules(flow).await?;
        Ok(stored.schedules.into_iter().filter(|(_, kept)| !kept.gone).collect())
    }

    /// Pauses or resumes a schedule. Pausing a paused one changes nothing, nor does resuming another.
    pub async fn change_schedule(
        &self,
        flow: &FlowName,
        name: &str,
        change: ScheduleChange,
    ) -> Result<ScheduleView, Error> {
        let of = self.of_flow(flow)?;
        let timed = self.schedule(flow, &of, name)?;
        self.change_schedules(flow, |stored| {
            let now = self.now();
            stored.reconcile(&of.timed, of.as_of, now);
            let kept = stored.get_or_begin(timed, now);
            match change {
                ScheduleChange::Pause => kept.pause(),
                ScheduleChange::Resume => kept.resume(timed, now),
            }
            Ok(ScheduleView::new(timed, Some(kept), now))
        })
        .await
    }

    /// Begins a run of a schedule now, even if it is paused or its other runs go on.
    pub async fn trigger_schedule(self: &Arc<Self>, flow: &FlowName, name: &str) -> Result<RunId, Error> {
        let of = self.of_flow(flow)?;
        let timed = self.schedule(flow, &of, name)?;
        let run = self.draw_id();
        self.begin_scheduled(flow, &timed.spec, (run.clone(), self.now())).await?;
        Ok(run)
    }

    /// What a backfill of the moments from `from` (included) to `to` (excluded) would handle.
    pub fn backfill_plan(&self, flow: &FlowName, name: &str, range: (Millis, Millis)) -> Result<BackfillPlan, Error> {
        let of = self.of_flow(flow)?;
        let timed = self.schedule(flow, &of, name)?;
        let mut plan = BackfillPlan { moments: 0, first: None, last: None, more: false };
        for at in past_moments(timed, range, self.now()) {
            if plan.moments == MOST_COUNTED {
                plan.more = true;
                break;
            }
            plan.moments += 1;
            plan.first.get_or_insert(at);
            plan.last = Some(at);
        }
        Ok(plan)
    }

    /// Begins a run for each moment of a range that has none, whether the schedule is paused or not, within these bounds. Only
    /// moments in the past count.
    pub async fn backfill_schedule(
        self: &Arc<Self>,
        flow: &FlowName,
        name: &str,
        range: (Millis, Millis),
        BackfillBounds { limit, at_once }: BackfillBounds,
    ) -> Result<Backfilled, Error> {
        let of = self.of_flow(flow)?;
        let timed = self.schedule(flow, &of, name)?;
        let (stored, _) = self.read_schedules(flow).await?;
        let begun = stored.schedules.get(name).map_or(&[][..], |kept| &kept.backfilling);
        let running = self.running(begun).await?;
        let room = at_once.clamp(1, MOST_AT_ONCE).saturating_sub(running.len());
        // The ids of runs depend on the document, so it must be there.
        let salt = self.change_schedules(flow, |stored| {
            stored.reconcile(&of.timed, of.as_of, self.now());
            Ok(stored.salt.clone())
        });
        let salt = salt.await?;
        let mut backfilled = Backfilled { started: Vec::new(), existed: 0, running: running.len(), next: None };
        let (mut begin, mut handled) = (Vec::new(), 0);
        for at in past_moments(timed, range, self.now()) {
            if handled >= limit.clamp(1, MOST_BACKFILLED) {
                backfilled.next = Some(at);
                break;
            }
            handled += 1;
            let Some(run) = run_of((flow, name), at, &salt) else { continue };
            match self.entry(&run).await? {
                Some(_) => backfilled.existed += 1,
                None if begin.len() >= room => {
                    backfilled.next = Some(at);
                    break;
                }
                None => begin.push((run, at)),
            }
        }
        if !begin.is_empty() || running.len() < begun.len() {
            self.change_schedules(flow, |stored| {
                let kept = stored.get_or_begin(timed, self.now());
                // What others have begun meanwhile stays. What has ended goes.
                kept.backfilling.retain(|run| running.contains(run) || !begun.contains(run));
                kept.backfilling.extend(begin.iter().map(|(run, _)| run.clone()));
                let surplus = kept.backfilling.len().saturating_sub(MOST_AT_ONCE);
                kept.backfilling.drain(..surplus);
                Ok(())
            })
            .await?;
        }
        for (run, at) in begin {
            if self.begin_scheduled(flow, &timed.spec, (run.clone(), at)).await? {
                backfilled.started.push(run);
            } else {
                backfilled.existed += 1;
            }
        }
        backfilled.running += backfilled.started.len();
        Ok(backfilled)
    }
}

/// The moments of a range that have passed, the earliest first.
fn past_moments(timed: &Timed, (from, to): (Millis, Millis), now: Millis) -> impl Iterator<Item = Millis> {
    let to = to.min(now);
    let first = if from >= to { None } else { timed.when.after(from.saturating_sub(1)) };
    std::iter::successors(first, |at| timed.when.after(*at)).take_while(move |at| *at < to)
}

/// A change of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleChange {
    /// No moment is fired until it is resumed.
    Pause,
    /// Moments are fired again. Those that passed while it was paused are not.
    Resume,
}
