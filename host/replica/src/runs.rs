//! The runs that a replica works on.

use super::live::Live;
use faas_flow_core::RunId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The runs that this replica works on.
#[derive(Default)]
pub(crate) struct Runs {
    live: Mutex<BTreeMap<RunId, Arc<Live>>>,
    /// Runs that have ended and whose history is being written.
    writing_history: Mutex<BTreeMap<RunId, Arc<Live>>>,
}

impl Runs {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, run: &RunId) -> Option<Arc<Live>> {
        self.lock().get(run).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Live>> {
        self.lock().values().cloned().collect()
    }

    /// Removes a run, unless it has been opened again since.
    pub(super) fn remove(&self, live: &Live) {
        let mut runs = self.lock();
        if runs.get(&live.id).is_some_and(|known| std::ptr::eq(&**known, live)) {
            runs.remove(&live.id);
        }
    }

    /// The runs that have ended and whose history is being written.
    pub(super) fn writing_history(&self) -> MutexGuard<'_, BTreeMap<RunId, Arc<Live>>> {
        self.writing_history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
