//! The regular checks of runs: those that this replica works on, and stored ones that no replica works on.

use super::host::Host;
use super::live::Live;
use super::services::Services;
use crate::Error;
use crate::child::{abandons, forgotten};
use crate::counters::Deleted;
use crate::log::log_run;
use faas_flow_core::run::Phase;
use faas_flow_core::{Partition, RunId};
use faas_flow_session::{Input, Role};
use faas_flow_versions::runs::load;
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, timeout};

/// Maximum number of due runs that one query of the store returns.
const DUE: usize = 1000;
/// How often the store is asked for due runs: a run that has slept goes on so soon after its moment.
const LOOKS: Duration = Duration::from_millis(500);
/// The number of runs on this replica from which on no further list of due runs is taken at once, so that a replica does not
/// open more runs than it executes.
const MANY: usize = 2 * DUE;
/// Number of runs that are checked at the same time, so that neither a slow store nor one run that hangs lets leases expire.
const AT_ONCE: usize = 64;

/// The due runs that were tried lately. What stays due, since it belongs to another host or cannot be loaded, is tried once in
/// each period, however often the store is asked.
struct Tried {
    runs: HashSet<RunId>,
    since: Instant,
    period: Duration,
}

impl Tried {
    fn new(period: Duration) -> Self {
        Self { runs: HashSet::new(), since: Instant::now(), period }
    }

    fn forget_old(&mut self) {
        if self.since.elapsed() >= self.period {
            self.runs.clear();
            self.since = Instant::now();
        }
    }
}

impl Host {
    /// Renews leases, watches deadlines, and recovers runs whose owner is gone. Never returns.
    pub async fn sweep(self: Arc<Self>) {
        tokio::join!(self.check_own(), self.recover_lost(), self.watch_deadlines(), self.keep_budget());
    }

    fn ticks(&self) -> Interval {
        let mut ticks = tokio::time::interval(self.services.settings.lease / 3);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// Checks the runs that this replica works on.
    async fn check_own(&self) {
        let mut ticks = self.ticks();
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            ticks.tick().await;
            for run in self.runs.all() {
                // If the store is slow, the last check may still be in progress.
                if run.is_checking.swap(true, Ordering::Relaxed) {
                    continue;
                }
                let turns = turns.clone();
                tokio::spawn(async move {
                    let _turn = turns.acquire_owned().await;
                    run.check().await;
                    run.is_checking.store(false, Ordering::Relaxed);
                });
            }
        }
    }

    /// Recovers runs that no replica works on: those whose replica was lost, and those that have slept.
    async fn recover_lost(self: &Arc<Self>) {
        let period = self.services.settings.lease / 3;
        let mut ticks = tokio::time::interval(period.min(LOOKS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tried = Tried::new(period);
        loop {
            ticks.tick().await;
            if self.is_draining() {
                continue;
            }
            if let Err(error) = self.recover_due(&mut tried).await {
                tracing::warn!(code = %error.code(), %error, "due runs not listed");
                ticks.reset_after(period);
            }
        }
    }

    /// Recovers what is due and was not tried before, list by list, as long as there is room for more runs.
    async fn recover_due(self: &Arc<Self>, tried: &mut Tried) -> Result<(), Error> {
        tried.forget_old();
        loop {
            let mut due = self.services.state.due(self.now(), DUE).await?;
            let are_all = due.len() < DUE;
            due.retain(|run| tried.runs.insert(run.clone()));
            let is_over = due.is_empty();
            self.recover_all(due).await;
            if is_over || are_all || self.is_draining() || self.runs.lock().len() >= MANY {
                return Ok(());
            }
        }
    }

    async fn recover_all(self: &Arc<Self>, mut due: Vec<RunId>) {
        // So that replicas that query the store at the same time begin with different runs.
        fastrand::shuffle(&mut due);
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut recoveries: JoinSet<()> = due
            .into_iter()
            .map(|run| {
                let host = self.clone();
                let turns = turns.clone();
                async move {
                    let _turn = turns.acquire_owned().await;
                    if let Err(error) = host.recover(&run).await {
                        tracing::warn!(%run, code = %error.code(), %error, "run not recovered");
                    }
                }
            })
            .collect();
        let all = async { while recoveries.join_next().await.is_some() {} };
        // A recovery that hangs continues in its task, and does not delay the next query.
        if timeout(self.services.settings.lease, all).await.is_err() {
            recoveries.detach_all();
        }
    }

    /// Does what a run is due for: recovers it, calls back, or deletes it once it has expired.
    pub(super) async fn recover(self: &Arc<Self>, run: &RunId) -> Result<(), Error> {
        let known = self.runs.get(run);
        if let Some(live) = known {
            live.react(Input::Recover).await;
            return Ok(());
        }
        let entry = self.services.state.entry(run).await?;
        let Some(entry) = entry.filter(|entry| entry.due.is_some_and(|due| due <= self.now())) else { return Ok(()) };
        if !entry.status.is_final() && self.services.versions.active(&entry.flow).is_none() {
            // It belongs to another flow in the same store.
            return Ok(());
        }
        let Some(state) = load(&*self.services.state, run).await? else {
            return self.services.delete(run, Deleted::Expired).await;
        };
        if state.run().phase == Phase::Ended {
            let expires = |ended| self.services.rules.expires(state.run().status(), ended);
            return match state.callback_due() {
                Some(_) => {
                    // It may belong to another flow in the same store.
                    let Some((flow, plan)) = self.services.versions.for_callback(state.run())? else { return Ok(()) };
                    self.live((flow, plan), state, Role::Helper).call_back().await;
                    Ok(())
                }
                None if state.run().ended.is_none_or(|ended| expires(ended) <= self.now()) => {
                    self.services.delete(run, Deleted::Expired).await
                }
                // It was due since it had no owner, and has ended since the list was read.
                None => Ok(()),
            };
        }
        let ends_without_called = abandons(state.run());
        let forgotten = forgotten(&state);
        let live = self.open(state, Role::owner(self.now())).await?;
        self.services.counters.run_recovered();
        log_run!(info, live, "recovered run");
        live.react(Input::Recover).await;
        if ends_without_called {
            // The replica that was lost may not have stopped them.
            live.stop_called(&*live.lock().await);
        } else {
            live.stop_forgotten(forgotten);
        }
        Ok(())
    }
}

impl Services {
    /// Takes note that a run has ended, and deletes the oldest one if there are too many.
    pub(super) async fn note_ended(&self, run: RunId) {
        if self.settings.history_limit == usize::MAX {
            return;
        }
        let oldest = {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.push_back(run);
            if ended.len() > self.settings.history_limit { ended.pop_front() } else { None }
        };
        if let Some(oldest) = oldest
            && let Err(error) = self.delete(&oldest, Deleted::Limit).await
        {
            tracing::warn!(run = %oldest, code = %error.code(), %error, "run not deleted");
        }
    }

    /// Deletes a run: its payloads first, so that none is left behind without its run.
    pub(super) async fn delete(&self, run: &RunId, why: Deleted) -> Result<(), Error> {
        let partition = Partition::of_run(run);
        self.data.store.delete(&partition).await?;
        self.state.delete(&partition).await?;
        self.counters.deleted(why);
        Ok(())
    }
}

impl Live {
    /// Renews the leases of the run, and looks for lost work if this replica owns it.
    async fn check(self: &Arc<Self>) {
        if let Some(failure) = self.react(Input::Check).await.unstored {
            log_run!(warn, self, code = %failure.code, error = %failure.message, "run not stored yet");
        }
        self.stop_if_orphaned().await;
        self.wake_next().await;
    }
}
