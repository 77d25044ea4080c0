//! Swaps: a flow gets one of five versions after the other while its runs are in flight.

use crate::Options;
use crate::cases::{Case, VERSIONS};
use crate::cluster::{ADMIN_TOKEN, Cluster};
use crate::report::Report;
use anyhow::{Context, Result, bail, ensure};
use faas_flow_core::Digest;
use reqwest::Client;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::process::Command;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

const MARK: &[u8] = b"faas-flow-version:0000:okay";
/// The longest that one swap is tried, with everything being killed around it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Swaps in peace at the end, to see what they leave in memory.
const QUIET_SWAPS: usize = 15;

/// What a version does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Okay,
    /// Another graph, with a node more.
    More,
    /// Its code fails at once.
    Trap,
    /// Its definition is not valid.
    Bad,
}

const MODES: [(Mode, &str); 5] =
    [(Mode::Okay, "okay"), (Mode::Okay, "okay"), (Mode::More, "more"), (Mode::Trap, "trap"), (Mode::Bad, "bad_")];

#[derive(Clone)]
struct Version {
    file: PathBuf,
    mark: String,
    mode: Mode,
}

/// The five versions.
#[derive(Clone)]
pub struct Versions(HashMap<String, Version>);

impl Versions {
    /// Makes them of one module.
    pub fn make(module: &Path, folder: &Path) -> Result<Self> {
        let whole = std::fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
        let at = whole.windows(MARK.len()).position(|window| window == MARK).context("the module has no mark")?;
        let mut versions = HashMap::new();
        for (index, (mode, word)) in MODES.into_iter().enumerate() {
            let mark = format!("{:04}", index + 1);
            let mut bytes = whole.clone();
            bytes.splice(at..at + MARK.len(), format!("faas-flow-version:{mark}:{word}").into_bytes());
            let file = folder.join(format!("version-{mark}-{word}.wasm"));
            std::fs::write(&file, &bytes)?;
            versions.insert(Digest::of(&bytes).to_string(), Version { file, mark, mode });
        }
        Ok(Self(versions))
    }

    /// The one that the replicas come with.
    pub fn first(&self) -> Result<&Path> {
        let first = self.0.values().find(|version| version.mark == "0001").context("there is a first version")?;
        Ok(&first.file)
    }

    fn any(&self) -> Result<Version> {
        let index = fastrand::usize(..self.0.len());
        self.0.values().nth(index).cloned().context("there are versions")
    }

    /// What a run makes of its input on the version of this digest, and how many calls that takes; none where it fails.
    pub fn made(&self, digest: &str, input: &str) -> Result<Option<(String, usize)>> {
        let version = self.0.get(digest).with_context(|| format!("{digest} is no version"))?;
        let mark = &version.mark;
        Ok(match version.mode {
            Mode::Okay => Some((format!("{input}|{mark}>func1|{mark}"), 1)),
            Mode::More => Some((format!("{input}|{mark}>func1|{mark}|{mark}"), 1)),
            Mode::Trap => None,
            Mode::Bad => bail!("run on {digest}, which is not valid"),
        })
    }
}

/// What `faas-flow push` needs.
#[derive(Clone)]
struct Operator {
    program: PathBuf,
    to: String,
}

