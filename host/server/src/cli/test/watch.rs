//! Watches the module and the scenarios of a flow.

use crate::SourcesError;
use faas_flow_core::Digest;
use faas_flow_scenario::files;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};

/// Changes at most this far apart count as one: a build writes a module piece by piece.
const QUIET: Duration = Duration::from_millis(150);
/// The maximum time to wait for changes to end.
const LONGEST: Duration = Duration::from_secs(2);

pub(super) struct Watch {
    module: PathBuf,
    paths: Vec<PathBuf>,
    /// It ends when it is dropped.
    _watcher: RecommendedWatcher,
    events: UnboundedReceiver<()>,
    folder: PathBuf,
    known: BTreeMap<PathBuf, Option<Digest>>,
}

impl Watch {
    /// Watches the folders of these files, as they are now.
    pub(super) fn new(module: &Path, paths: &[PathBuf]) -> Result<Self, SourcesError> {
        let (sender, events) = unbounded_channel();
        let unwatchable = |folder: &Path| {
            let folder = folder.to_owned();
            |source| SourcesError::Unwatchable { folder, source }
        };
        let folder = folder_of(module);
        let watcher = notify::recommended_watcher(move |_: notify::Result<notify::Event>| {
            // Nobody listens any more when this ends.
            let _ = sender.send(());
        });
        let mut watcher = watcher.map_err(unwatchable(&folder))?;
        let folders = paths.iter().map(|path| if path.is_dir() { path.clone() } else { folder_of(path) });
        for folder in folders.chain([folder.clone()]).collect::<BTreeSet<_>>() {
            watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(unwatchable(&folder))?;
        }
        let mut watch = Self {
            module: module.to_owned(),
            paths: paths.to_vec(),
            _watcher: watcher,
            events,
            folder,
            known: BTreeMap::new(),
        };
        watch.known = watch.now();
        Ok(watch)
    }

    /// The digests of all files.
    fn now(&self) -> BTreeMap<PathBuf, Option<Digest>> {
        let scenarios = self.paths.iter().flat_map(|path| files(path).unwrap_or_default());
        let all = scenarios.chain([self.module.clone()]);
        all.map(|file| (file.clone(), std::fs::read(&file).ok().map(|bytes| Digest::of(&bytes)))).collect()
    }

    /// Waits until one of the files has another content.
    pub(super) async fn changed(&mut self) -> Result<(), SourcesError> {
        loop {
            if self.events.recv().await.is_none() {
                return Err(SourcesError::NotWatched { folder: self.folder.clone() });
            }
            let latest = Instant::now() + LONGEST;
            // What comes soon after belongs to the same change.
            while let Ok(Some(())) = timeout_at((Instant::now() + QUIET).min(latest), self.events.recv()).await {
                if Instant::now() >= latest {
                    break;
                }
            }
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
