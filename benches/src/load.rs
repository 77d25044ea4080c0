//! Clients that send one request after the other: each as soon as it has the answer to its last, or at its pace.

use crate::client::Client;
use anyhow::{Context, Result, anyhow, bail};
use std::thread;
use std::time::{Duration, Instant};

/// What to run.
pub struct Load {
    pub clients: Vec<Client>,
    pub time: Duration,
    /// From one request of a client to its next. An answer that takes longer holds up the next request, whose time counts
    /// from when it was due.
    pub pace: Option<Duration>,
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
        .map(|client| thread::Builder::new().stack_size(256 << 10).spawn(move || repeat(client, until, load.pace)))
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

fn repeat(mut client: Client, until: Instant, pace: Option<Duration>) -> Result<(Client, Vec<Duration>)> {
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut began = Instant::now();
    let mut due = began;
    while began < until {
        client.run()?;
        let ended = Instant::now();
        latencies.push(ended - began);
        began = match pace {
            None => ended,
            Some(pace) => {
                due += pace;
                thread::sleep(due.saturating_duration_since(ended));
                // That this thread wakes up late is nobody's delay but its own.
                if due > ended { Instant::now() } else { due }
            }
        };
    }
    Ok((client, latencies))
}
