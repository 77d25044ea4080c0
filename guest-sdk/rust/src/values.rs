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

/// What happens with the moments of a [`Schedule`](crate::Schedule) at which no replica was running.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Missed {
    /// Nothing begins for them. This is the default.
    #[default]
    Skip,
    /// A run begins for the latest of them.
    One,
    /// A run begins for each of the last thousand of them, the oldest first.
    All,
}

/// What happens at a moment of a [`Schedule`](crate::Schedule) at which the previous run has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Overlap {
    /// No run begins for the moment. This is the default.
    #[default]
    Skip,
    /// Another run begins beside it.
    Allow,
    /// The moment waits until the previous run has ended. At most a hundred wait.
    Queue,
    /// The previous run is stopped.
    Replace,
}

/// When a sleeping node continues: see [`Node::sleep_until`](crate::Node::sleep_until).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wake {
    /// After this time, in milliseconds. 0 does not sleep.
    After(u64),
    /// At this moment, as RFC 3339 writes it: `2026-12-24T18:00:00+01:00`. A moment in the past does not sleep.
    At(String),
}

impl Wake {
    /// After this time, in whole milliseconds.
    pub fn after(time: Duration) -> Self {
        Self::After(millis(time))
    }

    /// At this moment, as RFC 3339 writes it. The host refuses any other form when the node is executed.
    pub fn at(moment: impl Into<String>) -> Self {
        Self::At(moment.into())
    }
}

/// A duration as the contract expresses it.
pub(crate) fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}
