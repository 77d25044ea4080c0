//! A run that this replica works on: its session, and what belongs to it.
//!
//! The replica that begins a run, or recovers it, *owns* it: it stays with the run to its end, and checks regularly for work
//! that was lost. Other replicas that execute nodes of the run leave it when those are done. If the owner is lost, the run
//! becomes due in the store, and the next replica that sweeps recovers it.

use super::child::UnreachedRun;
use super::claims::Claims;
use super::ended::Ended;
use super::runs::Runs;
use super::services::Services;
use super::watched::Watched;
use crate::child::Looks;
use crate::counters::FlowDurations;
use crate::progress::{Progress, Step};
use crate::traces::{Propagated, TraceContext};
use bytes::Bytes;
use faas_flow_core::run::{Parent, Request};
use faas_flow_core::{Failure, Millis, NodePath, Plan, RunId};
use faas_flow_guest::{FlowLog, Instance, KeepBudget, Memory, Purpose, Reservation, Short};
use faas_flow_session::{Documents, Durability, Session};
use faas_flow_versions::Flow;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, SetOnce, watch};

/// How much memory the state of a branch takes, in bytes: its documents in memory and on their way to the store.
const BRANCH: usize = 4 * 1024;

/// A run that this replica works on.
pub(crate) struct Live {
    pub(super) services: Arc<Services>,
    pub(super) runs: Arc<Runs>,
    pub(super) flow: Arc<Flow>,
    pub(super) plan: Arc<Plan>,
    pub(super) id: RunId,
    pub(super) request: Arc<Request>,
    /// When it began.
    pub(super) started: Millis,
    /// What the clock of its flow's code says: when it began, or was to begin.
    pub(super) clock: Millis,
    /// The node of another run that called it.
    pub(super) parent: Option<Box<Parent>>,
    /// When it looks whether that run goes on.
    pub(super) parent_looks: Option<Looks>,
    pub(super) trace: Option<TraceContext>,
    /// How long what belongs to runs of its flow takes.
    pub(super) durations: Arc<FlowDurations>,
    /// What the caller says of its trace.
    pub(super) propagated: Propagated,
    /// What its flow's code logs here.
    pub(super) log: Arc<FlowLog>,
    /// How much of that the run may still keep.
    pub(super) log_budget: Arc<KeepBudget>,
    /// How much of what its operations get and yield the run may still keep.
    pub(super) operations_budget: Arc<KeepBudget>,
    /// What a run in memory keeps of both: documents that are stored with the run.
    pub(super) kept: Mutex<Documents>,
    session: AsyncMutex<Session>,
    /// Memory for the state of its branches, until this replica leaves the run.
    branches: Mutex<Reservation>,
    /// Idle instances of this run.
    pub(super) instances: Mutex<Vec<Instance>>,
    /// The context values of a run in memory.
    pub(super) values: Mutex<BTreeMap<String, Option<Bytes>>>,
    /// Documents that this replica wrote or read.
    pub(super) cached: Mutex<HashMap<String, Bytes>>,
    /// The session's durability, as of when the session was last unlocked, so that it can be asked without waiting for the
    /// session's I/O.
    durability: Mutex<Durability>,
    /// Whether the commit timer is set.
    pub(super) commit_scheduled: AtomicBool,
    /// Whether a check of the owner is in progress, see [`super::sweep`].
    pub(super) is_checking: AtomicBool,
    /// How the run ended, or that it paused.
    pub(super) ended: watch::Sender<Option<Arc<Ended>>>,
    /// Why this replica abandoned the run, if it did.
    pub(super) abandoned: SetOnce<Failure>,
    /// How often the work in flight was cancelled. Work is cancelled once this differs from what it was when the work became
    /// ready; see [`super::execute`].
    pub(super) cancelled: Watched<u64>,
    /// What this replica executes of it.
    pub(super) claims: Claims,
    /// When the next node that waits is to go on, if a timer is set for that.
    pub(super) wakes: Mutex<Option<Millis>>,
    /// The runs that it called and that could not be stopped with it.
    pub(super) unreached: Mutex<Vec<UnreachedRun>>,
    /// The deadline that this replica watches for the run.
    pub(super) deadline: Mutex<Option<Millis>>,
    /// Whether the history of a run that was in memory is written.
    pub(super) history: SetOnce<()>,
}

