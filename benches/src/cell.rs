//! One flow with one store and one size: what is measured of it.

use crate::bare::Calls;
use crate::client::Client;
use crate::load::{Load, Measured};
use crate::report::Row;
use crate::server::Server;
use crate::{Options, bare, load, original};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::time::Duration;

/// A flow to measure.
pub struct Flow {
    /// As in the baseline.
    pub name: &'static str,
    /// What its module is called.
    pub module: &'static str,
    /// How often the payload stands in the result.
    copies: usize,
    /// Whether the caller must ask for the result: a single node answers with it anyway.
    wait: bool,
    /// The payloads, in bytes.
    pub sizes: [usize; 2],
    /// Clients at a time.
    concurrencies: &'static [usize],
}

/// What the original was measured with.
const SIZES: [usize; 2] = [64, 16 * 1024];
const CONCURRENCIES: &[usize] = &[1, 16];

pub const FLOWS: [Flow; 8] = [
    Flow { name: "F1", module: "f1", copies: 1, wait: false, sizes: SIZES, concurrencies: CONCURRENCIES },
    Flow { name: "F2", module: "f2", copies: 1, wait: true, sizes: SIZES, concurrencies: CONCURRENCIES },
    Flow { name: "F3", module: "f3", copies: 10, wait: true, sizes: SIZES, concurrencies: CONCURRENCIES },
    Flow { name: "F4", module: "f4", copies: 10, wait: true, sizes: SIZES, concurrencies: CONCURRENCIES },
    Flow { name: "F5", module: "f5", copies: 1, wait: true, sizes: SIZES, concurrencies: CONCURRENCIES },
    Flow { name: "F6", module: "f6", copies: 1, wait: false, sizes: SIZES, concurrencies: CONCURRENCIES },
    // As wide as its payload is long.
    Flow { name: "F7", module: "f7", copies: 1, wait: true, sizes: [1000, 10_000], concurrencies: &[1] },
    // Ten calls in a row, beside a bare client that makes them.
    Flow { name: "F8", module: "f8", copies: 1, wait: true, sizes: SIZES, concurrencies: &[1] },
];

/// As wide as its payload is long, with a call for each item. Looks at its runs are measured, not its runs.
pub const CALLING: Flow = Flow { name: "F9", module: "f9", copies: 1, wait: true, sizes: SIZES, concurrencies: &[] };

/// Sleeps until the moment that is its payload. What its runs cost others is measured, and how they wake.
pub const SLEEPING: Flow =
    Flow { name: "F10", module: "f10", copies: 1, wait: false, sizes: SIZES, concurrencies: &[] };

/// Waits for a signal, and then calls a function. The time from one to the other is measured.
pub const SIGNALLED: Flow =
    Flow { name: "F12", module: "f12", copies: 1, wait: false, sizes: SIZES, concurrencies: &[] };

/// As F2, and each node logs a line. What being seen costs is measured with it.
pub const LOGGING: Flow = Flow { name: "F11", module: "f11", copies: 1, wait: true, sizes: SIZES, concurrencies: &[] };

/// How many calls F8 makes.
const CALLS: usize = 10;

/// A pair of stores to measure with.
pub struct Store {
    /// What it is called.
    pub name: &'static str,
    /// The options of `serve`; `{}` is a fresh folder, `{redis}` a fresh Redis server.
    pub options: [&'static str; 4],
}

pub const STORES: [Store; 4] = [
    Store { name: "memory", options: ["--state", "memory", "--data-store", "memory"] },
    Store { name: "sqlite", options: ["--state", "sqlite:{}/state.db", "--data-store", "files:{}/data"] },
    Store { name: "redis", options: ["--state", "{redis}", "--data-store", "{redis}"] },
    // Every node commits by itself, and every commit is synced.
    Store {
        name: "synced",
        options: [
            "--state=sqlite:{}/state.db?synchronous=full",
            "--data-store=files:{}/data?synchronous=full",
            "--commit-delay",
            "0",
        ],
    },
];

/// Run before the measurement begins.
pub const WARM_UP: Duration = Duration::from_millis(500);

/// Measures with one client, then with many.
pub fn measure(
    options: &Options,
    echo: SocketAddr,
    store: &Store,
    flow: &Flow,
    size: usize,
    time: Duration,
) -> Result<Vec<Row>> {
    eprint!("{} {:<6} {size:>5} B:", flow.name, store.name);
    let server = Server::start(options, echo, store, flow)?;
    let mut rows = Vec::new();
    for &concurrency in flow.concurrencies {
        let clients = (0..concurrency).map(|i| client(&server, flow, size, i)).collect::<Result<Vec<_>>>()?;
        let what = || format!("{} with {} store, {size} bytes", flow.name, store.name);
        let Measured { clients, .. } =
            load::run(Load { clients, time: WARM_UP.min(time), pace: None }).with_context(what)?;
        let (before, commits_before) = (server.cpu()?, server.redis_commits()?);
        let Measured { elapsed, mut latencies, .. } =
            load::run(Load { clients, time, pace: None }).with_context(what)?;
        let cpu = server.cpu()? - before;
        let commits = server.redis_commits()?.map(|after| after - commits_before.unwrap_or(0));
        latencies.sort_unstable();
        let payload = payload(size, 0);
        let calls = (flow.name == "F8").then_some(Calls { echo, calls: CALLS, payload: &payload, time });
        let runs = latencies.len() as f64;
        let row = Row {
            flow: flow.name,
            store: store.name,
            size,
            concurrency,
            runs_per_s: runs / elapsed.as_secs_f64(),
            p50_ms: quantile(&latencies, 0.5),
            p99_ms: quantile(&latencies, 0.99),
            cpu_ms_per_run: cpu.as_secs_f64() * 1e3 / runs,
            rss_mib: server.memory("VmHWM")?,
            ready_ms: server.ready.as_secs_f64() * 1e3,
            idle_rss_mib: server.idle_mib,
            redis_round_trip_ms: server.redis_round_trip()?.map(|trip| trip.as_secs_f64() * 1e3),
            original: original::figures(flow.name, store.name, size),
            bare_socket_cpu_ms: calls.map(bare::socket_cpu_ms).transpose()?,
            bare_library_cpu_ms: calls.map(bare::library_cpu_ms).transpose()?,
            redis_commits_per_run: commits.map(|commits| commits as f64 / runs),
        };
        eprint!("  {:.0} runs/s at {concurrency}", row.runs_per_s);
        rows.push(row);
    }
    drop(server);
    for row in &mut rows {
        if let Some(program) = &options.original {
            row.original = original::measure(program, flow, store.name, size, row.concurrency, time)?;
        }
    }
    eprintln!();
    Ok(rows)
}

pub fn client(server: &Server, flow: &Flow, size: usize, number: usize) -> Result<Client> {
    let payload = payload(size, number);
    let wait = if flow.wait { "X-Faas-Flow-Wait: 30s\r\n" } else { "" };
    Client::new(server.address, &format!("/function/{}", flow.module), wait, &payload, payload.repeat(flow.copies))
}

/// Every client has bytes of its own, so that no run's result can pass for another's.
fn payload(size: usize, client: usize) -> Vec<u8> {
    (0..size).map(|i| b'!' + ((i * 31 + client * 7) % 90) as u8).collect()
}

pub fn quantile(sorted: &[Duration], q: f64) -> f64 {
    let at = ((sorted.len() as f64 * q) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
}
