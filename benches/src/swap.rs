//! What swaps cost: how long a push takes until three replicas serve it, what it costs those who call the flow meanwhile,
//! and what versions take of memory.

mod memory;

use crate::cell::{self, FLOWS, Flow};
use crate::client::read_message;
use crate::load::{self, Load, Measured};
use crate::redis::Redis;
use crate::report::Figure;
use crate::server::{Server, TICKS_PER_SECOND};
use crate::{Options, report};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const REPLICAS: usize = 3;
/// Clients at a time, as many as measure throughput; each on one of the replicas.
const CLIENTS: usize = 16;
/// From one request of a client to its next: all of them begin at once, and together do a tenth of what the machine can. Who runs
/// at its limit has nothing to compile with.
const PACE: Duration = Duration::from_millis(16);
/// From the end of a swap to the next.
const PAUSE: Duration = Duration::from_millis(300);
/// How often a replica is asked what it serves.
const LOOK: Duration = Duration::from_millis(5);
/// The longest that a replica may take to follow.
const PATIENCE: Duration = Duration::from_secs(60);
const SIZE: usize = 64;

/// Measures a chain of ten on three replicas that share Redis, each with a disk of its own: each compiles what is pushed.
pub fn measure(options: &Options, echo: SocketAddr, time: Duration) -> Result<()> {
    let flow = named("F2")?;
    let folder = tempfile::tempdir().context("cannot make a folder for Redis")?;
    let redis = Redis::start(folder.path())?;
    let replicas = (0..REPLICAS).map(|_| replica(options, echo, flow, &redis.url())).collect::<Result<Vec<_>>>()?;
    let addresses: Vec<SocketAddr> = replicas.iter().map(|replica| replica.address).collect();
    let module = fs::read(options.modules.join(flow.module).with_extension("wasm"))?;
    let clients = replicas.iter().cycle().take(CLIENTS).enumerate();
    let clients =
        clients.map(|(number, replica)| cell::client(replica, flow, SIZE, number)).collect::<Result<Vec<_>>>()?;
    let pace = Some(PACE);
    let Measured { clients, .. } = load::run(Load { clients, time: time.min(Duration::from_secs(1)), pace })?;
    let begun = stolen()?;
    let Measured { clients, latencies: calm, .. } = load::run(Load { clients, time, pace })?;
    let calm_stolen_ms = stolen()? - begun;

    let over = Arc::new(AtomicBool::new(false));
    let (path, ends) = (format!("/function/{}", flow.module), over.clone());
    let begun = stolen()?;
    let swapping = thread::spawn(move || swap_on(&addresses, &path, &module, &ends));
    let Measured { latencies: swapped, .. } = load::run(Load { clients, time, pace })?;
    let swapping_stolen_ms = stolen()? - begun;
    over.store(true, Ordering::Relaxed);
    let pushes = swapping.join().map_err(|_| anyhow!("the operator panicked"))??;
    drop(replicas);

    let sorted = |mut latencies: Vec<Duration>| {
        latencies.sort_unstable();
        latencies
    };
    let (calm, swapped, pushes) = (sorted(calm), sorted(swapped), sorted(pushes));
    let p99_ms = cell::quantile(&calm, 0.99);
    let slowest_ms = cell::quantile(&swapped, 1.0);
    let plain = |name, value| Figure { name, value, aim: None };
    let most = |name, value, aim| Figure { name, value, aim: Some(aim) };
    let figures = [
        plain("swaps", pushes.len() as f64),
        // From the first byte of a push until all three serve it.
        plain("push_to_active_ms", cell::quantile(&pushes, 0.5)),
        most("longest_push_to_active_ms", cell::quantile(&pushes, 1.0), 2000.0),
        // Of requests without swaps, and while there were some.
        plain("p99_ms", p99_ms),
        plain("slowest_ms", cell::quantile(&calm, 1.0)),
        plain("p99_swapping_ms", cell::quantile(&swapped, 0.99)),
        plain("slowest_swapping_ms", slowest_ms),
        // Time in which a processor had work, and stood still because another machine had it: no request goes on then.
        plain("stolen_ms", calm_stolen_ms),
        plain("stolen_swapping_ms", swapping_stolen_ms),
        // The slowest request with swaps, as a multiple of the p99 without.
        most("slowest_ratio", slowest_ms / p99_ms, 2.0),
        // Of a hundred versions that are loaded, each beyond its code.
        most("kib_per_version", memory::per_version(options)?, 2048.0),
    ];
    report::figures_of(&figures, options.json)
}

