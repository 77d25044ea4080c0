//! Servers of the program's, and what they answer.

use crate::command::{faas_flow, run};
use crate::wait::until;
use faas_flow_test_support::modules::module;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Url};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// A server of the program's, `faas-flow serve` or another. It is killed when its value is dropped.
pub struct Server {
    /// Where it listens: host and port.
    pub address: String,
    /// A client that uses no proxy.
    pub client: Client,
    child: Child,
    log: Arc<Mutex<String>>,
    folder: Option<TempDir>,
}

/// How to start a server: a command with its arguments.
pub struct Serve {
    command: &'static str,
    flows: Vec<PathBuf>,
    arguments: Vec<String>,
}

impl Serve {
    /// `faas-flow serve` with these flows, which have the names of their modules.
    pub fn flows(names: &[&str]) -> Self {
        Self { command: "serve", flows: names.iter().map(|name| module(name)).collect(), arguments: Vec::new() }
    }

    /// `faas-flow function`: a replica of a deployed function, whose flow has the name of its module.
    pub fn replica(name: &str) -> Self {
        Self {
            command: "function",
            flows: vec![format!("{name}={}", module(name).display()).into()],
            arguments: Vec::new(),
        }
    }

    /// `faas-flow serve` with one flow, whose module is this file.
    pub fn file(name: &str, module: &Path) -> Self {
        let flow = format!("{name}={}", module.display()).into();
        Self { command: "serve", flows: vec![flow], arguments: Vec::new() }
    }

    /// Adds a flow under a name of its own.
    pub fn flow_as(mut self, name: &str, of: &str) -> Self {
        self.flows.push(format!("{name}={}", module(of).display()).into());
        self
    }

    /// Adds a step function: a command or a URL.
    pub fn function(self, name: &str, target: impl AsRef<OsStr>) -> Self {
        self.with("--function", &format!("{name}={}", target.as_ref().to_string_lossy()))
    }

    /// Adds an option with a value.
    pub fn with(mut self, option: &str, value: &str) -> Self {
        self.arguments.extend([option.to_owned(), value.to_owned()]);
        self
    }

    /// Adds an option without a value.
    pub fn flag(mut self, option: &str) -> Self {
        self.arguments.push(option.to_owned());
        self
    }

    /// Starts it in a new folder, which is removed with it.
    pub fn start(self) -> Server {
        let folder = TempDir::new().unwrap();
        let mut server = self.start_in(folder.path());
        server.own(folder);
        server
    }

    /// Starts it in this folder.
    pub fn start_in(self, folder: &Path) -> Server {
        Server::start(self.command_in(folder))
    }

    /// The command that starts it in this folder.
    pub fn command_in(self, folder: &Path) -> Command {
        let mut command = faas_flow(folder);
        // Functions share a port for metrics and a lock file, unless told otherwise.
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
    /// The status.
    pub status: u16,
    /// The run's id: `X-Faas-Flow-Reqid`.
    pub id: Option<String>,
    /// The error's code: `X-Faas-Flow-Error`.
    pub code: Option<String>,
    /// The media type of the body: `Content-Type`.
    pub content_type: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The values of a header, in order.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// The body. The status must be 200.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }

    /// The body. The status and the error's code must be these.
    #[track_caller]
    pub fn failed(self, status: u16, code: &str) -> String {
        assert_eq!((self.status, self.code.as_deref()), (status, Some(code)), "{self:?}");
        self.body
    }
}

impl Server {
    /// Starts a command that serves, and waits until it is ready.
    pub fn start(command: Command) -> Self {
        Self::start_until("ready", command)
    }

    /// Starts a command that serves, and waits until it has written a line that begins so to stderr.
    pub fn start_until(beginning: &str, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut address = None;
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if stderr.read_line(&mut line).unwrap() == 0 {
                panic!("the server ended early: {:?}\n{said}", child.wait());
            }
            // `serves flow greet at http://127.0.0.1:1234/`
            if let Some((_, url)) = line.split_once("http://").filter(|(said, _)| said.starts_with("serv")) {
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
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().unwrap();
        Server { address: address.expect("the server says where it listens"), client, child, log, folder: None }
    }

    /// The id of the process that was started.
    pub fn process(&self) -> i32 {
        Pid::from_child(&self.child).as_raw_pid()
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The URL to which a reference leads, such as a `Location`, in the answer to a request to this path.
    pub fn url_from(&self, path: &str, reference: &str) -> Url {
        Url::parse(&self.url(path)).unwrap().join(reference).unwrap()
    }

    /// Sends a request.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let id = header("x-faas-flow-reqid");
        let code = header("x-faas-flow-error");
        let content_type = header("content-type");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, id, code, content_type, headers, body: response.text().await.unwrap() }
    }

    /// A POST request to a path.
    pub fn request(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(self.url(path)).body(body)
    }

    /// Posts to a path.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(self.request(path, body)).await
    }

    /// Gets a path.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.client.get(self.url(path))).await
    }

    /// Calls a flow, whose name may have a query behind it, and waits for the result.
    pub async fn result(&self, flow: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(self.request(&format!("/function/{flow}"), body).header("X-Faas-Flow-Wait", "60s")).await
    }

    /// Asks for the result of a run until it has ended. The run may not have begun yet: its call may wait in a queue.
    pub async fn result_of(&self, flow: &str, id: &str) -> Answer {
        let path = format!("/function/{flow}/flow/{id}/result");
        let mut result = None;
        until(&format!("the run {id} ends"), async || {
            let answer = self.get(&path).await;
            let pending = answer.status == 202 || answer.code.as_deref() == Some("FF0212");
            result = (!pending).then_some(answer);
            result.is_some()
        })
        .await;
        result.unwrap()
    }

    /// What it has written to stderr so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has written this to stderr, which arrives by way of a pipe and a thread.
    pub async fn until_logged(&self, text: &str) {
        until(text, async || self.log().contains(text)).await;
    }

    /// Takes over the folder that it was started in, which is then removed with the server.
    pub fn own(&mut self, folder: TempDir) {
        self.folder = Some(folder);
    }

    /// The folder that it owns and runs in.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("the server owns its folder").path()
    }

    /// `faas-flow requests show ID --json` on the server's store.
    pub fn shown(&self, id: &str) -> Value {
        run(self.folder(), ["requests", "show", id, "--json"]).json()
    }

    /// Asks it to end, as orchestrators do: by SIGTERM.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Waits for its end, and returns its exit code; none if a signal ended it.
    pub async fn end(&mut self) -> Option<i32> {
        let child = &mut self.child;
        let mut status = None;
        until("the server ends", async || {
            status = child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().code()
    }

    /// Ends it at once, by SIGKILL.
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
            eprintln!("the server wrote:\n{}", self.log());
        }
    }
}

/// The value of one of a server's metrics: of the line that begins with this name and these labels.
pub async fn metric(server: &Server, line: &str) -> u64 {
    let metrics = server.get("/_/metrics").await.ok();
    let value = metrics.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{line} is not in {metrics}")).parse().unwrap()
}
