//! A run that this replica works on: its session, and what the session asks for.
//!
//! The replica that begins a run, or recovers it, *owns* it: it stays with the run to the end, and looks regularly whether
//! anything in it was lost. Others that execute nodes of the run leave it when those are done. Should the owner be lost
//! itself, the run becomes due in the store, and the next replica that sweeps recovers it.

use super::ended::Ended;
use super::services::{Runs, Services};
use crate::progress::{Progress, Step};
use crate::traces::TraceContext;
use bytes::Bytes;
use faas_flow_core::run::Request;
use faas_flow_core::{Failure, Plan, RunId};
use faas_flow_guest::Instance;
use faas_flow_session::{Durability, Session};
use faas_flow_versions::Flow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, watch};

pub(crate) struct Live {
    pub(super) services: Arc<Services>,
    pub(super) runs: Arc<Runs>,
    pub(super) flow: Arc<Flow>,
    pub(super) plan: Arc<Plan>,
    pub(super) id: RunId,
    pub(super) request: Arc<Request>,
    pub(super) trace: Option<TraceContext>,
    session: AsyncMutex<Session>,
    /// Instances that serve this run and are idle.
    pub(super) instances: Mutex<Vec<Instance>>,
    /// Context values, while the run is in memory only.
    pub(super) values: Mutex<HashMap<String, Option<Bytes>>>,
    /// Bytes of documents that this replica wrote or read.
    pub(super) cached: Mutex<HashMap<String, Bytes>>,
    /// Whether the session is [`Durability::Memory`]. While the session is locked, this does not change.
    in_memory: AtomicBool,
    /// Whether the timer for what waits to be committed is set.
    pub(super) commit_scheduled: AtomicBool,
    /// Whether this replica is looking after it at the moment, see [`super::sweep`].
    pub(super) looked_after: AtomicBool,
    pub(super) ended: watch::Sender<Option<Arc<Ended>>>,
    /// Why this replica abandoned the run, if it had to.
    pub(super) abandoned: watch::Sender<Option<Failure>>,
    /// Cancels the work in flight; work that starts after the signal is unaffected.
    pub(super) cancelled: watch::Sender<()>,
    /// Whether the history of a run that was in memory is written.
    pub(super) history: watch::Sender<bool>,
}

impl Live {
    pub(super) fn new(
        (services, runs): (Arc<Services>, Arc<Runs>),
        (flow, plan): (Arc<Flow>, Arc<Plan>),
        session: Session,
    ) -> Arc<Self> {
        let run = session.state().run();
        let request = Arc::new(run.request.clone());
        let trace = services.traces.as_ref().map(|_| TraceContext::of(&run.id, &request));
        Arc::new(Self {
            services,
            runs,
            flow,
            plan,
            id: run.id.clone(),
            request,
            trace,
            in_memory: AtomicBool::new(session.durability() == Durability::Memory),
            session: AsyncMutex::new(session),
            instances: Mutex::default(),
            values: Mutex::default(),
            cached: Mutex::default(),
            commit_scheduled: AtomicBool::new(false),
            looked_after: AtomicBool::new(false),
            ended: watch::channel(None).0,
            abandoned: watch::channel(None).0,
            cancelled: watch::channel(()).0,
            history: watch::channel(false).0,
        })
    }

    pub(super) async fn lock(&self) -> MutexGuard<'_, Session> {
        self.session.lock().await
    }

    /// Whether nothing of the run is stored yet, and nothing will be before its end unless somebody asks for it.
    pub(super) fn is_in_memory(&self) -> bool {
        self.in_memory.load(Ordering::Acquire)
    }

    /// Notes how much of the run is stored.
    pub(super) fn note_durability(&self, session: &Session) {
        let in_memory = session.durability() == Durability::Memory;
        if in_memory != self.is_in_memory() {
            self.in_memory.store(in_memory, Ordering::Release);
        }
    }

    pub(super) fn is_watched(&self) -> bool {
        self.services.progress.receiver_count() > 0
    }

    pub(super) fn show(&self, step: impl FnOnce() -> Step) {
        if self.is_watched() {
            // Nobody watching is no error.
            let _ = self.services.progress.send(Progress { run: self.id.clone(), step: step() });
        }
    }

    /// How many nodes this replica executes.
    pub(super) async fn executing(&self) -> usize {
        self.lock().await.executing()
    }
}
