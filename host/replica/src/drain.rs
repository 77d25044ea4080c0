//! How a replica stops: what is executed finishes, as far as there is time, and the rest is released.

use super::host::Host;
use super::live::Live;
use crate::log::log_run;
use crate::traces::Traces;
use faas_flow_core::{NodePath, RunId};
use faas_flow_session::Input;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The time between two looks at whether nodes are still executed.
const LOOK: Duration = Duration::from_millis(20);

impl Host {
    /// Lets the health check fail, so that the replica gets no more requests.
    pub fn announce_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether its health check fails, since it is about to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Stops the replica in an orderly way: it accepts nothing new, and lets the nodes that it executes finish within the time
    /// `finish`. Then it releases the others within the time `release`, so that other replicas recover them at once. Answers
    /// with the number of released nodes. Those who still wait for a run here are told to ask again.
    pub async fn drain(self: &Arc<Self>, finish: Duration, release: Duration) -> usize {
        self.announce_stop();
        self.services.draining.store(true, Ordering::Relaxed);
        // A run whose commit hangs stays locked, so both waits have limits.
        let finished = async {
            self.finished().await;
            self.services.histories_written().await;
        };
        let _ = timeout(finish, finished).await;
        let mut releases: JoinSet<usize> =
            self.runs.all().into_iter().map(|run| async move { run.release().await }).collect();
        let mut released = 0;
        let all = async {
            while let Some(nodes) = releases.join_next().await {
                released += nodes.unwrap_or_default();
            }
        };
        if timeout(release, all).await.is_err() {
            let runs = releases.len();
            tracing::error!(runs, "runs not released in time; other replicas recover them when their leases expire");
        }
        let _ = timeout(release, self.services.limits.give_back()).await;
        self.services.left.send_replace(true);
        released
    }

    /// The nodes that this replica executes, which [`drain`](Host::drain) would wait for. Takes at most a second: a run whose
    /// commit hangs is left out.
    pub async fn executing(&self) -> Vec<(RunId, NodePath)> {
        let mut nodes = Vec::new();
        let all = async {
            for run in self.runs.all() {
                nodes.extend(run.executing_nodes().await.into_iter().map(|path| (run.id.clone(), path)));
            }
        };
        let _ = timeout(Duration::from_secs(1), all).await;
        nodes
    }

    /// Waits until this replica has released its runs, at the end of [`drain`](Host::drain).
    pub async fn left(&self) {
        // The sender lives as long as the host.
        let _ = self.services.left.subscribe().wait_for(|left| *left).await;
    }

    /// Waits until this replica executes no node.
    async fn finished(&self) {
        loop {
            let mut executing = 0;
            for run in self.runs.all() {
                executing += run.executing().await;
            }
            if executing == 0 {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Sends the remaining spans, when nothing more is done.
    pub async fn stop_tracing(self: &Arc<Self>) {
        let services = self.services.clone();
        // It blocks its thread.
        let stopped = tokio::task::spawn_blocking(move || services.traces.as_ref().map(Traces::stop));
        let _ = stopped.await;
    }
}

impl Live {
    /// Releases the nodes of the run that this replica executes; answers with their number.
    async fn release(self: &Arc<Self>) -> usize {
        let reaction = self.react(Input::Release).await;
        if let Some(failure) = reaction.unstored {
            log_run!(error, self, code = %failure.code, error = %failure.message, "run lost: it is not stored");
        }
        reaction.released
    }
}
