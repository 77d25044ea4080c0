//! Small types that name one thing out of a few.

use serde::Serialize;
use std::time::Duration;

/// How a run ended, as the [`Workflow::finally`](crate::Workflow::finally) handler sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The run produced its result.
    Success,
    /// A node failed, the deadline passed, or the run was stopped.
    Failure,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Nodes are running or waiting to run.
    #[default]
    Running,
    /// Nothing new starts until an operator resumes the run.
    Paused,
    /// An operator ended the run before it was done.
    Stopped,
    /// The run ended with its result.
    Succeeded,
    /// The run failed.
    Failed,
}

/// The severity of a log line, from the least to the most important.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Fine-grained detail, useful to the author of the flow only.
    Trace,
    /// Detail that helps to find a fault.
    Debug,
    /// Normal events that an operator may want to see.
    Info,
    /// Something that may become a problem.
    Warn,
    /// A problem.
    Error,
}

/// What the host does when a node has failed and its retries are exhausted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Exhausted {
    /// The run fails. This is the default.
    #[default]
    Fail,
    /// The run pauses, so that an operator can fix the cause and resume it. A
    /// [`Failure::Reject`](crate::Failure::Reject) still fails the run, since trying again cannot help.
    Pause,
}

/// A duration as the contract expresses it.
pub(crate) fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}
