//! Servers that tests start: child processes on free ports, with a directory of their own, ended with the test.
//!
//! Other crates' tests take this file in with `#[path]`.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::fs::File;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server's arguments, given its port and its directory.
type Arguments = dyn Fn(u16, &Path) -> Vec<String> + Send + Sync;

/// A server that runs, or is to run again.
pub struct Server {
    program: &'static str,
    arguments: Box<Arguments>,
    child: Option<Child>,
    port: u16,
    directory: TempDir,
}

impl Server {
    /// Starts a program, given its arguments for a port and a directory, and waits until it takes connections.
    pub fn start(program: &'static str, arguments: impl Fn(u16, &Path) -> Vec<String> + Send + Sync + 'static) -> Self {
        let (arguments, directory) = (Box::new(arguments), tempfile::tempdir().unwrap());
        let mut server = Self { program, arguments, child: None, port: 0, directory };
        for _ in 0..5 {
            server.port = free_port();
            if server.try_run() {
                return server;
            }
        }
        panic!("{program} does not start: {}", server.log());
    }

    /// Where it listens, on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Ends it at once, as a power cut would.
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

    /// Holds it: nothing of it runs until it goes on.
    pub fn hold(&self) {
        let id = self.signal("STOP");
        // Its threads stop a moment after the signal, each by itself. One that has ended never does.
        let begun = Instant::now();
        while !is_held(id) {
            assert!(begun.elapsed() < PATIENCE, "{} does not stop: {}", self.program, self.log());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets it go on after a hold.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    /// Sends it a signal; yields its id.
    fn signal(&self, name: &str) -> u32 {
        let id = self.child.as_ref().expect("it runs").id();
        assert!(Command::new("kill").args(["-s", name, &id.to_string()]).status().unwrap().success());
        id
    }

    fn try_run(&mut self) -> bool {
        self.kill();
        let log = File::options().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = Command::new(self.program);
        command.args((self.arguments)(self.port, self.directory.path())).current_dir(self.directory.path());
        // Debian puts some where not every PATH looks.
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
                // Somebody else may have taken the port first; then ours ends.
                return child.try_wait().unwrap().is_none();
            }
            std::thread::sleep(Duration::from_millis(5));
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

/// Whether all threads of a process are stopped.
fn is_held(id: u32) -> bool {
    std::fs::read_dir(format!("/proc/{id}/task")).unwrap().all(|thread| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
    })
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A Redis that keeps nothing on disk, with more arguments.
pub fn redis(more: &[&str]) -> Server {
    let more: Vec<String> = more.iter().map(|argument| (*argument).to_owned()).collect();
    Server::start("redis-server", move |port, directory| {
        let (port, directory) = (port.to_string(), directory.display().to_string());
        let own = ["--port", &port, "--bind", "127.0.0.1", "--dir", &directory, "--save", ""];
        own.iter().map(|argument| (*argument).to_owned()).chain(more.iter().cloned()).collect()
    })
}
