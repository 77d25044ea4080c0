//! The progress of runs, for those who watch it.

use faas_flow_core::{Failure, NodePath, RunId, Status};

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
