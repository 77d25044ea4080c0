//! The places of runs in the two lists, as this process remembers them.

use faas_flow_core::{Millis, Partition};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The size of a generation. At most two generations are remembered.
const REMEMBERED: usize = 10_000;

/// A run's place in the lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The revision of the run's entry; 0 if it has none.
    pub(super) revision: i64,
    pub(super) started: Millis,
    pub(super) due: Option<Millis>,
}

/// The places of the runs that were changed last.
#[derive(Default)]
pub(super) struct Places(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Partition, Place>,
    old: HashMap<Partition, Place>,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a run. One that is not remembered is probably new.
    pub(super) fn of(&self, partition: &Partition) -> Place {
        let places = self.lock();
        places.young.get(partition).or_else(|| places.old.get(partition)).copied().unwrap_or_default()
    }

    pub(super) fn note(&self, partition: &Partition, place: Place) {
        let mut places = self.lock();
        places.young.insert(partition.clone(), place);
        if places.young.len() > REMEMBERED {
            places.old = std::mem::take(&mut places.young);
        }
    }

    pub(super) fn forget(&self, partition: &Partition) {
        let mut places = self.lock();
        places.young.remove(partition);
        places.old.remove(partition);
    }
}
