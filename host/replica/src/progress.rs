//! The progress of runs, for those who watch it.

use faas_flow_core::{Failure, NodePath, RunId, Status};
use std::sync::OnceLock;
use tokio::sync::broadcast;

/// The maximum number of steps that a slow watcher may lag behind.
const LAG: usize = 4096;

/// Those who watch the runs of a replica. The room for their steps is made for the first of them: a replica of a simulation has
/// none, and would spend a tenth of its life on it.
#[derive(Default)]
pub(super) struct Watchers(OnceLock<broadcast::Sender<Progress>>);

impl Watchers {
    /// One more watcher, who gets all steps from now on.
    pub(super) fn watch(&self) -> broadcast::Receiver<Progress> {
        self.0.get_or_init(|| broadcast::channel(LAG).0).subscribe()
    }

    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        self.0.get().is_some_and(|sender| sender.receiver_count() > 0)
    }

    /// Shows them a step.
    pub(super) fn show(&self, progress: Progress) {
        if let Some(sender) = self.0.get() {
            // That the last watcher has left in the meantime is no error.
            let _ = sender.send(progress);
        }
    }
}

/// A step of a run.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The run.
    pub run: RunId,
    /// What happened to it.
    pub step: Step,
}

/// What can happen to a run.
#[derive(Debug, Clone)]
pub enum Step {
    /// It started.
    Started,
    /// A node started to execute.
    Running(NodePath),
    /// A node finished with an output.
    Done {
        /// The node.
        path: NodePath,
        /// How long it took, in microseconds.
        micros: u64,
        /// The size of the output, in bytes.
        size: u64,
    },
    /// A node started its branches.
    Branching {
        /// The node.
        path: NodePath,
        /// The number of branches.
        branches: usize,
    },
    /// A node sleeps, waits before it is tried again, or waits for an answer.
    Suspended {
        /// The node.
        path: NodePath,
        /// When it continues, in milliseconds since the Unix epoch.
        until: u64,
        /// Whether it sleeps.
        sleeps: bool,
    },
    /// A node failed.
    Failed {
        /// The node.
        path: NodePath,
        /// Why.
        failure: Failure,
    },
    /// It ended.
    Ended(Status),
}
