//! Where compiled code is kept if nobody says.

use faas_flow_guest::make_private;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The user's cache, or where that cannot be used, as in a container with a read-only root, a folder in `$TMPDIR`.
pub(super) fn folder() -> Option<PathBuf> {
    let home = home_cache().map(|cache| cache.join("faas-flow/compiled"));
    let home = home.filter(|folder| folder.is_absolute() && usable(folder).is_ok());
    home.or_else(|| temporary(&std::env::temp_dir()))
}

fn home_cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))
}

/// Whether this user can write to the folder, and nobody else.
fn usable(folder: &Path) -> Result<(), String> {
    make_private(folder)?;
    tempfile::tempfile_in(folder).map(|_| ()).map_err(|error| error.to_string())
}

/// Others may write into the folder around it: what is there already must be a folder, and no link to one.
fn temporary(around: &Path) -> Option<PathBuf> {
    let user = std::fs::metadata("/proc/self").ok()?.uid();
    let folder = around.join(format!("faas-flow-{user}"));
    // It may be there.
    let _ = DirBuilder::new().mode(0o700).create(&folder);
    let found = std::fs::symlink_metadata(&folder).map_err(|error| error.to_string());
    let plain = found.and_then(|found| if found.is_dir() { Ok(()) } else { Err("it is no folder".to_owned()) });
    match plain.and_then(|()| usable(&folder)) {
        Ok(()) => {
            let said = "as the user's cache cannot be used";
            tracing::info!(target: "start", "compiled code is kept in {}, {said}", folder.display());
            Some(folder)
        }
        Err(why) => {
            tracing::warn!(target: "start", "compiled code is not kept: {}: {why}", folder.display());
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
