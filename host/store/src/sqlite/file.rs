//! The file behind the path of a store, which may be replaced while the store is open: by a backup that is moved there, or by a
//! volume that is mounted again. What is open then belongs to a file that nobody will find again.

use super::connect::Place;
use crate::StoreError;
use crate::address::Access;
use crate::private::beside;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What tells one file from another: its device and its number there.
type Identity = (u64, u64);

/// The file that connections belong to.
#[derive(Default)]
pub(super) struct Current(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// How often the file was replaced. Connections of an earlier file are closed.
    generation: u64,
    file: Option<Identity>,
    log: Option<Identity>,
}

impl Place {
    /// The generation of the file at the path. If another one is there, the log of the old one is removed first: it would be
    /// taken for that of the new one.
    pub(super) fn generation(&self) -> Result<u64, StoreError> {
        let found = identity(self.path());
        let mut known = self.current.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (known.file, found) {
            (None, _) => {}
            (Some(_), None) => return Err(self.unavailable("its file is gone; put it back, or start again")),
            (Some(old), Some(new)) if old == new => {}
            (Some(_), Some(_)) => {
                let log = beside(self.path(), "-wal");
                if self.options.access == Access::ReadWrite && known.log.is_some() && known.log == identity(&log) {
                    for end in ["-wal", "-shm"] {
                        let _ = std::fs::remove_file(beside(self.path(), end));
                    }
                }
                tracing::warn!(store = %self, "the file of the store was replaced; using the new one");
                *known = Known { generation: known.generation + 1, file: found, log: None };
            }
        }
        Ok(known.generation)
    }

    /// Notes that the file at the path is open now, and its log beside it.
    pub(super) fn opened(&self) {
        let mut known = self.current.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.file = identity(self.path());
        known.log = identity(&beside(self.path(), "-wal"));
    }
}

fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|found: Metadata| (found.dev(), found.ino()))
}
