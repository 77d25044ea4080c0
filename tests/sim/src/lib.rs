//! Replicas of the real host, with the real engine and the flows' real code, over a queue and stores that fail by chance,
//! under virtual time. Everything follows from a seed.
//!
//! A replica dies by being cut off: nothing that it does has an effect any more. Its successor has its own memory only.

mod callers;
mod checks;
mod families;
mod jobs;
mod network;
mod operators;
mod replica;
mod schedules;
mod swaps;

pub use faas_flow_scenario::world::{EventFault, Fault, Faults, Weather};
pub use jobs::{Asks, JOBS, Job};
pub use schedules::schedules;
pub use swaps::{Versions, swaps};

use anyhow::{Context, Result};
use callers::{Begun, ask_now, begin, end, send};
use checks::{called_too_often, left, tries_out_of_order};
use faas_flow_core::{FlowName, RunId};
use faas_flow_guest::{Guests, Limits};
use faas_flow_replica::{Dispatch, Settings};
use faas_flow_scenario::world::World;
use faas_flow_versions::{Flow, load_flow};
use jobs::job;
use operators::Operators;
use replica::Cluster;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

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
    /// How long each run took whose id its caller chose, in milliseconds by the clocks of the replicas.
    pub took: Vec<u64>,
    /// How often a function was called with the same idempotency key, at most.
    pub most_calls: usize,
}

/// Virtual time during which things go wrong.
const STORM: Duration = Duration::from_secs(40);

/// The longest between two times that a signal is sent.
const SIGNAL: Duration = Duration::from_secs(8);

/// Virtual time in which everything ends once nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_secs(600);

impl Flows {
    /// Loads the modules that `cargo xtask modules` built.
    pub fn load() -> Result<Self> {
        let set = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).context("HOME is not set")?;
        let modules = set("FAAS_FLOW_MODULES").unwrap_or_else(|| cache.join("faas-flow/modules"));
        // Neither real time nor the simulations beside this one have a say in it: there is room for the instances of all.
        let limits = Limits { tick: Duration::from_secs(3600), instances: 20_000, ..Limits::default() };
        let guests = Arc::new(Guests::new(limits, Some(cache.join("faas-flow/compiled")))?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let names: BTreeSet<&str> = JOBS.iter().map(|job| job.flow).collect();
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
        let end = single(self, job, HOWS[0], Faults::None)?.ends.into_iter().next().context("a job has an end")?;
        known().insert(job, end.clone());
        Ok(end)
    }
}

/// Every node is committed by itself, or what the flow's own code does together with what follows.
pub const DELAYS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(10)];

/// How far clocks may be apart, in milliseconds: not at all, more than a lease, and so far that events are just accepted.
const SKEWS: [u64; 3] = [0, 7_000, 25_000];

/// Simulates what a seed says: one to five runs, three replicas of which some die, a queue and stores that fail, and
/// operators who pause, resume and stop. Every run ends as it does if nothing goes wrong, unless somebody stopped it.
pub fn seed(flows: &Flows, seed: u64, only: Option<&str>) -> Result<Outcome> {
    let choice: Vec<Job> = JOBS.into_iter().filter(|job| only.is_none_or(|flow| job.flow == flow)).collect();
    anyhow::ensure!(!choice.is_empty(), "no job is of the flow {}", only.unwrap_or_default());
    choose(flows, seed, &choice)
}

/// The same of flows that call flows, and of functions that answer through the queue.
pub fn calls(flows: &Flows, seed: u64) -> Result<Outcome> {
    let choice: Vec<Job> = JOBS.into_iter().filter(|job| job.query.starts_with("case=calls")).collect();
    choose(flows, seed, &choice)
}

