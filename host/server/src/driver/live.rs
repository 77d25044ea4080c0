//! A run that this replica works on: its copy of the state, and its work in progress.
//!
//! The replica that begins a run, or takes it up, is its *keeper*: it stays with the run to the end, and looks now and
//! then whether anything in it was lost. Others that execute nodes of the run leave it when those are done. Should the
//! keeper be lost itself, the run becomes due in the store, and the next replica that sweeps takes it up.

use super::ended::Ended;
use super::host::Host;
use super::queue::Queue;
use super::step::{Documents, Unsaved};
use crate::counters::{Executed, Lease};
use crate::traces::TraceContext;
use crate::{Error, Flow, Progress, Step};
use bytes::Bytes;
use faas_flow_core::run::{ClaimToken, Effect, Event, NodeState, Outcome, Refusal, Report, Request, RunState, Task, Work};
use faas_flow_core::{Code, Failure, NodePath, Plan, RunId};
use faas_flow_guest::Instance;
use faas_flow_store::CommitError;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, OwnedSemaphorePermit, watch};
use tokio::time::Instant;

pub(crate) struct Live {
    pub(super) host: Arc<Host>,
    pub(super) flow: Arc<Flow>,
    pub(super) plan: Arc<Plan>,
    pub(super) id: RunId,
    pub(super) request: Arc<Request>,
    pub(super) trace: Option<TraceContext>,
    inner: AsyncMutex<Inner>,
    /// Instances that serve this run and are idle.
    pub(super) instances: Mutex<Vec<Instance>>,
    /// Context values, while nothing is stored.
    pub(super) values: Mutex<HashMap<String, Option<Bytes>>>,
    /// Bytes of documents that this replica wrote or read.
    pub(super) kept: Mutex<HashMap<String, Bytes>>,
    /// Whether nothing is stored yet of a run of a single node, see [`super::deferred`].
    pub(super) deferred: AtomicBool,
    /// Whether the beginning waits to be stored with what follows, see there.
    pub(super) late: AtomicBool,
    /// Whether this replica is looking after it at the moment, see [`super::sweep`].
    pub(super) looked_after: AtomicBool,
    pub(super) ended: watch::Sender<Option<Arc<Ended>>>,
    /// Why this replica left the run to others, if it had to.
    pub(super) given_up: watch::Sender<Option<Failure>>,
    /// Tells when what is under way has become pointless. What begins later is not meant.
    cancelled: watch::Sender<()>,
}

pub(super) struct Inner {
    pub(super) state: RunState,
    pub(super) queue: Queue,
    /// What was applied and is not committed.
    pub(super) unsaved: Unsaved,
    /// Whether a task will commit it in time.
    pub(super) saves_later: bool,
    /// What this replica executes.
    pub(super) running: BTreeMap<NodePath, Running>,
    /// Nodes whose branches have all arrived, as a commit has told.
    pub(super) joined: VecDeque<Event>,
    /// What is to be told to others once it is committed.
    pub(super) outbox: Vec<NodePath>,
    /// The callback that the last step claimed.
    pub(super) callback: Option<(String, u32)>,
    pub(super) keeper: bool,
    /// When the keeper last looked at the whole stored run.
    pub(super) looked: u64,
    /// Until when nothing in the whole run is to be done.
    pub(super) sleeps: Option<u64>,
    /// Left: nothing more may be claimed here.
    pub(super) gone: bool,
    /// What is at hand is not what is stored, and never will be.
    pub(super) broken: bool,
}

/// A claim of this replica.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) token: ClaimToken,
    /// Nothing but the flow's own code takes part.
    pub(super) own: bool,
}

/// How this replica came to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It began the run, or took it up.
    Keeper,
    /// It executes some of its nodes.
    Helper,
}

/// What became of a wish to execute a node.
pub(super) enum Claimed {
    /// It is being executed here.
    Taken,
    /// Somebody else does, or did, or nobody may.
    Refused(Refusal),
    /// The run has been left since: it must be opened anew.
    Gone,
}

