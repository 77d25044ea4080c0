//! Watches the module and the scenarios of a flow.

use crate::SourcesError;
use crate::cli::watch::{Folders, Patience, digest_of};
use faas_flow_core::Digest;
use faas_flow_scenario::files;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A build takes its time to write a module.
const PATIENCE: Patience = Patience { quiet: Duration::from_millis(150), longest: Duration::from_secs(2) };

pub(super) struct Watch {
    module: PathBuf,
    paths: Vec<PathBuf>,
    folders: Folders,
    known: BTreeMap<PathBuf, Option<Digest>>,
}

impl Watch {
    /// Watches the folders of these files, as they are now.
    pub(super) fn new(module: &Path, paths: &[PathBuf]) -> Result<Self, SourcesError> {
        let folder = folder_of(module);
        let mut folders = Folders::new(&folder, PATIENCE)?;
        let others = paths.iter().map(|path| if path.is_dir() { path.clone() } else { folder_of(path) });
        for other in others.filter(|other| *other != folder).collect::<BTreeSet<_>>() {
            folders.watch(&other)?;
        }
        let mut watch = Self { module: module.to_owned(), paths: paths.to_vec(), folders, known: BTreeMap::new() };
        watch.known = watch.now();
        Ok(watch)
    }

    /// The digests of all files.
    fn now(&self) -> BTreeMap<PathBuf, Option<Digest>> {
        let scenarios = self.paths.iter().flat_map(|path| files(path).unwrap_or_default());
        let all = scenarios.chain([self.module.clone()]);
        all.map(|file| (file.clone(), digest_of(&file))).collect()
    }

    /// Waits until one of the files has another content.
    pub(super) async fn changed(&mut self) -> Result<(), SourcesError> {
        loop {
            self.folders.touched().await?;
            let now = self.now();
            if now != self.known {
                self.known = now;
                return Ok(());
            }
        }
    }
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}
