//! Three replicas, the gateway between them, and their deaths.

use crate::network::{Answers, JOB, Job, Steps, Wires};
use crate::power::Power;
use crate::stores::{Data, Ledger, State};
use crate::swaps::Versions;
use crate::world::World;
use anyhow::Result;
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use bytes::Bytes;
use faas_flow_core::RunId;
use faas_flow_core::run::Progress;
use faas_flow_gateway::{Config, Faults as QueueFaults, Function, Gateway, Profile, Unreachable};
use faas_flow_http::{Guards, router};
use faas_flow_replica::events::{GatewayEvents, Keys};
use faas_flow_replica::{ChosenBy, Destinations, Functions, Host, Ids, Parts, Settings};
use faas_flow_store::{DataStore, StateStore, open_data, open_state};
use faas_flow_versions::{Clock, Flow};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tower::ServiceExt;

const REPLICAS: usize = 3;
/// The flow that replicas of its own serve if flows are apart.
const APART: &str = "sync-chain";
/// How many of the replicas serve it then.
const OF_THAT: usize = 1;
/// When simulations begin, in milliseconds since the Unix epoch.
const BEGAN: u64 = 1_700_000_000_000;
/// What most runs take.
const WORK: Duration = Duration::from_secs(1);

/// What all replicas share.
pub struct Common {
    world: Arc<World>,
    settings: Settings,
    flows: Vec<Flow>,
    /// The versions of the flow that is swapped: the replicas come with the first one.
    versions: Option<Arc<Versions>>,
    keys: Keys,
    clock: Clock,
    ids: Ids,
    state: Arc<dyn StateStore>,
    data: Arc<dyn DataStore>,
    ledger: Arc<Ledger>,
    steps: Arc<Steps>,
    gateway: Arc<Gateway>,
    /// All that ever began.
    hosts: Mutex<Vec<Arc<Host>>>,
}

struct Replica {
    power: Arc<Power>,
    router: Router,
    number: usize,
}

/// The replicas that are there at the moment.
pub struct Cluster {
    common: Common,
    replicas: Mutex<Vec<Arc<Replica>>>,
    observer: Arc<Host>,
}

impl Common {
    pub async fn new(
        world: Arc<World>,
        settings: Settings,
        (flows, versions): (Vec<Flow>, Option<Arc<Versions>>),
        seed: u64,
        faulty: bool,
    ) -> Result<Self> {
        let profile = if seed.is_multiple_of(2) { Profile::Pro } else { Profile::Ce };
        let mut config = Config::new(profile);
        config.ack_wait = Duration::from_secs(30);
        config.started = SystemTime::UNIX_EPOCH + Duration::from_millis(BEGAN);
        config.faults = QueueFaults { seed: Some(seed), ..QueueFaults::default() };
        if faulty {
            let delay = (0.05, Duration::from_secs(40));
            config.faults = QueueFaults { seed: Some(seed), drop: 0.05, duplicate: 0.05, delay, reorder: 3 };
        }
        let answers = Answers::new(world.clone());
        config.callbacks = answers.clone();
        let gateway = Gateway::new(config);
        answers.connect(&gateway);
        let steps = Steps::new(world.clone());
        gateway.set(JOB.0, Arc::new(Job(steps.clone())));
        gateway.start();
        Ok(Self {
            steps,
            settings,
            flows,
            versions,
            keys: Keys::new(*b"a secret of the simulation", None)?,
            clock: Clock::tokio(BEGAN),
            ids: Ids::seeded(seed),
            state: open_state("memory").await?,
            data: open_data("memory").await?,
            ledger: Arc::default(),
            gateway,
            hosts: Mutex::default(),
            world,
        })
    }

    fn replica(&self, number: usize) -> Arc<Replica> {
        let power = Power::new(format!("replica {number}"), self.world.clone());
        self.world.note(format_args!("{} begins", power.name));
        let host = self.host(&power, number);
        tokio::spawn(host.clone().sweep());
        if !self.settings.schedules.is_empty() {
            tokio::spawn(host.clone().fire_schedules());
        }
        let hooks = "hooks".parse().into_iter().collect();
        let callbacks = Destinations::new(Vec::new(), hooks, Vec::new()).callbacks;
        let guards = Guards { keys: Some(self.keys.clone()), callbacks, ..Guards::default() };
        Arc::new(Replica { power, router: router(host, guards), number })
    }

