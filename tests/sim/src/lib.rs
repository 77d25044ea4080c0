//! Replicas of the real host, with the real engine and the flows' real code, over a queue and stores that fail by chance,
//! under virtual time. Everything follows from a seed.
//!
//! A replica dies by being cut off: nothing that it does has an effect any more. Its successor has its own memory only.

mod network;
mod operators;
mod power;
mod replica;
mod stores;
mod swaps;
mod world;

pub use swaps::{Versions, swaps};
pub use world::{EventFault, Fault, Faults};

use anyhow::{Context, Result, bail};
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use faas_flow_core::{FlowName, RunId, Status};
use faas_flow_guest::{Guests, Limits};
use faas_flow_host::{Dispatch, Flow, Host, Settings, load_flow};
use operators::Operators;
use replica::{Cluster, Common};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use world::World;

/// What a run is of: a flow with a query and a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Job {
    /// The flow's module.
    pub flow: &'static str,
    /// Behind the `?`.
    pub query: &'static str,
    /// The request's body.
    pub body: &'static str,
}

const fn job(flow: &'static str, query: &'static str, body: &'static str) -> Job {
    Job { flow, query, body }
}

/// Every construct, alone and nested.
pub const JOBS: [Job; 20] = [
    job("sync-chain", "", "hi"),
    job("async-chain", "", "hi"),
    job("parallel-branching", "", "hi"),
    job("dynamic-branching", "", "hi"),
    job("conditional-branching", "", "hi"),
    job("fixture", "case=items", "abcdefghijklmnopqrst"),
    job("fixture", "case=items-two-at-a-time", "abcdefgh"),
    job("fixture", "case=reversed-branches", "in"),
    job("fixture", "case=one-branch", "in"),
    job("fixture", "case=reject", "in"),
    job("fixture", "case=values", "in"),
    job("fixture", "case=sub-dag", "in"),
    job("fixture", "case=items", "abcdefghijklmnopqrstuvwxyzabcd"),
    job("fixture", "case=ends", "in"),
    job("fixture", "case=failure-answered", "in"),
    job("fixture", "case=failure-not-answered", "in"),
    job("fixture", "case=finally-after-success", "in"),
    // Called once more after seven seconds, which is longer than replicas sit out.
    job("fixture", "case=retried-call", "busy"),
    job("fixture", "case=retried-call-in-a-node", "busy"),
    job("fixture", "case=retried-node", "busy"),
];

/// All flows, compiled once, and how each job ends if nothing goes wrong.
pub struct Flows(Vec<Flow>, Mutex<HashMap<Job, String>>);

/// How one simulation went.
pub struct Outcome {
    /// What was wrong; nothing if all went well.
    pub wrong: Vec<String>,
    /// Steps that replicas took: where a fault may be.
    pub steps: u64,
    /// Events that the queue accepted.
    pub events: u64,
    /// Everything that happened.
    pub trace: String,
    /// How each run ended.
    pub ends: Vec<String>,
}

/// Virtual time during which things go wrong.
const STORM: Duration = Duration::from_secs(40);
/// Virtual time in which everything ends once nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_secs(600);

impl Flows {
    /// Loads the modules that `cargo xtask modules` built.
    pub fn load() -> Result<Self> {
        let set = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).context("HOME is not set")?;
        let modules = set("FAAS_FLOW_MODULES").unwrap_or_else(|| cache.join("faas-flow/modules"));
        // Real time has no say in a simulation.
        let limits = Limits { tick: Duration::from_secs(3600), ..Limits::default() };
        let guests = Arc::new(Guests::new(limits, Some(cache.join("faas-flow/compiled")))?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut names: Vec<&str> = JOBS.iter().map(|job| job.flow).collect();
        names.dedup();
        let flows = names.into_iter().map(|name| {
            let path = modules.join(name).with_extension("wasm");
            let flow = runtime.block_on(load_flow(guests.clone(), &path, Some(FlowName::new(name)?)));
            flow.with_context(|| format!("{name}: run `cargo xtask modules`"))
        });
        Ok(Self(flows.collect::<Result<_>>()?, Mutex::default()))
    }

    /// How a job ends if nothing goes wrong.
    fn right(&self, job: Job) -> Result<String> {
        let known = || self.1.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = known().get(&job) {
            return Ok(end.clone());
        }
        let end = single(self, job, DELAYS[0], Faults::None)?.ends.into_iter().next().context("a job has an end")?;
        known().insert(job, end.clone());
        Ok(end)
    }
}

/// Every node is committed by itself, or what the flow's own code does together with what follows.
pub const DELAYS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(10)];

