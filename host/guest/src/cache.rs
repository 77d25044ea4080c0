//! Compiled code on disk: for each module and configuration its code, and beside it what the code must be.
//!
//! A `.code` file is mapped, and not read, when it is loaded. The `.sum` file beside it has the sha256 of the code in
//! hexadecimal, and the stamp of the file whose bytes were last seen to match: device, inode, size and time of change. While
//! the stamp is the same the bytes are; otherwise they are hashed again. The code is on disk before its sum is, and both are
//! written beside their places and renamed, so a reader sees all of them or nothing. Whoever writes to the folder runs code
//! in the host: neither the folder nor a file in it is trusted that belongs to somebody else, or that others may write to.
//!
//! When something is added, what nobody has loaded for a month is removed, and then what was not loaded for longest until
//! the rest is no more than a gibibyte. Several processes may share a folder.

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
/// What is being written begins so.
const BESIDE: &str = ".tmp";
/// The time of a sum says when its code was last loaded, to this precision.
const PRECISION: Duration = Duration::from_secs(3600);

/// How much is kept.
#[derive(Debug, Clone, Copy)]
struct Most {
    /// What was not loaded for so long is removed.
    unused: Duration,
    /// All files together, in bytes.
    bytes: u64,
}

const MOST: Most = Most { unused: Duration::from_secs(30 * 24 * 3600), bytes: 1 << 30 };

pub(crate) struct Cache {
    folder: PathBuf,
    /// The compiler, its version and its settings.
    settings: u64,
}

impl Cache {
    /// A cache in a folder, which is made when needed. None if the folder is not this user's alone.
    pub(crate) fn open(folder: PathBuf, engine: &Engine) -> Option<Self> {
        if let Err(reason) = make_private(&folder) {
            tracing::warn!(folder = %folder.display(), %reason, "compiled code is not kept");
            return None;
        }
        let mut settings = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut settings);
        Some(Self { folder, settings: settings.finish() })
    }

    fn path(&self, module: &Digest) -> PathBuf {
        self.folder.join(format!("{module}-{:016x}.{CODE}", self.settings))
    }

    /// The module's code, unless it is not there, damaged, or refused by the engine.
    pub(crate) fn load(&self, engine: &Engine, module: &Digest) -> Option<Component> {
        let path = self.path(module);
        let file = File::open(&path).ok()?;
        let loaded = self.check(&path, &file).and_then(|()| {
            // Where the disk is one that nothing may be executed from, it is read.
            mapped(engine, &path).or_else(|_| compiled(engine, &read(&path)?).map_err(|error| format!("{error:#}")))
        });
        match loaded {
            Ok(component) => {
                note_use(&path.with_extension(SUM));
                Some(component)
            }
            Err(reason) => {
                tracing::warn!(path = %path.display(), reason, "cached code cannot be used: compiling the module again");
                None
            }
        }
    }

    /// Whether the file has what was put there, and only this user can have done that.
    fn check(&self, path: &Path, file: &File) -> Result<(), String> {
        let about = file.metadata().map_err(|error| error.to_string())?;
        is_private(&about)?;
        let beside = path.with_extension(SUM);
        is_private(&fs::metadata(&beside).map_err(|error| format!("its checksum cannot be read: {error}"))?)?;
        let known = read(&beside)?;
        let known = String::from_utf8_lossy(&known);
        let (sum, seen) = known.split_once(' ').ok_or("its checksum is cut off")?;
        let stamp = stamp(&about);
        if stamp.as_deref() == Some(seen) {
            return Ok(());
        }
        if Digest::of(&read(path)?).as_str() != sum {
            return Err("its checksum is another one".to_owned());
        }
        // It costs time only, the next time.
        let _ = stamp.map(|stamp| self.write(&beside, format!("{sum} {stamp}").as_bytes()));
        Ok(())
    }

    /// Keeps the code. A cache that cannot be written costs time only.
    pub(crate) fn keep(&self, module: &Digest, code: &[u8]) {
        let kept = self.try_keep(module, code).and_then(|()| prune(&self.folder, &self.path(module), MOST));
        if let Err(reason) = kept {
            tracing::warn!(folder = %self.folder.display(), %reason, "compiled code cannot be cached");
        }
    }

    fn try_keep(&self, module: &Digest, code: &[u8]) -> io::Result<()> {
        let path = self.path(module);
        let about = self.write(&path, code)?.metadata()?;
        let sum = format!("{} {}", Digest::of(code), stamp(&about).unwrap_or_default());
        self.write(&path.with_extension(SUM), sum.as_bytes())?;
        Ok(())
    }

    /// Writes a file as a whole; what is there afterwards is there after a power cut.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        let mut file = tempfile::Builder::new().prefix(BESIDE).tempfile_in(&self.folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(file.persist(path)?)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| error.to_string())
}

