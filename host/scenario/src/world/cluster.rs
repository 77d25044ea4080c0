//! The replicas of a cluster, the gateway between them, and their deaths.

use super::agenda::Agenda;
use super::chance::World;
use super::outside::{Modules, Outside};
use super::power::Power;
use super::stores::{Data, Ledger, State};
use super::wires::{GATEWAY, Wires};
use anyhow::Result;
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use bytes::Bytes;
use faas_flow_core::run::Progress;
use faas_flow_core::{Millis, RunId};
use faas_flow_gateway::{Config, Faults as QueueFaults, Function, Gateway, Profile, Unreachable};
use faas_flow_http::{Guards, router};
use faas_flow_replica::events::{GatewayEvents, Keys};
use faas_flow_replica::{ChosenBy, Destinations, Functions, Host, Ids, Parts, Settings};
use faas_flow_store::{DataStore, StateStore, open_data, open_state};
use faas_flow_versions::{Clock, Flow};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tower::ServiceExt;

/// How many of the replicas serve the flow that has some of its own.
const OF_THAT: usize = 1;
/// What most runs take.
const WORK: Duration = Duration::from_secs(1);
/// How long the queue waits for a function if it may take any time: longer than the longest sleep.
const ANY_TIME: Duration = Duration::from_secs(400 * 24 * 3600);
/// How many functions the queue calls at a time if all may run side by side.
const ALL: usize = 1 << 20;
/// The largest answer of a flow.
const ANSWER: usize = 64 << 20;

/// What a cluster is made of.
pub struct Setup {
    /// Chance, faults and trace.
    pub world: Arc<World>,
    /// The limits and times of the replicas.
    pub settings: Settings,
    /// The flows that they serve.
    pub flows: Vec<Flow>,
    /// The flow of which versions are pushed.
    pub modules: Option<Arc<dyn Modules>>,
    /// The functions and URLs that flows call.
    pub outside: Arc<dyn Outside>,
    /// Where the answers of functions go that were called through the queue.
    pub callbacks: Option<Arc<dyn Function>>,
    /// From which everything random follows. Odd: the queue is that of the Community Edition; even: that of Pro.
    pub seed: u64,
    /// How the queue calls functions.
    pub queue: QueueCalls,
    /// Whether the queue loses, repeats, delays and reorders messages by chance.
    pub faulty_queue: bool,
    /// The time at the beginning, in milliseconds since the Unix epoch.
    pub began: Millis,
    /// How many replicas there are at a time.
    pub replicas: usize,
    /// The flow that replicas of its own serve if flows are apart.
    pub apart: Option<&'static str>,
    /// When replicas look at the store.
    pub looks: Looks,
}

/// When replicas look after runs that nobody works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// All the time, as deployed ones do.
    Always,
    /// While something is due, or in flight. What happens is the same, and a week in which nothing does costs nothing.
    WhenDue,
}

/// How the queue calls functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueCalls {
    /// As a deployed queue does: a few at a time, again after 30 s without an answer, and for a minute at most. Then the call has
    /// failed.
    Limited,
    /// All at the same time, each once and for as long as the function takes. How long a queue waits and how much it does at a
    /// time are settings of OpenFaaS, not of the flow.
    Unlimited,
}

/// What all replicas share.
struct Common {
    setup: Setup,
    keys: Keys,
    clock: Clock,
    ids: Ids,
    state: Arc<dyn StateStore>,
    data: Arc<dyn DataStore>,
    ledger: Arc<Ledger>,
    agenda: Arc<Agenda>,
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
    async fn new(setup: Setup) -> Result<Self> {
        let profile = if setup.seed.is_multiple_of(2) { Profile::Pro } else { Profile::Ce };
        let mut config = Config::new(profile);
        match setup.queue {
            QueueCalls::Limited => config.ack_wait = Duration::from_secs(30),
            QueueCalls::Unlimited => {
                (config.ack_wait, config.upstream_timeout, config.inflight) = (ANY_TIME, ANY_TIME, ALL);
            }
        }
        config.started = SystemTime::UNIX_EPOCH + Duration::from_millis(setup.began);
        config.faults = QueueFaults { seed: Some(setup.seed), ..QueueFaults::default() };
        if setup.faulty_queue {
            let delay = (0.05, Duration::from_secs(40));
            config.faults = QueueFaults { seed: Some(setup.seed), drop: 0.05, duplicate: 0.05, delay, reorder: 3 };
        }
        if let Some(callbacks) = &setup.callbacks {
            config.callbacks = callbacks.clone();
        }
        Ok(Self {
            keys: Keys::new(*b"a secret of the simulation", None)?,
            clock: Clock::tokio(setup.began),
            ids: Ids::seeded(setup.seed),
            state: open_state("memory").await?,
            data: open_data("memory").await?,
            ledger: Arc::default(),
            agenda: Arc::default(),
            gateway: Gateway::new(config),
            hosts: Mutex::default(),
            setup,
        })
    }