fn choose(flows: &Flows, seed: u64, choice: &[Job]) -> Result<Outcome> {
    let mut rng = fastrand::Rng::with_seed(seed);
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
        // Busy functions want to be left alone for seven seconds: sometimes, that is not stored.
        longest_sleep: Duration::from_millis(rng.u64(..3) * 5000),
        commit_delay: rng.choice(DELAYS).unwrap_or_default(),
        ..Settings::default()
    };
    // So small that payloads go to the data store.
    let inline_limit = if rng.u8(..4) == 0 { 1 } else { settings.inline_limit };
    let settings = Settings { inline_limit, ..settings };
    let faults = Faults::Chance(rng.u32(8..80));
    let deaths = rng.u32(..5);
    let usual = Weather::default().slow;
    // Now and then the store is slower than a lease.
    let slow = if rng.u8(..12) == 0 { settings.lease.mul_f32(rng.f32()) } else { usual };
    let skew = rng.choice(SKEWS).unwrap_or_default();
    let weather = Weather { slow, crashes: rng.u32(..4), skew, apart: rng.bool() };
    let stops = Some(rng.usize(..jobs.len() * 4)).filter(|run| *run < jobs.len());
    let pauses = rng.u32(..4).saturating_sub(1);
    let is_limited = jobs.iter().any(|job| job.query.starts_with("case=limit-items"));
    let operators = Operators { limits: if is_limited { rng.u32(..5) } else { 0 }, pauses, stops };
    let right = jobs.iter().map(|job| flows.right(*job)).collect::<Result<Vec<_>>>()?;
    let mut outcome = simulate(flows, &jobs, settings, (faults, weather), deaths, operators, seed)?;
    for (number, ((end, right), job)) in outcome.ends.iter().zip(right).zip(jobs).enumerate() {
        // The stop may reach a run only after it was run again.
        let is_stopped = end.starts_with("stopped") || end.contains(", and then with stopped");
        let stopped = operators.stops == Some(number) && is_stopped;
        if !job.may_end(end, &right, weather.skew) && !stopped {
            outcome.wrong.push(format!("run r{number} ({job:?}) ended with {end}, and not with {right}"));
        }
    }
    Ok(outcome)
}

/// How replicas are set up for a single run.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// How long what the flow's own code did may wait to be committed.
    pub commit_delay: Duration,
    /// Where work goes.
    pub dispatch: Dispatch,
    /// Larger payloads go to the data store.
    pub inline_limit: usize,
    /// Odd: the queue is that of the Community Edition; even: that of Pro.
    pub seed: u64,
}

/// All work in place as far as there is room, each node with a commit; the same with as few commits as there may be, and
/// all data in its store; all work through the queue.
pub const HOWS: [How; 3] = [
    How { commit_delay: DELAYS[0], dispatch: Dispatch::Auto, inline_limit: 32 << 10, seed: 1 },
    How { commit_delay: DELAYS[1], dispatch: Dispatch::Auto, inline_limit: 1, seed: 3 },
    How { commit_delay: DELAYS[1], dispatch: Dispatch::Gateway, inline_limit: 32 << 10, seed: 2 },
];

/// Simulates one run of a job, with at most one fault.
pub fn single(flows: &Flows, job: Job, how: How, faults: Faults) -> Result<Outcome> {
    let How { commit_delay, dispatch, inline_limit, seed } = how;
    let lease = Duration::from_secs(3);
    let settings = Settings { run_nodes: 3, lease, commit_delay, dispatch, inline_limit, ..Settings::default() };
    simulate(flows, &[job], settings, (faults, Weather::default()), 0, Operators::default(), seed)
}

/// How far clocks are apart there, in milliseconds.
pub const APART: u64 = 12_000;

/// Simulates one run of a job without a fault, on replicas whose clocks are apart, and which are so slow that each of them
/// sees how the others work.
pub fn skewed(flows: &Flows, job: Job, how: How) -> Result<Outcome> {
    let How { commit_delay, dispatch, inline_limit, seed } = how;
    let lease = Duration::from_secs(3);
    let settings = Settings { run_nodes: 3, lease, commit_delay, dispatch, inline_limit, ..Settings::default() };
    let weather = Weather { slow: lease / 30, skew: APART, ..Weather::default() };
    simulate(flows, &[job], settings, (Faults::None, weather), 0, Operators::default(), seed)
}

