//! Commits that wait: in time, whatever becomes of the work under way.

use super::live::{Inner, Live};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::time::Instant;

/// Runs of which something waits to be committed, the longest first: one timer for all of them, as most are over before it
/// is time.
#[derive(Clone, Default)]
pub(super) struct SavesLater(Arc<Mutex<VecDeque<Waiting>>>);

/// Something of a run that is to be committed, and when.
type Waiting = (Instant, Weak<Live>);

impl SavesLater {
    fn add(&self, live: Weak<Live>, at: Instant) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back((at, live));
        if waiting.len() == 1 {
            tokio::spawn(self.clone().save(at));
        }
    }

    /// Saves what is due, until nothing waits.
    async fn save(self, mut at: Instant) {
        loop {
            tokio::time::sleep_until(at).await;
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some((_, live)) = waiting.pop_front_if(|(due, _)| *due <= Instant::now()) {
                // A store that hangs holds up none of the others.
                live.upgrade().into_iter().for_each(|live| drop(tokio::spawn(live.save_at_last())));
            }
            let Some((next, _)) = waiting.front() else { return };
            at = *next;
        }
    }
}

impl Live {
    /// Sees to it that what waits is committed in time, whatever becomes of the work under way.
    pub(super) fn save_later(self: &Arc<Self>, inner: &mut Inner) {
        if inner.unsaved.is_empty() || std::mem::replace(&mut inner.saves_later, true) {
            return;
        }
        self.host.saves_later.add(Arc::downgrade(self), Instant::now() + self.host.settings.commit_delay);
    }

    /// The moment has come that was waited for.
    async fn save_at_last(self: Arc<Self>) {
        let mut inner = self.lock().await;
        inner.saves_later = false;
        // An error means that this replica has left the run, which has been said.
        let _ = self.save_now(&mut inner).await;
    }
}
