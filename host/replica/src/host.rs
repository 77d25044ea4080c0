//! A replica: what it is made of, and what it knows of runs.

use super::audit::Audit;
use super::commit_timer::CommitTimer;
use super::data::Data;
use super::deadlines::Deadlines;
use super::figures::StoredRuns;
use super::looks::Looks;
use super::runs::Runs;
use super::schedules::Served;
use super::services::Services;
use super::skew::Skew;
use super::writes::{self, Noted, Writes};
use crate::counters::Counted;
use crate::events::Events;
use crate::events::Keys;
use crate::limits::Limits;
use crate::progress::Watchers;
use crate::{Counters, Error, Functions, Ids, Progress, Settings, Traces};
use faas_flow_core::run::{Run, RunView};
use faas_flow_core::{Content, FlowName, Millis, RunId};
use faas_flow_store::{DataStore, RunCounts, RunEntry, RunPage, RunQuery, StateStore};
use faas_flow_versions::runs::{load_run, read_head, read_outline, read_run};
use faas_flow_versions::{Clock, Loader, Versions};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::{Semaphore, broadcast, watch};

/// What a host is made of.
pub struct Parts {
    /// Limits and times.
    pub settings: Settings,
    /// Stores the state of runs.
    pub state: Arc<dyn StateStore>,
    /// Stores large payloads.
    pub data: Arc<dyn DataStore>,
    /// The functions that flows may call.
    pub functions: Functions,
    /// How ready nodes are offered to other replicas; `None` if this replica executes them all.
    pub events: Option<Arc<dyn Events>>,
    /// The time.
    pub clock: Clock,
    /// The request ids of runs whose callers chose none.
    pub ids: Ids,
    /// Signs callbacks; `None` if they are not signed.
    pub keys: Option<Keys>,
    /// Loads versions of flows from the stores; `None` if there are only those that the host was given.
    pub modules: Option<Loader>,
    /// Sends the spans of runs; `None` if tracing is off.
    pub traces: Option<Traces>,
    /// Counts what happens here.
    pub counters: Arc<Counters>,
}

impl Parts {
    /// What every host needs, and no more: a single replica that neither signs nor traces.
    pub fn new(settings: Settings, state: Arc<dyn StateStore>, data: Arc<dyn DataStore>, functions: Functions) -> Self {
        let (clock, ids) = (Clock::System, Ids::Random);
        let counters = Arc::default();
        Self {
            settings,
            state,
            data,
            functions,
            events: None,
            clock,
            ids,
            keys: None,
            modules: None,
            traces: None,
            counters,
        }
    }
}

/// One replica.
pub struct Host {
    pub(super) services: Arc<Services>,
    pub(super) runs: Arc<Runs>,
    pub(super) stopping: AtomicBool,
    pub(super) looks: Looks,
    pub(super) schedules: Served,
    pub(super) stored: StoredRuns,
}

