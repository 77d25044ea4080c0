//! Replicas of the real host, with the real engine and the flows' real code, over a queue and stores that fail by chance,
//! under virtual time. Everything follows from a seed.
//!
//! A replica dies by being cut off: nothing that it does has an effect any more. Its successor has its own memory only.

mod families;
mod network;
mod operators;
mod replica;
mod schedules;
mod swaps;

pub use faas_flow_scenario::world::{EventFault, Fault, Faults, Weather};
pub use schedules::schedules;
pub use swaps::{Versions, swaps};

use anyhow::{Context, Result, bail};
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use faas_flow_core::run::Progress;
use faas_flow_core::{FlowName, RunId, Status};
use faas_flow_guest::{Guests, Limits};
use faas_flow_replica::{Dispatch, Host, Settings};
use faas_flow_scenario::world::World;
use faas_flow_store::RunQuery;
use faas_flow_versions::{Flow, load_flow};
use network::HOOK;
use operators::Operators;
use replica::Cluster;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What a run is of: a flow with a query and a body, and what else its caller asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Job {
    /// The flow's module.
    pub flow: &'static str,
    /// Behind the `?`.
    pub query: &'static str,
    /// The request's body.
    pub body: &'static str,
    /// What else.
    pub asks: Asks,
}

/// What a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asks {
    /// The result, later, under an id of its own.
    Later,
    /// The result, for which it waits; if it gets none, it asks again. The host makes up the id.
    Now,
    /// The same of a flow of several nodes, which does not answer with its result unless its caller says that it waits.
    Waiting,
    /// To be told.
    Callback,
    /// That this node is run again, once the run has ended.
    Again(&'static str),
    /// To go on with these signals, each with its name and its body, which somebody sends until it is stored.
    Signals(&'static [(&'static str, &'static str)]),
    /// That the run starts after this time.
    Start(&'static str),
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}?{} with {} bytes, {:?}", self.flow, self.query, self.body.len(), self.asks)
    }
}

const fn job(flow: &'static str, query: &'static str, body: &'static str) -> Job {
    Job { flow, query, body, asks: Asks::Later }
}

impl Job {
    const fn asks(self, asks: Asks) -> Self {
        Self { asks, ..self }
    }

    /// Whether the run may end so, while all goes wrong, and clocks are so many milliseconds apart. What is cut off by time may
    /// have come more or less far.
    pub fn may_end(self, end: &str, right: &str, skew: u64) -> bool {
        let (end, right) = match self.query {
            // By the clock of the replica that ended it, the deadline was not over.
            IN_TIME if skew > 0 && end.starts_with("succeeded") => return true,
            IN_TIME | CAUGHT | BESIDE => return without_nodes(end) == without_nodes(right),
            // It was not called in time; or nobody was there to notice that it had not ended in time, until it had.
            ENDLESS if end.starts_with("failed FF0206") || end.starts_with("succeeded") => return true,
            // Its end came before the replica that had given it up, and stopped it, had said so.
            ENDLESS if end.starts_with("failed FF0251") && end.contains("was stopped in run CHILD") => return true,
            _ => (end, right),
        };
        end == right
    }
}

/// Too large to stand in a document beside others.
const LARGE: &str = match std::str::from_utf8(&[b'x'; 3000]) {
    Ok(text) => text,
    Err(_) => "",
};

const FLIGHTS: &str = r#"[{"date":"2001/01/01 05:59","delay":3,"origin":"SFO"},
    {"date":"2001/01/02 05:01","delay":40,"origin":"LAX"},{"date":"2001/01/01 17:30","delay":-2,"origin":"SFO"}]"#;

