//! Where compiled code is kept if nobody says.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The user's cache, or where that cannot be written, as in a container with a read-only root, a folder in `$TMPDIR`.
pub(super) fn folder() -> Option<PathBuf> {
    let home = home_cache().map(|cache| cache.join("faas-flow/compiled"));
    let home = home.filter(|folder| folder.is_absolute() && writable(folder));
    home.or_else(|| temporary(&std::env::temp_dir()))
}

fn home_cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))
}

fn writable(folder: &Path) -> bool {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.is_ok() && tempfile::tempfile_in(folder).is_ok()
}

/// Whoever writes there runs code in the host, and others may write into the folder around it: it must be this user's, and
/// nobody else's.
fn temporary(around: &Path) -> Option<PathBuf> {
    let user = std::fs::metadata("/proc/self").ok()?.uid();
    let folder = around.join(format!("faas-flow-{user}"));
    let made = DirBuilder::new().mode(0o700).create(&folder);
    let found = std::fs::symlink_metadata(&folder).ok();
    let ours = found.is_some_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0);
    if ours && writable(&folder) {
        tracing::info!(target: "start", "compiled code is kept in {}, as the user's cache cannot be written", folder.display());
        return Some(folder);
    }
    let why = made.err().map_or_else(|| "somebody else may write there".to_owned(), |error| error.to_string());
    tracing::warn!(target: "start", "compiled code is not kept: {}: {why}", folder.display());
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_folder_that_others_may_write_is_not_used() {
        let around = tempfile::TempDir::new().unwrap();
        let folder = temporary(around.path()).unwrap();
        assert_eq!(temporary(around.path()), Some(folder.clone()));
        std::fs::set_permissions(&folder, Permissions::from_mode(0o770)).unwrap();
        assert_eq!(temporary(around.path()), None);
        std::fs::remove_dir(&folder).unwrap();
        std::os::unix::fs::symlink(around.path(), &folder).unwrap();
        assert_eq!(temporary(around.path()), None);
    }
}
