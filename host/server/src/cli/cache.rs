//! The default folder for compiled code.

use faas_flow_guest::make_private;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The user's cache folder, or a folder in `$TMPDIR` if that is not usable, as in a container with a read-only root.
pub(super) fn folder() -> Option<PathBuf> {
    let home = home_cache().map(|cache| cache.join("faas-flow/compiled"));
    let home = home.filter(|folder| folder.is_absolute() && usable(folder).is_ok());
    home.or_else(|| temporary(&std::env::temp_dir()))
}

fn home_cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))
}

/// Makes sure that this user, and nobody else, can write to the folder.
fn usable(folder: &Path) -> Result<(), String> {
    make_private(folder)?;
    tempfile::tempfile_in(folder).map(|_| ()).map_err(|error| error.to_string())
}

/// A folder in one that others may write to: if it exists already, it must be a folder, and not a link to one.
fn temporary(around: &Path) -> Option<PathBuf> {
    let user = std::fs::metadata("/proc/self").ok()?.uid();
    let folder = around.join(format!("faas-flow-{user}"));
    // It may exist.
    let _ = DirBuilder::new().mode(0o700).create(&folder);
    let found = std::fs::symlink_metadata(&folder).map_err(|error| error.to_string());
    let plain = found.and_then(|found| if found.is_dir() { Ok(()) } else { Err("it is not a folder".to_owned()) });
    match plain.and_then(|()| usable(&folder)) {
        Ok(()) => {
            tracing::info!(target: "start", folder = %folder.display(), "caching compiled code outside the user's cache folder, which is not usable");
            Some(folder)
        }
        Err(why) => {
            tracing::warn!(target: "start", folder = %folder.display(), reason = why, "not caching compiled code");
            None
        }
    }
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
