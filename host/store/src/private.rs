//! Files and folders that hold the data of runs and the bytes of modules: only the user of this process may read them (modes
//! 0600 and 0700), whatever its umask is.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Creates a folder, and those above it that do not exist, for this user alone. A folder that exists already, perhaps from a
/// release that did not do so, is closed to others if it belongs to this user.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    create_folders(path)?;
    close(path);
    Ok(())
}

/// Creates a folder, and those above it that do not exist. Those that exist may be used by others too, and stay as they are.
pub(crate) fn create_folders(path: &Path) -> io::Result<()> {
    builder().recursive(true).create(path)
}

/// Creates a folder in one that exists.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    builder().create(path)
}

/// Creates a file, or empties it, to write it.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    options().create(true).truncate(true).open(path)
}

/// Creates an empty file unless there is something of this name. The file is never open under its name: when a process closes
/// a file, it loses all locks on it, and SQLite may have some by then.
pub(crate) fn create_unopened(path: &Path) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let new = beside(path, &format!(".new-{}-{count}", std::process::id()));
    drop(options().create_new(true).open(&new)?);
    let linked = fs::hard_link(&new, path);
    fs::remove_file(&new)?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

/// The path with something at its end: `state.db-wal`.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

#[cfg(unix)]
fn builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

#[cfg(unix)]
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(options.write(true), 0o600);
    options
}

/// Takes the rights to a file or folder from everybody else, and logs it if that is not possible.
pub(crate) fn close(path: &Path) {
    if !closed(path) {
        tracing::warn!(
            path = %path.display(),
            "other users may be able to read the store: give the path to the user of this process, with mode 0700 or 0600"
        );
    }
}

/// Takes the rights to a file or folder from everybody else. Whether nobody else has any now: what belongs to another user
/// stays as it is, and so does a folder in which all users may create files, such as `/tmp`. What does not exist is closed.
#[cfg(unix)]
pub(crate) fn closed(path: &Path) -> bool {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    const OTHERS: u32 = 0o077;
    const STICKY: u32 = 0o1000;
    let Ok(found) = fs::metadata(path) else { return true };
    let mode = found.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return true;
    }
    found.uid() == rustix::process::geteuid().as_raw()
        && mode & STICKY == 0
        && fs::set_permissions(path, fs::Permissions::from_mode(mode & !OTHERS)).is_ok()
}

#[cfg(not(unix))]
fn builder() -> DirBuilder {
    DirBuilder::new()
}

#[cfg(not(unix))]
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    options
}

#[cfg(not(unix))]
pub(crate) fn closed(_: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_exists_is_closed_to_others_unless_everybody_uses_it() {
        let around = tempfile::tempdir().unwrap();
        for (before, after) in [(0o755, 0o700), (0o2775, 0o2700), (0o700, 0o700), (0o1777, 0o1777)] {
            fs::set_permissions(around.path(), Permissions::from_mode(before)).unwrap();
            create_private_folder(around.path()).unwrap();
            assert_eq!(mode(around.path()), after, "{before:o}");
        }
    }

    #[test]
    fn folders_above_are_closed_only_if_they_are_new() {
        let around = tempfile::tempdir().unwrap();
        fs::set_permissions(around.path(), Permissions::from_mode(0o755)).unwrap();
        create_folders(&around.path().join("a/b")).unwrap();
        assert_eq!(["", "a", "a/b"].map(|path| mode(&around.path().join(path))), [0o755, 0o700, 0o700]);
    }

    #[test]
    fn a_file_that_exists_is_not_touched() {
        let around = tempfile::tempdir().unwrap();
        let file = around.path().join("state.db");
        create_unopened(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
        fs::write(&file, "x").unwrap();
        create_unopened(&file).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"x");
        assert_eq!(fs::read_dir(around.path()).unwrap().count(), 1, "a temporary file is left");
    }
}
