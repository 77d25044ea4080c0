//! Watches a folder of sources. Only a change of a file's content counts, so that a build that rewrites files without changing
//! them does not start another build.

use crate::SourcesError;
use crate::cli::watch::{Folders, Patience, digest_of};
use faas_flow_core::Digest;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Patience = Patience { quiet: Duration::from_millis(75), longest: Duration::from_secs(1) };
/// Folders of generated files.
const MADE: [&str; 3] = ["target", "node_modules", "__pycache__"];
/// The file that marks a folder of generated files, as in cargo's target folder.
const MADE_TAG: &str = "CACHEDIR.TAG";

pub(in crate::cli) struct Sources {
    root: PathBuf,
    module: Option<PathBuf>,
    folders: Folders,
    /// The digests of all files.
    files: HashMap<PathBuf, Digest>,
}

impl Sources {
    /// Starts to watch the folder, except for the module that is built there.
    pub(in crate::cli) fn new(folder: &Path, module: Option<&Path>) -> Result<Self, SourcesError> {
        let root = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let folders = Folders::new(&root, PATIENCE)?;
        let mut watch = Self { root: root.clone(), module: module.map(Path::to_owned), folders, files: HashMap::new() };
        watch.look(&root, &mut BTreeSet::new());
        Ok(watch)
    }

    /// Waits until sources have changed and no more changes follow, and returns a sentence about which ones.
    pub(in crate::cli) async fn changed(&mut self) -> Result<String, SourcesError> {
        loop {
            let mut changed = BTreeSet::new();
            for path in self.folders.touched().await? {
                self.look(&path, &mut changed);
            }
            if let Some(first) = changed.first() {
                let first = first.strip_prefix(&self.root).unwrap_or(first).display();
                return Ok(match changed.len() {
                    1 => format!("{first} changed"),
                    count => format!("{first} and {} more changed", count - 1),
                });
            }
        }
    }

    /// Reads a file, or all files in a folder, and records those that have changed.
    fn look(&mut self, path: &Path, changed: &mut BTreeSet<PathBuf>) {
        if self.is_ignored(path) {
            return;
        }
        if path.is_dir() {
            // The files of a folder that cannot be watched are read when something next to it changes.
            if path != self.root && self.folders.watch(path).is_err() {
                return;
            }
            for entry in path.read_dir().into_iter().flatten().flatten() {
                self.look(&entry.path(), changed);
            }
            return self.miss(path, changed);
        }
        match digest_of(path) {
            Some(digest) => {
                if self.files.insert(path.to_owned(), digest.clone()).is_none_or(|before| before != digest) {
                    changed.insert(path.to_owned());
                }
            }
            None => self.miss(path, changed),
        }
    }

    /// Records the files at or below a path that no longer exist.
    fn miss(&mut self, path: &Path, changed: &mut BTreeSet<PathBuf>) {
        let gone = |file: &PathBuf| file.starts_with(path) && !file.exists();
        changed.extend(self.files.extract_if(|file, _| gone(file)).map(|(file, _)| file));
    }

    /// Whether the path is hidden, generated, or the module.
    fn is_ignored(&self, path: &Path) -> bool {
        let Ok(inside) = path.strip_prefix(&self.root) else { return true };
        let made = |name: &str| MADE.contains(&name) || name.starts_with('.');
        let mut at = self.root.clone();
        self.module.as_deref() == Some(path)
            || inside.components().any(|part| {
                at.push(part);
                made(&part.as_os_str().to_string_lossy()) || at.join(MADE_TAG).exists()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    /// Waits for the next change, which must come.
    async fn next(watch: &mut Sources) -> String {
        tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.expect("a change is seen").unwrap()
    }

    #[tokio::test]
    async fn a_burst_is_one_change_and_what_is_made_is_none() {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("src")).unwrap();
        fs::write(at("src/lib.rs"), "1").unwrap();
        let mut watch =
            Sources::new(folder.path(), Some(&folder.path().canonicalize().unwrap().join("flow.wasm"))).unwrap();
        // None of these counts, and what counts comes last.
        for made in ["target", "built", "node_modules", ".git"] {
            fs::create_dir(at(made)).unwrap();
            fs::write(at(made).join("CACHEDIR.TAG"), "").unwrap();
            fs::write(at(made).join("x"), "x").unwrap();
        }
        for (name, text) in [("flow.wasm", "module"), (".hidden", "x"), ("src/lib.rs", "1"), ("src/.lib.rs.swp", "x")] {
            fs::write(at(name), text).unwrap();
        }
        for text in ["2", "3", "4"] {
            fs::write(at("src/lib.rs"), text).unwrap();
        }
        assert_eq!(next(&mut watch).await, "src/lib.rs changed");
        // Nothing of the burst is left over: what is seen next is the next change.
        fs::create_dir(at("src/more")).unwrap();
        fs::write(at("src/more/a.rs"), "a").unwrap();
        assert_eq!(next(&mut watch).await, "src/more/a.rs changed");
        fs::write(at("src/more/a.rs"), "b").unwrap();
        assert_eq!(next(&mut watch).await, "src/more/a.rs changed");
        fs::remove_dir_all(at("src/more")).unwrap();
        assert_eq!(next(&mut watch).await, "src/more/a.rs changed");
    }

    #[tokio::test]
    async fn a_file_that_an_editor_replaces_has_changed() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("flow.js");
        fs::write(&file, "1").unwrap();
        let mut watch = Sources::new(folder.path(), None).unwrap();
        let beside = folder.path().join("flow.js~");
        fs::write(&beside, "2").unwrap();
        fs::rename(&beside, &file).unwrap();
        assert!(next(&mut watch).await.contains("flow.js"));
    }
}