impl Live {
    pub(super) fn new(
        (services, runs): (Arc<Services>, Arc<Runs>),
        (flow, plan): (Arc<Flow>, Arc<Plan>),
        session: Session,
    ) -> Arc<Self> {
        let run = session.state().run();
        let request = Arc::new(run.request.clone());
        let started = run.started;
        let clock = run.start_at.unwrap_or(started);
        let parent = run.parent.clone();
        let parent_looks = parent.as_ref().map(|_| Looks::new());
        let propagated = Propagated::of(&request.headers, services.settings.propagators);
        let trace = services.traces.as_ref().map(|traces| traces.context(&run.id, &propagated));
        let trace_id = trace.as_ref().map(|trace| trace.trace.to_string()).or_else(|| propagated.trace_id());
        let log = FlowLog::of(services.settings.flow_log, run.digest.clone(), trace_id);
        let durations = services.counters.durations(&flow.name);
        let log_budget = KeepBudget::new(services.settings.run_logs);
        let operations_budget = KeepBudget::new(services.settings.run_payloads);
        Arc::new(Self {
            services,
            runs,
            flow,
            plan,
            id: run.id.clone(),
            request,
            started,
            clock,
            parent,
            parent_looks,
            trace,
            durations,
            propagated,
            log: Arc::new(log),
            log_budget,
            operations_budget,
            kept: Mutex::default(),
            durability: Mutex::new(session.durability()),
            session: AsyncMutex::new(session),
            branches: Mutex::new(Memory::of_process().reservation(Purpose::Code)),
            instances: Mutex::default(),
            values: Mutex::default(),
            cached: Mutex::default(),
            commit_scheduled: AtomicBool::new(false),
            is_checking: AtomicBool::new(false),
            ended: watch::channel(None).0,
            abandoned: SetOnce::new(),
            cancelled: Watched::default(),
            claims: Claims::default(),
            wakes: Mutex::default(),
            unreached: Mutex::default(),
            deadline: Mutex::default(),
            history: SetOnce::new(),
        })
    }

    /// Reserves memory for the state of that many branches.
    pub(super) fn hold_branches(&self, branches: usize) -> Result<(), Short> {
        let mut held = self.branches.lock().unwrap_or_else(PoisonError::into_inner);
        held.grow(branches.saturating_mul(BRANCH))
    }

    pub(super) async fn lock(&self) -> MutexGuard<'_, Session> {
        self.session.lock().await
    }

    /// How much of the run is stored, as of when its session was last unlocked.
    pub(super) fn durability(&self) -> Durability {
        *self.durability.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the run is in memory only, until it ends or a caller needs it to be stored.
    pub(super) fn is_in_memory(&self) -> bool {
        self.durability() == Durability::Memory
    }

    /// Follows the session's durability, which changes only while the session is locked.
    pub(super) fn note_durability(&self, session: &Session) {
        *self.durability.lock().unwrap_or_else(PoisonError::into_inner) = session.durability();
    }

    /// Whether there are watchers of the progress of runs.
    pub(super) fn is_watched(&self) -> bool {
        self.services.watchers.any()
    }

    /// Shows a step of the run to those who watch.
    pub(super) fn show(&self, step: impl FnOnce() -> Step) {
        if self.is_watched() {
            self.services.watchers.show(Progress { run: self.id.clone(), step: step() });
        }
    }

    /// The nodes of the run that this replica executes.
    pub(super) async fn executing_nodes(&self) -> Vec<NodePath> {
        self.lock().await.executing_nodes().cloned().collect()
    }

    /// The number of nodes of the run that this replica executes.
    pub(super) async fn executing(&self) -> usize {
        self.lock().await.executing()
    }
}
