//! How long it takes from a signal until the next call of its run arrives, on one replica.

use crate::cell::{SIGNALLED, Store, quantile};
use crate::client::{Client, post};
use crate::server::Server;
use crate::{Options, echo};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How many runs wait before signals are sent to them, one after the other.
const WAITING: usize = 100;
/// From the beginning of the last of them to the first signal: all of them wait by then.
const SETTLE: Duration = Duration::from_secs(1);
/// The longest that a call may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was measured with a store. Times are in milliseconds.
#[derive(Serialize)]
struct Row {
    store: &'static str,
    signals: usize,
    p50: f64,
    p99: f64,
}

/// Measures with each of the stores, until the times of its signals add up to this.
pub fn measure(options: &Options, stores: &[&Store], time: Duration) -> Result<()> {
    for store in stores {
        let (arrivals, arrived) = channel();
        let server = Server::start(options, echo::noting(arrivals)?, store, &SIGNALLED)?;
        // What is done for the first time is not measured.
        signal(&server, "first", &arrived)?;
        let mut times: Vec<Duration> = Vec::new();
        let mut batch = 0;
        while times.iter().sum::<Duration>() < time {
            times.extend(signal(&server, &format!("batch-{batch}"), &arrived)?);
            batch += 1;
        }
        times.sort_unstable();
        let (p50, p99) = (quantile(&times, 0.5), quantile(&times, 0.99));
        let row = Row { store: store.name, signals: times.len(), p50, p99 };
        if options.json {
            println!("{}", serde_json::to_string(&row)?);
        } else {
            let Row { store, signals, .. } = row;
            println!("{store:<7} from a signal to the next call: p50 {p50:.2}, p99 {p99:.2} ms, of {signals} signals");
        }
    }
    Ok(())
}

/// Begins runs that wait, and sends each of them its signal once the call after the one before has arrived. Yields how long
/// each call took to arrive.
fn signal(server: &Server, name: &str, arrived: &Receiver<(Instant, Vec<u8>)>) -> Result<Vec<Duration>> {
    let path = format!("/function/{}", SIGNALLED.module);
    let ids: Vec<String> = (0..WAITING).map(|number| format!("{name}-{number}")).collect();
    for id in &ids {
        let headers = format!("X-Faas-Flow-Reqid: {id}\r\nX-Faas-Flow-Wait: 1ms\r\n");
        post(server.address, &path, &headers, b"hi")?;
    }
    thread::sleep(SETTLE);
    let mut times = Vec::with_capacity(ids.len());
    for id in &ids {
        let to = format!("{path}/flow/{id}/signal/go");
        let accept = "Accept: application/json\r\n";
        let mut client = Client::new(server.address, &to, accept, id.as_bytes(), Vec::new())?;
        let sent = Instant::now();
        let answer = client.ask()?;
        let (at, body) = arrived.recv_timeout(PATIENCE).context("the call after a signal has not arrived")?;
        let answer = String::from_utf8_lossy(&answer);
        if !answer.contains("\"taken\"") || body != id.as_bytes() {
            bail!("the run {id} did not wait for its signal: {answer}");
        }
        times.push(at.saturating_duration_since(sent));
    }
    Ok(times)
}
