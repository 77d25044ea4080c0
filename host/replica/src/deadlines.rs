//! Fails runs at their deadlines, at the moment itself.
//!
//! Each replica keeps the deadlines of the runs that it works on, and of those that it left because they paused or wait for
//! long. If it is lost, the run is due in the store at its deadline, and another replica fails it at its next sweep.

use super::host::Host;
use super::live::Live;
use faas_flow_core::run::Event;
use faas_flow_core::{Millis, RunId, Status};
use faas_flow_session::{Documents, Input, Session};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The deadlines that this replica watches, the first one first.
#[derive(Default)]
pub(super) struct Deadlines {
    due: Mutex<BTreeSet<(Millis, RunId)>>,
    /// Whether the first one may have changed.
    changed: Notify,
}

impl Deadlines {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<(Millis, RunId)>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, run: &RunId, before: Option<Millis>, now: Option<Millis>) {
        let mut due = self.lock();
        if let Some(before) = before {
            due.remove(&(before, run.clone()));
        }
        if let Some(now) = now {
            due.insert((now, run.clone()));
            if due.first().is_some_and(|(first, of)| *first == now && of == run) {
                self.changed.notify_one();
            }
        }
    }

    /// Takes out the runs whose deadline has passed.
    fn take_passed(&self, now: Millis) -> Vec<RunId> {
        let mut due = self.lock();
        let mut passed = Vec::new();
        while due.first().is_some_and(|(at, _)| *at <= now) {
            passed.extend(due.pop_first().map(|(_, run)| run));
        }
        passed
    }

    fn first(&self) -> Option<Millis> {
        self.lock().first().map(|(at, _)| *at)
    }
}

impl Host {
    /// Fails runs whose deadline passes. Never returns.
    pub(super) async fn watch_deadlines(self: &Arc<Self>) {
        let deadlines = &self.services.deadlines;
        loop {
            let wait = async {
                match deadlines.first() {
                    Some(at) => tokio::time::sleep(Duration::from_millis(at.saturating_sub(self.now()))).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = wait => {}
                () = deadlines.changed.notified() => {}
            }
            for run in deadlines.take_passed(self.now()) {
                tokio::spawn(self.clone().deadline_passed(run));
            }
        }
    }

    async fn deadline_passed(self: Arc<Self>, run: RunId) {
        let known = self.runs.get(&run);
        match known {
            Some(live) => {
                live.react(Input::Event(Event::Deadline, Documents::new())).await;
            }
            None if self.is_draining() => {}
            None => {
                if let Err(error) = self.recover(&run).await {
                    tracing::warn!(%run, code = %error.code(), %error, "could not fail the run at its deadline; trying again at the next sweep");
                }
            }
        }
    }
}

impl Live {
    /// Watches the deadline that the run has now, if it has one.
    pub(super) fn watch_deadline(&self, session: &Session) {
        self.set_deadline(session.deadline());
    }

    /// Stops watching the deadline of a run that this replica helped with, unless the run has paused: then there may be nobody
    /// else who watches it.
    pub(super) fn forget_deadline(&self, session: &Session) {
        if session.state().run().status() != Status::Paused {
            self.set_deadline(None);
        }
    }

    fn set_deadline(&self, deadline: Option<Millis>) {
        let mut known = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != deadline {
            self.services.deadlines.replace(&self.id, *known, deadline);
            *known = deadline;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_passed_is_taken_once_in_order_and_a_changed_deadline_replaces_the_earlier_one() {
        let deadlines = Deadlines::default();
        let run = |name: &str| RunId::new(name).unwrap();
        deadlines.replace(&run("a"), None, Some(5));
        deadlines.replace(&run("b"), None, Some(3));
        deadlines.replace(&run("c"), None, Some(9));
        deadlines.replace(&run("a"), Some(5), Some(4));
        deadlines.replace(&run("d"), None, Some(4));
        deadlines.replace(&run("d"), Some(4), None);
        assert_eq!((deadlines.take_passed(2), deadlines.first()), (vec![], Some(3)));
        assert_eq!(deadlines.take_passed(8), [run("b"), run("a")]);
        assert_eq!((deadlines.take_passed(8), deadlines.first()), (vec![], Some(9)));
    }
}
