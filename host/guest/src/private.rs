//! Folders and files that only this process's user can have written to.

use std::fs::{self, DirBuilder, Metadata};
use std::path::Path;

/// Creates a folder that only this user may enter (mode 0700), and its parents. A folder that exists is accepted if it
/// belongs to this user and nobody else may write to it, and is closed to others. The error says what is wrong.
pub fn make_private(folder: &Path) -> Result<(), String> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| error.to_string())?;
    let metadata = fs::metadata(folder).map_err(|error| error.to_string())?;
    is_private(&metadata)?;
    close(folder, &metadata).map_err(|error| error.to_string())
}

/// Takes the rights to a folder of this user from everybody else.
#[cfg(unix)]
fn close(folder: &Path, metadata: &Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    match metadata.mode() & 0o7777 {
        mode if mode & 0o077 == 0 => Ok(()),
        mode => fs::set_permissions(folder, fs::Permissions::from_mode(mode & !0o077)),
    }
}

#[cfg(not(unix))]
fn close(_: &Path, _: &Metadata) -> std::io::Result<()> {
    Ok(())
}

/// Checks that a file or folder belongs to this user and that nobody else may write to it. The error says what is wrong.
#[cfg(unix)]
pub(crate) fn is_private(metadata: &Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(format!("it belongs to user {}, not to user {user}", metadata.uid()));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err("other users may write to it: run `chmod go-w` on it".to_owned());
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn is_private(_: &Metadata) -> Result<(), String> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_folder_that_others_may_write_to_is_not_private() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("a/b");
        make_private(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for (mode, private) in [(0o755, true), (0o775, false), (0o702, false), (0o700, true)] {
            fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
            assert_eq!(make_private(&folder).is_ok(), private, "{mode:o}");
            let now = fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
            assert_eq!(now, if private { 0o700 } else { mode });
        }
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_an_error() {
        let around = tempfile::tempdir().unwrap();
        let file = around.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(make_private(&file).is_err());
    }
}
