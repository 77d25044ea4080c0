//! Limits how many instances exist at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts instances up to a limit. With a pool, its slots set the same limit; without one, only this does.
pub(crate) struct Room {
    limit: u32,
    taken: Arc<AtomicU32>,
}

/// An instance's place, which becomes free when this is dropped.
pub(crate) struct Place(Arc<AtomicU32>);

impl Room {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, taken: Arc::default() }
    }

    /// Takes a place, if one is free.
    pub(crate) fn take(&self) -> Option<Place> {
        let more = |taken: u32| (taken < self.limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Place(self.taken.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
