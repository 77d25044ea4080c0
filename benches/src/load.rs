//! A closed loop: every client sends its next request when it has the answer to its last.

use crate::client::Client;
use anyhow::{Context, Result, anyhow, bail};
use std::thread;
use std::time::{Duration, Instant};

/// What to run.
pub struct Load {
    pub clients: Vec<Client>,
    pub time: Duration,
}

/// What came of it.
pub struct Measured {
    pub clients: Vec<Client>,
    /// Until the last answer.
    pub elapsed: Duration,
    /// One per run.
    pub latencies: Vec<Duration>,
}

/// Runs the clients for the time, each on a thread of its own.
pub fn run(load: Load) -> Result<Measured> {
    let begun = Instant::now();
    let until = begun + load.time;
    let threads: Vec<_> = load
        .clients
        .into_iter()
        .map(|client| thread::Builder::new().stack_size(256 << 10).spawn(move || repeat(client, until)))
        .collect();
    let mut measured = Measured { clients: Vec::new(), elapsed: Duration::ZERO, latencies: Vec::new() };
    for thread in threads {
        let ended = thread.context("cannot start a thread")?.join();
        let (client, latencies) = ended.map_err(|_| anyhow!("a client panicked"))??;
        measured.clients.push(client);
        measured.latencies.extend(latencies);
    }
    measured.elapsed = begun.elapsed();
    if measured.latencies.is_empty() {
        bail!("no run ended in time");
    }
    Ok(measured)
}

fn repeat(mut client: Client, until: Instant) -> Result<(Client, Vec<Duration>)> {
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut began = Instant::now();
    while began < until {
        client.run()?;
        let ended = Instant::now();
        latencies.push(ended - began);
        began = ended;
    }
    Ok((client, latencies))
}