    /// How many replicas have begun so far.
    fn begun(&self) -> u64 {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// How many replicas there are at a time.
    fn replicas(&self) -> usize {
        if self.world.is_apart() { REPLICAS + OF_THAT } else { REPLICAS }
    }

    /// Whether this replica serves this flow.
    fn serves(&self, number: usize, flow: &str) -> bool {
        !self.world.is_apart() || (number < REPLICAS) == (flow != APART)
    }

    fn host(&self, power: &Arc<Power>, number: usize) -> Arc<Host> {
        let network =
            Arc::new(Wires { power: power.clone(), steps: self.steps.clone(), gateway: self.gateway.clone() });
        let gateway = "http://gateway".to_owned();
        let functions = Functions::new([], Some(gateway.clone()), &self.settings, network.clone());
        let (ledger, steps) = (self.ledger.clone(), self.steps.clone());
        let state = State { inner: self.state.clone(), power: power.clone(), ledger, steps };
        let data = Data { inner: self.data.clone(), power: power.clone() };
        let mut parts = Parts::new(self.settings.clone(), Arc::new(state), Arc::new(data), functions);
        let clock = self.clock.ahead_by(self.begun() % REPLICAS as u64 * self.world.skew());
        parts.clock = clock.clone();
        parts.ids = self.ids.clone();
        parts.keys = Some(self.keys.clone());
        parts.events = Some(Arc::new(GatewayEvents::new(network, gateway, Some(self.keys.clone()), clock)));
        parts.modules = self.versions.as_ref().map(|versions| versions.loader());
        let host = Host::new(parts);
        for flow in self.flows.iter().filter(|flow| self.serves(number, flow.name.as_str())) {
            host.versions().deploy(flow.clone());
        }
        if let Some(versions) = self.versions.clone() {
            tokio::spawn(versions.bring(host.clone()));
        }
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).push(host.clone());
        host
    }
}

impl Cluster {
    pub fn start(common: Common) -> Arc<Self> {
        let replicas: Vec<_> = (0..common.replicas()).map(|number| common.replica(number)).collect();
        let parts = Parts::new(
            common.settings.clone(),
            common.state.clone(),
            common.data.clone(),
            Functions::new([], None, &common.settings, Arc::new(Nobody)),
        );
        let cluster = Arc::new(Self { replicas: Mutex::new(replicas), observer: Host::new(parts), common });
        let versions = cluster.common.versions.as_ref().map(|versions| versions.first());
        for flow in cluster.common.flows.iter().chain(versions) {
            let function = Behind { cluster: cluster.clone(), flow: flow.name.to_string() };
            cluster.common.gateway.set(flow.name.to_string(), Arc::new(function));
        }
        cluster
    }

    pub fn world(&self) -> &World {
        &self.common.world
    }

    /// Lets go of everything that replicas have in memory, the dead ones too, and of the circle of replicas and gateway.
    pub fn end(&self) {
        for (name, _) in self.common.gateway.functions() {
            self.common.gateway.remove(&name);
        }
        self.replicas().clear();
        self.common.hosts.lock().unwrap_or_else(PoisonError::into_inner).drain(..).for_each(|host| host.crash());
    }

    /// The state as it is.
    pub fn truth(&self) -> &dyn StateStore {
        &*self.common.state
    }

    /// A host that only looks.
    pub fn observer(&self) -> Arc<Host> {
        self.observer.clone()
    }

