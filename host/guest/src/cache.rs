//! Compiled code on disk: one file of machine code per module and engine configuration, each with a checksum file.
//!
//! **Loading.** A `.code` file is mapped into memory, not read. The `.sum` file beside it has the sha256 of the code in
//! hexadecimal, and the *stamp* of the file that was last verified: device, inode, size and change time. As long as the
//! stamp is the same, the bytes are too, and they are not hashed again.
//!
//! **Writing.** Files are written under temporary names and renamed, the code before its checksum, so a reader sees either
//! a whole entry or none. Several processes may share a folder.
//!
//! **Trust.** Anyone who can write to the folder can run code in the host, so neither the folder nor a file in it is
//! used if it belongs to another user, or if other users may write to it.
//!
//! **Size.** When an entry is added, entries that were not loaded for 30 days are removed, and then the least recently
//! loaded ones, until all code together is at most 1 GiB.

use crate::private::{is_private, make_private};
use faas_flow_core::Digest;
use std::fs::{self, File, FileTimes, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wasmtime::Engine;
use wasmtime::component::Component;

const CODE: &str = "code";
const SUM: &str = "sum";
/// Single functions, which the compiler keeps for an author ([`crate::functions_of`]).
const FUNCTIONS: &str = "functions";
/// The prefix of temporary files.
const TEMPORARY: &str = ".tmp";
/// The modification time of a checksum file says when its code was last loaded, to this precision.
const PRECISION: Duration = Duration::from_secs(3600);

/// The limits of a cache.
#[derive(Debug, Clone, Copy)]
struct CacheLimits {
    /// Code that has not been loaded for this long is removed.
    unused: Duration,
    /// The size of all code together, in bytes.
    bytes: u64,
}

const LIMITS: CacheLimits = CacheLimits { unused: Duration::from_secs(30 * 24 * 3600), bytes: 1 << 30 };

pub(crate) struct Cache {
    folder: PathBuf,
    /// A hash of the compiler's version and settings, and of what core modules are wrapped with.
    settings: u64,
}

impl Cache {
    /// Opens a cache in a folder, which is created if it does not exist. `None` if other users may write to the folder.
    pub(crate) fn open(folder: PathBuf, engine: &Engine) -> Option<Self> {
        if let Err(reason) = make_private(&folder) {
            tracing::warn!(folder = %folder.display(), %reason, "compiled code is not cached: the folder cannot be used");
            return None;
        }
        let mut settings = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut settings);
        crate::wasi::adapter::hash(&mut settings);
        Some(Self { folder, settings: settings.finish() })
    }

    fn path(&self, module: &Digest) -> PathBuf {
        self.folder.join(format!("{module}-{:016x}.{CODE}", self.settings))
    }

    /// Loads the module's code. `None` if it is not cached, damaged, or refused by the engine.
    pub(crate) fn load(&self, engine: &Engine, module: &Digest) -> Option<Component> {
        let path = self.path(module);
        let file = File::open(&path).ok()?;
        let loaded = self.check(&path, &file).and_then(|()| {
            // A file system that is mounted `noexec` does not allow mapping; the file is read instead.
            mapped(engine, &path).or_else(|_| compiled(engine, &read(&path)?).map_err(|error| format!("{error:#}")))
        });
        match loaded {
            Ok(component) => {
                note_use(&path.with_extension(SUM));
                Some(component)
            }
            Err(reason) => {
                tracing::warn!(path = %path.display(), reason, "could not use cached code; compiling the module again");
                None
            }
        }
    }

    /// Checks that only this user can have written the file, and that it has the bytes that were written.
    fn check(&self, path: &Path, file: &File) -> Result<(), String> {
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        is_private(&metadata)?;
        let sum_path = path.with_extension(SUM);
        is_private(&fs::metadata(&sum_path).map_err(|error| format!("its checksum cannot be read: {error}"))?)?;
        let known = read(&sum_path)?;
        let known = String::from_utf8_lossy(&known);
        let (sum, verified) = known.split_once(' ').ok_or("its checksum is cut off")?;
        let stamp = stamp(&metadata);
        if stamp.as_deref() == Some(verified) {
            return Ok(());
        }
        if Digest::of(&read(path)?).as_str() != sum {
            return Err("its checksum does not match".to_owned());
        }
        if let Some(stamp) = stamp {
            // If this fails, the next load hashes the code once more.
            let _ = self.write(&sum_path, format!("{sum} {stamp}").as_bytes());
        }
        Ok(())
    }

    /// Adds the code to the cache. A failure is logged and otherwise ignored: it only costs time.
    pub(crate) fn add(&self, module: &Digest, code: &[u8]) {
        let added = self.try_add(module, code).and_then(|()| prune(&self.folder, &self.path(module), LIMITS));
        if let Err(reason) = added {
            tracing::warn!(folder = %self.folder.display(), %reason, "could not cache compiled code");
        }
    }

    fn try_add(&self, module: &Digest, code: &[u8]) -> io::Result<()> {
        let path = self.path(module);
        let metadata = self.write(&path, code)?.metadata()?;
        let sum = format!("{} {}", Digest::of(code), stamp(&metadata).unwrap_or_default());
        self.write(&path.with_extension(SUM), sum.as_bytes())?;
        Ok(())
    }

    /// Replaces a file atomically. The bytes are on disk when this returns.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(&self.folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(file.persist(path)?)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| error.to_string())
}

