//! A run that this replica drives: its state, its work in progress, and those who wait for its end.

use super::host::{Host, load, now};
use crate::{Error, Flow, Progress, Step};
use bytes::Bytes;
use faas_flow_core::run::{Doc, Effect, Event, Outcome, Phase, Refusal, Report, RunState, Task, Work, encode, set_of};
use faas_flow_core::{Code, Failure, NodePath, Payload, Plan, RunId, Status};
use faas_flow_guest::Instance;
use faas_flow_store::{Arrival, Change, Check, CommitError, Committed, Expect, Put, RunEntry};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex as AsyncMutex, watch};

/// Documents that one commit may hold: what the smallest of the backends takes.
const CHUNK: usize = 100;
/// Tries to commit before this replica leaves a run to whoever finds its leases over.
const COMMIT_TRIES: u32 = 8;

/// How a run ended, or that it paused.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Succeeded, failed or stopped; or paused, until somebody resumes it.
    pub status: Status,
    /// The result, or the answer of the flow's failure handler.
    pub result: Option<Bytes>,
    /// Why it failed.
    pub failure: Option<Failure>,
}

pub(crate) struct Live {
    pub(super) host: Arc<Host>,
    pub(super) flow: Arc<Flow>,
    pub(super) plan: Arc<Plan>,
    pub(super) id: RunId,
    pub(super) request: faas_flow_core::run::Request,
    inner: AsyncMutex<Inner>,
    /// Instances that serve this run and are idle.
    pub(super) instances: Mutex<Vec<Instance>>,
    /// Context values, while nothing is stored because there is nothing to recover.
    pub(super) values: Mutex<HashMap<String, Option<Bytes>>>,
    /// Whether nothing is stored before the end.
    pub(super) deferred: bool,
    ended: watch::Sender<Option<Arc<Ended>>>,
    cancelled: watch::Sender<bool>,
}

struct Inner {
    state: RunState,
    /// Ready, and waiting for room.
    pending: VecDeque<NodePath>,
    /// Branches that wait for a sibling to end, by the node that began them.
    held: HashMap<NodePath, VecDeque<NodePath>>,
    /// Branches under way, where their number is limited.
    open: HashMap<NodePath, usize>,
    /// What this replica executes, with the tokens.
    running: HashMap<NodePath, u32>,
}

/// What a node's execution left to commit besides its report.
#[derive(Default)]
pub(super) struct Changes(pub(super) Vec<(String, Bytes)>);

impl Live {
    pub(super) fn new(host: Arc<Host>, flow: Arc<Flow>, plan: Arc<Plan>, state: RunState, deferred: bool) -> Arc<Self> {
        let (id, request) = (state.run().id.clone(), state.run().request.clone());
        let (pending, held, open, running) = Default::default();
        let inner = AsyncMutex::new(Inner { state, pending, held, open, running });
        let (instances, values) = Default::default();
        let (ended, cancelled) = (watch::channel(None).0, watch::channel(false).0);
        Arc::new(Self { host, flow, plan, id, request, inner, instances, values, deferred, ended, cancelled })
    }

