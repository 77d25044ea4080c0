//! Executes the work that a session starts, each piece in a task: one node after the other, while each makes another one
//! ready.

use super::drive::Started;
use super::live::Live;
use crate::child::has_abandoned;
use crate::counters::{Executed, SuspendedFor};
use crate::progress::Step;
use faas_flow_core::NodePath;
use faas_flow_core::run::{Event, Outcome, Report, Task, Work};
use faas_flow_session::{Documents, Input};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

impl Live {
    /// Executes each piece of work in a task of its own.
    pub(super) fn spawn(self: &Arc<Self>, works: Vec<Started>) {
        for started in works {
            tokio::spawn(self.clone().execute(started, None));
        }
    }

    /// Executes one piece of work, and then, in the same task, what became ready by it.
    ///
    /// Work that was cancelled after it became ready is not begun, and work that is being executed is dropped. What counts is
    /// how often the run was cancelled by the time at which the work became ready, which is known under the session's lock:
    /// a cancellation is never missed, whatever task is where.
    pub(super) async fn execute(self: Arc<Self>, started: Started, mut permit: Option<OwnedSemaphorePermit>) {
        let mut next = Some(started);
        while let Some(Started { work, cancelled: before }) = next.take() {
            if permit.is_none() {
                let Some(acquired) = self.room().await else { return };
                permit = Some(acquired);
            }
            let began = Instant::now();
            self.show(|| Step::Running(work.path.clone()));
            // The handlers of the run itself are not cancelled: they are what a cancelled run still does.
            let is_run_handler = matches!(work.task, Task::Recover { .. } | Task::Finally { .. });
            let executing = (!is_run_handler).then(|| self.claims.execute());
            let finished = if is_run_handler {
                Some(self.perform(&work).await)
            } else {
                self.perform_unless_cancelled(&work, before).await
            };
            self.claims.done(work.token);
            let Some((report, documents)) = finished else { break };
            let took = began.elapsed();
            self.show(|| step(&work, &report, took));
            self.count_executed(&work.path, &report.outcome, took);
            let wake = match &report.outcome {
                Outcome::Suspended(suspended) => Some(suspended.until),
                _ => None,
            };
            let begun = self.begun_by(&work.path, &report.outcome);
            let event = Event::Complete { path: work.path, token: work.token, report };
            let mut session = self.lock().await;
            let mut reaction = self.drive(&mut session, Input::Event(event, documents)).await;
            if let Some(begun) =
                begun.filter(|begun| reaction.refused.is_some() && has_abandoned(session.state(), &begun.node))
            {
                // The run, or this part of it, was stopped while it began another one.
                self.spawn_stop(begun);
            }
            drop(session);
            drop(executing);
            if let Some(until) = wake {
                self.wake_at(until);
            }
            // The first one continues in this task, the others get tasks of their own.
            if !reaction.start.is_empty() {
                next = Some(reaction.start.remove(0));
            }
            permit = permit.filter(|_| next.is_some());
            self.spawn_started(reaction);
        }
        drop(permit);
        self.leave_if_done().await;
    }

    /// Room to execute a node, as soon as there is some; `None` if the replica is about to end.
    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.services.permits.clone().try_acquire_owned() {
            return Some(permit);
        }
        let _queued = self.services.counters.queued();
        self.services.permits.clone().acquire_owned().await.ok()
    }

    fn count_executed(&self, path: &NodePath, outcome: &Outcome, took: Duration) {
        let counters = &self.services.counters;
        counters.executed(Executed::of(outcome));
        self.durations.node(path).executed(Executed::of(outcome), took, self.trace.as_ref());
        if let Outcome::Suspended(suspended) = outcome {
            counters.suspended(SuspendedFor::of(suspended));
        }
    }

    /// Performs work; `None` if the run's work is cancelled more often than it was before, which drops what is performed.
    async fn perform_unless_cancelled(self: &Arc<Self>, work: &Work, before: u64) -> Option<(Report, Documents)> {
        tokio::select! {
            biased;
            () = self.cancelled.wait_for(|times| times != before || self.claims.is_withdrawn(work.token)) => None,
            finished = self.perform(work) => Some(finished),
        }
    }
}

/// What people who watch the run see of a report.
fn step(work: &Work, report: &Report, took: Duration) -> Step {
    let path = work.path.clone();
    match &report.outcome {
        Outcome::Done(payload) => Step::Done { path, micros: took.as_micros() as u64, size: payload.size() },
        Outcome::Branched(branches) => Step::Branching { path, branches: branches.len() },
        Outcome::Suspended(suspended) => {
            Step::Suspended { path, until: suspended.until, sleeps: suspended.asleep.is_some() }
        }
        Outcome::Failed(failure) => Step::Failed { path, failure: failure.clone() },
    }
}