    fn replicas(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Replica>>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the replicas, or of those that serve this flow.
    fn any(&self, flow: Option<&str>) -> Option<Arc<Replica>> {
        let serves = |replica: &&Arc<Replica>| flow.is_none_or(|flow| self.common.serves(replica.number, flow));
        let replicas: Vec<_> = self.replicas().iter().filter(serves).cloned().collect();
        let at = usize::try_from(self.common.world.draw(replicas.len() as u64)).unwrap_or_default();
        replicas.get(at).cloned()
    }

    /// A request to some replica: no answer if that is dead, or dies meanwhile.
    pub async fn send(&self, request: Request<Body>) -> Option<Response<Body>> {
        let flow = request.uri().path().strip_prefix("/function/").and_then(|path| path.split('/').next());
        let replica = self.any(flow).filter(|replica| replica.power.is_on())?;
        tokio::select! {
            biased;
            () = replica.power.dead() => None,
            answer = replica.router.clone().oneshot(request) => answer.ok(),
        }
    }

    /// Lets replicas die, and others begin in their place.
    pub async fn storm(self: Arc<Self>, deaths: u32, during: Duration) {
        for number in 0..deaths {
            // Most runs take seconds if nothing goes wrong: every other death comes while they are at work.
            let within = if number % 2 == 0 { during.min(WORK) } else { during / deaths };
            tokio::time::sleep(self.common.world.time(within)).await;
            if let Some(replica) = self.any(None) {
                replica.power.cut();
            }
            tokio::time::sleep(self.common.world.time(Duration::from_secs(3))).await;
            self.revive();
        }
    }

    /// Begins replicas in place of those that died in the midst of a step, until nothing goes wrong any more.
    pub async fn look_after(self: Arc<Self>) {
        while !self.common.world.is_calm() {
            tokio::time::sleep(Duration::from_secs(1) + self.common.world.time(Duration::from_secs(3))).await;
            self.revive();
        }
    }

    /// How a run ended, as its caller was told.
    pub fn told(&self, run: &RunId) -> Option<String> {
        self.common.steps.told(run.as_str())
    }

    /// A stop of this run was answered.
    pub fn stopped(&self, run: &RunId) {
        self.common.steps.stopped(run.as_str());
    }

    /// How often each idempotency key was called, see [`Steps::calls`].
    pub fn calls(&self) -> std::collections::HashMap<String, usize> {
        self.common.steps.calls()
    }

    /// Somebody may run this run, which has ended, again.
    pub async fn may_run_again(&self, run: &RunId) -> Result<()> {
        self.common.ledger.may_run_again(run);
        self.common.steps.may_go_on(run.as_str());
        if let Some(view) = self.observer().view(run).await? {
            for node in view.nodes.iter().filter(|node| node.progress != Progress::Done) {
                self.common.ledger.was_cut_off(format!("{run}/{}", node.path));
            }
        }
        Ok(())
    }

    /// How often the end of its run cut off a node (`RUN/PATH`) before the run was begun again.
    pub fn times_cut_off(&self, node: &str) -> usize {
        self.common.ledger.times_cut_off(node)
    }

    /// Begins a replica in place of each that is dead.
    pub fn revive(&self) {
        let mut replicas = self.replicas();
        for (number, replica) in replicas.iter_mut().enumerate() {
            if !replica.power.is_on() {
                *replica = self.common.replica(number);
            }
        }
    }
}

/// A flow, as the gateway reaches it.
struct Behind {
    cluster: Arc<Cluster>,
    flow: String,
}

#[async_trait]
impl Function for Behind {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unreachable> {
        let nobody = || Unreachable("the replica is dead".to_owned());
        let (mut parts, body) = request.into_parts();
        let rest = parts.uri.path_and_query().map_or("", |rest| rest.as_str()).trim_start_matches('/');
        let slash = if rest.is_empty() || rest.starts_with('?') { "" } else { "/" };
        parts.uri = format!("/function/{}{slash}{rest}", self.flow).parse().map_err(|_| nobody())?;
        let answer = self.cluster.send(Request::from_parts(parts, Body::from(body))).await.ok_or_else(nobody)?;
        let (parts, body) = answer.into_parts();
        Ok(Response::from_parts(parts, to_bytes(body, 1 << 20).await.map_err(|_| nobody())?))
    }
}

struct Nobody;

#[async_trait]
impl faas_flow_replica::Network for Nobody {
    async fn send(
        &self,
        request: faas_flow_guest::HttpRequest,
        _: ChosenBy,
    ) -> Result<faas_flow_guest::HttpResponse, faas_flow_core::Failure> {
        let message = format!("nobody is at {}", request.url);
        Err(faas_flow_core::Failure::reject(faas_flow_core::Code::CALL_UNREACHABLE, message))
    }
}
