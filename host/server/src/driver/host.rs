//! The host: flows, stores and functions, and the runs that are under way.

use super::clock::Clock;
use super::data::Data;
use super::ended::HISTORIES;
use super::events::Events;
use super::later::SavesLater;
use super::live::Live;
use super::load::{load, read_run};
use crate::counters::Counted;
use crate::events::Keys;
use crate::modules::{Loader, Service};
use crate::settings::Dispatch;
use crate::{Counters, Error, Flow, Functions, Progress, Settings, Traces};
use faas_flow_core::run::{Run, RunView};
use faas_flow_core::{Code, Digest, FlowName, Millis, Plan, RunId};
use faas_flow_store::{DataStore, StateStore};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A version of a flow, and the plan of one of its runs.
type Pinned = (Arc<Flow>, Arc<Plan>);

/// What a host is made of.
pub struct Parts {
    /// Limits and times.
    pub settings: Settings,
    /// Where the truth about runs is kept.
    pub state: Arc<dyn StateStore>,
    /// Where large payloads are kept.
    pub data: Arc<dyn DataStore>,
    /// What flows may call.
    pub functions: Functions,
    /// How other replicas are told of work; without it, everything is done in place.
    pub events: Option<Arc<dyn Events>>,
    /// What time it is.
    pub clock: Clock,
    /// Signs what is sent to callers.
    pub keys: Option<Keys>,
    /// Loads the versions of flows that the stores keep; without it, a host has those that it was given.
    pub modules: Option<Loader>,
    /// Takes the spans of runs.
    pub traces: Option<Traces>,
}

impl Parts {
    /// What every host needs; the rest is as on a single machine.
    pub fn new(settings: Settings, state: Arc<dyn StateStore>, data: Arc<dyn DataStore>, functions: Functions) -> Self {
        let (events, keys, modules, traces) = (None, None, None, None);
        Self { settings, state, data, functions, events, clock: Clock::System, keys, modules, traces }
    }
}

/// One replica.
pub struct Host {
    pub(crate) settings: Settings,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) data: Data,
    pub(crate) functions: Functions,
    pub(crate) events: Option<Arc<dyn Events>>,
    clock: Clock,
    pub(super) keys: Option<Keys>,
    pub(crate) owner: Arc<str>,
    pub(crate) permits: Arc<Semaphore>,
    /// See [`super::ended`].
    pub(super) histories: Arc<Semaphore>,
    pub(crate) progress: broadcast::Sender<Progress>,
    stopping: AtomicBool,
    draining: AtomicBool,
    pub(crate) counters: Arc<Counters>,
    /// Loads versions of flows.
    pub(crate) modules: Option<Loader>,
    pub(super) traces: Option<Traces>,
    flows: RwLock<HashMap<FlowName, Service>>,
    live: Mutex<BTreeMap<RunId, Arc<Live>>>,
    /// Ended runs, the oldest first, where their number is limited.
    pub(super) ended: Mutex<VecDeque<RunId>>,
    pub(super) saves_later: SavesLater,
}

