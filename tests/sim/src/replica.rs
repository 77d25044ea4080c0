//! The cluster of a simulation: replicas of the flows, and the functions that these call.

use crate::network::{Answers, JOB, Job, Steps};
use anyhow::Result;
use faas_flow_core::RunId;
use faas_flow_replica::Settings;
use faas_flow_scenario::world::{self, Looks, Modules, QueueCalls, Setup, World};
use faas_flow_versions::Flow;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

const REPLICAS: usize = 3;
/// The flow that replicas of its own serve if flows are apart.
const APART: &str = "sync-chain";
/// When simulations begin, in milliseconds since the Unix epoch.
const BEGAN: u64 = 1_700_000_000_000;

/// The replicas, and the functions that they call.
pub struct Cluster {
    replicas: Arc<world::Cluster>,
    steps: Arc<Steps>,
}

impl Deref for Cluster {
    type Target = world::Cluster;

    fn deref(&self) -> &world::Cluster {
        &self.replicas
    }
}

impl Cluster {
    /// Starts replicas of flows, and of the flow of which versions are pushed.
    pub async fn start(
        world: Arc<World>,
        settings: Settings,
        (flows, modules): (Vec<Flow>, Option<Arc<dyn Modules>>),
        seed: u64,
        faulty_queue: bool,
    ) -> Result<Arc<Self>> {
        let answers = Answers::new(world.clone());
        let steps = Steps::new(world.clone());
        let setup = Setup {
            world,
            settings,
            flows,
            modules,
            outside: steps.clone(),
            callbacks: Some(answers.clone()),
            seed,
            queue: QueueCalls::Limited,
            faulty_queue,
            began: BEGAN,
            replicas: REPLICAS,
            apart: Some(APART),
            looks: Looks::Always,
        };
        let replicas = world::Cluster::start(setup).await?;
        answers.connect(replicas.gateway());
        replicas.gateway().set(JOB.0, Arc::new(Job(steps.clone())));
        Ok(Arc::new(Self { replicas, steps }))
    }

    /// How a run ended, as its caller was told.
    pub fn told(&self, run: &RunId) -> Option<String> {
        self.steps.told(run.as_str())
    }

    /// A stop of this run was answered.
    pub fn stopped(&self, run: &RunId) {
        self.steps.stopped(run.as_str());
    }

    /// How often each idempotency key was called, see [`Steps::calls`].
    pub fn calls(&self) -> HashMap<String, usize> {
        self.steps.calls()
    }

    /// Somebody may run this run, which has ended, again.
    pub async fn may_run_again(&self, run: &RunId) -> Result<()> {
        self.steps.may_go_on(run.as_str());
        self.replicas.may_run_again(run).await
    }
}
