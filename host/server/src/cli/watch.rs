//! Waiting for files to change. A build or an editor writes files piece by piece, so changes that come one soon after the other
//! are one.

use crate::SourcesError;
use faas_flow_core::Digest;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};

/// How long to wait for more changes.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// Changes at most this far apart count as one.
    pub quiet: Duration,
    /// The maximum time to wait for changes to end.
    pub longest: Duration,
}

/// Watches folders, each without those inside it.
pub(super) struct Folders {
    /// The folder that errors name, and that is to be looked at again if events were lost.
    root: PathBuf,
    patience: Patience,
    /// It ends when it is dropped.
    watcher: RecommendedWatcher,
    events: UnboundedReceiver<PathBuf>,
}

impl Folders {
    /// Watches this folder from now on.
    pub(super) fn new(root: &Path, patience: Patience) -> Result<Self, SourcesError> {
        let (sender, events) = unbounded_channel();
        let whole = root.to_owned();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let paths = match event {
                Ok(event) if event.need_rescan() => vec![whole.clone()],
                Ok(event) if is_change(event.kind) => event.paths,
                Ok(_) => return,
                // Events may have been lost: look at everything.
                Err(_) => vec![whole.clone()],
            };
            for path in paths {
                // The receiver is gone when the program ends.
                let _ = sender.send(path);
            }
        });
        let watcher = watcher.map_err(unwatchable(root))?;
        let mut folders = Self { root: root.to_owned(), patience, watcher, events };
        folders.watch(root)?;
        Ok(folders)
    }

    /// Watches another folder too.
    pub(super) fn watch(&mut self, folder: &Path) -> Result<(), SourcesError> {
        self.watcher.watch(folder, RecursiveMode::NonRecursive).map_err(unwatchable(folder))
    }

    /// Waits until something changes and no more changes follow, and returns the paths of what was touched.
    pub(super) async fn touched(&mut self) -> Result<BTreeSet<PathBuf>, SourcesError> {
        let Some(first) = self.events.recv().await else {
            return Err(SourcesError::NotWatched { folder: self.root.clone() });
        };
        let mut touched = BTreeSet::from([first]);
        let Patience { quiet, longest } = self.patience;
        let latest = Instant::now() + longest;
        while Instant::now() < latest {
            match timeout_at((Instant::now() + quiet).min(latest), self.events.recv()).await {
                Ok(Some(path)) => touched.insert(path),
                Ok(None) | Err(_) => break,
            };
        }
        Ok(touched)
    }
}

/// The digest of a file's content; `None` if it cannot be read.
pub(super) fn digest_of(file: &Path) -> Option<Digest> {
    std::fs::read(file).ok().map(|bytes| Digest::of(&bytes))
}

/// Reading a file is not a change: otherwise every look at the files would lead to another.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

fn unwatchable(folder: &Path) -> impl FnOnce(notify::Error) -> SourcesError {
    |source| SourcesError::Unwatchable { folder: folder.to_owned(), source }
}
