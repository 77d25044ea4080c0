//! A flow of many versions: replicas that share stores, a step function that waits for a gate, and what operators do.

use crate::command::{Done, faas_flow};
use crate::server::{Answer, Serve, Server};
use crate::wait::until;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use faas_flow_core::Digest;
use faas_flow_test_support::{double, modules};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::sync::watch;

/// Where the flow is served.
pub const FLOW: &str = "/function/versions";

/// What replicas share: stores in a folder, and a step function that answers once its gate is open.
pub struct World {
    /// The folder, for whatever else a test needs.
    pub folder: TempDir,
    /// The step function.
    pub steps: Arc<Steps>,
    url: String,
}

/// The step function. It answers with its input.
pub struct Steps {
    gate: watch::Sender<bool>,
    /// How many calls have begun.
    pub begun: AtomicUsize,
}

async fn step(State(steps): State<Arc<Steps>>, body: Bytes) -> Bytes {
    steps.begun.fetch_add(1, Ordering::Relaxed);
    steps.gate.subscribe().wait_for(|open| *open).await.unwrap();
    body
}

impl World {
    /// One whose gate is closed.
    pub async fn new() -> Self {
        let steps = Arc::new(Steps { gate: watch::channel(false).0, begun: AtomicUsize::new(0) });
        let url = double::serve(Router::new().fallback(step).with_state(steps.clone())).await;
        Self { folder: TempDir::new().unwrap(), steps, url }
    }

    /// One whose gate is open.
    pub async fn open() -> Self {
        let world = Self::new().await;
        world.open_gate();
        world
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a version of the flow into the folder: see [`modules::version`].
    pub fn version(&self, number: u16, mode: &str) -> PathBuf {
        modules::version(self.path(), number, mode)
    }

    /// How to start a server on the world's stores whose image has this module.
    pub fn serve(&self, module: &Path) -> Serve {
        Serve::file("versions", module).function("func1", &self.url).with("--lease", "1s")
    }

    /// Starts a server on the world's stores whose image has this module.
    pub fn start(&self, module: &Path) -> Server {
        self.serve(module).start_in(self.path())
    }

    /// Lets the step function answer.
    pub fn open_gate(&self) {
        self.steps.gate.send_replace(true);
    }

    /// Waits until the step function has been called this often.
    pub async fn begun(&self, calls: usize) {
        until("the step function is called", async || self.steps.begun.load(Ordering::Relaxed) >= calls).await;
    }

    /// All files of the world's stores.
    pub fn stored(&self) -> BTreeSet<PathBuf> {
        files_below(&self.path().join(".faas-flow")).into_iter().collect()
    }

    /// The files of compiled code, of a server that caches it in the folder `code`.
    pub fn compiled(&self) -> BTreeSet<PathBuf> {
        files_below(&self.path().join("code")).into_iter().collect()
    }

    /// The file that holds this module in the module store.
    pub fn module_file(&self, module: &Path) -> PathBuf {
        let digest = digest(module);
        let file = files_below(&self.path().join(".faas-flow"));
        file.into_iter().find(|file| file.to_string_lossy().contains(&digest)).expect("the module is stored")
    }
}

/// All files in a folder and its folders.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// The digest of a file.
pub fn digest(module: &Path) -> String {
    Digest::of(&fs::read(module).unwrap()).to_string()
}

/// Runs `faas-flow push` or `faas-flow modules …` with `--json` on a server.
pub async fn tell(server: &Server, words: &[&str], more: &[&Path]) -> Done {
    let mut command = faas_flow(Path::new("/"));
    command.args(words).args(more).args(["--to", &server.url(FLOW), "--json"]);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap().into()
}

/// Runs `faas-flow push`.
pub async fn push(server: &Server, module: &Path) -> Done {
    tell(server, &["push"], &[module]).await
}

/// What `faas-flow modules list` shows.
pub async fn listed(server: &Server) -> Value {
    tell(server, &["modules", "list"], &[]).await.json()
}

/// The state of a version on a server: `active`, `removed` and so on; none if the server does not know it.
pub async fn state(server: &Server, module: &Path) -> Option<String> {
    let listed = listed(server).await;
    let versions = listed["versions"].as_array().unwrap();
    let version = versions.iter().find(|version| version["digest"] == digest(module).as_str())?;
    Some(version["state"].as_str().unwrap().to_owned())
}

/// A number as WebAssembly encodes it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return bytes;
        }
    }
}

/// A section of a module or component. One of kind 0 means nothing.
pub fn section(kind: u8, content: Vec<u8>) -> Vec<u8> {
    [vec![kind], leb(content.len()), content].concat()
}

/// A component of one core module, which takes long to compile with many functions.
pub fn slow_to_compile(functions: usize) -> Vec<u8> {
    // No locals; then the argument times itself plus a number, over and over.
    let mut body = vec![0, 0x20, 0];
    for n in 0..3000u32 {
        body.extend([0x20, 0, 0x6c, 0x41, (n % 64) as u8, 0x6a]);
    }
    body.push(0x0b);
    let code = [leb(body.len()), body].concat();
    let types = section(1, vec![1, 0x60, 1, 0x7f, 1, 0x7f]);
    let declared = section(3, [leb(functions), vec![0; functions]].concat());
    let code = section(10, [leb(functions), code.repeat(functions)].concat());
    let core = [b"\0asm\x01\0\0\0".to_vec(), types, declared, code].concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, core)].concat()
}

/// Runs the flow, and waits for its result.
pub async fn result(server: &Server, body: &'static str) -> Answer {
    server.result("versions", body).await
}

/// Begins a run, and returns its id.
pub async fn begin(server: &Server, body: &'static str) -> String {
    let answer = server.post(FLOW, body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.id.unwrap()
}

/// The result of a run, once it has ended.
pub async fn ended(server: &Server, id: &str) -> String {
    server.result_of("versions", id).await.ok()
}