impl Live {
    pub(super) fn new(
        host: Arc<Host>,
        flow: Arc<Flow>,
        plan: Arc<Plan>,
        state: RunState,
        deferred: bool,
        part: Part,
    ) -> Arc<Self> {
        let (id, request) = (state.run().id.clone(), Arc::new(state.run().request.clone()));
        let trace = host.traces.as_ref().map(|_| TraceContext::of(&id, &request));
        let inner = Inner {
            state,
            queue: Queue::default(),
            unsaved: Unsaved::default(),
            saves_later: false,
            running: BTreeMap::new(),
            joined: VecDeque::new(),
            outbox: Vec::new(),
            callback: None,
            keeper: part == Part::Keeper,
            looked: host.now(),
            sleeps: None,
            gone: false,
            broken: false,
        };
        let (instances, values, kept) = Default::default();
        let (ended, given_up, cancelled) = (watch::channel(None).0, watch::channel(None).0, watch::channel(()).0);
        let inner = AsyncMutex::new(inner);
        Arc::new(Self {
            host,
            flow,
            plan,
            id,
            request,
            trace,
            inner,
            instances,
            values,
            kept,
            deferred: AtomicBool::new(deferred),
            late: AtomicBool::new(false),
            looked_after: AtomicBool::new(false),
            ended,
            given_up,
            cancelled,
        })
    }

    fn is_watched(&self) -> bool {
        self.host.progress.receiver_count() > 0
    }

    pub(super) fn show(&self, step: impl FnOnce() -> Step) {
        if self.is_watched() {
            // Nobody watching is no error.
            let _ = self.host.progress.send(Progress { run: self.id.clone(), step: step() });
        }
    }

