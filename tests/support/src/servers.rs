//! Servers that tests start: child processes on free ports, each with a directory of its own. They end with their
//! value.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take until it takes connections, or until a signal has its effect.
const PATIENCE: Duration = Duration::from_secs(60);
/// Ports below those that the system hands out by itself, so that nobody takes a server's port while it is down.
const PORTS: Range<u16> = 10_000..32_000;

/// A server's arguments, given its port and its directory.
type Arguments = dyn Fn(u16, &Path) -> Vec<String> + Send + Sync;

/// A server that runs, or that was killed and can run again.
pub struct Server {
    program: &'static str,
    arguments: Box<Arguments>,
    child: Option<Child>,
    port: u16,
    directory: TempDir,
}

impl Server {
    /// Starts a program with its arguments for a port and a directory, and waits until it takes connections.
    pub fn start(program: &'static str, arguments: impl Fn(u16, &Path) -> Vec<String> + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self { program, arguments: Box::new(arguments), child: None, port: 0, directory };
        for _ in 0..5 {
            server.port = free_port();
            if server.try_run() {
                return server;
            }
        }
        panic!("{program} does not start: {}", server.log());
    }

    /// The port that it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL of this scheme: `redis://127.0.0.1:6379`.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Ends it at once, as a power cut would. Does nothing if it does not run.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Runs it again, on the same port with the same directory.
    pub fn run(&mut self) {
        assert!(self.try_run(), "{} does not start again: {}", self.program, self.log());
    }

    /// Suspends it: it keeps its connections and answers nothing until [`Server::resume`].
    pub fn suspend(&self) {
        let process = self.signal(Signal::STOP);
        // Each of its threads stops by itself, a moment after the signal.
        let begun = Instant::now();
        while !is_suspended(process) {
            assert!(begun.elapsed() < PATIENCE, "{} does not stop: {}", self.program, self.log());
            sleep(Duration::from_millis(1));
        }
    }

    /// Ends a [`Server::suspend`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) -> Pid {
        let process = Pid::from_child(self.child.as_ref().expect("the server runs"));
        kill_process(process, signal).unwrap();
        process
    }

    fn try_run(&mut self) -> bool {
        self.kill();
        let log = File::options().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = Command::new(self.program);
        command.args((self.arguments)(self.port, self.directory.path())).current_dir(self.directory.path());
        // Debian installs some servers where not every PATH looks.
        command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| match error.kind() {
            ErrorKind::NotFound => panic!("{} is not installed: run `cargo xtask setup`", self.program),
            _ => panic!("{} cannot be started: {error}", self.program),
        });
        let child = self.child.insert(child);
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                // If another process had taken the port first, ours has ended.
                return child.try_wait().unwrap().is_none();
            }
            sleep(Duration::from_millis(5));
        }
        self.kill();
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_suspended(process: Pid) -> bool {
    fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).unwrap().all(|thread| {
        let stat = fs::read_to_string(thread.unwrap().path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
    })
}

/// A port that nobody listens on at the moment, and that the system gives to nobody who does not ask for it.
pub fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(PORTS)).take(1000);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

/// A Redis, with more arguments. It persists nothing unless they say so.
pub fn redis(more: &[&str]) -> Server {
    let more = owned(more);
    Server::start("redis-server", move |port, directory| {
        let port = port.to_string();
        let directory = directory.display().to_string();
        let own = ["--port", &port, "--bind", "127.0.0.1", "--dir", &directory, "--save", ""];
        [owned(&own), more.clone()].concat()
    })
}

/// A Redis that is a cluster of one, without slots. By default the servers of a cluster talk to each other at the port plus
/// 10,000, which a connection of another process may have.
pub fn redis_cluster() -> Server {
    redis(&["--cluster-enabled", "yes", "--cluster-port", &free_port().to_string()])
}

/// A NATS server with JetStream, whose streams outlive it.
pub fn nats() -> Server {
    Server::start("nats-server", |port, directory| {
        let port = port.to_string();
        let directory = directory.display().to_string();
        owned(&["-a", "127.0.0.1", "-p", &port, "-js", "-sd", &directory])
    })
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|argument| (*argument).to_owned()).collect()
}