/// What the machine under this one has taken from its processors since it began, in milliseconds; in steps of ten.
fn stolen() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read what was stolen")?;
    // `cpu`, and the eighth of the numbers behind it.
    let ticks = stat.split_whitespace().nth(8).and_then(|ticks| ticks.parse::<f64>().ok());
    Ok(ticks.context("nothing is known of what was stolen")? * 1e3 / TICKS_PER_SECOND)
}

fn named(name: &str) -> Result<&'static Flow> {
    FLOWS.iter().find(|flow| flow.name == name).with_context(|| format!("there is no {name}"))
}

fn replica(options: &Options, echo: SocketAddr, flow: &Flow, stores: &str) -> Result<Server> {
    let folder = tempfile::tempdir().context("cannot make a folder for a replica")?;
    let cache = folder.path().join("code").to_string_lossy().into_owned();
    let more = ["--state", stores, "--data-store", stores, "--cache", &cache].map(str::to_owned);
    Server::with(options, echo, flow, folder, &more)
}

/// Pushes one version after the other to the first replica, each of which has never been compiled, until all serve it.
fn swap_on(replicas: &[SocketAddr], path: &str, module: &[u8], over: &AtomicBool) -> Result<Vec<Duration>> {
    let first = *replicas.first().context("there are replicas")?;
    let mut pushes = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let version = version(module, pushes.len() as u32);
        let began = Instant::now();
        let digest = push(first, path, &version)?;
        ask(first, "POST", &format!("{path}/modules/{digest}/activate"), b"")?;
        for replica in replicas {
            while serves(*replica, path)? != digest {
                if began.elapsed() > PATIENCE {
                    bail!("{replica} does not follow");
                }
                thread::sleep(LOOK);
            }
        }
        pushes.push(began.elapsed());
        thread::sleep(PAUSE);
    }
    Ok(pushes)
}

/// Another module of the same code, which no run of the benchmark has had.
fn version(module: &[u8], number: u32) -> Vec<u8> {
    // A section of its own: its kind, its length, its name, and its number.
    [module, &[0, 13, 4], b"swap", &std::process::id().to_le_bytes(), &number.to_le_bytes()].concat()
}

/// Stores a version, and yields its digest.
fn push(address: SocketAddr, path: &str, version: &[u8]) -> Result<String> {
    let digest: String = Sha256::digest(version).iter().map(|byte| format!("{byte:02x}")).collect();
    ask(address, "PUT", &format!("{path}/modules/{digest}"), version)?;
    Ok(digest)
}

/// What new runs begin with on a replica.
fn serves(address: SocketAddr, path: &str) -> Result<String> {
    let listed: Value = serde_json::from_slice(&ask(address, "GET", &format!("{path}/modules"), b"")?)?;
    Ok(listed.get("serves").and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn ask(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).context("cannot connect")?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n")?;
    stream.write_all(body)?;
    let mut buffer = vec![0; 64 << 10];
    let answer = read_message(&mut stream, &mut buffer)?.context("the server closed the connection")?;
    if answer.head.starts_with(b"HTTP/1.1 20") {
        Ok(answer.body.to_vec())
    } else {
        bail!("{method} {path}: {}", String::from_utf8_lossy(answer.body))
    }
}
