//! The functions that a compiler has compiled, on disk: an author builds a flow again and again, and most of its functions stay
//! as they are.
//!
//! **Whose.** The file is for the modules of one author on one machine, and for nothing else: `faas-flow dev` names one for
//! each project, and no other command does, so that the modules of deployed flows leave nothing behind for each other. A module
//! that is pushed to a running `faas-flow dev` uses the file of that project, too.
//!
//! **Trust.** It is in the folder of compiled code, and used under the same conditions: neither the folder nor the file may be
//! writable for other users. It ends with a checksum. Cranelift finds a function by the hash of all that its code depends on.
//!
//! **Size.** The file has what the last module consisted of, since that is what the next one resembles.

use crate::private::is_private;
use faas_flow_core::Digest;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use wasmtime::CacheStore;

/// The length of a checksum, in hexadecimal.
const SUM: usize = 64;
/// A file is at most so large; a larger one is not written.
const MOST: usize = 512 << 20;

/// Where each function is in the bytes of a file, by its key.
type Places = HashMap<Vec<u8>, Range<usize>>;

/// The functions of the last module, and those of the present one.
pub(super) struct Functions {
    path: PathBuf,
    bytes: Vec<u8>,
    known: Places,
    now: Mutex<Now>,
}

/// The functions of the present module.
#[derive(Default)]
struct Now {
    /// Those that were known: where they are.
    found: Places,
    /// The others.
    compiled: HashMap<Vec<u8>, Vec<u8>>,
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Functions").field("path", &self.path).field("known", &self.known.len()).finish()
    }
}

impl Functions {
    /// Those in a file, or none if there is none, or if it is damaged or other users may write to it.
    pub(super) fn open(path: PathBuf) -> Self {
        let (bytes, known) = read(&path).unwrap_or_default();
        Self { path, bytes, known, now: Mutex::default() }
    }

    /// Writes those of the present module in place of the last one's, if any was compiled.
    pub(super) fn keep(&self) -> io::Result<()> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.compiled.is_empty() {
            return Ok(());
        }
        let found = now.found.iter().filter_map(|(key, at)| Some((key, self.bytes.get(at.clone())?)));
        let compiled = now.compiled.iter().map(|(key, value)| (key, value.as_slice()));
        let mut bytes = Vec::new();
        for (key, value) in found.chain(compiled) {
            for part in [key.as_slice(), value] {
                let length = u32::try_from(part.len()).map_err(io::Error::other)?;
                bytes.extend(length.to_le_bytes());
                bytes.extend(part);
            }
            if bytes.len() > MOST {
                return Ok(());
            }
        }
        let folder = folder_of(&self.path);
        is_private(&fs::metadata(folder)?).map_err(io::Error::other)?;
        let mut file = tempfile::Builder::new().prefix(".tmp").tempfile_in(folder)?;
        file.write_all(&bytes)?;
        file.write_all(Digest::of(&bytes).as_str().as_bytes())?;
        file.persist(&self.path)?;
        Ok(())
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The bytes of a file, and where in them each function is.
fn read(path: &Path) -> Option<(Vec<u8>, Places)> {
    is_private(&fs::metadata(folder_of(path)).ok()?).ok()?;
    is_private(&File::open(path).and_then(|file| file.metadata()).ok()?).ok()?;
    let mut bytes = fs::read(path).ok()?;
    let sum = bytes.split_off(bytes.len().checked_sub(SUM)?);
    if Digest::of(&bytes).as_str().as_bytes() != sum {
        return None;
    }
    let mut known = HashMap::new();
    let mut at = 0;
    while at < bytes.len() {
        let key = part(&bytes, at)?;
        let value = part(&bytes, key.end)?;
        at = value.end;
        known.insert(bytes.get(key)?.to_vec(), value);
    }
    Some((bytes, known))
}

/// Where the bytes are whose length is here.
fn part(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let begin = at.checked_add(4)?;
    let length = u32::from_le_bytes(bytes.get(at..begin)?.try_into().ok()?);
    let end = begin.checked_add(usize::try_from(length).ok()?)?;
    (end <= bytes.len()).then_some(begin..end)
}

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let at = self.known.get(key)?;
        let value = self.bytes.get(at.clone())?;
        self.now.lock().unwrap_or_else(PoisonError::into_inner).found.insert(key.to_vec(), at.clone());
        Some(Cow::Borrowed(value))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).compiled.insert(key.to_vec(), value);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_the_last_module_are_known_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("functions");
        let first = Functions::open(path.clone());
        assert_eq!(first.get(b"a"), None);
        assert!(first.insert(b"a", vec![1; 1000]) && first.insert(b"b", Vec::new()));
        first.keep().unwrap();
        let second = Functions::open(path.clone());
        assert_eq!(second.get(b"a").as_deref(), Some(&[1; 1000][..]));
        assert!(second.insert(b"c", vec![3]));
        second.keep().unwrap();
        let third = Functions::open(path);
        assert_eq!(third.get(b"a").as_deref(), Some(&[1; 1000][..]));
        assert_eq!(third.get(b"c").as_deref(), Some(&[3][..]));
        assert_eq!(third.get(b"b"), None);
    }

    #[test]
    fn a_damaged_file_has_no_functions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("functions");
        let functions = Functions::open(path.clone());
        functions.insert(b"a", vec![7; 100]);
        functions.keep().unwrap();
        let whole = fs::read(&path).unwrap();
        for damage in [0, 4, 50, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[damage] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert_eq!(Functions::open(path.clone()).get(b"a"), None, "{damage}");
        }
        fs::write(&path, whole.get(..20).unwrap()).unwrap();
        assert_eq!(Functions::open(path).get(b"a"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_write_to_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("functions");
        let functions = Functions::open(path.clone());
        functions.insert(b"a", vec![7]);
        functions.keep().unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        assert_eq!(Functions::open(path).get(b"a"), None);
    }
}
