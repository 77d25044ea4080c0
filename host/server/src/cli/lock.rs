//! The lock file, which tells probes that can only read files that a function is healthy.

use crate::config::Values;
use std::fs::{OpenOptions, remove_file};
use std::path::PathBuf;

/// The lock file. It is removed when this is dropped.
pub(crate) struct Lock(PathBuf);

impl Lock {
    /// Writes `$TMPDIR/.lock`, unless `suppress_lock` is set or of-watchdog, which writes its own, is in front of the function.
    /// Prints a warning if the file cannot be written, as on a read-only file system: the function serves without it.
    pub fn take(values: &Values) -> Option<Self> {
        if values.suppress_lock.value || values.upstream_url.value.is_some() {
            return None;
        }
        let path = std::env::temp_dir().join(".lock");
        match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(_) => Some(Self(path)),
            Err(error) => {
                let path = path.display();
                eprintln!("warning: cannot write the lock file {path}: {error}; set suppress_lock if it is not needed");
                None
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Somebody else may have removed it.
        let _ = remove_file(&self.0);
    }
}
