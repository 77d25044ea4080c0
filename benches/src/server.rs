//! `faas-flow serve` in a process of its own, and what the kernel says about that.

use crate::Options;
use crate::cell::{Flow, Store};
use crate::redis::Redis;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What `/proc` counts processor time in.
pub const TICKS_PER_SECOND: f64 = 100.0;
/// For a server that has just become ready to become quiet.
const SETTLE: Duration = Duration::from_millis(300);

/// A server; ended when it is dropped.
pub struct Server {
    child: Child,
    polite: bool,
    pub address: SocketAddr,
    /// From its start until it answered.
    pub ready: Duration,
    /// Resident when it had nothing to do yet.
    pub idle_mib: f64,
    redis: Option<Redis>,
    _folder: TempDir,
}

impl Server {
    /// Starts a server of one flow twice: the first time fills the cache of compiled code.
    pub fn start(options: &Options, echo: SocketAddr, store: &Store, flow: &Flow) -> Result<Self> {
        drop(Self::once(options, echo, store, flow)?);
        let mut server = Self::once(options, echo, store, flow)?;
        thread::sleep(SETTLE);
        server.idle_mib = server.memory("VmRSS")?;
        Ok(server)
    }

    fn once(options: &Options, echo: SocketAddr, store: &Store, flow: &Flow) -> Result<Self> {
        Self::beside(options, echo, store, flow, &[])
    }

    /// A server of one flow with more options, in a fresh folder.
    pub fn beside(options: &Options, echo: SocketAddr, store: &Store, flow: &Flow, others: &[String]) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for the stores")?;
        let redis = store.options.contains(&"{redis}").then(|| Redis::start(folder.path())).transpose()?;
        let redis_url = redis.as_ref().map(Redis::url).unwrap_or_default();
        let fill = |option: &str| option.replace("{}", &folder.path().to_string_lossy()).replace("{redis}", &redis_url);
        let more: Vec<String> = store.options.map(fill).into_iter().chain(others.iter().cloned()).collect();
        let mut server = Self::with(options, echo, flow, folder, &more)?;
        server.redis = redis;
        Ok(server)
    }

    /// A server of one flow with these options, in this folder.
    pub fn with(options: &Options, echo: SocketAddr, flow: &Flow, folder: TempDir, more: &[String]) -> Result<Self> {
        let mut command = Command::new(&options.host);
        // What operations got and yielded is not kept, as in deployed functions.
        command.current_dir(folder.path()).args(["serve", "--listen", "127.0.0.1:0", "--run-payloads", "0"]);
        command.arg(options.modules.join(flow.module).with_extension("wasm"));
        command.arg("--function").arg(format!("echo=http://{echo}")).args(more);
        let began = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", options.host.display()))?;
        let address = address(&mut child);
        let mut server = Self {
            address: match address {
                Ok(address) => address,
                Err(error) => {
                    // It may have ended by itself.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(error);
                }
            },
            child,
            polite: options.polite,
            ready: Duration::ZERO,
            idle_mib: 0.0,
            redis: None,
            _folder: folder,
        };
        server.health()?;
        server.ready = began.elapsed();
        Ok(server)
    }

    /// What it says at a path.
    fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.address).context("cannot connect")?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if !answer.starts_with("HTTP/1.1 200") {
            bail!("the server is not well: {answer}");
        }
        Ok(answer)
    }

    /// Its metrics.
    pub fn metrics(&self) -> Result<String> {
        self.get("/_/metrics")
    }

    /// The value of one of its metrics, by its name and labels.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let metrics = self.metrics()?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.with_context(|| format!("no metric {name}"))
    }

    /// How many commits Redis has executed.
    pub fn redis_commits(&self) -> Result<Option<u64>> {
        self.redis.as_ref().map(Redis::commits).transpose()
    }

    /// The median of bare round trips to Redis.
    pub fn redis_round_trip(&self) -> Result<Option<Duration>> {
        self.redis.as_ref().map(Redis::round_trip).transpose()
    }

    fn health(&self) -> Result<()> {
        self.get("/_/health").map(drop)
    }

    /// Processor time so far, in user and kernel mode, of all its threads.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).context("cannot read its times")?;
        // Behind the program's name, which is in parentheses, come the state and the third field.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("no times");
        Ok(Duration::from_secs_f64((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND))
    }

    /// A size in `/proc/…/status`, in MiB.
    pub fn memory(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).context("cannot read its size")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no size")?;
        let kib: f64 = line.trim_matches(|c: char| !c.is_ascii_digit()).parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.polite {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        } else {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Reads what it says until it is ready; what it says later goes to our stderr.
fn address(child: &mut Child) -> Result<SocketAddr> {
    let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
    let mut said = String::new();
    let mut address = None;
    for line in lines.by_ref() {
        let line = line?;
        if line == "ready" {
            // What is logged as objects is what a measurement asked for.
            let lines = lines.map_while(Result::ok).filter(|line| !line.starts_with('{'));
            thread::spawn(move || lines.for_each(|line| eprintln!("\nserver: {line}")));
            return address.context("the server did not say where it listens");
        }
        if let Some((_, rest)) = line.split_once("http://") {
            address = address.or(rest.split('/').next().and_then(|address| address.parse().ok()));
        }
        said.push_str(&line);
        said.push('\n');
    }
    bail!("the server did not start:\n{said}")
}
