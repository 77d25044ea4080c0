//! The states of a run as callers and operators see them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

/// A point in time, in milliseconds since the Unix epoch.
pub type Millis = u64;

/// The last moment that RFC 3339 can write: 9999-12-31T23:59:59Z.
const LAST: Millis = 253_402_300_799_000;

/// A moment as text: in UTC, to the second, in the form of RFC 3339. A moment after the year 9999 is shown as the last one in it.
pub fn moment(at: Millis) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(at.min(LAST))).to_string()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_word_that_reads_back() {
        let words = Status::ALL.map(|status| status.to_string());
        assert_eq!(words, ["running", "paused", "stopped", "succeeded", "failed"]);
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Status::parse("Running"), None);
    }

    #[test]
    fn a_run_has_ended_when_it_was_stopped_has_succeeded_or_has_failed() {
        let ended = Status::ALL.map(|status| (status.as_str(), status.is_final()));
        let expected =
            [("running", false), ("paused", false), ("stopped", true), ("succeeded", true), ("failed", true)];
        assert_eq!(ended, expected);
    }

    #[test]
    fn a_moment_is_shown_to_the_second_in_utc() {
        assert_eq!(moment(1_790_000_000_999), "2026-09-21T14:13:20Z");
        assert_eq!((moment(253_402_300_799_999), moment(u64::MAX)), ("9999-12-31T23:59:59Z".to_owned(), moment(LAST)));
    }
}
