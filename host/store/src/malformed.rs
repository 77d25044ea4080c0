//! Entries in the lists of a store that are not runs.

use crate::StoreError;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// How many malformed entries are remembered at most; further ones are skipped without being logged or counted.
const REMEMBERED: usize = 10_000;

/// The malformed entries that this process has found in the lists of runs: entries that another program wrote, or that
/// were damaged. A listing skips them, since otherwise one of them would block all runs behind it. Each is logged once and
/// left in the store.
#[derive(Default)]
pub(crate) struct MalformedEntries(Mutex<BTreeSet<String>>);

impl MalformedEntries {
    /// How many malformed entries this process has found.
    pub(crate) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// How many entries a listing has to read to get `limit` runs, if no further malformed entries turn up.
    pub(crate) fn with_skipped(&self, limit: usize) -> usize {
        limit.saturating_add(usize::try_from(self.count()).unwrap_or_default())
    }

    /// The entry that was read, or `None` if it is malformed. Other errors are passed on.
    pub(crate) fn skip<T>(&self, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
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
            tracing::error!(code = %error.code(), %error, "skipping malformed run entry");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_entries_are_skipped_and_each_is_counted_once() {
        let malformed = MalformedEntries::default();
        let corrupt = |reason: &str| StoreError::Corrupt { place: "here".into(), reason: reason.into() };
        for reason in ["this", "that", "this"] {
            assert_eq!(malformed.skip::<()>(Err(corrupt(reason))), Ok(None));
        }
        assert_eq!(malformed.skip(Ok(1)), Ok(Some(1)));
        let full = StoreError::Full { place: "here".into() };
        assert_eq!(malformed.skip::<()>(Err(full.clone())), Err(full), "a failing store is not a malformed entry");
        assert_eq!(malformed.count(), 2);
        assert_eq!((malformed.with_skipped(5), malformed.with_skipped(usize::MAX)), (7, usize::MAX));
    }
}