/// Every example, and every construct, alone and nested.
pub const JOBS: [Job; 86] = [
    job("greet", "", "Ada"),
    job("greet-typescript", "", "Ada"),
    job("greet-python", "", "Ada"),
    job("flights", "", FLIGHTS),
    job("async-chain", "", LARGE),
    job("fixture", "case=values", LARGE),
    job("fixture", "case=respond-in-a-chain", "in"),
    job("fixture", "case=respond-to-a-failure", "in").asks(Asks::Waiting),
    job("fixture", "case=respond&status=201&name=x-order&value=7", "in").asks(Asks::Now),
    job("greet", "", "Ada").asks(Asks::Now),
    job("sync-chain", "", "hi").asks(Asks::Now),
    // So long that it is stored before its end.
    job("fixture", "case=retried-call", "busy").asks(Asks::Now),
    job("dynamic-branching-typescript", "", "hi"),
    job("dynamic-branching-python", "", "hi"),
    job("parallel-branching", "", "hi").asks(Asks::Waiting),
    job("dynamic-branching", "", "hi").asks(Asks::Waiting),
    job("fixture", "case=items", "abcdefghijklmnopqrst").asks(Asks::Waiting),
    job("fixture", "case=reversed-branches", "in").asks(Asks::Waiting),
    job("fixture", "case=sub-dag", "in").asks(Asks::Waiting),
    job("fixture", "case=values", "in").asks(Asks::Waiting),
    job("fixture", "case=failure-answered", "in").asks(Asks::Waiting),
    job("fixture", "case=retried-node", "busy").asks(Asks::Waiting),
    job("async-chain", "", "hi").asks(Asks::Callback),
    job("fixture", "case=failure-not-answered", "in").asks(Asks::Callback),
    job("async-chain", "", "hi").asks(Asks::Again("n2")),
    job("fixture", "case=items", "abc").asks(Asks::Again("F")),
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
    // Failures that are caught, and items that may fail.
    job("fixture", CAUGHT, "in"),
    job("fixture", CAUGHT, "in").asks(Asks::Waiting),
    job("fixture", CAUGHT, "in").asks(Asks::Again("S")),
    job("fixture", "case=caught-item", "a\nbad\nc\nbad"),
    job("fixture", "case=tolerant-calls", "a\nbad\nc\nd"),
    job("fixture", "case=tolerant-calls", "a\nbad\nc\nd").asks(Asks::Callback),
    job("fixture", "case=tolerant-and-caught", "bad\nb"),
    // Rounds, the second of which begin after waits that are longer than replicas sit out.
    job("fixture", "case=rounds", "in"),
    job("fixture", "case=rounds&until=2&waits=7000", "in"),
    job("fixture", "case=rounds-of-items", "in"),
    job("fixture", "case=rounds&until=9&most=2", "in"),
    // Flows that call flows, and a function that answers through the queue.
    job("fixture", "case=calls&target=sync-chain&tries=30", "hi"),
    job("fixture", "case=calls&target=sync-chain&tries=30", "hi").asks(Asks::Waiting),
    job("fixture", "case=calls&target=sync-chain&tries=30", LARGE).asks(Asks::Callback),
    job("fixture", "case=calls&target=sync-chain&tries=30", "hi").asks(Asks::Again("call")),
    job("fixture", "case=calls&target=fixture&called-case=calls-deeper", "hi"),
    job("fixture", "case=calls&target=fixture&called-case=failure-not-answered", "in"),
    job("fixture", ENDLESS, "abcdef"),
    job("fixture", IN_TIME, "abcdef"),
    job("fixture", "case=calls-of-items", "abcd"),
    job("fixture", BESIDE, "hi"),
    job("fixture", BESIDE, "hi").asks(Asks::Again("S")),
    job("fixture", ASKS, "hi"),
    job("fixture", ASKS, "busy"),
    job("fixture", ASKS, "hi").asks(Asks::Again("call")),
    // Nodes that sleep: so long that nobody holds them, and so short that a replica sits it out.
    job("fixture", "case=sleep&ms=20000", "hi"),
    job("fixture", "case=sleep&ms=20000", LARGE).asks(Asks::Waiting),
    job("fixture", "case=sleep&ms=40000&timeout=30000", "hi").asks(Asks::Again("n")),
    job("fixture", "case=sleep-alone&ms=800", "hi").asks(Asks::Now),
    job("fixture", "case=sleep-and-call&ms=7000&attempts=30", "busy"),
    job("fixture", "case=sleeps-of-items&ms=9000", "abcd"),
    // Nodes that wait for signals.
    job("fixture", "case=signal", "hi").asks(Asks::Signals(&[("approval", "yes")])),
    job("fixture", "case=signal", "hi").asks(Asks::Signals(&[("approval", LARGE)])),
    job("fixture", "case=signals-of-items", "Ada Bob Cleo").asks(Asks::Signals(&[
        ("signed-by-Bob", "no"),
        ("signed-by-Cleo", "yes"),
        ("signed-by-Ada", "yes"),
    ])),
    // Calls that keep to a limit over all runs.
    job("fixture", "case=limit-items&function=limited&concurrent=2", "abcdef"),
    job("fixture", "case=limit-items&function=limited&concurrent=2", "abc").asks(Asks::Waiting),
    job("fixture", "case=limit-items&limit=rate&rate=2", "abcdef"),
    // Runs that start later: so late that nobody holds them, and soon.
    job("async-chain", "", "hi").asks(Asks::Start("20s")),
    job("parallel-branching", "", LARGE).asks(Asks::Start("500ms")),
    job("greet", "", "Ada").asks(Asks::Start("7s")),
];

