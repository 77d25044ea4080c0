//! How many instances may live at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Room for so many instances. The pool has no more slots in any case; without a pool, nothing else bounds them.
pub(crate) struct Room {
    limit: u32,
    taken: Arc<AtomicU32>,
}

/// An instance's place, which is free again when this is dropped.
pub(crate) struct Place(Arc<AtomicU32>);

impl Room {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, taken: Arc::default() }
    }

    /// A place, if one is free.
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