/// Simulates what a seed says: one to five runs, three replicas of which some die, a queue and stores that fail, and
/// operators who pause, resume and stop. Every run ends as it does if nothing goes wrong, unless somebody stopped it.
pub fn seed(flows: &Flows, seed: u64, only: Option<&str>) -> Result<Outcome> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let choice: Vec<Job> = JOBS.into_iter().filter(|job| only.is_none_or(|flow| job.flow == flow)).collect();
    anyhow::ensure!(!choice.is_empty(), "no job is of the flow {}", only.unwrap_or_default());
    let jobs: Vec<Job> = (0..rng.usize(1..=5)).filter_map(|_| choice.get(rng.usize(..choice.len())).copied()).collect();
    let settings = Settings {
        dispatch: match rng.u8(..3) {
            0 => Dispatch::Auto,
            1 => Dispatch::Local,
            _ => Dispatch::Gateway,
        },
        run_nodes: rng.usize(1..=8),
        max_nodes: rng.usize(2..=16),
        lease: Duration::from_millis(rng.u64(900..6000)),
        longest_sleep: Duration::from_millis(rng.u64(..2) * 5000),
        commit_delay: rng.choice(DELAYS).unwrap_or_default(),
        ..Settings::default()
    };
    let faults = Faults::Chance(rng.u32(8..80));
    let deaths = rng.u32(..5);
    let stops = Some(rng.usize(..jobs.len() * 4)).filter(|run| *run < jobs.len());
    let operators = Operators { pauses: rng.u32(..4).saturating_sub(1), stops };
    let right = jobs.iter().map(|job| flows.right(*job)).collect::<Result<Vec<_>>>()?;
    let mut outcome = simulate(flows, &jobs, settings, faults, deaths, operators, seed)?;
    for (number, ((end, right), job)) in outcome.ends.iter().zip(right).zip(jobs).enumerate() {
        let stopped = operators.stops == Some(number) && end.starts_with("stopped");
        if *end != right && !stopped {
            outcome.wrong.push(format!("run r{number} ({job:?}) ended with {end}, and not with {right}"));
        }
    }
    Ok(outcome)
}

/// Simulates one run of a job, with at most one fault.
pub fn single(flows: &Flows, job: Job, commit_delay: Duration, faults: Faults) -> Result<Outcome> {
    let settings = Settings { run_nodes: 3, lease: Duration::from_secs(3), commit_delay, ..Settings::default() };
    simulate(flows, &[job], settings, faults, 0, Operators::default(), 1)
}

fn simulate(
    flows: &Flows,
    jobs: &[Job],
    settings: Settings,
    faults: Faults,
    deaths: u32,
    operators: Operators,
    seed: u64,
) -> Result<Outcome> {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let world = Arc::new(World::new(seed, faults));
        let flows = (flows.0.clone(), None);
        let common = Common::new(world.clone(), settings, flows, seed, faults != Faults::None).await?;
        let cluster = Cluster::start(common);
        let mut wrong = Vec::new();
        let storm = tokio::spawn(cluster.clone().storm(deaths, STORM));
        let mut runs = Vec::new();
        for (number, job) in jobs.iter().enumerate() {
            runs.push((begin(&cluster, *job, number).await?, *job));
        }
        operators.work(&cluster, &runs).await?;
        if faults != Faults::None && deaths > 0 {
            storm.await?;
        }
        world.calm_down();
        cluster.revive();
        let mut ends = Vec::new();
        for (run, job) in &runs {
            match end(&cluster, run, *job).await? {
                Some(ended) => ends.push(ended),
                None => {
                    ends.push("nothing".to_owned());
                    wrong.push(format!("run {run} ({job:?}) did not end"));
                }
            }
        }
        cluster.end();
        wrong.extend(world.violations());
        Ok(Outcome { wrong, steps: world.steps(), events: world.events(), trace: world.trace(), ends })
    })
}

/// Sends a request until a replica takes it: the same id twice is the same run.
async fn begin(cluster: &Arc<Cluster>, job: Job, number: usize) -> Result<RunId> {
    let id = RunId::new(format!("r{number}"))?;
    for _ in 0..200 {
        let uri = format!("/function/{}?{}", job.flow, job.query);
        let request = Request::post(uri).header("x-faas-flow-reqid", id.as_str()).header("x-faas-flow-wait", "1ms");
        let sent = cluster.send(request.body(Body::from(job.body))?);
        match tokio::time::timeout(Duration::from_secs(5), sent).await {
            Ok(Some(response)) if matches!(response.status(), StatusCode::OK | StatusCode::ACCEPTED) => return Ok(id),
            // A run that ended at once, if only by failing, was taken.
            Ok(Some(response)) if response.headers().contains_key("x-faas-flow-state") => return Ok(id),
            Ok(Some(response)) => {
                let (parts, body) = response.into_parts();
                let said = to_bytes(body, 1 << 20).await.unwrap_or_default();
                let said = String::from_utf8_lossy(&said).trim().to_owned();
                cluster.world().note(format_args!("{id} is refused: {} {said}", parts.status));
                // A replica that has not brought its flow yet knows none.
                let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::NOT_FOUND];
                if parts.status.is_client_error() && !later.contains(&parts.status) {
                    bail!("{id} is refused: {} {said}", parts.status);
                }
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    bail!("nobody takes run {id}")
}

/// How a run ended, once it has.
async fn end(cluster: &Arc<Cluster>, run: &RunId, job: Job) -> Result<Option<String>> {
    let began = tokio::time::Instant::now();
    while began.elapsed() < PATIENCE {
        let entry = cluster.truth().entry(run).await?;
        let status = entry.map(|entry| entry.status);
        if status == Some(Status::Paused) {
            operators::ask(cluster, job, run, "resume").await?;
        }
        if status.is_some_and(|status| status.is_final()) {
            let host: Arc<Host> = cluster.observer();
            let view = host.view(run).await?.context("a run has an entry and no document")?;
            let result = host.result(run).await?.unwrap_or_else(Bytes::new);
            let failure = view.failure.map(|failure| format!(" {failure}")).unwrap_or_default();
            let nodes: Vec<String> =
                view.nodes.iter().map(|node| format!("{} {:?}", node.path, node.progress)).collect();
            let (result, nodes) = (String::from_utf8_lossy(&result), nodes.join(", "));
            return Ok(Some(format!("{}{failure}: {result} [{nodes}]", view.status)));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(None)
}