    pub(super) async fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().await
    }

    /// Stores a new run, with its first node claimed, and executes it; where it may be stored `late` and only its own code
    /// is to be executed, its beginning waits as all that code does.
    /// Nobody may have seen it before, so it comes locked.
    pub(super) async fn begin(
        self: &Arc<Self>,
        mut inner: MutexGuard<'_, Inner>,
        effects: Vec<Effect>,
        documents: Documents,
        late: bool,
    ) -> Result<(), Error> {
        self.show(|| Step::Started);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).extend(documents.iter().cloned());
        let mut works = Vec::new();
        for effect in effects {
            if let Effect::Dispatch(path) = effect {
                inner.queue.add(&self.plan, path);
            }
        }
        self.fill(&mut inner, self.host.now(), &mut works);
        if late && self.may_wait(&inner) && inner.running.values().all(|running| running.own) {
            self.late.store(true, Ordering::Release);
            inner.unsaved.add(documents);
            self.save_later(&mut inner);
            drop(inner);
            self.spawn(works);
            return Ok(());
        }
        let begun = self.commit(&mut inner, documents).await;
        inner.unsaved = Unsaved::default();
        if begun.is_err() {
            // Its caller is told so: whoever waits for the lock is not to begin it after all.
            inner.running.clear();
            self.break_off(&mut inner);
        }
        match begun {
            Ok(_) => {
                self.send(&mut inner);
                drop(inner);
                self.spawn(works);
                Ok(())
            }
            Err(CommitError::Conflict) => Err(Error::new(
                Code::RUN_EXISTS,
                format!(
                    "there is a run with the request id {} already: choose another, or ask for its result",
                    self.id
                ),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Executes a node that may be claimed, on somebody's hint.
    pub(super) async fn claim(
        self: &Arc<Self>,
        path: &NodePath,
        permit: OwnedSemaphorePermit,
    ) -> Result<Claimed, Error> {
        let mut inner = self.lock().await;
        if inner.gone {
            return Ok(Claimed::Gone);
        }
        if inner.running.contains_key(path) {
            return Ok(Claimed::Refused(Refusal::Leased));
        }
        let mut works = Vec::new();
        let now = self.host.now();
        let claim = Event::Claim { path: path.clone(), owner: self.host.owner.clone(), token: new_token(), until: now + self.lease() };
        let refused = self.apply(&mut inner, claim, Vec::new(), &mut works).await?;
        // Another replica may have been faster: then the claim was applied here, and its commit was not.
        let lost = refused.is_none() && !inner.running.contains_key(path);
        drop(inner);
        if let Some(refusal) = refused.or(lost.then_some(Refusal::Leased)) {
            self.spawn(works);
            self.settle().await;
            return Ok(Claimed::Refused(refusal));
        }
        let mut permit = Some(permit);
        for work in works {
            tokio::spawn(self.clone().execute(work, permit.take(), self.cancelled.subscribe()));
        }
        Ok(Claimed::Taken)
    }

    /// Applies an event; answers with the work that this replica claimed.
    async fn react(self: &Arc<Self>, event: Event, documents: Documents) -> Vec<Work> {
        let (mut inner, mut works) = (self.lock().await, Vec::new());
        let _ = self.apply(&mut inner, event, documents, &mut works).await;
        works
    }

    pub(super) async fn react_and_spawn(self: &Arc<Self>, event: Event) {
        let works = self.react(event, Vec::new()).await;
        self.spawn(works);
    }

    pub(super) fn spawn(self: &Arc<Self>, works: Vec<Work>) {
        for work in works {
            tokio::spawn(self.clone().execute(work, None, self.cancelled.subscribe()));
        }
    }

    /// Executes one piece of work, and then, in the same task, what became ready by it.
    async fn execute(
        self: Arc<Self>,
        work: Work,
        mut permit: Option<OwnedSemaphorePermit>,
        mut cancelled: watch::Receiver<()>,
    ) {
        let mut next = Some(work);
        while let Some(work) = next.take() {
            if permit.is_none() {
                let Ok(acquired) = self.host.permits.clone().acquire_owned().await else { return };
                permit = Some(acquired);
            }
            let began = self.is_watched().then(Instant::now);
            self.show(|| Step::Running(work.path.clone()));
            let hook = matches!(work.task, Task::Recover { .. } | Task::Finally { .. });
            let finished = tokio::select! {
                biased;
                _ = cancelled.changed(), if !hook => None,
                finished = self.perform(&work) => Some(finished),
            };
            let Some((report, changes)) = finished else { break };
            self.show(|| shown(&work, &report, began.map_or(Duration::ZERO, |began| began.elapsed())));
            self.host.counters.executed(Executed::of(&report.outcome));
            let wake = match &report.outcome {
                Outcome::Suspended(suspended) => Some(suspended.until),
                _ => None,
            };
            let event = Event::Complete { path: work.path, token: work.token, report };
            let mut works = self.react(event, changes).await.into_iter();
            cancelled.mark_unchanged();
            if let Some(wait) =
                wake.map(|until| until.saturating_sub(self.host.now())).filter(|wait| *wait <= self.lease())
            {
                let live = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    live.wake().await;
                });
            }
            next = works.next();
            permit = permit.filter(|_| next.is_some());
            self.spawn(works.collect());
        }
        drop(permit);
        self.settle().await;
    }

    /// Leaves the run if this replica only helped and has nothing more to do for it.
    pub(super) async fn settle(&self) {
        let mut inner = self.lock().await;
        if !inner.keeper && inner.is_idle() {
            self.leave(&mut inner);
        }
    }

    pub(super) fn cancel(&self, inner: &mut Inner) {
        self.cancelled.send_replace(());
        inner.queue.clear();
        inner.running.clear();
        inner.outbox.clear();
    }

    /// How many nodes this replica executes.
    pub(super) async fn busy(&self) -> usize {
        self.lock().await.running.len()
    }

    pub(super) fn lease(&self) -> u64 {
        self.host.settings.lease.as_millis() as u64
    }

    /// Leaves the run to whoever finds its leases over: what is at hand must not be written any more.
    pub(super) fn break_off(&self, inner: &mut Inner) {
        inner.broken = true;
        self.host.counters.leases(Lease::Lost, inner.running.len());
        self.cancel(inner);
        self.leave(inner);
    }

    /// Works on the run no longer.
    pub(super) fn leave(&self, inner: &mut Inner) -> bool {
        inner.gone = true;
        self.host.forget_live(&self.id, self);
        self.drop_idle();
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
        false
    }
}

impl Inner {
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether this replica has nothing to do for the run.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.queue.is_empty() && self.unsaved.is_empty()
    }
}

/// A token that no other claim has.
pub(super) fn new_token() -> ClaimToken {
    ClaimToken::new(fastrand::u32(..))
}

pub(super) fn node<'a>(state: &'a RunState, path: &NodePath) -> Option<&'a NodeState> {
    let nodes = state.scope(&path.scope).map(|scope| scope.nodes.iter()).into_iter().flatten();
    nodes.chain(&state.run().hooks).find(|node| node.id == path.node)
}

fn shown(work: &Work, report: &Report, took: Duration) -> Step {
    let path = work.path.clone();
    match &report.outcome {
        Outcome::Done(payload) => Step::Done { path, micros: took.as_micros() as u64, size: payload.size() },
        Outcome::Branched(branches) => Step::Branching { path, branches: branches.len() },
        Outcome::Suspended(suspended) => Step::Suspended { path, until: suspended.until },
        Outcome::Failed(failure) => Step::Failed { path, failure: failure.clone() },
    }
}
