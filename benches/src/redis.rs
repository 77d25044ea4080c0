//! A Redis server for one cell, without persistence, as the original's was measured.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(10);
/// Round trips whose median is taken.
const TRIPS: usize = 1000;

/// A server; killed when it is dropped.
pub struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    /// Starts a server whose files are in a folder.
    pub fn start(folder: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).context("no free port")?.port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start redis-server: `cargo xtask setup --ci` installs it")?;
        let redis = Self { child, port };
        let began = Instant::now();
        while redis.ask("PING").is_err() {
            if began.elapsed() > PATIENCE {
                bail!("redis-server does not answer");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(redis)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// How many scripts it has run: each commit is one.
    pub fn commits(&self) -> Result<u64> {
        let stats = self.ask("INFO commandstats")?;
        let calls = stats.split("cmdstat_evalsha:calls=").nth(1).and_then(|rest| rest.split(',').next());
        Ok(calls.map_or(Ok(0), str::parse)?)
    }

    /// The median of bare round trips on one connection.
    pub fn round_trip(&self) -> Result<Duration> {
        let mut stream = self.connect()?;
        let mut trips = Vec::with_capacity(TRIPS);
        let mut answer = [0; 7];
        for _ in 0..TRIPS {
            let began = Instant::now();
            stream.write_all(b"PING\r\n")?;
            stream.read_exact(&mut answer)?;
            trips.push(began.elapsed());
        }
        trips.sort_unstable();
        Ok(trips.get(TRIPS / 2).copied().unwrap_or_default())
    }

    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Sends a command and reads its answer: a simple string, or a bulk one.
    fn ask(&self, command: &str) -> Result<String> {
        let mut stream = self.connect()?;
        write!(stream, "{command}\r\n")?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().strip_prefix('$') {
            None => Ok(line),
            Some(size) => {
                let mut text = vec![0; size.parse()?];
                reader.read_exact(&mut text)?;
                Ok(String::from_utf8(text)?)
            }
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