    fn replica(&self, number: usize) -> Arc<Replica> {
        let power = Power::new(format!("replica {number}"), self.setup.world.clone());
        self.setup.world.note(format_args!("{} begins", power.name));
        let host = self.host(&power, number);
        match self.setup.looks {
            Looks::Always => tokio::spawn(host.clone().sweep()),
            Looks::WhenDue => tokio::spawn(power.clone().until_dead(self.agenda.clone().sweep(host.clone()))),
        };
        if !self.setup.settings.schedules.is_empty() {
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

    /// The flow that has replicas of its own.
    fn apart(&self) -> Option<&'static str> {
        self.setup.apart.filter(|_| self.setup.world.is_apart())
    }

    /// How many replicas there are at a time.
    fn replicas(&self) -> usize {
        self.setup.replicas + if self.apart().is_some() { OF_THAT } else { 0 }
    }

    /// Whether this replica serves this flow.
    fn serves(&self, number: usize, flow: &str) -> bool {
        self.apart().is_none_or(|apart| (number < self.setup.replicas) == (flow != apart))
    }

    fn host(&self, power: &Arc<Power>, number: usize) -> Arc<Host> {
        let Setup { world, settings, outside, .. } = &self.setup;
        let network = Arc::new(Wires { power: power.clone(), outside: outside.clone(), gateway: self.gateway.clone() });
        let gateway = GATEWAY.to_owned();
        let functions = Functions::new([], Some(gateway.clone()), settings, network.clone());
        let state = State {
            inner: self.state.clone(),
            power: power.clone(),
            ledger: self.ledger.clone(),
            outside: outside.clone(),
            agenda: self.agenda.clone(),
            looks: self.setup.looks,
        };
        let data = Data { inner: self.data.clone(), power: power.clone() };
        let mut parts = Parts::new(settings.clone(), Arc::new(state), Arc::new(data), functions);
        let clock = self.clock.ahead_by(self.begun() % self.setup.replicas.max(1) as u64 * world.skew());
        parts.clock = clock.clone();
        parts.ids = self.ids.clone();
        parts.keys = Some(self.keys.clone());
        parts.events = Some(Arc::new(GatewayEvents::new(network, gateway, Some(self.keys.clone()), clock)));
        parts.modules = self.setup.modules.as_ref().map(|modules| modules.loader());
        let host = Host::new(parts);
        for flow in self.setup.flows.iter().filter(|flow| self.serves(number, flow.name.as_str())) {
            host.versions().deploy(flow.clone());
        }
        if let Some(modules) = &self.setup.modules {
            modules.begun(host.clone());
        }
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).push(host.clone());
        host
    }
}

impl Cluster {
    /// Starts the gateway and the replicas.
    pub async fn start(setup: Setup) -> Result<Arc<Self>> {
        let common = Common::new(setup).await?;
        common.gateway.start();
        let replicas: Vec<_> = (0..common.replicas()).map(|number| common.replica(number)).collect();
        let mut parts = Parts::new(
            common.setup.settings.clone(),
            common.state.clone(),
            common.data.clone(),
            Functions::new([], None, &common.setup.settings, Arc::new(Nobody)),
        );
        parts.clock = common.clock.clone();
        let cluster = Arc::new(Self { replicas: Mutex::new(replicas), observer: Host::new(parts), common });
        let setup = &cluster.common.setup;
        let flows = setup.flows.iter().map(|flow| &flow.name);
        for flow in flows.chain(setup.modules.as_ref().map(|modules| modules.flow())) {
            let function = Behind { cluster: cluster.clone(), flow: flow.to_string() };
            cluster.common.gateway.set(flow.to_string(), Arc::new(function));
        }
        Ok(cluster)
    }

    /// Chance, faults and trace.
    pub fn world(&self) -> &World {
        &self.common.setup.world
    }

    /// The gateway, which knows the flows.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.common.gateway
    }

    /// When each run is due.
    pub fn agenda(&self) -> &Agenda {
        &self.common.agenda
    }

    /// The time, by the clock of the first replica.
    pub fn now(&self) -> Millis {
        self.common.clock.now()
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

    /// The data as it is.
    pub fn data(&self) -> &dyn DataStore {
        &*self.common.data
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
        let at = usize::try_from(self.common.setup.world.draw(replicas.len() as u64)).unwrap_or_default();
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
    pub async fn storm(&self, deaths: u32, during: Duration) {
        for number in 0..deaths {
            // Most runs take seconds if nothing goes wrong: every other death comes while they are at work.
            let within = if number % 2 == 0 { during.min(WORK) } else { during / deaths };
            tokio::time::sleep(self.common.setup.world.time(within)).await;
            if let Some(replica) = self.any(None) {
                replica.power.cut();
            }
            tokio::time::sleep(self.common.setup.world.time(Duration::from_secs(3))).await;
            self.revive();
        }
    }

    /// Begins replicas in place of those that died in the midst of a step, until nothing goes wrong any more.
    pub async fn look_after(&self) {
        while !self.common.setup.world.is_calm() {
            tokio::time::sleep(Duration::from_secs(1) + self.common.setup.world.time(Duration::from_secs(3))).await;
            self.revive();
        }
    }

    /// Somebody may run this run, which has ended, again.
    pub async fn may_run_again(&self, run: &RunId) -> Result<()> {
        self.common.ledger.may_run_again(run);
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
        Ok(Response::from_parts(parts, to_bytes(body, ANSWER).await.map_err(|_| nobody())?))
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
        let message = format!("nothing answers at {}", request.url);
        Err(faas_flow_core::Failure::reject(faas_flow_core::Code::CALL_UNREACHABLE, message))
    }
}