/// Simulates a run of many slow calls on several replicas, which somebody stops in the midst of them while as much goes wrong
/// as the seed says. No call may begin after the stop was answered.
pub fn stopped(flows: &Flows, seed: u64) -> Result<Outcome> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let job = job("fixture", "case=items-of-calls", "abcdefghijkl");
    let settings = Settings {
        dispatch: if rng.bool() { Dispatch::Auto } else { Dispatch::Gateway },
        run_nodes: rng.usize(1..=4),
        lease: Duration::from_millis(rng.u64(900..4000)),
        ..Settings::default()
    };
    let faults = if rng.bool() { Faults::None } else { Faults::Chance(rng.u32(8..80)) };
    // Now and then the store is about as slow as a lease is long.
    let slow = if rng.u8(..3) == 0 { settings.lease.mul_f32(rng.f32()) } else { Weather::default().slow };
    let skew = rng.choice(SKEWS).unwrap_or_default();
    let deaths = if faults == Faults::None { 0 } else { rng.u32(..3) };
    let weather = Weather { slow, crashes: rng.u32(..2), skew, apart: false };
    let operators = Operators { stops: Some(0), ..Operators::default() };
    simulate(flows, &[job], settings, (faults, weather), deaths, operators, seed)
}

fn simulate(
    flows: &Flows,
    jobs: &[Job],
    settings: Settings,
    (faults, weather): (Faults, Weather),
    deaths: u32,
    operators: Operators,
    seed: u64,
) -> Result<Outcome> {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let world = Arc::new(World::new(seed, faults, weather));
        let flows = (flows.0.clone(), None);
        let cluster = Cluster::start(world.clone(), settings, flows, seed, faults != Faults::None).await?;
        let mut wrong = Vec::new();
        let storm = storm(&cluster, deaths);
        if weather.crashes > 0 {
            let cluster = cluster.clone();
            tokio::spawn(async move { cluster.look_after().await });
        }
        let mut runs = Vec::new();
        for (number, job) in jobs.iter().enumerate() {
            let begun = match job.asks {
                Asks::Now | Asks::Waiting => Begun::Asked(tokio::spawn(ask_now(cluster.clone(), *job))),
                _ => Begun::Run(begin(&cluster, *job, number).await?),
            };
            if let (Asks::Signals(signals), Some(run)) = (job.asks, begun.id()) {
                for signal in signals {
                    tokio::spawn(send(cluster.clone(), *job, run.clone(), *signal));
                }
            }
            runs.push((begun, *job));
        }
        let ids: Vec<(Option<RunId>, Job)> = runs.iter().map(|(begun, job)| (begun.id().cloned(), *job)).collect();
        operators.work(&cluster, &ids).await?;
        if faults != Faults::None && deaths > 0 {
            storm.await?;
        }
        world.calm_down();
        cluster.revive();
        let mut ends = Vec::new();
        for (number, (begun, job)) in runs.into_iter().enumerate() {
            let ended = match begun {
                Begun::Run(run) => end(&cluster, &run, job).await?,
                Begun::Asked(answer) => tokio::time::timeout(PATIENCE, answer).await.ok().transpose()?.transpose()?,
            };
            ends.push(ended.unwrap_or_else(|| {
                wrong.push(format!("run number {number} ({job:?}) did not end"));
                "nothing".to_owned()
            }));
        }
        wrong.extend(left(&cluster).await?);
        wrong.extend(families::wrong(&cluster, weather).await?);
        wrong.extend(called_too_often(&cluster).await?);
        wrong.extend(tries_out_of_order(&cluster).await?);
        let most_calls = cluster.calls().into_values().max().unwrap_or_default();
        let mut took = Vec::new();
        for run in ids.iter().filter_map(|(run, _)| run.as_ref()) {
            let entry = cluster.truth().entry(run).await?;
            took.extend(entry.and_then(|entry| Some(entry.ended?.saturating_sub(entry.started))));
        }
        cluster.end();
        wrong.extend(world.violations());
        let (steps, events, trace) = (world.steps(), world.events(), world.trace());
        Ok(Outcome { wrong, steps, events, trace, ends, took, most_calls })
    })
}

/// Lets replicas die, and others begin in their place.
fn storm(cluster: &Arc<Cluster>, deaths: u32) -> JoinHandle<()> {
    let cluster = cluster.clone();
    tokio::spawn(async move { cluster.storm(deaths, STORM).await })
}