impl Host {
    /// A host without flows. It renews leases and recovers runs only while [`Host::sweep`] is awaited.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { settings, state, data, functions, events, clock, ids, keys, modules, traces, counters } = parts;
        let (commits, puts) = (Arc::<Writes>::default(), Arc::<Writes>::default());
        let state: Arc<dyn StateStore> = Arc::new(Counted::new(state, counters.clone(), commits.clone()));
        let data: Arc<dyn DataStore> = Arc::new(Noted::new(data, puts.clone()));
        let versions = Arc::new(Versions::new(state.clone(), data.clone(), modules, clock.clone()));
        let services = Services {
            rules: Services::rules(&settings, ids.draw(clock.now()).as_str().into()),
            state,
            data: Data { store: data, inline_limit: settings.inline_limit },
            functions,
            events,
            clock,
            ids,
            keys,
            permits: Arc::new(Semaphore::new(settings.max_nodes)),
            histories: Services::room_for_histories(),
            watchers: Watchers::default(),
            draining: AtomicBool::new(false),
            left: watch::channel(false).0,
            skew: Skew::default(),
            counters,
            commits,
            puts,
            versions,
            traces,
            limits: Limits::new(&settings.limits),
            commit_timer: CommitTimer::default(),
            deadlines: Deadlines::default(),
            audit: Audit::default(),
            ended: Mutex::default(),
            host: OnceLock::new(),
            settings,
        };
        let host = Arc::new(Self {
            services: Arc::new(services),
            runs: Arc::default(),
            stopping: AtomicBool::new(false),
            looks: Looks::default(),
            schedules: Served::default(),
            stored: StoredRuns::default(),
        });
        // It is set here only.
        let _ = host.services.host.set(Arc::downgrade(&host));
        host.services.limits.serve(Arc::downgrade(&host));
        host
    }

    /// The versions of flows that it serves.
    pub fn versions(&self) -> &Arc<Versions> {
        &self.services.versions
    }

    /// Whether the caller of a run gets its result without asking for it, which is so if the flow has a single node.
    pub async fn answers(&self, run: &Run) -> Result<bool, Error> {
        Ok(self.services.versions.pinned(run).await?.1.is_single_node())
    }

    /// Whether new runs may begin here: the active version of each flow is loaded, and the stores take what is written. The
    /// error says what is missing. If nothing has been committed for a few seconds, this commits a small document.
    pub async fn ready(&self) -> Result<(), Error> {
        let services = &self.services;
        services.versions.ready()?;
        writes::check_state(&services.commits, &services.state).await?;
        Ok(writes::check_data(&services.puts, &services.data.store).await?)
    }

    /// The steps of all runs from now on. A slow reader misses the oldest ones.
    pub fn watch(&self) -> broadcast::Receiver<Progress> {
        self.services.watchers.watch()
    }

    /// A request id for a new run.
    pub fn draw_id(&self) -> RunId {
        self.services.ids.draw(self.now())
    }

    /// The functions that flows may apply.
    pub fn functions(&self) -> &Functions {
        &self.services.functions
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.services.settings
    }

    /// The state store. It may not have the history of a run that has just ended: ask [`Host::view`], [`Host::entry`] or
    /// [`Host::list`] for runs.
    pub fn state(&self) -> &dyn StateStore {
        &*self.services.state
    }

    /// How many runs are in its memory.
    pub fn in_flight(&self) -> usize {
        self.runs.lock().len()
    }

    /// This moment, by the replica's clock.
    pub fn now(&self) -> Millis {
        self.services.now()
    }

    /// Whether it accepts nothing new, since it is about to stop.
    pub fn is_draining(&self) -> bool {
        self.services.is_draining()
    }

    /// The counters of this replica.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.services.counters
    }

    /// A stored run, as people see it; `None` if there is no such run.
    pub async fn view(&self, run: &RunId) -> Result<Option<RunView>, Error> {
        self.runs.written(run).await;
        Ok(read_run(&*self.services.state, run).await?)
    }

    /// As [`Host::view`], without the nodes: what it costs does not depend on how many there are.
    pub async fn head(&self, run: &RunId) -> Result<Option<RunView>, Error> {
        self.runs.written(run).await;
        Ok(read_head(&*self.services.state, run).await?)
    }

    /// As [`Host::view`], with the nodes of the outermost dag only: what it costs does not depend on how many there are in
    /// branches.
    pub async fn outline(&self, run: &RunId) -> Result<Option<RunView>, Error> {
        self.runs.written(run).await;
        Ok(read_outline(&*self.services.state, run).await?)
    }

    /// The entry of a stored run; `None` if there is no such run.
    pub async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, Error> {
        self.runs.written(run).await;
        Ok(self.services.state.entry(run).await?)
    }

    /// Lists stored runs, newest first, page by page.
    pub async fn list(&self, query: &RunQuery) -> Result<RunPage, Error> {
        self.runs.all_written().await;
        Ok(self.services.state.runs(query).await?)
    }

    /// The flows that have stored runs.
    pub async fn flows(&self) -> Result<Vec<FlowName>, Error> {
        self.runs.all_written().await;
        Ok(self.services.state.flows().await?)
    }

    /// How many stored runs have each status, of a flow or of all.
    pub async fn counts(&self, flow: Option<&FlowName>) -> Result<RunCounts, Error> {
        self.runs.all_written().await;
        Ok(self.services.state.counts(flow).await?)
    }

    /// The result of a run; `None` if it has none.
    pub async fn result(&self, run: &RunId) -> Result<Option<Content>, Error> {
        self.runs.written(run).await;
        let Some(state) = load_run(&*self.services.state, run).await? else { return Ok(None) };
        match &state.run().result {
            Some(payload) => Ok(Some(self.services.data.fetch(&*self.services.state, run, payload).await?)),
            None => Ok(None),
        }
    }

    /// Drops all runs at once, as a crash does. For simulations.
    #[doc(hidden)]
    pub fn crash(&self) {
        self.runs.lock().clear();
    }
}
