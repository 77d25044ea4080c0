//! Looks after stored runs: those that this replica works on, and those that nobody does.

use super::host::Host;
use super::live::Live;
use super::services::Services;
use crate::Error;
use faas_flow_core::RunId;
use faas_flow_core::run::Phase;
use faas_flow_session::{Input, Role};
use faas_flow_versions::runs::load;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, timeout};

/// Runs that one look at the store finds at most.
const DUE: usize = 1000;
/// Runs that are looked after at a time, so that neither a slow store nor one run that hangs makes leases run out.
const AT_ONCE: usize = 64;

impl Host {
    /// Renews leases, watches deadlines, and takes up runs that nobody drives. Ends only with the host.
    pub async fn sweep(self: Arc<Self>) {
        tokio::join!(self.look_after_own(), self.look_for_lost());
    }

    fn ticks(&self) -> Interval {
        let mut ticks = tokio::time::interval(self.services.settings.lease / 3);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// Looks after the runs that this replica works on.
    async fn look_after_own(&self) {
        let (mut ticks, turns) = (self.ticks(), Arc::new(Semaphore::new(AT_ONCE)));
        loop {
            ticks.tick().await;
            let live: Vec<Arc<Live>> = self.runs.all();
            // A run that is still being looked after, since the store is slow, is not to be so twice.
            for run in live.into_iter().filter(|run| !run.looked_after.swap(true, Ordering::Relaxed)) {
                let turns = turns.clone();
                tokio::spawn(async move {
                    let _turn = turns.acquire_owned().await;
                    run.look().await;
                    run.looked_after.store(false, Ordering::Relaxed);
                });
            }
        }
    }

    /// Looks for runs that nobody works on.
    async fn look_for_lost(self: &Arc<Self>) {
        let mut ticks = self.ticks();
        loop {
            ticks.tick().await;
            if self.is_draining() {
                continue;
            }
            if let Err(error) = self.take_up_due().await {
                tracing::warn!(code = %error.code(), "cannot look for runs that nobody drives: {error}");
            }
        }
    }

    async fn take_up_due(self: &Arc<Self>) -> Result<(), Error> {
        let mut due = self.services.state.due(self.now(), DUE).await?;
        // Replicas that look at the same time begin at different ends.
        fastrand::shuffle(&mut due);
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut taken: JoinSet<()> = due
            .into_iter()
            .map(|run| {
                let (host, turns) = (self.clone(), turns.clone());
                async move {
                    let _turn = turns.acquire_owned().await;
                    if let Err(error) = host.take_up(&run).await {
                        tracing::warn!(%run, code = %error.code(), "cannot take up the run: {error}");
                    }
                }
            })
            .collect();
        let all = async { while taken.join_next().await.is_some() {} };
        // One that hangs keeps nobody from looking again.
        if timeout(self.services.settings.lease, all).await.is_err() {
            taken.detach_all();
        }
        Ok(())
    }

    /// Goes on with a stored run, calls back, or forgets a run whose time is over.
    async fn take_up(self: &Arc<Self>, run: &RunId) -> Result<(), Error> {
        let known = self.runs.get(run);
        if let Some(live) = known {
            live.react(Input::Recover).await;
            return Ok(());
        }
        let entry = self.services.state.entry(run).await?;
        let Some(entry) = entry.filter(|entry| entry.due.is_some_and(|due| due <= self.now())) else { return Ok(()) };
        if !entry.status.is_final() && self.services.versions.active(&entry.flow).is_none() {
            // Flows that share a store look after their own.
            return Ok(());
        }
        let Some(state) = load(&*self.services.state, run).await? else { return self.services.forget(run).await };
        if state.run().phase == Phase::Ended {
            return match state.callback_due() {
                Some(_) => {
                    // Flows that share a store look after their own.
                    let Some((flow, plan)) = self.services.versions.for_callback(state.run())? else { return Ok(()) };
                    self.session_of((flow, plan), state, Role::Helper).call_back().await;
                    Ok(())
                }
                None if state.run().ended.is_none_or(|ended| self.services.forgotten(ended) <= self.now()) => {
                    self.services.forget(run).await
                }
                // It was due because nobody drove it, and has ended since the index was read.
                None => Ok(()),
            };
        }
        let live = self.open_session(state, Role::owner(self.now())).await?;
        self.services.counters.run_taken_up();
        tracing::info!(%run, "recovered run");
        live.react(Input::Recover).await;
        Ok(())
    }
}

impl Services {
    /// Notes that a run has ended, and forgets the oldest where there are too many.
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
            && let Err(error) = self.forget(&oldest).await
        {
            tracing::warn!(run = %oldest, code = %error.code(), "cannot forget the run: {error}");
        }
    }

    /// Forgets a run: its payloads first, so that nothing is left that nobody knows of.
    pub(super) async fn forget(&self, run: &RunId) -> Result<(), Error> {
        self.data.store.delete_run(run).await?;
        Ok(self.state.delete(run).await?)
    }
}

impl Live {
    /// Looks after the run.
    async fn look(self: &Arc<Self>) {
        if let Some(failure) = self.react(Input::Look).await.unstored {
            tracing::warn!(run = %self.id, code = %failure.code, error = %failure.message, "run not stored yet");
        }
    }
}
