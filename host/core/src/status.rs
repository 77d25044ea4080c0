//! The states of a run, as callers and operators see them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

/// A moment, in milliseconds since the Unix epoch.
pub type Millis = u64;

/// A moment as text: in UTC, to the second, in the form of RFC 3339.
pub fn moment(at: Millis) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(at)).to_string()
}

/// How a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Nodes run, or wait to run.
    Running,
    /// Nothing new starts until somebody resumes it.
    Paused,
    /// Somebody ended it.
    Stopped,
    /// It ended with its result.
    Succeeded,
    /// It failed.
    Failed,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 5] = [Status::Running, Status::Paused, Status::Stopped, Status::Succeeded, Status::Failed];

    /// The status as the word that everything prints.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether nothing will ever change again.
    pub const fn is_final(self) -> bool {
        matches!(self, Status::Stopped | Status::Succeeded | Status::Failed)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