impl Host {
    /// A host without flows. It looks after stored runs once [`Host::sweep`] is being awaited.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { settings, state, data, functions, events, clock, keys, modules, traces } = parts;
        let counters = Arc::new(Counters::default());
        Arc::new(Self {
            state: Arc::new(Counted::new(state, counters.clone())),
            data: Data { store: data, inline_limit: settings.inline_limit },
            functions,
            events,
            clock,
            keys,
            owner: xid::new().to_string().into(),
            permits: Arc::new(Semaphore::new(settings.max_nodes)),
            histories: Arc::new(Semaphore::new(HISTORIES)),
            progress: broadcast::channel(4096).0,
            stopping: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            counters,
            modules,
            traces,
            flows: RwLock::default(),
            live: Mutex::default(),
            ended: Mutex::default(),
            saves_later: SavesLater::default(),
            settings,
        })
    }

    /// Puts a flow into service, in place of one of the same name. Runs of that one go on with it.
    pub fn deploy(&self, flow: Flow) {
        self.deploy_shared(Arc::new(flow));
    }

    pub(crate) fn deploy_shared(&self, flow: Arc<Flow>) {
        let mut flows = self.flows.write().unwrap_or_else(PoisonError::into_inner);
        match flows.get_mut(&flow.name) {
            Some(service) => service.deploy(flow),
            None => drop(flows.insert(flow.name.clone(), Service::new(flow))),
        }
    }

    /// A flow in service: the version that new runs begin with.
    pub fn flow(&self, name: &FlowName) -> Option<Arc<Flow>> {
        self.flows.read().unwrap_or_else(PoisonError::into_inner).get(name).map(|service| service.active.clone())
    }

    /// The version that this new run begins with.
    pub(super) fn flow_for(&self, name: &FlowName, run: &RunId) -> Option<Arc<Flow>> {
        let flows = self.flows.read().unwrap_or_else(PoisonError::into_inner);
        flows.get(name).map(|service| service.choose(run).clone())
    }

    /// A version that is at hand.
    pub(crate) fn loaded(&self, name: &FlowName, digest: &Digest) -> Option<Arc<Flow>> {
        self.flows.read().unwrap_or_else(PoisonError::into_inner).get(name)?.find(digest)
    }

    /// Whether new runs of this flow may begin with a canary.
    pub(crate) fn has_canary(&self, name: &FlowName) -> bool {
        let flows = self.flows.read().unwrap_or_else(PoisonError::into_inner);
        flows.get(name).is_some_and(|service| service.canary.is_some())
    }

    /// Looks at, or changes, how a flow is served here.
    pub(crate) fn serve<T>(&self, name: &FlowName, with: impl FnOnce(&mut Service) -> T) -> Option<T> {
        self.flows.write().unwrap_or_else(PoisonError::into_inner).get_mut(name).map(with)
    }

    /// All flows in service, by name.
    pub fn flows(&self) -> Vec<Arc<Flow>> {
        let flows = self.flows.read().unwrap_or_else(PoisonError::into_inner);
        let mut flows: Vec<_> = flows.values().map(|service| service.active.clone()).collect();
        flows.sort_by(|a, b| a.name.cmp(&b.name));
        flows
    }

    /// The module and the plan that a run is pinned to.
    pub(super) async fn pinned(&self, run: &Run) -> Result<Pinned, Error> {
        let flow = match self.version(&run.flow, &run.digest).await {
            Ok(flow) => flow,
            Err(error) => return Err(Error::new(error.code(), format!("run {} waits: {error}", run.id))),
        };
        let plan = match (&run.definition, &flow.plan) {
            (Some(definition), _) => Arc::new(Plan::new((**definition).clone()).map_err(Error::Definition)?),
            (None, Some(plan)) => plan.clone(),
            (None, None) => return Err(Error::new(Code::STORE_CORRUPT, "the run's definition was not kept with it")),
        };
        Ok((flow, plan))
    }

    /// What calls back of a run that has ended: it needs nothing of the run's version, which may be gone.
    pub(super) fn at_hand(&self, run: &Run) -> Result<Option<Pinned>, Error> {
        let Some(flow) = self.loaded(&run.flow, &run.digest).or_else(|| self.flow(&run.flow)) else { return Ok(None) };
        let plan = match &flow.plan {
            Some(plan) => plan.clone(),
            None => Arc::new(Plan::new((*flow.definition).clone()).map_err(Error::Definition)?),
        };
        Ok(Some((flow, plan)))
    }

    /// Whether the caller of this run gets the result without asking for it.
    pub(crate) async fn answers(&self, run: &Run) -> Result<bool, Error> {
        Ok(self.pinned(run).await?.1.is_single_node())
    }

    /// What happens to all runs from now on. A slow reader loses the oldest.
    pub fn watch(&self) -> broadcast::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// The functions that flows may apply.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The state store.
    pub fn state(&self) -> &dyn StateStore {
        &*self.state
    }

    /// What Prometheus reads of this replica.
    pub(crate) fn metrics(&self) -> String {
        self.counters.prometheus(self.runs().len() as u64, self.state.garbage())
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Whether work that there is no room for goes to other replicas.
    pub(super) fn may_send(&self) -> bool {
        self.events.is_some() && self.settings.dispatch != Dispatch::Local
    }

    /// Whether all work goes through the gateway.
    pub(super) fn sends_first(&self) -> bool {
        self.events.is_some() && self.settings.dispatch == Dispatch::Gateway
    }

    /// Whether a run that executes `running` nodes here may begin one more.
    pub(super) fn room(&self, running: usize) -> bool {
        let full = self.may_send() && self.permits.available_permits() == 0;
        running < self.settings.run_nodes && !full && !self.is_draining()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn runs(&self) -> MutexGuard<'_, BTreeMap<RunId, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on a run no longer, unless it has been opened anew since.
    pub(super) fn forget_live(&self, run: &RunId, live: &Live) {
        let mut runs = self.runs();
        if runs.get(run).is_some_and(|known| std::ptr::eq(&**known, live)) {
            runs.remove(run);
        }
    }

    /// A stored run as people see it.
    pub async fn view(&self, run: &RunId) -> Result<Option<RunView>, Error> {
        read_run(&*self.state, run).await
    }

    /// The result of a run that has one.
    pub async fn result(&self, run: &RunId) -> Result<Option<bytes::Bytes>, Error> {
        let Some(state) = load(&*self.state, run).await? else { return Ok(None) };
        match &state.run().result {
            Some(payload) => Ok(Some(self.data.fetch(&*self.state, run, payload).await?)),
            None => Ok(None),
        }
    }

    /// Drops all runs without a word, as a crash does: for simulations.
    #[doc(hidden)]
    pub fn crash(&self) {
        self.runs().clear();
    }

    /// Sends the spans that are left, once nothing more is done.
    pub(crate) async fn stop_tracing(self: &Arc<Self>) {
        let host = self.clone();
        // It waits in its thread.
        let stopped = tokio::task::spawn_blocking(move || host.traces.as_ref().map(Traces::stop));
        let _ = stopped.await;
    }

    /// Lets the health check fail, so that nobody sends requests here any more.
    pub fn announce_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Ends the replica in good order: takes nothing new, lets what runs `finish` in this time, and gives the rest back so
    /// that others take it at once, as far as the store takes it back within `give_back`. Answers with how many nodes it
    /// gave back.
    pub async fn drain(self: &Arc<Self>, finish: Duration, give_back: Duration) -> usize {
        self.announce_stop();
        self.draining.store(true, Ordering::Relaxed);
        // Whoever tries to commit holds its run: neither part may wait for all of them.
        let finished = async {
            self.finished().await;
            self.histories_written().await;
        };
        let _ = timeout(finish, finished).await;
        let live: Vec<Arc<Live>> = self.runs().values().cloned().collect();
        let mut releases: JoinSet<usize> = live.into_iter().map(|run| async move { run.release().await }).collect();
        let mut released = 0;
        let all = async {
            while let Some(one) = releases.join_next().await {
                released += one.unwrap_or_default();
            }
        };
        if timeout(give_back, all).await.is_err() {
            let runs = releases.len();
            tracing::error!(
                runs,
                "the store does not take runs back in time: others find them when their leases are over"
            );
        }
        released
    }

    /// Waits until nothing is being executed here.
    async fn finished(&self) {
        loop {
            let live: Vec<Arc<Live>> = self.runs().values().cloned().collect();
            let mut busy = 0;
            for run in &live {
                busy += run.busy().await;
            }
            if busy == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