/// What changes with a file's bytes; nothing where the system does not say when they were last changed.
#[cfg(unix)]
fn stamp(about: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let (device, inode, size) = (about.dev(), about.ino(), about.size());
    Some(format!("{device}-{inode}-{size}-{}.{:09}", about.ctime(), about.ctime_nsec()))
}

#[cfg(not(unix))]
fn stamp(_: &Metadata) -> Option<String> {
    None
}

/// Notes that the code was loaded now, so that it is not the next to go. Where that cannot be written, it may be.
fn note_use(sum: &Path) {
    let now = SystemTime::now();
    let known = fs::metadata(sum).and_then(|about| about.modified());
    if known.is_ok_and(|known| now.duration_since(known).unwrap_or_default() >= PRECISION) {
        let file = File::options().append(true).open(sum);
        let _ = file.and_then(|file| file.set_times(FileTimes::new().set_modified(now)));
    }
}

/// Removes what is not used any more, and what is too much; never `added`.
fn prune(folder: &Path, added: &Path, most: Most) -> io::Result<()> {
    let now = SystemTime::now();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ours = path.extension().is_some_and(|extension| extension == CODE);
        let beside = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(BESIDE));
        // Another process may have removed it by now.
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        let used = fs::symlink_metadata(path.with_extension(SUM)).and_then(|sum| sum.modified());
        let unused = now.duration_since(used.or_else(|_| about.modified())?).unwrap_or_default();
        if (ours || beside) && about.is_file() {
            // What is being written is done long before that, or never.
            let unused = if beside { unused.saturating_mul(100) } else { unused };
            files.push((unused, about.len(), path));
        }
    }
    files.sort();
    let mut bytes = 0u64;
    for (unused, size, path) in files {
        bytes = bytes.saturating_add(size);
        if path != added && (unused > most.unused || bytes > most.bytes) {
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

/// Maps code that this host has compiled.
#[allow(unsafe_code)]
fn mapped(engine: &Engine, path: &Path) -> Result<Component, wasmtime::Error> {
    // SAFETY: as for [`compiled`]; and files in the folder are replaced, never changed.
    unsafe { Component::deserialize_file(engine, path) }
}

/// Loads code that this host has compiled.
#[allow(unsafe_code)]
pub(crate) fn compiled(engine: &Engine, code: &[u8]) -> Result<Component, wasmtime::Error> {
    // SAFETY: the bytes are what `Engine::precompile_component` made, in this process, in the host's own compiler, or, by
    // their checksum, in one of both whose output `Cache::try_keep` wrote into a file that is this user's and that nobody
    // else may write to, as `Cache::check` has seen; the engine refuses other versions and settings.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that was used so many hours ago.
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
    fn what_is_not_used_goes_and_then_what_was_not_used_for_longest() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, hours| file(folder.path(), name, 100, hours);
        let added = at("added.code", 0);
        for (name, hours) in [("a.code", 1), ("b.code", 2), ("c.code", 3), ("old.code", 25), ("other", 99)] {
            at(name, hours);
        }
        at(".tmpold", 2);
        at(".tmpnew", 0);
        let most = |bytes| Most { unused: Duration::from_secs(24 * 3600), bytes };
        prune(folder.path(), &added, most(10_000)).unwrap();
        assert_eq!(names(folder.path()), [".tmpnew", "a.code", "added.code", "b.code", "c.code", "other"]);
        prune(folder.path(), &added, most(350)).unwrap();
        assert_eq!(names(folder.path()), [".tmpnew", "a.code", "added.code", "other"]);
        prune(folder.path(), &added, most(50)).unwrap();
        assert!(names(folder.path()).contains(&"added.code".to_owned()), "what was just added stays");
    }

    #[test]
    fn code_that_is_loaded_counts_as_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "a.sum", 1, 5);
        note_use(&path);
        assert!(fs::metadata(&path).unwrap().modified().unwrap().elapsed().unwrap_or_default() < PRECISION);
    }
}