/// How a run ended, without how far its nodes had come.
fn without_nodes(end: &str) -> String {
    let mut parts = end.split(" [");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.filter_map(|part| part.split_once(']')).fold(first, |whole, (_, rest)| whole + rest)
}

/// A call beside a failure that is caught, which may end before it is cut off.
const CAUGHT: &str = "case=caught-sub-dag";
/// A flow that was called beside a failure that is caught.
const BESIDE: &str = "case=calls-beside-a-failure&target=fixture";
/// A flow that takes longer than its caller waits.
const ENDLESS: &str = "case=calls&target=fixture&called-case=items-of-calls&timeout=1500";
/// The same within a deadline.
const IN_TIME: &str = "case=calls&target=fixture&called-case=items-of-calls&deadline=1500";
/// A function that is asked again if its answer has not come for long.
const ASKS: &str = "case=calls&target=job&asynchronously=yes&timeout=25000&tries=30";

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

/// A run that somebody asked for.
enum Begun {
    /// Under this id.
    Run(RunId),
    /// By waiting for its result.
    Asked(JoinHandle<Result<String>>),
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

/// Sends a signal with an idempotency key until it is stored, as somebody does who gets no answers.
async fn send(cluster: Arc<Cluster>, job: Job, run: RunId, (name, body): (&'static str, &'static str)) -> Result<()> {
    loop {
        tokio::time::sleep(cluster.world().time(SIGNAL)).await;
        let request = Request::post(format!("/function/{}/flow/{run}/signal/{name}", job.flow));
        let request = request.header("x-faas-flow-idempotency-key", "once").body(Body::from(body))?;
        let answer = tokio::time::timeout(Duration::from_secs(20), cluster.send(request)).await;
        let status = answer.ok().flatten().map(|answer| answer.status());
        cluster.world().note(format_args!("signal {name} to {run}: {status:?}"));
        if matches!(status, Some(StatusCode::OK | StatusCode::CONFLICT)) {
            return Ok(());
        }
    }
}

impl Begun {
    fn id(&self) -> Option<&RunId> {
        match self {
            Begun::Run(run) => Some(run),
            Begun::Asked(_) => None,
        }
    }
}

/// Asks until an answer comes, as a caller does who waits for the result.
async fn ask_now(cluster: Arc<Cluster>, job: Job) -> Result<String> {
    loop {
        let mut request = Request::post(format!("/function/{}?{}", job.flow, job.query));
        if job.asks == Asks::Waiting {
            request = request.header("x-faas-flow-wait", "40s");
        }
        let request = request.body(Body::from(job.body))?;
        let answer = tokio::time::timeout(Duration::from_secs(60), cluster.send(request)).await;
        if let Ok(Some(answer)) = answer {
            let (parts, body) = answer.into_parts();
            let body = to_bytes(body, 1 << 20).await?;
            let state = parts.headers.get("x-faas-flow-state").and_then(|state| state.to_str().ok());
            let said = format!("{}: {}", state.unwrap_or("no state"), String::from_utf8_lossy(&body));
            cluster.world().note(format_args!("somebody who waits hears {} {said}", parts.status));
            // The result may be there, and not to be had at the moment.
            let none = [StatusCode::ACCEPTED, StatusCode::SERVICE_UNAVAILABLE];
            if state.is_some() && !none.contains(&parts.status) {
                return Ok(said);
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What is wrong with what is left in the store: every run in it has ended, though its caller may have gone away.
async fn left(cluster: &Arc<Cluster>) -> Result<Option<String>> {
    let began = tokio::time::Instant::now();
    loop {
        let all = cluster
            .truth()
            .runs(&RunQuery { flow: None, status: None, limit: usize::MAX, labels: faas_flow_core::Labels::new() })
            .await?;
        let left = all.into_iter().find(|entry| !entry.status.is_final());
        match left {
            Some(left) if began.elapsed() >= PATIENCE => {
                return Ok(Some(format!("run {} is left {}", left.run, left.status)));
            }
            Some(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            None => return Ok(None),
        }
    }
}

/// So many of the first tries of a node are kept in its history. Of those behind them, some may be left out.
const FIRST_TRIES: usize = 5;

/// The tries of calls in the histories that repeat none: whatever is lost, the tries before one that is stored are stored.
async fn tries_out_of_order(cluster: &Arc<Cluster>) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for entry in cluster
        .truth()
        .runs(&RunQuery { flow: None, status: None, limit: usize::MAX, labels: faas_flow_core::Labels::new() })
        .await?
    {
        let Some(view) = cluster.observer().view(&entry.run).await? else { continue };
        for node in view.nodes {
            let mut known = BTreeSet::new();
            let complete = if node.tries.left_out > 0 { FIRST_TRIES } else { usize::MAX };
            for one in node.tries.kept.iter().take(complete) {
                if one.number > 1 && !known.contains(&(one.operation, one.number - 1)) {
                    wrong.push(format!("of {} of {}, {one} comes behind no try before it", node.path, entry.run));
                }
                known.insert((one.operation, one.number));
            }
        }
    }
    Ok(wrong)
}

/// The calls that were made more often than their nodes were attempted.
///
/// A node's history has an attempt for each time that it was executed, and for each lease that ran out. So while no replica is
/// lost and no lease runs out, each node calls each of its functions once. Calls that are tried again are not counted.
async fn called_too_often(cluster: &Arc<Cluster>) -> Result<Vec<String>> {
    let calls = cluster.calls();
    let mut wrong = Vec::new();
    for entry in cluster
        .truth()
        .runs(&RunQuery { flow: None, status: None, limit: usize::MAX, labels: faas_flow_core::Labels::new() })
        .await?
    {
        let Some(view) = cluster.observer().view(&entry.run).await? else { continue };
        for node in view.nodes {
            // What was cut off when the run ended has no attempt.
            let cut_off = usize::from(node.progress != Progress::Done);
            let name = format!("{}/{}", entry.run, node.path);
            let most = node.attempts.len() + cut_off + cluster.times_cut_off(&name);
            let operations = format!("{name}/");
            for (key, times) in &calls {
                let is_call = key.strip_prefix(&operations).is_some_and(|index| index.parse::<u32>().is_ok());
                if is_call && *times > most {
                    wrong.push(format!("{key} was called {times} times in {most} attempts"));
                }
            }
        }
    }
    Ok(wrong)
}

/// Sends a request until a replica takes it: the same id twice is the same run.
async fn begin(cluster: &Arc<Cluster>, job: Job, number: usize) -> Result<RunId> {
    let id = RunId::new(format!("r{number}"))?;
    for _ in 0..200 {
        let uri = format!("/function/{}?{}", job.flow, job.query);
        let mut request = Request::post(uri).header("x-faas-flow-reqid", id.as_str()).header("x-faas-flow-wait", "1ms");
        if job.asks == Asks::Callback {
            request = request.header("x-faas-flow-callback-url", HOOK);
        }
        if let Asks::Start(delay) = job.asks {
            request = request.header("x-faas-flow-start-at", delay);
        }
        let sent = cluster.send(request.body(Body::from(job.body))?);
        // It takes a few steps.
        match tokio::time::timeout(Duration::from_secs(5) + cluster.world().slow() * 8, sent).await {
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

/// How a run ended, once it has, with all that its caller asked for.
async fn end(cluster: &Arc<Cluster>, run: &RunId, job: Job) -> Result<Option<String>> {
    let Some(mut ended) = end_once(cluster, run, job).await? else { return Ok(None) };
    match job.asks {
        Asks::Later | Asks::Now | Asks::Waiting | Asks::Signals(_) | Asks::Start(_) => {}
        Asks::Callback => {
            let began = tokio::time::Instant::now();
            let told = loop {
                match cluster.told(run) {
                    None if began.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(200)).await,
                    told => break told,
                }
            };
            ended.push_str(&format!(", and its caller was told {told:?}"));
        }
        Asks::Again(node) => {
            cluster.may_run_again(run).await?;
            let what = format!("rerun?node={node}");
            // Two operators ask in the same moment.
            loop {
                let (one, other) =
                    tokio::join!(operators::ask(cluster, job, run, &what), operators::ask(cluster, job, run, &what));
                // It is in flight again if an answer got lost.
                if [one?, other?].iter().any(|status| matches!(status, Some(StatusCode::OK | StatusCode::CONFLICT))) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
                cluster.revive();
            }
            let Some(again) = end_once(cluster, run, job).await? else { return Ok(None) };
            ended.push_str(&format!(", and then with {again}"));
        }
    }
    Ok(Some(ended))
}

async fn end_once(cluster: &Arc<Cluster>, run: &RunId, job: Job) -> Result<Option<String>> {
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
            let result = host.result(run).await?.unwrap_or_default().bytes;
            let failure = view.failure.map(|failure| format!(" {failure}")).unwrap_or_default();
            let nodes: Vec<String> =
                view.nodes.iter().map(|node| format!("{} {:?}", node.path, node.progress)).collect();
            let (result, nodes) = (String::from_utf8_lossy(&result), nodes.join(", "));
            let answer = view.response.map_or(String::new(), |head| format!(", answered with {head:?}"));
            let ended = format!("{}{failure}: {result} [{nodes}]{answer}", view.status);
            return Ok(Some(families::without_ids(cluster, run, ended).await?));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(None)
}
