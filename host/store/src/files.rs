//! Data in files: `<root>/<partition>/<name>`, with both names encoded so that any name becomes a plain file name.

use crate::address::{Access, Address, Durability};
use crate::private::{closed, create_file, create_folder, create_private_folder};
use crate::{DataKey, DataStore, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{Digest, Partition};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The length of the longest encoded name; a longer one is hashed. File systems allow 255 bytes.
const LONGEST_NAME: usize = 200;

/// Opens the store below a directory; see [`crate::open_data`].
pub(crate) async fn open_data(address: &Address<'_>) -> Result<Arc<dyn DataStore>, StoreError> {
    address.knows(&["synchronous", "mode"])?;
    let root = Root { path: address.path()?, access: Access::of(address)?, durability: Durability::of(address)? };
    let files = Files(Arc::new(root));
    files.blocking(Root::open).await?;
    Ok(Arc::new(files))
}

/// Data in files below a directory.
struct Files(Arc<Root>);

struct Root {
    path: PathBuf,
    access: Access,
    durability: Durability,
}

impl Files {
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Root) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let root = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&root)).await;
        done.map_err(|error| self.0.unavailable(error))?
    }
}

#[async_trait]
impl DataStore for Files {
    async fn put(&self, key: &DataKey, bytes: Bytes) -> Result<(), StoreError> {
        let key = key.clone();
        self.blocking(move |root| root.put(&key, &bytes)).await
    }

    async fn get(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError> {
        let key = key.clone();
        self.blocking(move |root| root.get(&key)).await
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        let partition = partition.clone();
        self.blocking(move |root| root.delete(&partition)).await
    }
}

impl Root {
    /// Creates the directory if it does not exist and the options allow it.
    fn open(&self) -> Result<(), StoreError> {
        if self.access == Access::ReadWrite {
            create_private_folder(&self.path).map_err(|error| self.error(&error))?;
            if !closed(&self.path) {
                // The folders of partitions may be from a release that did not close them.
                let folders = fs::read_dir(&self.path).map_err(|error| self.error(&error))?;
                for folder in folders.flatten() {
                    let _ = closed(&folder.path());
                }
            }
        }
        self.verify()
    }

