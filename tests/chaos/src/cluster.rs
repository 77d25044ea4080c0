//! Redis, the gateway, three replicas of every flow, and the task that kills them.

use crate::Options;
use crate::cases::{FLOWS, FUNCTIONS, LIMIT, LIMITED, VERSIONS};
use crate::processes::{HOST, Process, free_port};
use crate::schedule;
use crate::swaps::Versions;
use anyhow::{Context, Result, bail};
use faas_flow_core::Partition;
use faas_flow_core::limit::Lines;
use faas_flow_core::run::decode;
use faas_flow_store::open_state;
use reqwest::Client;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// Replicas of every flow, and where they execute ready nodes: all ways are to be tried.
const DISPATCH: [&str; 3] = ["auto", "gateway", "gateway"];
/// The mean time between two kills of replicas, in milliseconds.
const KILLS: f64 = 300.0;
/// The mean time between two kills of Redis, in milliseconds.
const REDIS_KILLS: f64 = 5_000.0;
/// How long what was killed stays away, in milliseconds.
const AWAY: std::ops::Range<u64> = 100..1_000;
/// What operators show to the replicas.
pub const ADMIN_TOKEN: &str = "the token of a chaotic world";
/// How long a claim holds a node.
const LEASE: &str = "2s";

/// All processes.
pub struct Cluster {
    redis: Process,
    gateway: Process,
    replicas: Vec<Process>,
    pub kills: usize,
    pub redis_kills: usize,
    next_kill: Instant,
    next_redis_kill: Instant,
}

impl Cluster {
    /// Starts everything, and waits until all of it is there.
    pub async fn start(
        options: &Options,
        folder: &Path,
        steps: &str,
        versions: Option<&Versions>,
        seed: u64,
    ) -> Result<Self> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let (redis_port, gateway_port, host) = (free_port()?, free_port()?, HOST.to_string());
        let mut arguments = texts(&["--port", &redis_port.to_string(), "--bind", &host, "--save", ""]);
        arguments.extend(texts(&[
            "--dir",
            &folder.to_string_lossy(),
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ]));
        // Nothing is rewritten: the files tell the whole story afterwards.
        arguments.extend(texts(&["--auto-aof-rewrite-percentage", "0"]));
        let redis = Process::new("redis", Path::new("redis-server"), redis_port, folder, arguments);
        let secrets = folder.join("secrets");
        std::fs::create_dir_all(&secrets)?;
        std::fs::write(secrets.join("faasflow-hmac-secret"), "the secret of a chaotic world")?;
        std::fs::write(secrets.join("faasflow-admin-token"), ADMIN_TOKEN)?;

