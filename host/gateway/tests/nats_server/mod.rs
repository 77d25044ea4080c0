//! A NATS server of one test, and the gateway as a program.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};

/// A nats-server with JetStream on a free port, with its files in a folder of its own; both go with it.
pub struct NatsServer {
    port: u16,
    folder: tempfile::TempDir,
    child: Child,
}

impl NatsServer {
    pub fn start() -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let child = spawn(port, &folder);
        NatsServer { port, folder, child }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// On the same port, with the same files.
    pub fn start_again(&mut self) {
        self.child = spawn(self.port, &self.folder);
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Below the ports that the kernel gives to others, so that it is still free when the server comes back.
fn free_port() -> u16 {
    let ports = std::iter::repeat_with(|| fastrand::u16(10_000..32_000));
    ports.take(100).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

fn spawn(port: u16, folder: &tempfile::TempDir) -> Child {
    // Debian puts it where not every PATH looks.
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("nats-server");
    command.env("PATH", path).args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("nats-server cannot be started: run `cargo xtask setup`");
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "nats-server does not listen on port {port}");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

/// `faas-flow-gateway` on a free port.
pub struct Program {
    pub address: String,
    child: tokio::process::Child,
}

impl Program {
    pub async fn start(options: &[&str]) -> Self {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_faas-flow-gateway"));
        command.args(["--port", "0"]).args(options).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let line = BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap();
        let line: serde_json::Value = serde_json::from_str(&line.expect("the program says its address")).unwrap();
        Program { address: line["address"].as_str().unwrap().to_owned(), child }
    }

    pub fn kill(&mut self) {
        self.child.start_kill().unwrap();
    }

    /// SIGTERM.
    pub async fn terminate(mut self) -> ExitStatus {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().await.unwrap()
    }
}
