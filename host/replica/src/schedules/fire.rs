//! Fires the moments of schedules: decides on them in the store, and begins the runs.

use super::served::OfFlow;
use super::{SCHEDULE, SCHEDULED_AT};
use crate::Error;
use crate::host::Host;
use crate::submit::{Submission, Waits};
use faas_flow_core::run::Request;
use faas_flow_core::schedule::{Decided, Fate, Firing, Passed, Schedule};
use faas_flow_core::{Code, Content, FlowName, MediaType, Millis, RunId, moment};
use faas_flow_store::CommitError;
use faas_flow_versions::Flow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How often the store is asked what others have changed.
const LOOKS: Duration = Duration::from_secs(1);
/// A replica comes up to so much late, so that not all of them come at once.
const SPREAD: u64 = 60;
/// When what another replica has decided on is done here, in milliseconds: that replica may be lost.
const TAKE_OVER: Millis = 5_000;
/// How long nothing is logged of a store that goes on failing.
const QUIET: Duration = Duration::from_secs(30);

/// How often a replica looks whose flow has no schedules, if the flow had some: others may doubt that it is there.
const IDLE_LOOKS: Duration = Duration::from_secs(10);

/// What this replica knows of the schedules of a flow since it last looked.
#[derive(Default)]
struct Looked {
    /// The schedules that the store has taken over.
    of: Option<Arc<OfFlow>>,
    /// When to look again if there are none; never if none were ever stored.
    idle_until: Option<tokio::time::Instant>,
    /// When a failure was last logged.
    warned: Option<tokio::time::Instant>,
}

impl Looked {
    /// Whether there is nothing to look at.
    fn is_idle(&self, of: &Arc<OfFlow>) -> bool {
        let is_known = self.of.as_ref().is_some_and(|known| Arc::ptr_eq(known, of));
        is_known && of.timed.is_empty() && self.idle_until.is_none_or(|until| tokio::time::Instant::now() < until)
    }
}

impl Host {
    /// Fires the schedules of the flows that are served here, together with the other replicas. Never returns.
    pub async fn fire_schedules(self: Arc<Self>) {
        let mut looked: HashMap<FlowName, Looked> = HashMap::new();
        loop {
            let mut wait = LOOKS;
            if !self.is_draining() {
                for flow in self.versions().all_active() {
                    let looked = looked.entry(flow.name.clone()).or_default();
                    match self.look_at_schedules(&flow, looked).await {
                        Ok(Some(next)) => wait = wait.min(Duration::from_millis(next.saturating_sub(self.now()))),
                        Ok(None) => {}
                        Err(error) if looked.warned.is_none_or(|at| at.elapsed() >= QUIET) => {
                            looked.warned = Some(tokio::time::Instant::now());
                            tracing::warn!(flow = %flow.name, code = %error.code(), %error, "schedules not fired");
                        }
                        Err(_) => {}
                    }
                }
            }
            tokio::time::sleep(wait + Duration::from_millis(fastrand::u64(1..=SPREAD))).await;
        }
    }

    /// Decides on what is due, and begins to do that and what lost replicas have decided on. Answers when it is to be called
    /// again.
    async fn look_at_schedules(
        self: &Arc<Self>,
        flow: &Arc<Flow>,
        looked: &mut Looked,
    ) -> Result<Option<Millis>, Error> {
        let now = self.now();
        let of = self.schedules.of(flow, &self.services.settings.schedules, now);
        if looked.is_idle(&of) {
            return Ok(None);
        }
        let (mut stored, at) = self.read_schedules(&flow.name).await?;
        let before = stored.clone();
        let mut begin = stored.undone(now.saturating_sub(TAKE_OVER));
        // So that not all replicas try the same at once, and what fails is not tried all the time.
        begin.retain(|_| fastrand::u8(0..4) == 0);
        stored.reconcile(&of.timed, of.as_of, now);
        let running = self.running(&stored.asks_for(&of.timed, now)).await?;
        let Decided { begin: decided, passed } = stored.decide(&flow.name, &of.timed, now, |run| running.contains(run));
        begin.extend(decided);
        if stored != before {
            match self.write_schedules(&flow.name, &stored, at).await {
                Ok(()) => {}
                // Another replica has decided. What it was, the next look tells.
                Err(CommitError::Conflict) => return Ok(Some(now)),
                Err(error) => return Err(error.into()),
            }
        }
        for (name, passed) in passed {
            self.passed_over(&flow.name, &name, &passed);
        }
        looked.of = Some(of.clone());
        looked.idle_until = (at > 0).then(|| tokio::time::Instant::now() + IDLE_LOOKS);
        looked.warned = None;
        for (name, firing) in begin {
            if let Some(timed) = of.named(&name)
                && self.schedules.begin(firing.run.as_str())
            {
                let (host, flow, schedule) = (self.clone(), flow.name.clone(), timed.spec.clone());
                tokio::spawn(async move {
                    host.fire(&flow, &schedule, &firing).await;
                    host.schedules.end(firing.run.as_str());
                });
            }
        }
        Ok(stored.wakes(now))
    }

