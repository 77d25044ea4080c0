//! The times by which the versions of flows are followed and collected.

use std::time::Duration;

/// How often, and for how long. All replicas that share stores should have the same times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How often a replica reads the active pointer of each flow. With the time that loading takes, it follows a change
    /// within a second. Default: 250 ms.
    pub poll: Duration,
    /// How long a replica waits before it tries again to load a version that it could not load, and how often it logs
    /// what it cannot do. Default: 5 s.
    pub retry: Duration,
    /// How often a replica announces in the store that it came with a certain module. Default: 10 min.
    pub announce: Duration,
    /// For how long `gc` deletes the bytes of a removed version once more, in case that was interrupted. Default: 24 h.
    pub delete_again: Duration,
}

impl Timing {
    /// For how long `gc` believes such an announcement: three times as long as the next one should take.
    pub(super) fn announced_for(&self) -> Duration {
        self.announce * 3
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(250),
            retry: Duration::from_secs(5),
            announce: Duration::from_secs(600),
            delete_again: Duration::from_secs(24 * 3600),
        }
    }
}
