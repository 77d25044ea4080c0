//! The states of a run as callers and operators see them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

/// A point in time, in milliseconds since the Unix epoch.
pub type Millis = u64;

/// A moment as text: in UTC, to the second, in the form of RFC 3339.
pub fn moment(at: Millis) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(at)).to_string()
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Nodes or handlers are being executed, or are waiting to be.
    Running,
    /// No new nodes start until somebody resumes the run.
    Paused,
    /// Somebody stopped it.
    Stopped,
    /// It ended with its result.
    Succeeded,
    /// It failed.
    Failed,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 5] = [Status::Running, Status::Paused, Status::Stopped, Status::Succeeded, Status::Failed];

    /// The word for the status that is printed and stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
        }
    }

    /// Parses the word.
    pub fn parse(text: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether the run has ended. Only a re-run makes it run again.
    pub const fn is_final(self) -> bool {
        matches!(self, Status::Stopped | Status::Succeeded | Status::Failed)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