    fn put(&self, key: &DataKey, bytes: &[u8]) -> Result<(), StoreError> {
        self.require_write_access()?;
        let directory = self.directory(key.partition());
        let written = match self.replace(&directory, key.name(), bytes) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // This is the partition's first value, unless the whole store has been removed.
                self.verify()?;
                let created = create_folder(&directory);
                created
                    .or_else(|error| if directory.is_dir() { Ok(()) } else { Err(error) })
                    .and_then(|()| self.sync(&self.path))
                    .and_then(|()| self.replace(&directory, key.name(), bytes))
            }
            written => written,
        };
        written.map_err(|error| self.error(&error))
    }

    /// Writes a temporary file and renames it, so that readers never see a part of the value.
    fn replace(&self, directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // An encoded name has no `~`.
        let temporary = directory.join(format!("~{}-{count}", std::process::id()));
        let written = self
            .write(&temporary, bytes)
            .and_then(|()| fs::rename(&temporary, directory.join(encode(name))))
            .and_then(|()| self.sync(directory));
        if written.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // Overwrites what a crashed process with the same id may have left.
        let mut file = create_file(path)?;
        file.write_all(bytes)?;
        match self.durability {
            Durability::ProcessCrash => Ok(()),
            Durability::PowerLoss => file.sync_data(),
        }
    }

    fn sync(&self, directory: &Path) -> io::Result<()> {
        match self.durability {
            Durability::ProcessCrash => Ok(()),
            Durability::PowerLoss => File::open(directory)?.sync_all(),
        }
    }

    fn get(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError> {
        match fs::read(self.directory(key.partition()).join(encode(key.name()))) {
            Ok(bytes) => Ok(Some(bytes.into())),
            // A store that was removed must not look like a missing value.
            Err(error) if error.kind() == ErrorKind::NotFound => self.verify().map(|()| None),
            Err(error) => Err(self.unavailable(error)),
        }
    }

    fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        self.require_write_access()?;
        match fs::remove_dir_all(self.directory(partition)) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.verify(),
            removed => removed.map_err(|error| self.error(&error)),
        }
    }

    fn directory(&self, partition: &Partition) -> PathBuf {
        self.path.join(encode(partition.as_str()))
    }

    fn require_write_access(&self) -> Result<(), StoreError> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(StoreError::ReadOnly { place: self.place() }),
        }
    }

    fn verify(&self) -> Result<(), StoreError> {
        if !self.path.is_dir() {
            return Err(StoreError::NotFound { place: self.place() });
        }
        Ok(())
    }

    fn error(&self, error: &io::Error) -> StoreError {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { place: self.place() },
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => StoreError::ReadOnly { place: self.place() },
            _ => self.unavailable(error),
        }
    }

    fn unavailable(&self, reason: impl ToString) -> StoreError {
        StoreError::Unavailable { place: self.place(), reason: reason.to_string() }
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

/// Encodes any text as a file name, different texts as different names. Capitals are escaped, since some file systems do
/// not distinguish them from small letters.
fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len() + 16);
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => encoded.push(char::from(byte)),
            b'.' if at > 0 => encoded.push('.'),
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "%{byte:02x}");
            }
        }
    }
    if encoded.len() > LONGEST_NAME {
        // No other name contains a `=`.
        return format!("={}", Digest::of(name.as_bytes()));
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conformance, open_data};
    use faas_flow_core::{Code, RunId};

    fn url(directory: &Path) -> String {
        format!("files:{}", directory.display())
    }

    fn key(name: &str) -> DataKey {
        DataKey::new(Partition::of_run(&RunId::new("r1").unwrap()), name).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn conforms() {
        for options in ["", "?synchronous=full"] {
            let directory = tempfile::tempdir().unwrap();
            let url = format!("{}{options}", url(&directory.path().join("a/b")));
            conformance::data_store(|| async { open_data(&url).await.unwrap() }).await;
            assert_eq!(
                fs::read_dir(directory.path()).unwrap().count(),
                1,
                "the store has written outside its directory"
            );
        }
    }

    #[tokio::test]
    async fn values_survive_reopening_and_leave_no_temporary_files() {
        let directory = tempfile::tempdir().unwrap();
        let store = open_data(&url(directory.path())).await.unwrap();
        for value in ["one", "two"] {
            store.put(&key("x"), value.into()).await.unwrap();
        }
        drop(store);
        let reader = open_data(&format!("{}?mode=ro", url(directory.path()))).await.unwrap();
        assert_eq!(reader.get(&key("x")).await.unwrap().unwrap(), "two");
        assert_eq!(fs::read_dir(directory.path().join("r1")).unwrap().count(), 1);
        assert_eq!(reader.put(&key("x"), "three".into()).await.unwrap_err().code(), Code::STORE_READ_ONLY);
        assert_eq!(reader.delete(key("x").partition()).await.unwrap_err().code(), Code::STORE_READ_ONLY);
        assert_eq!(reader.get(&key("x")).await.unwrap().unwrap(), "two");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_this_user_may_read_what_is_stored() {
        use std::os::unix::fs::PermissionsExt as _;
        let around = tempfile::tempdir().unwrap();
        let root = around.path().join("data");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let store = open_data(&url(&root)).await.unwrap();
        store.put(&key("x"), "one".into()).await.unwrap();
        assert_eq!([&root, &root.join("r1"), &root.join("r1/x")].map(|path| mode(path)), [0o700, 0o700, 0o600]);
        // As an older release left it.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        let store = open_data(&url(&root)).await.unwrap();
        assert_eq!(mode(&root), 0o700);
        assert_eq!(store.get(&key("x")).await.unwrap().unwrap(), "one");
    }

    #[tokio::test]
    async fn a_store_that_was_removed_is_an_error_and_not_empty() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("data");
        let store = open_data(&url(&root)).await.unwrap();
        store.put(&key("x"), "one".into()).await.unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(store.get(&key("x")).await.unwrap_err().code(), Code::STORE_NOT_FOUND);
        assert_eq!(store.put(&key("x"), "two".into()).await.unwrap_err().code(), Code::STORE_NOT_FOUND);
        let error = open_data(&format!("{}?mode=ro", url(&root))).await.err().unwrap();
        assert_eq!(error, StoreError::NotFound { place: root.display().to_string() });
    }

    #[tokio::test]
    async fn the_error_of_a_place_that_is_not_a_directory_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = open_data(&url(&file)).await.err().unwrap();
        assert_eq!(error.code(), Code::STORE_UNAVAILABLE);
        assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    }

    #[test]
    fn errors_of_the_system_get_their_codes() {
        let root = Root { path: "/data".into(), access: Access::ReadWrite, durability: Durability::ProcessCrash };
        for (kind, code) in [
            (ErrorKind::StorageFull, Code::STORE_FULL),
            (ErrorKind::QuotaExceeded, Code::STORE_FULL),
            (ErrorKind::ReadOnlyFilesystem, Code::STORE_READ_ONLY),
            (ErrorKind::PermissionDenied, Code::STORE_READ_ONLY),
            (ErrorKind::TimedOut, Code::STORE_UNAVAILABLE),
        ] {
            assert_eq!(root.error(&kind.into()).code(), code, "{kind:?}");
        }
    }

    #[test]
    fn file_names_are_plain_and_differ() {
        let long = "x".repeat(1024);
        let names = ["a", "A", "%41", "%61", "..", ".", "../x", "a/b", "ü", "\0", "~1", "=x", &long, &long[1..]];
        let files: std::collections::BTreeSet<String> = names.iter().map(|name| encode(name)).collect();
        assert_eq!(files.len(), names.len());
        for file in files {
            assert!(file.len() <= LONGEST_NAME && !file.starts_with(['.', '~']), "{file}");
            assert!(
                file.bytes().all(|b| b"%=_-.".contains(&b) || b.is_ascii_digit() || b.is_ascii_lowercase()),
                "{file}"
            );
        }
    }
}