    /// Waits for the end.
    pub(super) async fn end(&self) -> Option<Arc<Ended>> {
        self.ended.subscribe().wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone())
    }

    pub(super) fn cancellation(&self) -> watch::Receiver<bool> {
        self.cancelled.subscribe()
    }

    pub(super) fn show(&self, step: impl FnOnce() -> Step) {
        if self.host.progress.receiver_count() > 0 {
            // Nobody watching is no error.
            let _ = self.host.progress.send(Progress { run: self.id.clone(), step: step() });
        }
    }

    /// Stores a new run, with its first node claimed, and executes it.
    pub(super) async fn begin(self: &Arc<Self>, effects: Vec<Effect>) -> Result<(), Error> {
        self.show(|| Step::Started);
        let mut inner = self.inner.lock().await;
        let mut works = Vec::new();
        self.take(&mut inner, effects, &mut works);
        match self.commit(&mut inner, Vec::new(), Vec::new()).await {
            Ok(_) => {
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

    /// Renews what this replica holds, takes up what nobody holds, and watches the deadline.
    pub(super) async fn beat(self: &Arc<Self>) {
        if self.deferred {
            return;
        }
        let at = now();
        let mut inner = self.inner.lock().await;
        if inner.state.run().phase == Phase::Ended {
            return;
        }
        let until = at + self.lease();
        let running: Vec<(NodePath, u32)> = inner.running.iter().map(|(path, token)| (path.clone(), *token)).collect();
        for (path, token) in running {
            let _ = inner.state.step(&self.plan, Event::Renew { path, token, until }, at);
        }
        for path in inner.state.claimable(at) {
            if !inner.running.contains_key(&path) && !inner.waits(&path) {
                self.enqueue(&mut inner, path);
            }
        }
        let mut works = Vec::new();
        self.fill(&mut inner, &mut works);
        if let Err(error) = self.commit(&mut inner, Vec::new(), Vec::new()).await {
            tracing::warn!(run = %self.id, code = %error.code(), "cannot renew the leases of the run: {error}");
            return self.abandon();
        }
        let deadline = inner.state.run().deadline.filter(|deadline| *deadline <= at);
        let idle = inner.running.is_empty() && works.is_empty();
        drop(inner);
        self.spawn(works);
        if deadline.is_some() {
            self.step_and_spawn(Event::Deadline).await;
        } else if idle {
            // Somebody else's leases are not over yet: leave the run to the next look.
            self.abandon();
        }
    }

    pub(super) async fn joined(self: &Arc<Self>, path: NodePath, epoch: u32) {
        self.step_and_spawn(Event::Joined { path, epoch }).await;
    }

    async fn step_and_spawn(self: &Arc<Self>, event: Event) {
        let works = self.step(event, Changes::default()).await;
        self.spawn(works);
    }

    fn spawn(self: &Arc<Self>, works: Vec<Work>) {
        for work in works {
            tokio::spawn(self.clone().execute(work));
        }
    }

    /// Executes one piece of work, and then, in the same task, what became ready by it.
    async fn execute(self: Arc<Self>, work: Work) {
        let mut next = Some(work);
        while let Some(work) = next.take() {
            let Ok(_permit) = self.host.permits.acquire().await else { return };
            self.show(|| Step::Running(work.path.clone()));
            let began = Instant::now();
            let mut cancelled = self.cancellation();
            let hook = matches!(work.task, Task::Recover { .. } | Task::Finally { .. });
            let finished = tokio::select! {
                finished = self.perform(&work) => Some(finished),
                _ = cancelled.wait_for(|cancelled| *cancelled), if !hook => None,
            };
            let Some((report, changes)) = finished else { return };
            self.show(|| shown(&work, &report, began.elapsed()));
            let event = Event::Complete { path: work.path, token: work.token, report };
            let mut works = self.step(event, changes).await.into_iter();
            next = works.next();
            self.spawn(works.collect());
        }
    }

    /// Applies an event and commits what comes of it, until that holds; answers with the work that this replica claimed.
    async fn step(self: &Arc<Self>, event: Event, changes: Changes) -> Vec<Work> {
        let mut inner = self.inner.lock().await;
        let mut works = Vec::new();
        let mut events = VecDeque::from([(event, changes.0)]);
        while let Some((event, values)) = events.pop_front() {
            if let Event::Complete { path, .. } = &event {
                inner.running.remove(path);
            }
            match self.step_once(&mut inner, event, values, &mut works).await {
                Ok(joined) => events.extend(joined.into_iter().map(|event| (event, Vec::new()))),
                Err(error) => {
                    tracing::error!(run = %self.id, code = %error.code(), "leaves the run to whoever finds its leases over: {error}");
                    self.abandon();
                    return Vec::new();
                }
            }
        }
        works
    }

    async fn step_once(
        self: &Arc<Self>,
        inner: &mut Inner,
        event: Event,
        values: Vec<(String, Bytes)>,
        works: &mut Vec<Work>,
    ) -> Result<Vec<Event>, Error> {
        for attempt in 1.. {
            let effects = match inner.state.step(&self.plan, event.clone(), now()) {
                Ok(effects) => effects,
                Err(Refusal::Needs(doc)) => {
                    if !self.bring(inner, &doc).await? {
                        return Ok(Vec::new());
                    }
                    continue;
                }
                Err(refusal) => {
                    tracing::debug!(run = %self.id, ?event, %refusal, "ignores an event");
                    return Ok(Vec::new());
                }
            };
            let arrivals = arrivals(&effects);
            let claimed = works.len();
            let ended = effects.iter().any(|effect| matches!(effect, Effect::Ended));
            self.take(inner, effects, works);
            match self
                .commit(inner, values.clone(), arrivals.iter().map(|(arrival, ..)| arrival.clone()).collect())
                .await
            {
                Ok(committed) => {
                    // A run that paused itself has no more to say to those who wait either.
                    if ended || inner.state.run().paused && inner.running.is_empty() {
                        self.announce(inner).await;
                    }
                    return Ok(self.joins(inner, arrivals, &committed));
                }
                Err(error) if attempt >= COMMIT_TRIES => return Err(error.into()),
                Err(error) => {
                    // Whatever the state is now, it is what the store says.
                    for work in works.drain(claimed..) {
                        inner.running.remove(&work.path);
                        inner.pending.push_front(work.path);
                    }
                    if let CommitError::Store(error) = &error {
                        tracing::warn!(run = %self.id, code = %error.code(), attempt, "tries to commit again: {error}");
                        tokio::time::sleep(Duration::from_millis(20) * 2u32.pow(attempt)).await;
                    }
                    let loaded = load(&*self.host.state, &self.id).await?;
                    inner.state =
                        loaded.ok_or_else(|| Error::new(Code::RUN_UNKNOWN, "the run is gone from the store"))?;
                }
            }
        }
        Ok(Vec::new())
    }

    /// The events that follow from branches having arrived.
    fn joins(
        &self,
        inner: &mut Inner,
        arrivals: Vec<(Arrival, NodePath, u32, u32)>,
        committed: &Committed,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for ((_, node, epoch, total), arrived) in arrivals.into_iter().zip(&committed.arrived) {
            if let Some(open) = inner.open.get_mut(&node) {
                *open = open.saturating_sub(1);
            }
            if *arrived == u64::from(total) {
                inner.open.remove(&node);
                events.push(Event::Joined { path: node, epoch });
            }
        }
        events
    }

    async fn bring(&self, inner: &mut Inner, doc: &Doc) -> Result<bool, Error> {
        let Doc::Scope(_) = doc else { return Ok(false) };
        let Some(document) = self.host.state.read(&self.id, &[doc.name()]).await?.into_iter().next().flatten() else {
            return Ok(false);
        };
        let scope = faas_flow_core::run::decode(&document.bytes);
        let scope = scope.map_err(|source| Error::Unreadable { run: self.id.clone(), source })?;
        inner.state.load_scope(scope, document.version);
        Ok(true)
    }

    /// Notes what became ready, and claims what there is room for.
    fn take(&self, inner: &mut Inner, effects: Vec<Effect>, works: &mut Vec<Work>) {
        for effect in effects {
            match effect {
                Effect::Dispatch(path) => self.enqueue(inner, path),
                Effect::Execute(work) => works.push(work),
                Effect::Cancel => {
                    self.cancelled.send_replace(true);
                    inner.pending.clear();
                    inner.held.clear();
                    inner.running.clear();
                    works.clear();
                }
                // The next sibling may begin in the same commit.
                Effect::Arrive { node, .. } => {
                    if let Some(next) = inner.held.get_mut(&node).and_then(VecDeque::pop_front) {
                        *inner.open.entry(node).or_default() += 1;
                        inner.pending.push_back(next);
                    }
                }
                Effect::Ended => {}
            }
        }
        self.fill(inner, works);
    }

    fn enqueue(&self, inner: &mut Inner, path: NodePath) {
        let Some((node, most)) = self.limit(&path) else { return inner.pending.push_back(path) };
        let open = inner.open.entry(node.clone()).or_default();
        if *open < most {
            *open += 1;
            inner.pending.push_back(path);
        } else {
            inner.held.entry(node).or_default().push_back(path);
        }
    }

    /// The node whose branch this node begins, if it limits how many run.
    fn limit(&self, path: &NodePath) -> Option<(NodePath, usize)> {
        let dag = self.plan.dag(&path.scope)?;
        if dag.nodes.get(dag.start)?.id != path.node {
            return None;
        }
        let (parent, _) = path.scope.parent()?;
        let most = self.plan.dag(&parent.scope)?.node(&parent.node)?.branches()?.max_parallel?;
        Some((parent, most))
    }

    fn fill(&self, inner: &mut Inner, works: &mut Vec<Work>) {
        let at = now();
        while inner.running.len() < self.host.settings.run_inflight {
            let Some(path) = inner.pending.pop_front() else { return };
            let claim = Event::Claim { path, owner: self.host.owner.clone(), until: at + self.lease() };
            // A refusal means that somebody else has it, or that the run is paused: nothing is lost.
            for effect in inner.state.step(&self.plan, claim, at).unwrap_or_default() {
                if let Effect::Execute(work) = effect {
                    inner.running.insert(work.path.clone(), work.token);
                    works.push(work);
                }
            }
        }
    }

    fn lease(&self) -> u64 {
        self.host.settings.lease.as_millis() as u64
    }

    /// Writes what changed: new branches first, in pieces, then the rest in one piece.
    async fn commit(
        &self,
        inner: &mut Inner,
        values: Vec<(String, Bytes)>,
        arrivals: Vec<Arrival>,
    ) -> Result<Committed, CommitError> {
        if self.deferred {
            let none = Committed { versions: Vec::new(), arrived: vec![u64::MAX; arrivals.len()] };
            return Ok(none);
        }
        let mut documents: Vec<(Doc, Put)> = Vec::new();
        inner.state.changed(|doc, version, bytes| {
            let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
            let put = Put { doc: doc.name(), expect, bytes: bytes.into() };
            documents.push((doc, put));
        });
        let run = inner.state.run();
        let mut change = Change { arrivals, ..Change::default() };
        let is_run = |documents: &[(Doc, Put)]| documents.iter().any(|(doc, _)| *doc == Doc::Run);
        if is_run(&documents) || self.near_due(run) {
            change.entry = Some(self.entry(inner));
        }
        if documents.len() > CHUNK {
            // New scopes only count once the node that began them says so, which the last piece does.
            let (new, old): (Vec<_>, Vec<_>) = documents.into_iter().partition(|(_, put)| put.expect == Expect::Absent);
            for piece in new.chunks(CHUNK) {
                let puts = piece.iter().map(|(_, put)| put.clone()).collect();
                let piece_change = Change { checks: self.guards(inner, &old), puts, ..Change::default() };
                let committed = self.host.state.commit(&self.id, piece_change).await?;
                note(&mut inner.state, piece, &committed);
            }
            documents = old;
        }
        if !is_run(&documents) && inner.state.run_version() > 0 {
            change.checks.push(Check { doc: Doc::Run.name(), version: inner.state.run_version() });
        }
        change.puts = documents.iter().map(|(_, put)| put.clone()).collect();
        change.puts.extend(values.into_iter().map(|(doc, bytes)| Put { doc, expect: Expect::Any, bytes }));
        if change.puts.is_empty() && change.arrivals.is_empty() && change.entry.is_none() {
            return Ok(Committed { versions: Vec::new(), arrived: Vec::new() });
        }
        let committed = self.host.state.commit(&self.id, change).await?;
        note(&mut inner.state, &documents, &committed);
        Ok(committed)
    }

    /// A piece may be written while the run, and what began it, are as they were.
    fn guards(&self, inner: &Inner, old: &[(Doc, Put)]) -> Vec<Check> {
        let old = old.iter().filter_map(|(_, put)| match put.expect {
            Expect::Version(version) => Some(Check { doc: put.doc.clone(), version }),
            _ => None,
        });
        let run = Check { doc: Doc::Run.name(), version: inner.state.run_version() };
        let mut checks: Vec<Check> = old.filter(|check| check.doc != run.doc).collect();
        if run.version > 0 {
            checks.push(run);
        }
        checks
    }

    fn near_due(&self, run: &faas_flow_core::run::Run) -> bool {
        now().saturating_sub(run.started) >= self.lease() / 3
    }

    fn entry(&self, inner: &Inner) -> RunEntry {
        let run = inner.state.run();
        let status = run.status();
        let due = match status {
            Status::Running => Some(now() + self.lease()),
            // An operator resumes it.
            Status::Paused => None,
            // Then it is forgotten.
            _ => run.ended.map(|ended| ended + self.host.settings.history_ttl.as_millis() as u64),
        };
        RunEntry {
            run: self.id.clone(),
            flow: run.flow.clone(),
            digest: run.digest.clone(),
            status,
            started: run.started,
            ended: run.ended,
            due,
        }
    }

    /// Tells those who wait, and forgets the run here.
    async fn announce(self: &Arc<Self>, inner: &Inner) {
        let run = inner.state.run();
        let (status, mut failure) = (run.status(), run.failure.clone());
        let result = match &run.result {
            Some(payload) => match self.host.data.fetch(&self.id, payload).await {
                Ok(bytes) => Some(bytes),
                Err(lost) => {
                    failure.get_or_insert(lost);
                    None
                }
            },
            None => None,
        };
        self.ended.send_replace(Some(Arc::new(Ended { status, result, failure })));
        self.show(|| Step::Ended(status));
        self.abandon();
        if self.deferred {
            self.keep_history(inner);
        } else if status.is_final() {
            self.host.note_ended(self.id.clone()).await;
        }
    }

    /// Writes the history of a run that had nothing to recover, behind its answer.
    fn keep_history(self: &Arc<Self>, inner: &Inner) {
        let mut change = Change { entry: Some(self.entry(inner)), ..Change::default() };
        inner.state.changed(|doc, _, bytes| {
            change.puts.push(Put { doc: doc.name(), expect: Expect::Absent, bytes: bytes.into() });
        });
        // A run that paused waits for its operator, however many have ended since.
        let ended = inner.state.run().status().is_final();
        let live = self.clone();
        tokio::spawn(async move {
            if let Err(error) = live.host.state.commit(&live.id, change).await {
                tracing::warn!(run = %live.id, code = %error.code(), "cannot keep the history of the run: {error}");
            }
            if ended {
                live.host.note_ended(live.id.clone()).await;
            }
        });
    }

    /// Drives the run no longer.
    fn abandon(&self) {
        self.host.runs().remove(&self.id);
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Inner {
    fn waits(&self, path: &NodePath) -> bool {
        self.pending.contains(path) || self.held.values().any(|held| held.contains(path))
    }
}

fn note(state: &mut RunState, documents: &[(Doc, Put)], committed: &Committed) {
    for ((doc, _), version) in documents.iter().zip(&committed.versions) {
        state.committed(doc, *version);
    }
}

/// What arrives, with the node, the token and the number that it is expected to reach.
fn arrivals(effects: &[Effect]) -> Vec<(Arrival, NodePath, u32, u32)> {
    let arrivals = effects.iter().filter_map(|effect| match effect {
        Effect::Arrive { node, epoch, key, index, payload, total } => {
            let bytes = encode(&(index, payload)).into();
            let arrival = Arrival { set: set_of(node, *epoch), member: key.to_string(), bytes };
            Some((arrival, node.clone(), *epoch, *total))
        }
        _ => None,
    });
    arrivals.collect()
}

fn shown(work: &Work, report: &Report, took: Duration) -> Step {
    let path = work.path.clone();
    match &report.outcome {
        Outcome::Done(payload) => Step::Done { path, micros: took.as_micros() as u64, size: payload.size() },
        Outcome::Branched(branches) => Step::Branching { path, branches: branches.len() },
        Outcome::Failed(failure) => Step::Failed { path, failure: failure.clone() },
    }
}

/// A branch's place and result, as [`arrivals`] wrote them.
pub(super) fn read_arrival(bytes: &[u8]) -> Result<(u32, Payload), Failure> {
    faas_flow_core::run::decode(bytes).map_err(|error| Failure::reject(error.code(), error.to_string()))
}
