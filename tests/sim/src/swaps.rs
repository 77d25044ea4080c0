//! A flow is swapped while its runs are in flight and everything fails by chance: each run ends as the version that it is
//! pinned to ends it.

use crate::callers::{begin, end};
use crate::replica::Cluster;
use crate::{Asks, DELAYS, Faults, Job, Outcome, Weather, storm};
use anyhow::{Context, Result};
use axum::body::Body;
use axum::http::{Method, Request};
use bytes::Bytes;
use faas_flow_core::{Digest, FlowName};
use faas_flow_guest::{Guests, Limits};
use faas_flow_replica::{Dispatch, Host, Settings};
use faas_flow_scenario::world::{Modules, World};
use faas_flow_versions::signature::Trusted;
use faas_flow_versions::{Artifact, Flow, Loader, load_flow};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const FLOW: &str = "versions";
const MARK: &[u8] = b"faas-flow-version:0000:okay";
const MODES: [&str; 4] = ["okay", "more", "each", "trap"];
const JOB: Job = Job { flow: FLOW, query: "", body: "in", asks: Asks::Later };
/// The longest between two things that operators ask for, and that runs begin.
const PAUSE: Duration = Duration::from_secs(3);

/// Versions of one flow, compiled once, and how a run of each ends.
pub struct Versions {
    guests: Arc<Guests>,
    all: Vec<(Flow, Bytes)>,
    right: HashMap<Digest, String>,
}

impl Versions {
    /// Makes them of the module that `cargo xtask modules` built.
    pub fn load() -> Result<Arc<Self>> {
        let set = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).context("HOME is not set")?;
        let modules = set("FAAS_FLOW_MODULES").unwrap_or_else(|| cache.join("faas-flow/modules"));
        let whole = std::fs::read(modules.join("versions.wasm")).context("versions.wasm: run `cargo xtask modules`")?;
        let at = whole.windows(MARK.len()).position(|window| window == MARK).context("the module has no mark")?;
        let limits = Limits { tick: Duration::from_secs(3600), instances: 20_000, ..Limits::default() };
        let guests = Arc::new(Guests::new(limits, Some(cache.join("faas-flow/compiled")))?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let folder = tempfile::tempdir()?;
        let mut versions = Self { guests: guests.clone(), all: Vec::new(), right: HashMap::new() };
        for (number, mode) in MODES.iter().enumerate() {
            let mut bytes = whole.clone();
            bytes.splice(at..at + MARK.len(), format!("faas-flow-version:{:04}:{mode}", number + 1).into_bytes());
            let file = folder.path().join("versions.wasm");
            std::fs::write(&file, &bytes)?;
            let flow = runtime.block_on(load_flow(guests.clone(), &file, Some(FlowName::new(FLOW)?)))?;
            versions.all.push((flow, bytes.into()));
        }
        for (flow, bytes) in versions.all.clone() {
            let digest = flow.module.digest().clone();
            let alone = Self { guests: guests.clone(), all: vec![(flow, bytes)], right: HashMap::new() };
            let calm = simulate(&Arc::new(alone), Settings::default(), Faults::None, (1, 0, 0), 1)?;
            let (_, end) = calm.1.into_iter().next().context("a run has an end")?;
            versions.right.insert(digest, end);
        }
        Ok(Arc::new(versions))
    }

    /// What a replica does when it starts: it serves once its stores have answered.
    async fn bring(self: Arc<Self>, host: Arc<Host>) {
        let Some((flow, bytes)) = self.all.first() else { return };
        let artifact = Artifact::new(bytes.clone(), None);
        while host.versions().register_image(flow.clone(), artifact.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        host.versions().clone().follow().await;
    }
}

/// The versions, as replicas come to know them.
struct Pushed {
    versions: Arc<Versions>,
    flow: FlowName,
}

impl Modules for Pushed {
    fn flow(&self) -> &FlowName {
        &self.flow
    }

    fn loader(&self) -> Loader {
        let known = self.versions.all.iter().map(|(flow, _)| flow.clone()).collect();
        Loader::new(self.versions.guests.clone(), Trusted::default()).with_preloaded(known)
    }