impl Operator {
    /// Pushes until it is done, or refused for good: a version that is not valid must be.
    async fn swap(&self, version: &Version) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut push = Command::new(&self.program);
            push.arg("push").arg(&version.file).args(["--to", &self.to, "--json"]);
            let output = push.env("FAAS_FLOW_ADMIN_TOKEN", ADMIN_TOKEN).kill_on_drop(true).output().await?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            match (output.status.success(), version.mode) {
                (true, Mode::Bad) => bail!("{} was taken", version.file.display()),
                (false, Mode::Bad) if said.contains("FF0105") => return Ok(()),
                (true, _) => return Ok(()),
                _ if Instant::now() > until => bail!("{} could not be pushed: {said}", version.file.display()),
                // A replica, or Redis, was killed at that moment; or the push before it had gone through all the same.
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

/// Swaps, spread over the submissions of all runs.
pub fn swap_all(
    options: &Options,
    cluster: &Cluster,
    versions: &Versions,
    begun: Arc<AtomicUsize>,
) -> JoinHandle<Result<()>> {
    let (swaps, runs, versions) = (options.swaps, options.runs, versions.clone());
    let operator = Operator { program: options.host.clone(), to: format!("{}/function/{VERSIONS}", cluster.url()) };
    tokio::spawn(async move {
        for swap in 0..swaps {
            while begun.load(Ordering::Relaxed) < runs * swap / swaps {
                sleep(Duration::from_millis(10)).await;
            }
            operator.swap(&versions.any()?).await?;
        }
        Ok(())
    })
}

/// The version that a run is pinned to, by what the flow says of its state.
pub async fn pinned(case: &Case, client: &Client, gateway: &str) -> Result<String> {
    let url = format!("{gateway}/function/{}/flow/{}/state", case.flow, case.id);
    let answer = client.get(url).header("Accept", "application/json").send().await?;
    let state: Value = serde_json::from_slice(&answer.bytes().await?)?;
    Ok(state.get("version").and_then(Value::as_str).context("its state has no version")?.to_owned())
}

/// Swaps in peace, with runs: then old versions are unloaded, and memory is where it was.
pub async fn quiet(
    options: &Options,
    cluster: &Cluster,
    versions: &Versions,
    client: &Client,
    report: &mut Report,
) -> Result<()> {
    let operator = Operator { program: options.host.clone(), to: format!("{}/function/{VERSIONS}", cluster.url()) };
    let good: Vec<&Version> =
        versions.0.values().filter(|version| matches!(version.mode, Mode::Okay | Mode::More)).collect();
    // The last of the swaps before may have been to one that fails at once, and each replica follows by itself.
    operator.swap(good.first().context("there are good versions")?).await?;
    let until = Instant::now() + PATIENCE;
    for replica in cluster.replicas_of(VERSIONS) {
        while !client
            .post(replica.url())
            .body("quiet")
            .header("X-Faas-Flow-Wait", "30s")
            .send()
            .await?
            .status()
            .is_success()
        {
            ensure!(Instant::now() < until, "{} does not follow to a version that works", replica.name);
            sleep(Duration::from_millis(100)).await;
        }
    }
    let mut memory = Vec::new();
    for _ in 0..2 {
        for swap in 0..QUIET_SWAPS {
            operator.swap(good.get(swap % good.len()).context("there are good versions")?).await?;
            // A run on each replica, at the same time.
            let mut runs: JoinSet<Result<()>> = cluster
                .replicas_of(VERSIONS)
                .map(|replica| {
                    let run = client.post(replica.url()).body("quiet").header("X-Faas-Flow-Wait", "30s");
                    async move {
                        let answer = run.send().await?;
                        if answer.status().is_success() {
                            Ok(())
                        } else {
                            bail!("a run fails in peace: {}", answer.text().await?)
                        }
                    }
                })
                .collect();
            while let Some(run) = runs.join_next().await {
                run??;
            }
        }
        memory.push(cluster.memory_of(VERSIONS)?);
    }
    (report.memory_kib, report.memory_after_swaps_kib) =
        (memory.first().copied().unwrap_or_default(), memory.last().copied().unwrap_or_default());
    for replica in cluster.replicas_of(VERSIONS) {
        let url = format!("{}/modules", replica.url());
        let listed = client.get(url).bearer_auth(ADMIN_TOKEN).send().await?.bytes().await?;
        let listed: Value = serde_json::from_slice(&listed)?;
        let loaded = listed.get("loaded").and_then(Value::as_u64).context("it says how many are loaded")?;
        report.most_loaded = report.most_loaded.max(loaded as usize);
    }
    Ok(())
}
