//! How often a replica changes which version of a flow it serves.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a replica has counted since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swaps {
    /// How often it put a version into service that the store says.
    pub done: u64,
    /// How often it could not, or could not ask the store. While it goes on failing, that is tried from time to time.
    pub failed: u64,
    /// How many canaries it withdrew because they failed too often.
    pub withdrawn: u64,
}

#[derive(Debug, Default)]
pub(super) struct SwapCounts {
    pub(super) done: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) withdrawn: AtomicU64,
}

impl SwapCounts {
    pub(super) fn read(&self) -> Swaps {
        let [done, failed, withdrawn] =
            [&self.done, &self.failed, &self.withdrawn].map(|count| count.load(Ordering::Relaxed));
        Swaps { done, failed, withdrawn }
    }
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