    fn begun(&self, host: Arc<Host>) {
        tokio::spawn(self.versions.clone().bring(host));
    }
}

/// Simulates what a seed says: runs of one flow that begin one after the other while operators push, activate, roll back,
/// try out and collect its versions, on three replicas of which some die, over a queue and stores that fail.
pub fn swaps(versions: &Arc<Versions>, seed: u64) -> Result<Outcome> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let settings = Settings {
        dispatch: match rng.u8(..3) {
            0 => Dispatch::Auto,
            1 => Dispatch::Local,
            _ => Dispatch::Gateway,
        },
        run_nodes: rng.usize(1..=8),
        lease: Duration::from_millis(rng.u64(900..6000)),
        commit_delay: rng.choice(DELAYS).unwrap_or_default(),
        ..Settings::default()
    };
    let faults = Faults::Chance(rng.u32(8..80));
    let (runs, changes, deaths) = (rng.usize(1..=8), rng.usize(1..=12), rng.u32(..5));
    let (mut outcome, ends) = simulate(versions, settings, faults, (runs, changes, deaths), seed)?;
    for (number, (digest, end)) in ends.iter().enumerate() {
        match versions.right.get(digest) {
            Some(right) if right == end => {}
            Some(right) => {
                outcome
                    .wrong
                    .push(format!("run r{number} of {} ended with {end}, and not with {right}", digest.short()));
            }
            None => outcome.wrong.push(format!("run r{number} is pinned to {digest}, which nobody pushed")),
        }
    }
    Ok(outcome)
}

/// How it went, and of each run its version and its end.
fn simulate(
    versions: &Arc<Versions>,
    settings: Settings,
    faults: Faults,
    (runs, changes, deaths): (usize, usize, u32),
    seed: u64,
) -> Result<(Outcome, Vec<(Digest, String)>)> {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let world = Arc::new(World::new(seed, faults, Weather::default()));
        let modules: Arc<dyn Modules> = Arc::new(Pushed { versions: versions.clone(), flow: FlowName::new(FLOW)? });
        let flows = (Vec::new(), Some(modules));
        let cluster = Cluster::start(world.clone(), settings, flows, seed, faults != Faults::None).await?;
        let mut wrong = Vec::new();
        let storm = storm(&cluster, deaths);
        let operators = tokio::spawn(operate(cluster.clone(), versions.clone(), changes));
        let mut begun = Vec::new();
        for number in 0..runs {
            begun.push(begin(&cluster, JOB, number).await?);
            tokio::time::sleep(world.time(PAUSE)).await;
        }
        operators.await??;
        if deaths > 0 {
            storm.await?;
        }
        world.calm_down();
        cluster.revive();
        let mut ends = Vec::new();
        for run in &begun {
            let ended = end(&cluster, run, JOB).await?;
            let entry = cluster.truth().entry(run).await?.context("a run has an entry")?;
            match ended {
                Some(ended) => ends.push((entry.digest, ended)),
                None => wrong.push(format!("run {run} of {} did not end", entry.digest.short())),
            }
        }
        cluster.end();
        wrong.extend(world.violations());
        let shown = ends.iter().map(|(digest, end)| format!("{} {end}", digest.short())).collect();
        let outcome = Outcome {
            took: Vec::new(),
            wrong,
            steps: world.steps(),
            events: world.events(),
            trace: world.trace(),
            ends: shown,
            most_calls: 0,
        };
        Ok((outcome, ends))
    })
}

/// Changes versions at random, on some replica each time. Any of it may be refused, or not be answered.
async fn operate(cluster: Arc<Cluster>, versions: Arc<Versions>, changes: usize) -> Result<()> {
    let world = cluster.world();
    for _ in 0..changes {
        tokio::time::sleep(world.time(PAUSE)).await;
        let chosen = usize::try_from(world.draw(versions.all.len() as u64))?;
        let (flow, bytes) = versions.all.get(chosen).context("a version")?;
        let digest = flow.module.digest();
        let canary = ["", "?canary=50%25&max-failures=20%25&over=3"];
        match world.draw(8) {
            0 => ask(&cluster, Method::POST, "rollback", Bytes::new()).await?,
            1 => ask(&cluster, Method::POST, "promote", Bytes::new()).await?,
            2 => ask(&cluster, Method::POST, "withdraw", Bytes::new()).await?,
            // Replicas hear of a swap within a minute, whatever fails.
            3 => ask(&cluster, Method::POST, "gc?keep=1&recent=1m", Bytes::new()).await?,
            other => {
                ask(&cluster, Method::PUT, &format!("{digest}?again=true"), bytes.clone()).await?;
                let share = canary.get(usize::from(other == 7)).copied().unwrap_or_default();
                ask(&cluster, Method::POST, &format!("{digest}/activate{share}"), Bytes::new()).await?;
            }
        }
    }
    Ok(())
}

async fn ask(cluster: &Cluster, method: Method, what: &str, body: Bytes) -> Result<()> {
    let request = Request::builder().method(method).uri(format!("/function/{FLOW}/modules/{what}"));
    let answer = tokio::time::timeout(Duration::from_secs(20), cluster.send(request.body(Body::from(body))?)).await;
    let status = answer.ok().flatten().map_or_else(|| "no answer".to_owned(), |answer| answer.status().to_string());
    cluster.world().note(format_args!("an operator asks for {what}: {status}"));
    Ok(())
}
