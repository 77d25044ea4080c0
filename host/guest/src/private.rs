//! Folders and files that only the user of this process can have written to.

use std::fs::{self, DirBuilder, Metadata};
use std::path::Path;

/// Makes a folder for this user alone, or sees to it that one which is there is.
pub fn make_private(folder: &Path) -> Result<(), String> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| error.to_string())?;
    let about = fs::metadata(folder).map_err(|error| error.to_string())?;
    is_private(&about)
}

/// Whether this is the user's own, and nobody else may write to it.
#[cfg(unix)]
#[allow(unsafe_code)]
pub(crate) fn is_private(about: &Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    // SAFETY: it takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    if about.uid() != user {
        return Err(format!("it belongs to user {}, and not to user {user}", about.uid()));
    }
    match about.mode() & 0o022 {
        0 => Ok(()),
        _ => Err("others may write to it: `chmod go-w` it".to_owned()),
    }
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
        }
    }

    #[test]
    fn a_file_where_the_folder_should_be_is_said() {
        let around = tempfile::tempdir().unwrap();
        let file = around.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(make_private(&file).is_err());
    }
}
