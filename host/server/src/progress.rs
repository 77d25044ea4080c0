//! Runs as they go, for whoever watches.

use faas_flow_core::{Failure, NodePath, RunId, Status};

/// Something that happened to a run.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Which run.
    pub run: RunId,
    /// What happened.
    pub step: Step,
}

/// What can happen to a run.
#[derive(Debug, Clone)]
pub enum Step {
    /// It began.
    Started,
    /// A node began to execute.
    Running(NodePath),
    /// A node has its output.
    Done {
        /// Which.
        path: NodePath,
        /// How long it took, in microseconds.
        micros: u64,
        /// How large the output is, in bytes.
        size: u64,
    },
    /// A node began branches.
    Branching {
        /// Which.
        path: NodePath,
        /// How many.
        branches: usize,
    },
    /// A node waits before it is tried again.
    Suspended {
        /// Which.
        path: NodePath,
        /// Until when, in milliseconds since the Unix epoch.
        until: u64,
    },
    /// A node failed.
    Failed {
        /// Which.
        path: NodePath,
        /// Of what.
        failure: Failure,
    },
    /// It ended.
    Ended(Status),
}