    /// Of these runs, those that have not ended.
    pub(super) async fn running(&self, runs: &[RunId]) -> Result<HashSet<RunId>, Error> {
        let mut running = HashSet::new();
        for run in runs {
            if self.entry(run).await?.is_some_and(|entry| !entry.status.is_final()) {
                running.insert(run.clone());
            }
        }
        Ok(running)
    }

    /// Begins a run that was decided on, and notes that. What cannot be done for the moment is done later.
    async fn fire(self: &Arc<Self>, flow: &FlowName, schedule: &Schedule, firing: &Firing) {
        let Firing { moment: at, run, replaces, .. } = firing;
        let begun = async {
            if let Some(before) = replaces {
                self.stop_before(before).await?;
            }
            self.begin_scheduled(flow, schedule, (run.clone(), *at)).await
        };
        let failed = match begun.await {
            Ok(is_new) => {
                if is_new {
                    self.fired(flow, &schedule.name, (run, *at));
                }
                None
            }
            Err(error) if passes(error.code()) => {
                tracing::warn!(%flow, schedule = schedule.name, %run, code = %error.code(), %error, "scheduled run begins later");
                return;
            }
            Err(error) => {
                tracing::error!(%flow, schedule = schedule.name, %run, code = %error.code(), %error, "scheduled run not begun");
                self.counters().schedule_moments(Fate::Failed, 1);
                Some(error.code())
            }
        };
        let noted = self.change_schedules(flow, |stored| {
            stored.done(&schedule.name, *at, failed);
            Ok(())
        });
        if let Err(error) = noted.await {
            // Another look finds it, and finds that the run exists.
            tracing::warn!(%flow, schedule = schedule.name, %run, code = %error.code(), %error, "scheduled run not noted");
        }
    }

    /// Logs and counts a moment for which a run has begun.
    fn fired(&self, flow: &FlowName, schedule: &str, (run, at): (&RunId, Millis)) {
        let late_ms = self.now().saturating_sub(at);
        tracing::info!(target: "schedule", %flow, schedule, %run, moment = moment(at), late_ms, "fired");
        self.counters().schedule_moments(Fate::Started, 1);
        self.counters().schedule_lag(late_ms);
    }

    /// Logs and counts moments that get no run.
    fn passed_over(&self, flow: &FlowName, schedule: &str, Passed { moment: at, fate, count }: &Passed) {
        match fate {
            Fate::Missed => tracing::warn!(target: "schedule", %flow, schedule, moment = moment(*at), count, "missed"),
            _ => tracing::info!(target: "schedule", %flow, schedule, moment = moment(*at), "skipped"),
        }
        self.counters().schedule_moments(*fate, u64::try_from(*count).unwrap_or(u64::MAX));
    }

    /// Stops the run in the place of which another one begins.
    async fn stop_before(self: &Arc<Self>, run: &RunId) -> Result<(), Error> {
        match self.stop(run, None).await {
            // It has ended, or it never began.
            Err(Error::Refused { .. } | Error::UnknownRun { .. }) => Ok(()),
            stopped => stopped.map(drop),
        }
    }

    /// Begins the run of a schedule for a moment. False if it has begun before.
    pub(super) async fn begin_scheduled(
        self: &Arc<Self>,
        flow: &FlowName,
        schedule: &Schedule,
        (run, at): (RunId, Millis),
    ) -> Result<bool, Error> {
        let headers = vec![(SCHEDULE.to_owned(), schedule.name.clone()), (SCHEDULED_AT.to_owned(), moment(at))];
        let input = schedule.input.clone().unwrap_or_default();
        let media_type = MediaType::parse(&input.media_type).unwrap_or_default();
        let mut request = Request { query: Vec::new(), headers };
        if !input.media_type.is_empty() {
            request.headers.push(("content-type".to_owned(), media_type.to_string()));
        }
        let body = Content::new(input.body, media_type);
        let submission = Submission { id: Some(run.clone()), body, request, ..Submission::default() };
        match self.submit(flow, submission, Waits::No).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Code::RUN_EXISTS => {
                // A run that is being begun here, and is not stored, may come to nothing.
                let begun = self.begun(&run).await?.ok_or(Error::NotStored)?;
                let names = |(name, value): &(String, String)| name == SCHEDULE && *value == schedule.name;
                let is_ours = begun.flow == *flow && begun.request.headers.iter().any(names);
                if is_ours { Ok(false) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether what failed with this code is tried again for as long as it takes: the schedule and the flow are not at fault.
fn passes(code: Code) -> bool {
    code.may_pass_later()
        || matches!(
            code,
            Code::OVERLOADED
                | Code::STOPPING
                | Code::OUT_OF_MEMORY
                | Code::GUEST_POOL_FULL
                | Code::MODULE_MISSING
                | Code::ACTIVE_MISSING
                | Code::RUN_STATE
        )
}
