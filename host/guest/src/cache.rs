//! Compiled code on disk: one file per module and configuration.
//!
//! A file is the sha256 of the code in hexadecimal, and the code. It is written beside its place and renamed, so a
//! reader sees all of it or nothing. Whoever writes to the folder runs code in the host: neither the folder nor a file in it
//! is trusted that belongs to somebody else, or that others may write to.
//!
//! When something is added, what nobody has loaded for a month is removed, and then what was not loaded for longest until
//! the rest is no more than a gibibyte. Several processes may share a folder.

use crate::private::{is_private, make_private};
use faas_flow_core::Digest;
use std::fs::{self, File, FileTimes};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wasmtime::Engine;
use wasmtime::component::Component;

const HEADER: usize = 64;
const SUFFIX: &str = "code";
/// What is being written begins so.
const BESIDE: &str = ".tmp";
/// A file's time says when it was last loaded, to this precision.
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
        self.folder.join(format!("{module}-{:016x}.{SUFFIX}", self.settings))
    }

    /// The module's code, unless it is not there, damaged, or refused by the engine.
    pub(crate) fn load(&self, engine: &Engine, module: &Digest) -> Option<Component> {
        let path = self.path(module);
        let mut file = File::open(&path).ok()?;
        let loaded = read(&mut file).and_then(|bytes| {
            let (sum, code) = bytes.split_at_checked(HEADER).ok_or("it is cut off")?;
            match Digest::of(code).as_str().as_bytes() == sum {
                true => compiled(engine, code).map_err(|error| format!("{error:#}")),
                false => Err("its checksum is another one".to_owned()),
            }
        });
        match loaded {
            Ok(component) => {
                note_use(&file);
                Some(component)
            }
            Err(reason) => {
                tracing::warn!(path = %path.display(), reason, "cached code cannot be used: compiling the module again");
                None
            }
        }
    }

    /// Keeps the code. A cache that cannot be written costs time only.
    pub(crate) fn keep(&self, module: &Digest, code: &[u8]) {
        let kept = self.try_keep(module, code).and_then(|()| prune(&self.folder, &self.path(module), MOST));
        if let Err(reason) = kept {
            tracing::warn!(folder = %self.folder.display(), %reason, "compiled code cannot be cached");
        }
    }

    fn try_keep(&self, module: &Digest, code: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(BESIDE).tempfile_in(&self.folder)?;
        file.write_all(Digest::of(code).as_str().as_bytes())?;
        file.write_all(code)?;
        file.persist(self.path(module))?;
        Ok(())
    }
}

/// All of a file that only this user can have written.
fn read(file: &mut File) -> Result<Vec<u8>, String> {
    let about = file.metadata().map_err(|error| error.to_string())?;
    is_private(&about)?;
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or_default());
    file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Notes that the file was loaded now, so that it is not the next to go. Where that cannot be written, it may be.
fn note_use(file: &File) {
    let now = SystemTime::now();
    let known = file.metadata().and_then(|about| about.modified());
    if known.is_ok_and(|known| now.duration_since(known).unwrap_or_default() >= PRECISION) {
        let _ = file.set_times(FileTimes::new().set_modified(now));
    }
}

/// Removes what is not used any more, and what is too much; never `added`.
fn prune(folder: &Path, added: &Path, most: Most) -> io::Result<()> {
    let now = SystemTime::now();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ours = path.extension().is_some_and(|extension| extension == SUFFIX);
        let beside = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(BESIDE));
        // Another process may have removed it by now.
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        let unused = now.duration_since(about.modified()?).unwrap_or_default();
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
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => bytes = bytes.saturating_sub(size),
            }
        }
    }
    Ok(())
}

/// Loads code that this host has compiled.
#[allow(unsafe_code)]
pub(crate) fn compiled(engine: &Engine, code: &[u8]) -> Result<Component, wasmtime::Error> {
    // SAFETY: the bytes are what `Engine::precompile_component` made, in this process, in the host's own compiler, or, by
    // their checksum, in one of both whose output `Cache::try_keep` wrote into a file that is this user's and that nobody
    // else may write to, as `read` has seen; the engine refuses other versions and settings.
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
    fn a_file_that_is_loaded_counts_as_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "a.code", 1, 5);
        note_use(&File::open(&path).unwrap());
        assert!(fs::metadata(&path).unwrap().modified().unwrap().elapsed().unwrap_or_default() < PRECISION);
    }
}
