//! Compiled code on disk: one file per module and configuration.
//!
//! A file is the sha256 of the code in hexadecimal, and the code. It is written beside its place and renamed, so a
//! reader sees all of it or nothing. The folder belongs to the host alone: whoever writes there runs code in it.

use faas_flow_core::Digest;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use wasmtime::Engine;
use wasmtime::component::Component;

const HEADER: usize = 64;

pub(crate) struct Cache {
    folder: PathBuf,
    /// The compiler, its version and its settings.
    settings: u64,
}

impl Cache {
    pub(crate) fn new(folder: PathBuf, engine: &Engine) -> Self {
        let mut settings = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut settings);
        Self { folder, settings: settings.finish() }
    }

    fn path(&self, module: &Digest) -> PathBuf {
        self.folder.join(format!("{module}-{:016x}.code", self.settings))
    }

    /// The module's code, unless it is not there, damaged, or refused by the engine.
    pub(crate) fn load(&self, engine: &Engine, module: &Digest) -> Option<Component> {
        let path = self.path(module);
        let file = fs::read(&path).ok()?;
        let loaded = file.split_at_checked(HEADER).and_then(|(sum, code)| {
            let intact = Digest::of(code).as_str().as_bytes() == sum;
            intact.then(|| compiled(engine, code).ok()).flatten()
        });
        if loaded.is_none() {
            tracing::warn!(path = %path.display(), "cached code is damaged: compiling the module again");
        }
        loaded
    }

    /// Keeps the code. A cache that cannot be written costs time only.
    pub(crate) fn keep(&self, module: &Digest, code: &[u8]) {
        if let Err(reason) = self.try_keep(module, code) {
            tracing::warn!(folder = %self.folder.display(), %reason, "compiled code cannot be cached");
        }
    }

    fn try_keep(&self, module: &Digest, code: &[u8]) -> std::io::Result<()> {
        make_private(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(Digest::of(code).as_str().as_bytes())?;
        file.write_all(code)?;
        file.persist(self.path(module))?;
        Ok(())
    }
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Loads code that this host has compiled.
#[allow(unsafe_code)]
pub(crate) fn compiled(engine: &Engine, code: &[u8]) -> Result<Component, wasmtime::Error> {
    // SAFETY: the bytes are what `Engine::precompile_component` made, in this process, in the host's own compiler, or, by
    // their checksum, in one of both whose output `Cache::try_keep` wrote into a folder that only the host's own user can
    // write to; the engine refuses other versions and settings.
    unsafe { Component::deserialize(engine, code) }
}