        let gateway_url = format!("http://{host}:{gateway_port}");
        let mut arguments = texts(&["--host", &host, "--port", &gateway_port.to_string()]);
        arguments.extend(texts(&["--profile", "pro", "--inflight", "100"]));
        arguments.extend(texts(&["--drop", "0.01", "--duplicate", "0.01", "--seed", &seed.to_string()]));
        let mut replicas = Vec::new();
        let mut flows: Vec<_> =
            FLOWS.iter().map(|flow| (*flow, options.modules.join(flow).with_extension("wasm"))).collect();
        if let Some(versions) = versions {
            flows.push((VERSIONS, versions.first()?.to_owned()));
        }
        for (flow, module) in flows {
            if !module.is_file() {
                bail!("the module {} is missing: run `cargo xtask modules`", module.display());
            }
            let mut urls = Vec::new();
            for (index, dispatch) in DISPATCH.iter().enumerate() {
                let port = free_port()?;
                let (listen, state) = (format!("{host}:{port}"), format!("redis://{host}:{redis_port}"));
                let mut arguments =
                    texts(&["function", &format!("{flow}={}", module.display()), "--gateway", &gateway_url]);
                arguments.extend(texts(&["--state", &state, "--secrets", &secrets.to_string_lossy()]));
                arguments.extend(texts(&["--listen", &listen, "--lease", LEASE, "--dispatch", dispatch]));
                arguments.extend(texts(&["--callback-host", "127.0.0.1", "--metrics-port", "0", "--suppress-lock"]));
                arguments.extend(texts(&["--limit", &format!("{LIMITED}={LIMIT}")]));
                if flow == schedule::FLOW {
                    arguments.extend(texts(&["--schedule", schedule::SCHEDULE]));
                }
                let replica = Process::new(&format!("{flow}-{index}"), &options.host, port, folder, arguments);
                urls.push(replica.url());
                replicas.push(replica);
            }
            arguments.extend(texts(&["--function", &format!("{flow}={}", urls.join(","))]));
        }
        for function in FUNCTIONS {
            arguments.extend(texts(&["--function", &format!("{function}={steps}/{function}")]));
        }
        let gateway = Process::new("gateway", &options.gateway, gateway_port, folder, arguments);
        let now = Instant::now();
        let mut cluster =
            Self { redis, gateway, replicas, kills: 0, redis_kills: 0, next_kill: now, next_redis_kill: now };
        cluster.calm().await?;
        cluster.next_kill = after(KILLS);
        cluster.next_redis_kill = after(REDIS_KILLS);
        Ok(cluster)
    }

    /// Where the flows are called.
    pub fn url(&self) -> String {
        self.gateway.url()
    }

    /// Whether Redis runs now.
    pub fn has_redis(&self) -> bool {
        self.redis.down_until.is_none()
    }

    /// The replicas of one flow.
    pub fn replicas_of(&self, flow: &str) -> impl Iterator<Item = &Process> {
        self.replicas
            .iter()
            .filter(move |replica| replica.name.strip_prefix(flow).is_some_and(|rest| rest.starts_with('-')))
    }

    /// The resident memory of one flow's replicas together, in KiB.
    pub fn memory_of(&self, flow: &str) -> Result<u64> {
        self.replicas_of(flow).map(Process::memory_kib).sum()
    }

    /// Waits until everything runs, and kills nothing meanwhile.
    pub async fn calm(&mut self) -> Result<()> {
        for process in [&mut self.redis, &mut self.gateway].into_iter().chain(&mut self.replicas) {
            process.down_until = None;
            process.supervise()?;
        }
        for process in [&mut self.redis, &mut self.gateway].into_iter().chain(&mut self.replicas) {
            process.up().await?;
        }
        for replica in &mut self.replicas {
            replica.healthy().await?;
        }
        Ok(())
    }

    /// Kills what is to be killed by now, and starts what has been away for long enough.
    pub async fn disturb(&mut self) -> Result<()> {
        for process in self.replicas.iter_mut().chain([&mut self.redis]) {
            process.supervise()?;
        }
        let now = Instant::now();
        if now >= self.next_kill {
            let victim = fastrand::usize(..self.replicas.len());
            if let Some(replica) = self.replicas.get_mut(victim).filter(|replica| replica.down_until.is_none()) {
                kill(replica).await;
                self.kills += 1;
            }
            self.next_kill = after(KILLS);
        }
        if now >= self.next_redis_kill {
            kill(&mut self.redis).await;
            self.kills += 1;
            self.redis_kills += 1;
            self.next_redis_kill = after(REDIS_KILLS);
        }
        Ok(())
    }

    /// Events that the gateway lost or repeated.
    pub async fn faults(&self, client: &Client) -> Result<u64> {
        let metrics = client.get(format!("{}/metrics", self.url())).send().await?.text().await?;
        let counted = |name: &str| {
            let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
            value.with_context(|| format!("the gateway does not count {name}"))
        };
        Ok(counted("faas_flow_gateway_dropped_total ")? + counted("faas_flow_gateway_duplicated_total ")?)
    }

    /// All runs, by what the store says.
    pub async fn runs(&self, options: &Options) -> Result<Vec<Run>> {
        let mut command = Command::new(&options.host);
        command.args(["requests", "list", "--json", "--limit", "1000000", "--state", &self.state()]).kill_on_drop(true);
        let output = command.output().await?;
        if !output.status.success() {
            bail!("cannot list the runs: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// How many permits of the limited function are held or waited for, by what the store says.
    pub async fn permits(&self) -> Result<usize> {
        let store = open_state(&self.state()).await?;
        let documents = store.read_all(&Partition::of_limit(LIMITED)).await?;
        let mut permits = 0;
        for (_, document) in documents {
            permits += decode::<Lines>(&document.bytes)?.len();
        }
        Ok(permits)
    }

    fn state(&self) -> String {
        format!("redis://{}:{}", *HOST, self.redis.port)
    }
}

/// A run, as `requests list` shows it.
#[derive(Debug, Deserialize)]
pub struct Run {
    #[serde(rename = "request_id")]
    pub id: String,
    pub status: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl Run {
    pub fn goes_on(&self) -> bool {
        self.status == "running" || self.status == "paused"
    }
}

async fn kill(process: &mut Process) {
    process.kill().await;
    process.down_until = Some(Instant::now() + Duration::from_millis(fastrand::u64(AWAY)));
}

/// A moment ahead, as if things happened at random.
fn after(mean: f64) -> Instant {
    let wait = -mean * (1.0 - fastrand::f64()).ln();
    Instant::now() + Duration::from_millis(wait as u64)
}
