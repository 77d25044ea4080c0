//! How much of what happens in a run is kept with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes of something one run may still keep from one replica.
#[derive(Debug)]
pub struct KeepBudget(AtomicUsize);

impl KeepBudget {
    /// A budget of this many bytes; 0 keeps nothing.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(bytes)))
    }

    /// Takes that many bytes, if they are left.
    pub fn take(&self, bytes: usize) -> bool {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.is_ok()
    }

    /// Returns bytes that were taken and are not kept after all.
    pub fn release(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}
