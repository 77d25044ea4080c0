//! A flow in versions: stores that its replicas share, a step that answers when it may, and what operators say.

use super::{Answer, Done, Serve, Server, faas_flow, until, version};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub const FLOW: &str = "/function/versions";

/// What replicas share: stores in a folder, and a step function that answers when its gate is open.
pub struct World {
    pub folder: TempDir,
    pub steps: Arc<Steps>,
    url: String,
}

pub struct Steps {
    gate: watch::Sender<bool>,
    pub begun: AtomicUsize,
}

async fn step(State(steps): State<Arc<Steps>>, body: Bytes) -> Bytes {
    steps.begun.fetch_add(1, Ordering::Relaxed);
    steps.gate.subscribe().wait_for(|open| *open).await.unwrap();
    body
}

impl World {
    /// The gate is closed.
    pub async fn new() -> Self {
        let steps = Arc::new(Steps { gate: watch::channel(false).0, begun: AtomicUsize::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(step).with_state(steps.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { folder: TempDir::new().unwrap(), steps, url }
    }

    /// The gate is open.
    pub async fn open() -> Self {
        let world = Self::new().await;
        world.open_gate();
        world
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn version(&self, number: u16, mode: &str) -> PathBuf {
        version(self.path(), number, mode)
    }

    pub fn serve(&self, module: &Path) -> Serve {
        Serve::file("versions", module).function("func1", &self.url).with("--lease", "1s")
    }

    /// A server whose image has this module, on the world's stores.
    pub fn start(&self, module: &Path) -> Server {
        self.serve(module).start_in(self.path())
    }

    pub fn open_gate(&self) {
        self.steps.gate.send_replace(true);
    }

    pub async fn begun(&self, calls: usize) {
        until("the step begins", async || self.steps.begun.load(Ordering::Relaxed) >= calls).await;
    }

    /// All files of the stores.
    pub fn stored(&self) -> BTreeSet<PathBuf> {
        files_below(&self.path().join(".faas-flow")).into_iter().collect()
    }

    /// The files of compiled code, where the server keeps it in `code`.
    pub fn compiled(&self) -> BTreeSet<PathBuf> {
        files_below(&self.path().join("code")).into_iter().collect()
    }

    /// The file of the module store that has this module.
    pub fn module_file(&self, module: &Path) -> PathBuf {
        let digest = digest(module);
        let file = files_below(&self.path().join(".faas-flow"));
        file.into_iter().find(|file| file.to_string_lossy().contains(&digest)).expect("the module is stored")
    }
}

pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

pub fn digest(module: &Path) -> String {
    faas_flow_core::Digest::of(&fs::read(module).unwrap()).to_string()
}

/// `faas-flow push` or `faas-flow modules …` on a server.
pub async fn tell(server: &Server, words: &[&str], more: &[&Path]) -> Done {
    let mut command = faas_flow(Path::new("/"));
    command.args(words).args(more).args(["--to", &server.url(FLOW), "--json"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub async fn push(server: &Server, module: &Path) -> Done {
    tell(server, &["push"], &[module]).await
}

pub async fn listed(server: &Server) -> Value {
    tell(server, &["modules", "list"], &[]).await.json()
}

/// The standing of each version on the server.
pub async fn standing(server: &Server, module: &Path) -> Option<String> {
    let listed = listed(server).await;
    let versions = listed["versions"].as_array().unwrap();
    let version = versions.iter().find(|version| version["digest"] == digest(module).as_str())?;
    Some(version["standing"].as_str().unwrap().to_owned())
}

/// A number as WebAssembly writes it.
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

/// A section of a module or component: one of kind 0 is nobody's.
pub fn section(kind: u8, content: Vec<u8>) -> Vec<u8> {
    [vec![kind], leb(content.len()), content].concat()
}

/// A component of one core module with so many functions that it takes long to compile.
pub fn slow_to_compile(functions: usize) -> Vec<u8> {
    // Without locals: the argument times itself plus a number, over and over.
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

/// Runs the flow to its end.
pub async fn result(server: &Server, body: &'static str) -> Answer {
    server.result("versions", body).await
}

/// Begins a run, and yields its id.
pub async fn begin(server: &Server, body: &'static str) -> String {
    let answer = server.post(FLOW, body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.id.unwrap()
}

pub async fn ended(server: &Server, id: &str) -> String {
    server.result_of("versions", id).await.ok()
}
