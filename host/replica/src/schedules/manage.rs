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

/// What a part of a backfill has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Backfilled {
    /// The runs that have begun, in the order of their moments.
    #[schema(value_type = Vec<String>)]
    pub started: Vec<RunId>,
    /// How many moments had a run already.
    pub existed: usize,
    /// The first moment that is left, in milliseconds since the Unix epoch: ask again from there.
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

    /// Pauses a schedule: no moment is fired until it is resumed. Pausing a paused one changes nothing.
    pub async fn pause_schedule(&self, flow: &FlowName, name: &str) -> Result<ScheduleView, Error> {
        self.change_schedule(flow, name, Change::Pause).await
    }

    /// Resumes a schedule. The moments that passed while it was paused are not fired.
    pub async fn resume_schedule(&self, flow: &FlowName, name: &str) -> Result<ScheduleView, Error> {
        self.change_schedule(flow, name, Change::Resume).await
    }

    async fn change_schedule(&self, flow: &FlowName, name: &str, change: Change) -> Result<ScheduleView, Error> {
        let of = self.of_flow(flow)?;
        let timed = self.schedule(flow, &of, name)?;
        self.change_schedules(flow, |stored| {
            let now = self.now();
            stored.reconcile(&of.timed, of.as_of, now);
            let kept = stored.get_or_begin(timed, now);
            match change {
                Change::Pause => kept.pause(),
                Change::Resume => kept.resume(timed, now),
            }
            Ok(ScheduleView::new(timed, Some(kept), now))
        })
        .await
    }

    /// Begins a run of a schedule now, whether it is paused or not, and whatever else runs.
    pub async fn trigger_schedule(self: &Arc<Self>, flow: &FlowName, name: &str) -> Result<RunId, Error> {
        let of = self.of_flow(flow)?;
        let timed = self.schedule(flow, &of, name)?;
        let run = self.draw_id();
        self.begin_scheduled(flow, &timed.spec, (run.clone(), self.now())).await?;
        Ok(run)
    }

    /// Begins a run for each moment from `from` (included) to `to` (excluded) that has none, at most `limit`, whatever else
    /// runs. Only moments in the past count.
    pub async fn backfill_schedule(
        self: &Arc<Self>,
        flow: &FlowName,
        name: &str,
        (from, to): (Millis, Millis),
        limit: usize,
    ) -> Result<Backfilled, Error> {
        let of = self.of_flow(flow)?;
        let timed = self.schedule(flow, &of, name)?;
        // The ids of runs depend on the document, so it must be there.
        let salt = self.change_schedules(flow, |stored| {
            stored.reconcile(&of.timed, of.as_of, self.now());
            Ok(stored.salt.clone())
        });
        let salt = salt.await?;
        let to = to.min(self.now());
        let first = if from >= to { None } else { timed.when.after(from.saturating_sub(1)) };
        let mut moments = std::iter::successors(first, |at| timed.when.after(*at)).take_while(|at| *at < to);
        let mut backfilled = Backfilled { started: Vec::new(), existed: 0, next: None };
        for at in moments.by_ref().take(limit.clamp(1, MOST_BACKFILLED)) {
            let Some(run) = run_of((flow, name), at, &salt) else { continue };
            if self.begin_scheduled(flow, &timed.spec, (run.clone(), at)).await? {
                backfilled.started.push(run);
            } else {
                backfilled.existed += 1;
            }
        }
        backfilled.next = moments.next();
        Ok(backfilled)
    }
}

/// A change of a schedule.
#[derive(Clone, Copy)]
enum Change {
    Pause,
    Resume,
}
