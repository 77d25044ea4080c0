//! What a swap costs those who call the flow meanwhile: the same load without swaps, then with one after the other.

use crate::cell::{self, FLOWS, Flow, STORES};
use crate::client::read_message;
use crate::load::{self, Load, Measured};
use crate::server::Server;
use crate::{Options, report};
use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Clients at a time: with the server they leave the machine a little to compile with.
const CLIENTS: usize = 2;
/// From the end of a swap to the next.
const PAUSE: Duration = Duration::from_millis(300);
const SIZE: usize = 64;

/// What was measured.
#[derive(Serialize)]
pub struct Swaps {
    /// Swaps while the load ran.
    pub swaps: usize,
    /// From the first byte of a push to the answer that the version is active: the median, and the longest.
    pub push_ms: f64,
    pub longest_push_ms: f64,
    /// Of requests without swaps.
    pub p99_ms: f64,
    pub slowest_ms: f64,
    /// Of requests while there were swaps.
    pub p99_swapping_ms: f64,
    pub slowest_swapping_ms: f64,
    /// The slowest request with swaps, as a multiple of the p99 without.
    pub slowest_ratio: f64,
}

/// Measures a chain of ten with its state in memory.
pub fn measure(options: &Options, echo: SocketAddr, time: Duration) -> Result<()> {
    let named = |flow: &&Flow| flow.name == "F2";
    let (flow, store) = (FLOWS.iter().find(named).context("there is F2")?, STORES.first().context("there is a store")?);
    let server = Server::start(options, echo, store, flow)?;
    let module = fs::read(options.modules.join(flow.module).with_extension("wasm"))?;
    let clients = (0..CLIENTS).map(|number| cell::client(&server, flow, SIZE, number)).collect::<Result<Vec<_>>>()?;
    let Measured { clients, .. } = load::run(Load { clients, time: time.min(Duration::from_secs(1)) })?;
    let Measured { clients, latencies: calm, .. } = load::run(Load { clients, time })?;

    let over = Arc::new(AtomicBool::new(false));
    let (address, path, ends) = (server.address, format!("/function/{}", flow.module), over.clone());
    let swapping = thread::spawn(move || swap_on(address, &path, &module, &ends));
    let Measured { latencies: swapped, .. } = load::run(Load { clients, time })?;
    over.store(true, Ordering::Relaxed);
    let pushes = swapping.join().map_err(|_| anyhow!("the operator panicked"))??;

    let sorted = |mut latencies: Vec<Duration>| {
        latencies.sort_unstable();
        latencies
    };
    let (calm, swapped, pushes) = (sorted(calm), sorted(swapped), sorted(pushes));
    let p99_ms = cell::quantile(&calm, 0.99);
    let slowest_swapping_ms = cell::quantile(&swapped, 1.0);
    let swaps = Swaps {
        swaps: pushes.len(),
        push_ms: cell::quantile(&pushes, 0.5),
        longest_push_ms: cell::quantile(&pushes, 1.0),
        p99_ms,
        slowest_ms: cell::quantile(&calm, 1.0),
        p99_swapping_ms: cell::quantile(&swapped, 0.99),
        slowest_swapping_ms,
        slowest_ratio: slowest_swapping_ms / p99_ms,
    };
    report::figures_of(&swaps, options.json)
}

/// Pushes one version after the other, each of which has never been compiled.
fn swap_on(address: SocketAddr, path: &str, module: &[u8], over: &AtomicBool) -> Result<Vec<Duration>> {
    let seed = std::process::id().to_le_bytes();
    let mut pushes = Vec::new();
    while !over.load(Ordering::Relaxed) {
        // A section of its own makes it another module: its kind, its length, its name, and its number.
        let number = (pushes.len() as u32).to_le_bytes();
        let version = [module, &[0, 13, 4], b"swap", &seed, &number].concat();
        let digest: String = Sha256::digest(&version).iter().map(|byte| format!("{byte:02x}")).collect();
        let began = Instant::now();
        ask(address, "PUT", &format!("{path}/modules/{digest}"), &version)?;
        ask(address, "POST", &format!("{path}/modules/{digest}/activate"), b"")?;
        pushes.push(began.elapsed());
        thread::sleep(PAUSE);
    }
    Ok(pushes)
}

fn ask(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(address).context("cannot connect")?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n")?;
    stream.write_all(body)?;
    let mut buffer = vec![0; 64 << 10];
    let answer = read_message(&mut stream, &mut buffer)?.context("the server closed the connection")?;
    match answer.head.starts_with(b"HTTP/1.1 20") {
        true => Ok(()),
        false => bail!("{method} {path}: {}", String::from_utf8_lossy(answer.body)),
    }
}
