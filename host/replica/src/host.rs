//! The host: flows, stores and functions, and the runs that are under way.

use super::commit_timer::CommitTimer;
use super::data::Data;
use super::live::Live;
use super::services::{Runs, Services};
use crate::counters::Counted;
use crate::events::Events;
use crate::events::Keys;
use crate::{Counters, Error, Functions, Progress, Settings, Traces};
use faas_flow_core::run::{Run, RunView};
use faas_flow_core::{Millis, RunId};
use faas_flow_session::Input;
use faas_flow_store::{DataStore, RunEntry, RunQuery, StateStore};
use faas_flow_versions::runs::{load, read_run};
use faas_flow_versions::{Clock, Loader, Versions};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinSet;
use tokio::time::timeout;

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
    pub(super) services: Arc<Services>,
    pub(super) runs: Arc<Runs>,
    stopping: AtomicBool,
}

impl Host {
    /// A host without flows. It looks after stored runs once [`Host::sweep`] is being awaited.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { settings, state, data, functions, events, clock, keys, modules, traces } = parts;
        let counters = Arc::new(Counters::default());
        let state: Arc<dyn StateStore> = Arc::new(Counted::new(state, counters.clone()));
        let versions = Arc::new(Versions::new(state.clone(), data.clone(), modules, clock.clone()));
        let services = Services {
            rules: Services::rules(&settings, xid::new().to_string().into()),
            state,
            data: Data { store: data, inline_limit: settings.inline_limit },
            functions,
            events,
            clock,
            keys,
            permits: Arc::new(Semaphore::new(settings.max_nodes)),
            histories: Services::room_for_histories(),
            progress: broadcast::channel(4096).0,
            draining: AtomicBool::new(false),
            counters,
            versions,
            traces,
            commit_timer: CommitTimer::default(),
            ended: Mutex::default(),
            settings,
        };
        Arc::new(Self { services: Arc::new(services), runs: Arc::default(), stopping: AtomicBool::new(false) })
    }

    /// The versions of the flows that it serves.
    pub fn versions(&self) -> &Arc<Versions> {
        &self.services.versions
    }

    /// Whether the caller of this run gets the result without asking for it.
    pub async fn answers(&self, run: &Run) -> Result<bool, Error> {
        Ok(self.services.versions.pinned(run).await?.1.is_single_node())
    }

    /// What happens to all runs from now on. A slow reader loses the oldest.
    pub fn watch(&self) -> broadcast::Receiver<Progress> {
        self.services.progress.subscribe()
    }

    /// The functions that flows may apply.
    pub fn functions(&self) -> &Functions {
        &self.services.functions
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.services.settings
    }

    /// The state store.
    pub fn state(&self) -> &dyn StateStore {
        &*self.services.state
    }

    /// What Prometheus reads of this replica.
    pub fn metrics(&self) -> String {
        self.services.counters.prometheus(self.runs.lock().len() as u64, self.services.state.malformed_entries())
    }

    /// This moment, by the replica's clock.
    pub fn now(&self) -> Millis {
        self.services.now()
    }

    /// Whether it takes nothing new, since it is about to stop.
    pub fn is_draining(&self) -> bool {
        self.services.is_draining()
    }

    /// What this replica has counted.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.services.counters
    }

    /// A stored run as people see it.
    pub async fn view(&self, run: &RunId) -> Result<Option<RunView>, Error> {
        self.runs.written(run).await;
        Ok(read_run(&*self.services.state, run).await?)
    }

    /// Lists stored runs, newest first.
    pub async fn list(&self, query: &RunQuery) -> Result<Vec<RunEntry>, Error> {
        self.runs.all_written().await;
        Ok(self.services.state.runs(query).await?)
    }

    /// The result of a run that has one.
    pub async fn result(&self, run: &RunId) -> Result<Option<bytes::Bytes>, Error> {
        self.runs.written(run).await;
        let Some(state) = load(&*self.services.state, run).await? else { return Ok(None) };
        match &state.run().result {
            Some(payload) => Ok(Some(self.services.data.fetch(&*self.services.state, run, payload).await?)),
            None => Ok(None),
        }
    }

    /// Drops all runs without a word, as a crash does: for simulations.
    #[doc(hidden)]
    pub fn crash(&self) {
        self.runs.lock().clear();
    }

    /// Sends the spans that are left, once nothing more is done.
    pub async fn stop_tracing(self: &Arc<Self>) {
        let services = self.services.clone();
        // It waits in its thread.
        let stopped = tokio::task::spawn_blocking(move || services.traces.as_ref().map(Traces::stop));
        let _ = stopped.await;
    }

    /// Lets the health check fail, so that nobody sends requests here any more.
    pub fn announce_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether its health check fails, since it is about to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Ends the replica in good order: takes nothing new, lets what runs `finish` in this time, and gives the rest back so
    /// that others take it at once, as far as the store takes it back within `give_back`. Answers with how many nodes it
    /// gave back.
    pub async fn drain(self: &Arc<Self>, finish: Duration, give_back: Duration) -> usize {
        self.announce_stop();
        self.services.draining.store(true, Ordering::Relaxed);
        // Whoever tries to commit holds its run: neither part may wait for all of them.
        let finished = async {
            self.finished().await;
            self.services.histories_written().await;
        };
        let _ = timeout(finish, finished).await;
        let live: Vec<Arc<Live>> = self.runs.all();
        let mut releases: JoinSet<usize> = live.into_iter().map(|run| async move { run.release().await }).collect();
        let mut released = 0;
        let all = async {
            while let Some(one) = releases.join_next().await {
                released += one.unwrap_or_default();
            }
        };
        if timeout(give_back, all).await.is_err() {
            let runs = releases.len();
            tracing::error!(runs, "runs not released in time; other replicas recover them when their leases expire");
        }
        released
    }

    /// Waits until nothing is being executed here.
    async fn finished(&self) {
        loop {
            let live: Vec<Arc<Live>> = self.runs.all();
            let mut executing = 0;
            for run in &live {
                executing += run.executing().await;
            }
            if executing == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Live {
    /// Releases what this replica executes of the run; answers with how many nodes.
    async fn release(self: &Arc<Self>) -> usize {
        let reaction = self.react(Input::Release).await;
        if let Some(failure) = reaction.unstored {
            tracing::error!(run = %self.id, code = %failure.code, error = %failure.message, "run lost: it is not stored");
        }
        reaction.released
    }
}
