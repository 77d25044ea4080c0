//! Processes that are killed and started again, always on the same port.

use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How long a process may take until it takes connections.
const PATIENCE: Duration = Duration::from_secs(30);
/// Ports below those that the system hands out for connections, so that none is taken while its process is down.
const PORTS: std::ops::Range<u16> = 18_000..32_000;

/// A loopback address of this run's own, where the system has more than one: while a process is down, another run that goes
/// on beside this one would take its port, and its requests.
pub static HOST: LazyLock<Ipv4Addr> = LazyLock::new(|| {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, 64 | (a % 64), b, c);
    if TcpListener::bind((own, 0)).is_ok() { own } else { Ipv4Addr::LOCALHOST }
});

/// A process, or one that is to run again. It ends with its owner.
pub struct Process {
    pub name: String,
    pub port: u16,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
    /// When it is to run again.
    pub down_until: Option<Instant>,
}

/// Ports that were given to processes, which may not listen on them yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that nobody listens on, and that no other process of this run has.
pub fn free_port() -> Result<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..1000 {
        let port = fastrand::u16(PORTS);
        if !given.contains(&port) && TcpListener::bind((*HOST, port)).is_ok() {
            given.insert(port);
            return Ok(port);
        }
    }
    bail!("no port is free between {} and {}", PORTS.start, PORTS.end)
}

impl Process {
    /// What is to run; its log is kept in the folder.
    pub fn new(name: &str, program: &Path, port: u16, folder: &Path, arguments: Vec<String>) -> Self {
        let log = folder.join(format!("{name}.log"));
        Self { name: name.to_owned(), port, program: program.to_owned(), arguments, log, child: None, down_until: None }
    }

    pub fn url(&self) -> String {
        format!("http://{}:{}", *HOST, self.port)
    }

    pub fn start(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("FAAS_FLOW_") || name.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(&variable);
            }
        }
        let child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        (self.child, self.down_until) = (Some(child), None);
        Ok(())
    }

    /// Its resident memory, by what Linux says.
    pub fn memory_kib(&self) -> Result<u64> {
        let process = self.child.as_ref().and_then(Child::id).context("it runs")?;
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(resident.context("Linux says how much memory it has")?.trim().parse()?)
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that has ended already needs no kill.
            let _ = child.kill().await;
        }
    }

    /// Starts it if its time has come, or if it ended by itself: as an orchestrator would.
    pub fn supervise(&mut self) -> Result<()> {
        match (&mut self.child, self.down_until) {
            (_, Some(until)) if until > Instant::now() => Ok(()),
            (None, _) => self.start(),
            (Some(child), _) => match child.try_wait()? {
                Some(_) => {
                    self.child = None;
                    self.down_until = Some(Instant::now() + Duration::from_millis(100));
                    Ok(())
                }
                None => Ok(()),
            },
        }
    }

    /// Waits until it takes connections, starting it again if it ends.
    pub async fn up(&mut self) -> Result<()> {
        let port = self.port;
        self.until(async || TcpStream::connect((*HOST, port)).await.is_ok()).await
    }

    /// Waits until its health check passes: it listens before it can serve.
    pub async fn healthy(&mut self) -> Result<()> {
        let health = format!("{}/_/health", self.url());
        self.until(async || reqwest::get(&health).await.is_ok_and(|answer| answer.status().is_success())).await
    }

    async fn until(&mut self, holds: impl AsyncFn() -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !holds().await {
            if Instant::now() > until {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                bail!("{} does not start: {log}", self.name);
            }
            self.supervise()?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}