/// A text that changes whenever the file's bytes change. `None` on systems that do not record when that was.
#[cfg(unix)]
fn stamp(metadata: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let [device, inode, size] = [metadata.dev(), metadata.ino(), metadata.size()];
    Some(format!("{device}-{inode}-{size}-{}.{:09}", metadata.ctime(), metadata.ctime_nsec()))
}

#[cfg(not(unix))]
fn stamp(_: &Metadata) -> Option<String> {
    None
}

/// Records that the code was loaded now, so that it is not the next to be removed. Failing to record it is harmless.
fn note_use(sum: &Path) {
    let now = SystemTime::now();
    let known = fs::metadata(sum).and_then(|metadata| metadata.modified());
    if known.is_ok_and(|known| now.duration_since(known).unwrap_or_default() >= PRECISION) {
        let file = File::options().append(true).open(sum);
        let _ = file.and_then(|file| file.set_times(FileTimes::new().set_modified(now)));
    }
}

/// The file in a folder of compiled code in which a compiler keeps the functions of the flow whose sources are here.
pub fn functions_of(folder: &Path, sources: &Path) -> PathBuf {
    let digest = Digest::of(sources.as_os_str().as_encoded_bytes());
    folder.join(digest.as_str()).with_extension(FUNCTIONS)
}

/// Removes code that is over the limits, but never the file `added`.
fn prune(folder: &Path, added: &Path, limits: CacheLimits) -> io::Result<()> {
    let now = SystemTime::now();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_code = path.extension().is_some_and(|extension| extension == CODE || extension == FUNCTIONS);
        let is_temporary = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY));
        // Another process may have removed it in the meantime.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let used = fs::symlink_metadata(path.with_extension(SUM)).and_then(|sum| sum.modified());
        let unused = now.duration_since(used.or_else(|_| metadata.modified())?).unwrap_or_default();
        if (is_code || is_temporary) && metadata.is_file() {
            // An old temporary file was left by a process that crashed: writing one never takes hours.
            let unused = if is_temporary { unused.saturating_mul(100) } else { unused };
            files.push((unused, metadata.len(), path));
        }
    }
    files.sort();
    let mut bytes = 0u64;
    for (unused, size, path) in files {
        bytes = bytes.saturating_add(size);
        if path != added && (unused > limits.unused || bytes > limits.bytes) {
            remove(&path)?;
            remove(&path.with_extension(SUM))?;
            bytes = bytes.saturating_sub(size);
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Maps a file of code that this host has compiled.
#[allow(unsafe_code, reason = "wasmtime cannot check machine code")]
fn mapped(engine: &Engine, path: &Path) -> Result<Component, wasmtime::Error> {
    // SAFETY: as for [`compiled`]; files in the folder are replaced and never modified in place.
    unsafe { Component::deserialize_file(engine, path) }
}

/// Loads code that this host has compiled.
#[allow(unsafe_code, reason = "wasmtime cannot check machine code")]
pub(crate) fn compiled(engine: &Engine, code: &[u8]) -> Result<Component, wasmtime::Error> {
    // SAFETY: the bytes are the output of `Engine::precompile_component`, in this process or in the host's own compiler
    // process. Bytes from the cache are such output too: `Cache::check` has verified their checksum, and that only this
    // user can have written the file. The engine itself refuses code of other versions and settings.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a file that was last used this many hours ago.
    fn file(folder: &Path, name: &str, size: usize, hours: u64) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, vec![0; size]).unwrap();
        let at = SystemTime::now() - Duration::from_secs(hours * 3600);
        File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(at)).unwrap();
        path
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn old_code_is_removed_first_and_then_the_least_recently_used() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, hours| file(folder.path(), name, 100, hours);
        let added = at("added.code", 0);
        for (name, hours) in
            [("a.code", 1), ("b.code", 2), ("c.functions", 3), ("old.code", 25), ("old.functions", 26), ("other", 99)]
        {
            at(name, hours);
        }
        at(".tmpold", 2);
        at(".tmpnew", 0);
        let limits = |bytes| CacheLimits { unused: Duration::from_secs(24 * 3600), bytes };
        prune(folder.path(), &added, limits(10_000)).unwrap();
        assert_eq!(names(folder.path()), [".tmpnew", "a.code", "added.code", "b.code", "c.functions", "other"]);
        prune(folder.path(), &added, limits(350)).unwrap();
        assert_eq!(names(folder.path()), [".tmpnew", "a.code", "added.code", "other"]);
        prune(folder.path(), &added, limits(50)).unwrap();
        assert!(names(folder.path()).contains(&"added.code".to_owned()), "the entry that was just added stays");
    }

    #[test]
    fn code_that_is_loaded_counts_as_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "a.sum", 1, 5);
        note_use(&path);
        assert!(fs::metadata(&path).unwrap().modified().unwrap().elapsed().unwrap_or_default() < PRECISION);
    }
}
