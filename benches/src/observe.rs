//! What it costs to be seen: the same load on a server that keeps and writes no logs and sends no spans, and on one that does
//! all of that, in turn. Histories, the index of runs and metrics cannot be turned off, so both have them.

use crate::Options;
use crate::cell::{self, Flow, Store};
use crate::echo;
use crate::load::{self, Load};
use crate::report::{Figure, figures_of};
use crate::server::Server;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How often each of the two is measured.
const ROUNDS: usize = 5;
/// Clients at a time.
const CLIENTS: usize = 16;
/// Bytes of a payload.
const SIZE: usize = 64;
/// The most that being seen may cost, as a share of the throughput.
const AIM: f64 = 0.1;

/// One of the two servers, and what was measured of it.
struct Side<'a> {
    flow: &'a Flow,
    server: Server,
    runs_per_s: Vec<f64>,
    cpu_ms: Vec<f64>,
    runs: usize,
    /// How many commits it had made before.
    commits: f64,
}

impl<'a> Side<'a> {
    fn new(options: &Options, echo: SocketAddr, (store, flow): (&Store, &'a Flow), more: &[String]) -> Result<Self> {
        // The first one fills the cache of compiled code.
        drop(Server::beside(options, echo, store, flow, more)?);
        let server = Server::beside(options, echo, store, flow, more)?;
        let mut side = Self { flow, server, runs_per_s: Vec::new(), cpu_ms: Vec::new(), runs: 0, commits: 0.0 };
        side.load(cell::WARM_UP)?;
        (side.runs_per_s, side.cpu_ms, side.runs) = (Vec::new(), Vec::new(), 0);
        side.commits = side.commits()?;
        Ok(side)
    }

    fn commits(&self) -> Result<f64> {
        self.server.metric("faas_flow_store_calls_total{call=\"commit\"}")
    }

    fn load(&mut self, time: Duration) -> Result<()> {
        let clients =
            (0..CLIENTS).map(|i| cell::client(&self.server, self.flow, SIZE, i)).collect::<Result<Vec<_>>>()?;
        let before = self.server.cpu()?;
        let measured = load::run(Load { clients, time, pace: None })?;
        let runs = measured.latencies.len();
        self.runs += runs;
        self.runs_per_s.push(runs as f64 / measured.elapsed.as_secs_f64());
        self.cpu_ms.push((self.server.cpu()? - before).as_secs_f64() * 1e3 / runs as f64);
        Ok(())
    }

    fn commits_per_run(&self) -> Result<f64> {
        Ok((self.commits()? - self.commits) / self.runs as f64)
    }
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Measures each flow with each store.
pub fn measure(
    options: &Options,
    echo: SocketAddr,
    (stores, flows): (&[&Store], &[&Flow]),
    time: Duration,
) -> Result<()> {
    let flows_of = |store| flows.iter().map(move |flow| (store, *flow));
    for (store, flow) in stores.iter().copied().flat_map(flows_of) {
        let spans = Arc::new(AtomicUsize::new(0));
        let sink = echo::sink(spans.clone())?;
        let off = ["--run-logs=0", "--flow-log-lines=0"].map(str::to_owned);
        let on = [
            "--enable-tracing=true".to_owned(),
            format!("--trace-server=http://{sink}"),
            "--log-format=json".to_owned(),
        ];
        let mut off = Side::new(options, echo, (store, flow), &off)?;
        let mut on = Side::new(options, echo, (store, flow), &on)?;
        for round in 0..ROUNDS {
            // Each begins in turn, so that what changes on the machine meanwhile falls on both.
            let order = if round % 2 == 0 { [&mut off, &mut on] } else { [&mut on, &mut off] };
            for side in order {
                side.load(time)?;
            }
        }
        let costs = 1.0 - median(&on.runs_per_s) / median(&off.runs_per_s);
        let sent = on.server.metric("faas_flow_spans_sent_total")?;
        let metrics = on.server.metrics()?;
        let dropped = metrics.lines().filter_map(|line| {
            line.strip_prefix("faas_flow_spans_dropped_total{")
                .and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        });
        let dropped: f64 = dropped.sum();
        if !options.json {
            println!("{}, {}, {CLIENTS} clients", flow.name, store.name);
        }
        figures_of(
            &[
                Figure { name: "runs/s, off", value: median(&off.runs_per_s), aim: None },
                Figure { name: "runs/s, on", value: median(&on.runs_per_s), aim: None },
                Figure { name: "share of throughput", value: costs, aim: Some(AIM) },
                Figure { name: "cpu ms/run, off", value: median(&off.cpu_ms), aim: None },
                Figure { name: "cpu ms/run, on", value: median(&on.cpu_ms), aim: None },
                Figure { name: "commits/run, off", value: off.commits_per_run()?, aim: None },
                Figure { name: "commits/run, on", value: on.commits_per_run()?, aim: None },
                Figure { name: "spans sent/run", value: sent / on.runs as f64, aim: None },
                Figure { name: "spans dropped/run", value: dropped / on.runs as f64, aim: None },
            ],
            options.json,
        )
        .with_context(|| format!("the figures of {} with {}", flow.name, store.name))?;
        if spans.load(Ordering::Relaxed) == 0 {
            anyhow::bail!("no spans arrived");
        }
    }
    Ok(())
}
