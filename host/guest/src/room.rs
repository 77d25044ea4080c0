//! Limits how many instances exist at once, and knows how many there are and how much memory they have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Counts instances up to a limit. With a pool, its slots set the same limit; without one, only this does.
pub(crate) struct Room {
    limit: u32,
    taken: Arc<Taken>,
}

/// What the instances take.
#[derive(Default)]
struct Taken {
    places: AtomicU32,
    memory: AtomicUsize,
    created: AtomicU64,
}

/// The instances of all modules that were loaded together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Instances {
    /// How many exist.
    pub exist: u32,
    /// How many may exist.
    pub limit: u32,
    /// How many were ever created.
    pub created: u64,
    /// The linear memory of those that exist, in bytes: of each, as of the end of its last call.
    pub memory: usize,
}

/// An instance's place, which becomes free when this is dropped.
pub(crate) struct Place {
    taken: Arc<Taken>,
    memory: usize,
}

impl Room {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, taken: Arc::default() }
    }

    /// Takes a place, if one is free.
    pub(crate) fn take(&self) -> Option<Place> {
        let more = |taken: u32| (taken < self.limit).then_some(taken + 1);
        self.taken.places.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        self.taken.created.fetch_add(1, Ordering::Relaxed);
        Some(Place { taken: self.taken.clone(), memory: 0 })
    }

    pub(crate) fn instances(&self) -> Instances {
        let Taken { places, memory, created } = &*self.taken;
        let (exist, created) = (places.load(Ordering::Relaxed), created.load(Ordering::Relaxed));
        Instances { exist, limit: self.limit, created, memory: memory.load(Ordering::Relaxed) }
    }
}

impl Place {
    /// Notes how much memory the instance has by now. It never has less than before.
    pub(crate) fn note_memory(&mut self, bytes: usize) {
        if bytes > self.memory {
            self.taken.memory.fetch_add(bytes - self.memory, Ordering::Relaxed);
            self.memory = bytes;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.memory.fetch_sub(self.memory, Ordering::Relaxed);
        self.taken.places.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_instance_takes_is_free_once_it_is_gone() {
        let room = Room::new(2);
        let mut first = room.take().unwrap();
        let second = room.take().unwrap();
        assert!(room.take().is_none());
        first.note_memory(100);
        first.note_memory(300);
        first.note_memory(300);
        assert_eq!(room.instances(), Instances { exist: 2, limit: 2, created: 2, memory: 300 });
        drop((first, second));
        assert_eq!(room.instances(), Instances { exist: 0, limit: 2, created: 2, memory: 0 });
    }
}
