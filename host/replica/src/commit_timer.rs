//! A timer by which delayed commits are made in time, even if the work in flight hangs or fails.

use super::live::Live;
use faas_flow_session::Input;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// Runs with something to commit, the longest waiting first. One timer serves them all, since most have committed before it
/// fires.
#[derive(Clone, Default)]
pub(super) struct CommitTimer(Arc<Mutex<VecDeque<Waiting>>>);

/// When a run is to commit, and the run.
type Waiting = (Instant, Weak<Live>);

impl CommitTimer {
    fn add(&self, live: Weak<Live>, at: Instant) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back((at, live));
        if waiting.len() == 1 {
            tokio::spawn(self.clone().fire(at));
        }
    }

    /// Commits what is due, until nothing waits.
    async fn fire(self, mut at: Instant) {
        loop {
            tokio::time::sleep_until(at).await;
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some((_, live)) = waiting.pop_front_if(|(due, _)| *due <= Instant::now()) {
                // Each in a task of its own, so that one commit that hangs does not delay the others.
                if let Some(live) = live.upgrade() {
                    tokio::spawn(live.commit_due());
                }
            }
            let Some((next, _)) = waiting.front() else { return };
            at = *next;
        }
    }
}

impl Live {
    /// Makes sure that what was applied is committed by this moment.
    pub(super) fn commit_by(self: &Arc<Self>, by: u64) {
        if !self.commit_scheduled.swap(true, Ordering::Relaxed) {
            let delay = Duration::from_millis(by.saturating_sub(self.services.now()));
            self.services.commit_timer.add(Arc::downgrade(self), Instant::now() + delay);
        }
    }

    async fn commit_due(self: Arc<Self>) {
        self.commit_scheduled.store(false, Ordering::Relaxed);
        self.react(Input::CommitDue).await;
    }
}
