//! What stands in the lists of a store and is no run.

use crate::StoreError;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// So many are remembered at most; further ones are passed over without a word.
const REMEMBERED: usize = 10_000;

/// What nobody can read in the lists of runs. A listing passes it over, or it would hold up all other runs: each is told
/// once, and stays where it is.
#[derive(Default)]
pub(crate) struct Garbage(Mutex<BTreeSet<String>>);

impl Garbage {
    /// How much of it this process has met.
    pub(crate) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// How many a listing asks for to get so many that are runs, as far as is known.
    pub(crate) fn beside(&self, limit: usize) -> usize {
        limit.saturating_add(usize::try_from(self.count()).unwrap_or_default())
    }

    /// What was read, unless it is garbage.
    pub(crate) fn sift<T>(&self, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error @ StoreError::Corrupt { .. }) => {
                self.note(&error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn note(&self, error: &StoreError) {
        let text = error.to_string();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < REMEMBERED && known.insert(text) {
            tracing::error!(code = %error.code(), "passes over what is no run: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_passed_over_and_counted_once() {
        let garbage = Garbage::default();
        let corrupt = |reason: &str| StoreError::Corrupt { place: "here".into(), reason: reason.into() };
        for reason in ["this", "that", "this"] {
            assert_eq!(garbage.sift::<()>(Err(corrupt(reason))), Ok(None));
        }
        assert_eq!(garbage.sift(Ok(1)), Ok(Some(1)));
        let full = StoreError::Full { place: "here".into() };
        assert_eq!(garbage.sift::<()>(Err(full.clone())), Err(full), "a store that fails is no garbage");
        assert_eq!((garbage.count(), garbage.beside(5), garbage.beside(usize::MAX)), (2, 7, usize::MAX));
    }
}
