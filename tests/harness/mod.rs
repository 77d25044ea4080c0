//! The real binary, as people run it: commands with their output, and servers that end with their tests.
#![allow(dead_code, reason = "each test uses its part")]

pub mod versions;

use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// The clone: cargo runs a test in the folder of its package. What was built may have been built in another clone.
pub fn root() -> PathBuf {
    std::env::current_dir().unwrap().ancestors().nth(2).unwrap().to_owned()
}

/// A module that `cargo xtask modules` built.
pub fn module(name: &str) -> PathBuf {
    let set = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let modules = set("FAAS_FLOW_MODULES").unwrap_or_else(|| {
        let cache = set("XDG_CACHE_HOME").unwrap_or_else(|| set("HOME").expect("HOME is set").join(".cache"));
        cache.join("faas-flow/modules")
    });
    let module = modules.join(name).with_extension("wasm");
    assert!(module.is_file(), "the module {name} is missing: run `cargo xtask modules`");
    module
}

/// A version of the flow `versions`, in this folder: its number stamps what it makes, its mode says what it is like.
pub fn version(folder: &Path, number: u16, mode: &str) -> PathBuf {
    const MARK: &[u8] = b"faas-flow-version:0000:okay";
    let mut bytes = fs::read(module("versions")).unwrap();
    let at = bytes.windows(MARK.len()).position(|window| window == MARK).expect("the mark");
    let mark = format!("faas-flow-version:{number:04}:{mode}");
    assert_eq!(mark.len(), MARK.len());
    bytes[at..at + MARK.len()].copy_from_slice(mark.as_bytes());
    let path = folder.join(format!("{number}-{mode}.wasm"));
    fs::write(&path, bytes).unwrap();
    path
}

/// The binary, in a folder of the test's own.
pub fn faas_flow(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faas-flow"));
    command.current_dir(folder).stdin(Stdio::null()).env_remove("RUST_LOG").env("NO_COLOR", "1");
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("FAAS_FLOW_") || name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            command.env_remove(variable);
        }
    }
    // This program is not optimised, and the machine may be busy: modules of 40 MB take their time.
    command.env("compile_timeout", "10m");
    command
}

