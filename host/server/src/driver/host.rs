//! The host: flows, stores and functions, and the runs that are under way.

use super::data::Data;
use super::live::Live;
use crate::{Error, Flow, Functions, Progress, Settings};
use faas_flow_core::run::{Doc, Phase, RunState, RunView, decode, set_of};
use faas_flow_core::{Code, Digest, FlowName, Millis, Plan, RunId};
use faas_flow_store::{DataStore, StateStore};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, broadcast};

/// One replica.
pub struct Host {
    pub(crate) settings: Settings,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) data: Data,
    pub(crate) functions: Functions,
    pub(crate) owner: String,
    pub(crate) permits: Semaphore,
    pub(crate) progress: broadcast::Sender<Progress>,
    flows: RwLock<HashMap<FlowName, Arc<Flow>>>,
    live: Mutex<HashMap<RunId, Arc<Live>>>,
    /// Ended runs, the oldest first, where their number is limited.
    ended: Mutex<VecDeque<RunId>>,
}

impl Host {
    /// A host without flows. It looks after stored runs once [`Host::sweep`] is being awaited.
    pub fn new(
        settings: Settings,
        state: Arc<dyn StateStore>,
        data: Arc<dyn DataStore>,
        functions: Functions,
    ) -> Arc<Self> {
        Arc::new(Self {
            state,
            data: Data { store: data, inline_limit: settings.inline_limit },
            functions,
            owner: xid::new().to_string(),
            permits: Semaphore::new(settings.max_inflight),
            progress: broadcast::channel(4096).0,
            flows: RwLock::default(),
            live: Mutex::default(),
            ended: Mutex::default(),
            settings,
        })
    }

    /// Puts a flow into service, in place of one of the same name.
    pub fn deploy(&self, flow: Flow) {
        self.flows.write().unwrap_or_else(PoisonError::into_inner).insert(flow.name.clone(), Arc::new(flow));
    }

    /// A flow in service.
    pub fn flow(&self, name: &FlowName) -> Option<Arc<Flow>> {
        self.flows.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All flows in service, by name.
    pub fn flows(&self) -> Vec<Arc<Flow>> {
        let mut flows: Vec<_> = self.flows.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        flows.sort_by(|a, b| a.name.cmp(&b.name));
        flows
    }

    fn module(&self, name: &FlowName, digest: &Digest) -> Option<Arc<Flow>> {
        self.flow(name).filter(|flow| flow.module.digest() == digest)
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

    pub(crate) fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stored run as people see it.
    pub async fn view(&self, run: &RunId) -> Result<Option<RunView>, Error> {
        read_run(&*self.state, run).await
    }

    /// The result of a run that has one.
    pub async fn result(&self, run: &RunId) -> Result<Option<bytes::Bytes>, Error> {
        let Some(state) = load(&*self.state, run).await? else { return Ok(None) };
        match &state.run().result {
            Some(payload) => Ok(Some(self.data.fetch(run, payload).await?)),
            None => Ok(None),
        }
    }

    /// Renews leases, watches deadlines, and takes up runs that nobody drives. Ends only with the host.
    pub async fn sweep(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(self.settings.lease / 3);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let live: Vec<Arc<Live>> = self.runs().values().cloned().collect();
            for run in live {
                run.beat().await;
            }
            if let Err(error) = self.take_up_due().await {
                tracing::warn!(code = %error.code(), "cannot look for runs that nobody drives: {error}");
            }
        }
    }

    async fn take_up_due(self: &Arc<Self>) -> Result<(), Error> {
        for run in self.state.due(now(), 1000).await? {
            if !self.runs().contains_key(&run)
                && let Err(error) = self.take_up(&run).await
            {
                tracing::warn!(%run, code = %error.code(), "cannot take up the run: {error}");
            }
        }
        Ok(())
    }

    /// Notes that a run has ended, and forgets the oldest where there are too many.
    pub(super) async fn note_ended(&self, run: RunId) {
        if self.settings.history_limit == usize::MAX {
            return;
        }
        let oldest = {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.push_back(run);
            if ended.len() > self.settings.history_limit { ended.pop_front() } else { None }
        };
        if let Some(oldest) = oldest
            && let Err(error) = self.forget(&oldest).await
        {
            tracing::warn!(run = %oldest, code = %error.code(), "cannot forget the run: {error}");
        }
    }

    /// Forgets a run: its payloads first, so that nothing is left that nobody knows of.
    async fn forget(&self, run: &RunId) -> Result<(), Error> {
        self.data.store.delete_run(run).await?;
        Ok(self.state.delete(run).await?)
    }

    /// Goes on with a stored run, or forgets one whose time is over.
    async fn take_up(self: &Arc<Self>, run: &RunId) -> Result<(), Error> {
        let Some(state) = load(&*self.state, run).await? else { return Ok(()) };
        if state.run().phase == Phase::Ended {
            return self.forget(run).await;
        }
        let (flow, digest) = (&state.run().flow, &state.run().digest);
        let Some(flow) = self.module(flow, digest) else {
            let short = digest.as_str().get(..12).unwrap_or_default();
            let message = format!("the run waits for module {short} of flow {flow}, which is not loaded here");
            return Err(Error::new(Code::MODULE_MISSING, message));
        };
        let plan = match (&state.run().definition, &flow.plan) {
            (Some(definition), _) => Arc::new(Plan::new((**definition).clone()).map_err(Error::Definition)?),
            (None, Some(plan)) => plan.clone(),
            (None, None) => return Err(Error::new(Code::STORE_CORRUPT, "the run's definition was not kept with it")),
        };
        let branching = state.branching();
        let live = Live::new(self.clone(), flow, plan, state, false);
        self.runs().insert(run.clone(), live.clone());
        tracing::info!(%run, "takes up the run");
        for (node, epoch, total) in branching {
            if total > 1 && self.state.arrived(run, &set_of(&node, epoch)).await? == u64::from(total) {
                live.joined(node, epoch).await;
            }
        }
        live.beat().await;
        Ok(())
    }
}

/// All of a run's documents.
pub(crate) async fn load(store: &dyn StateStore, run: &RunId) -> Result<Option<RunState>, Error> {
    let unreadable = |source| Error::Unreadable { run: run.clone(), source };
    let mut documents = store.read_all(run).await?;
    let Some(at) = documents.iter().position(|(name, _)| name == "run") else { return Ok(None) };
    let (_, document) = documents.swap_remove(at);
    let mut state = RunState::load(decode(&document.bytes).map_err(unreadable)?, document.version);
    for (name, document) in documents {
        if let Some(Doc::Scope(_)) = Doc::parse(&name) {
            state.load_scope(decode(&document.bytes).map_err(unreadable)?, document.version);
        }
    }
    Ok(Some(state))
}

/// A stored run as people see it; none if there is none.
pub async fn read_run(store: &dyn StateStore, run: &RunId) -> Result<Option<RunView>, Error> {
    Ok(load(store, run).await?.map(|state| RunView::new(state.run(), state.scopes())))
}

/// This moment.
pub(crate) fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as Millis
}
