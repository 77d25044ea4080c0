//! Histories of runs that were only in memory: they are written after the caller got its answer.

use super::apart::{apart_if, is_wide};
use super::live::Live;
use super::runs::Runs;
use super::services::Services;
use crate::log::log_run;
use faas_flow_core::{Partition, RunId};
use faas_flow_session::Session;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Maximum number of histories that are written at a time.
pub(super) const HISTORIES: usize = 256;
/// How long an answer waits until there is room for another history. Callers that are faster than the store are slowed down, so
/// that unwritten histories do not pile up in memory; while the store hangs, they are not delayed any longer than this.
const ROOM_WAIT: Duration = Duration::from_secs(1);
/// How long those who ask for runs wait for histories that are being written.
const READ_WAIT: Duration = Duration::from_secs(10);

impl Services {
    /// Waits for room for another history; `None` if there is none in time.
    pub(super) async fn room_for_history(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(room) = self.histories.clone().try_acquire_owned() {
            return Some(room);
        }
        let room = tokio::time::timeout(ROOM_WAIT, self.histories.clone().acquire_owned());
        room.await.ok().and_then(Result::ok)
    }

    /// Waits until the histories that are being written are stored.
    pub(super) async fn histories_written(&self) {
        // The semaphore is never closed.
        let _ = self.histories.acquire_many(HISTORIES as u32).await;
    }
}

impl Runs {
    /// Waits until the history of a run that has just ended is written, so that its caller finds the run.
    pub(super) async fn written(&self, run: &RunId) {
        let live = self.writing_history().get(run).cloned();
        wait_for(live).await;
    }

    /// Waits until the histories of all runs that have just ended are written.
    pub(super) async fn all_written(&self) {
        let ended: Vec<Arc<Live>> = self.writing_history().values().cloned().collect();
        wait_for(ended).await;
    }
}

/// Waits until the histories of these runs are written. If the store hangs, the reader gets what it has.
async fn wait_for(ended: impl IntoIterator<Item = Arc<Live>>) {
    let written = async {
        for live in ended {
            live.history.wait().await;
        }
    };
    let _ = tokio::time::timeout(READ_WAIT, written).await;
}

impl Live {
    /// Writes the history of a run that was not stored before its end, in a task of its own.
    pub(super) fn write_history(self: &Arc<Self>, session: &Session, room: Option<OwnedSemaphorePermit>) {
        let now = self.services.now();
        let mut change = apart_if(is_wide(session), || session.history(now));
        change.puts.extend(self.kept_puts());
        // A paused run waits for an operator, so it does not count towards the limit of ended runs.
        let has_ended = session.state().run().status().is_final();
        let live = self.clone();
        tokio::spawn(async move {
            if let Err(error) = live.services.state.commit(&Partition::of_run(&live.id), change).await {
                log_run!(warn, live, code = %error.code(), %error, "history of run not written");
            }
            // It is set already if the run had paused before.
            let _ = live.history.set(());
            live.runs.writing_history().remove(&live.id);
            if has_ended {
                live.services.note_ended(live.id.clone()).await;
            }
            drop(room);
        });
    }
}
