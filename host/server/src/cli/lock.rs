//! The lock file, which tells a probe that reads files only that a function is healthy.

use crate::config::{SUPPRESS_LOCK, UPSTREAM_URL, Values};
use std::fs::{OpenOptions, remove_file};
use std::path::PathBuf;

/// A file that is there as long as this is.
pub(crate) struct Lock(PathBuf);

impl Lock {
    /// Writes `$TMPDIR/.lock`, unless that is not wanted. Where of-watchdog stands in front, it has its own. A file system
    /// that cannot be written is no reason not to serve.
    pub fn take(values: &Values) -> Option<Self> {
        if values.switch(&SUPPRESS_LOCK) || values.some(&UPSTREAM_URL).is_some() {
            return None;
        }
        let path = std::env::temp_dir().join(".lock");
        match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(_) => Some(Self(path)),
            Err(error) => {
                let path = path.display();
                eprintln!("warning: cannot write the lock file {path}: {error}; set suppress_lock to do without it");
                None
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = remove_file(&self.0);
    }
}