/// What a command left behind.
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end.
pub fn run<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Done {
    let output = faas_flow(folder).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Done {
    /// What a command that succeeded wrote to stdout.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// The same, as JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// The command failed with this code, says all of these, points to the code's page, and printed no data.
    #[track_caller]
    pub fn failed(self, code: &str, says: &[&str]) {
        assert_eq!(self.code, Some(1), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        let says_code = [": ", " at "].iter().any(|next| self.stderr.contains(&format!("error {code}{next}")));
        assert!(says_code, "{}", self.stderr);
        assert!(self.stderr.contains(&format!("faas-flow explain {code}")), "{}", self.stderr);
        for part in says {
            assert!(self.stderr.contains(part), "`{}` does not say `{part}`", self.stderr);
        }
        assert_eq!(self.stdout, "");
    }
}

/// Waits until this holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let poll = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Builds of flows take their time on a busy machine.
    tokio::time::timeout(Duration::from_secs(240), poll).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// A figure of a server, by the line of its metrics that holds it.
pub async fn metric(server: &Server, line: &str) -> u64 {
    let metrics = server.get("/_/metrics").await.ok();
    let value = metrics.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{line} is not in {metrics}")).parse().unwrap()
}

/// A script that serves as a function.
pub fn script(folder: &Path, name: &str, body: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// `faas-flow serve`, until it is dropped.
pub struct Server {
    pub address: String,
    pub client: reqwest::Client,
    child: Child,
    log: Arc<Mutex<String>>,
    folder: Option<TempDir>,
}

/// How to start a server.
pub struct Serve {
    command: &'static str,
    flows: Vec<PathBuf>,
    arguments: Vec<String>,
}

impl Serve {
    /// Flows by the names of their modules.
    pub fn flows(names: &[&str]) -> Self {
        Self { command: "serve", flows: names.iter().map(|name| module(name)).collect(), arguments: Vec::new() }
    }

    /// A replica of a function.
    pub fn replica(name: &str) -> Self {
        Self {
            command: "function",
            flows: vec![format!("{name}={}", module(name).display()).into()],
            arguments: Vec::new(),
        }
    }

    /// A flow by its module's file.
    pub fn file(name: &str, module: &Path) -> Self {
        let flow = format!("{name}={}", module.display()).into();
        Self { command: "serve", flows: vec![flow], arguments: Vec::new() }
    }

    /// A function and not a server of one's own.
    pub fn like_a_function(self) -> Self {
        Self { command: "function", ..self }
    }

    pub fn function(self, name: &str, target: impl AsRef<OsStr>) -> Self {
        self.with("--function", &format!("{name}={}", target.as_ref().to_string_lossy()))
    }

    pub fn with(mut self, option: &str, value: &str) -> Self {
        self.arguments.extend([option.to_owned(), value.to_owned()]);
        self
    }

    pub fn flag(mut self, option: &str) -> Self {
        self.arguments.push(option.to_owned());
        self
    }

    /// A server whose state is in a folder of its own.
    pub fn start(self) -> Server {
        let folder = TempDir::new().unwrap();
        let mut server = self.start_in(folder.path());
        server.keep(folder);
        server
    }

    /// A server whose state is in this folder.
    pub fn start_in(self, folder: &Path) -> Server {
        Server::start(self.command_in(folder))
    }

    /// What starts it.
    pub fn command_in(self, folder: &Path) -> Command {
        let mut command = faas_flow(folder);
        // Functions of one machine's tests share neither a port for metrics nor a lock file.
        if self.command == "function" {
            command.env("metrics_port", "0").env("TMPDIR", folder);
        }
        command.arg(self.command).args(self.flows).args(["--listen", "127.0.0.1:0"]).args(self.arguments);
        command
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub id: Option<String>,
    pub code: Option<String>,
    pub body: String,
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }

    /// The body of a failure, which has this status and code.
    #[track_caller]
    pub fn failed(self, status: u16, code: &str) -> String {
        assert_eq!((self.status, self.code.as_deref()), (status, Some(code)), "{self:?}");
        self.body
    }
}

impl Server {
    /// Starts a command that ends up as a server of ours, and waits until that is ready.
    pub fn start(command: Command) -> Self {
        Self::start_until("ready", command)
    }

    /// The same, until a line begins so.
    pub fn start_until(beginning: &str, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut address, mut said) = (None, String::new());
        loop {
            let mut line = String::new();
            if stderr.read_line(&mut line).unwrap() == 0 {
                panic!("the server ended early: {:?}\n{said}", child.wait());
            }
            if let Some((_, url)) = line.split_once("http://").filter(|(said, _)| said.starts_with("serving ")) {
                address = url.split('/').next().map(str::to_owned);
            }
            said.push_str(&line);
            if line.starts_with(beginning) {
                break;
            }
        }
        let log = Arc::new(Mutex::new(said));
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = writer.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().unwrap();
        Server { address: address.expect("the server said where it is"), client, child, log, folder: None }
    }

    /// The process that was started.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (id, code) = (header("x-faas-flow-reqid"), header("x-faas-flow-error"));
        Answer { status: response.status().as_u16(), id, code, body: response.text().await.unwrap() }
    }

    pub fn request(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        self.client.post(self.url(path)).body(body)
    }

    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(self.request(path, body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.client.get(self.url(path))).await
    }

    /// Calls a flow, perhaps with a query, and waits for the result.
    pub async fn result(&self, flow: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(self.request(&format!("/function/{flow}"), body).header("X-Faas-Flow-Wait", "60s")).await
    }

    /// Asks for the result of a run until there is one; the run itself may still wait in a queue.
    pub async fn result_of(&self, flow: &str, id: &str) -> Answer {
        let path = format!("/function/{flow}/flow/{id}/result");
        let poll = async {
            loop {
                let answer = self.get(&path).await;
                if answer.status != 202 && answer.code.as_deref() != Some("FF0212") {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), poll).await.unwrap_or_else(|_| panic!("{id} did not end"))
    }

    /// What the server wrote to stderr so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Takes the folder that it was started in: it goes with the server.
    pub fn keep(&mut self, folder: TempDir) {
        self.folder = Some(folder);
    }

    /// The folder that the server runs in.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("it has a folder of its own").path()
    }

    /// `requests show ID --json` on the server's state.
    pub fn shown(&self, id: &str) -> Value {
        run(self.folder(), ["requests", "show", id, "--json"]).json()
    }

    /// Sends it a signal: `TERM`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for its end; yields its exit code.
    pub async fn end(&mut self, at_most: Duration) -> Option<i32> {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status.code();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(at_most, ended).await.expect("it ends in time")
    }

    /// As `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server said:\n{}", self.log());
        }
    }
}
