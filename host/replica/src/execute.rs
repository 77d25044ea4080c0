//! Executes a node: gathers its inputs, merges them, and does its task with what results.

use super::drive::{PATIENT_RETRIES, failure as store_failure};
use super::live::Live;
use crate::counters::Executed;
use crate::progress::Step;
use bytes::Bytes;
use faas_flow_core::definition::{Backoff, Operation};
use faas_flow_core::run::{Attempt, CONTEXT, ClaimToken, Event, Outcome, Report, Suspended, Task, Work, set_of};
use faas_flow_core::{BranchKey, Code, Failure, NodePath, Payload, Status};
use faas_flow_guest::{CallContext, Instance};
use faas_flow_session::{Documents, Input, read_arrival};
use faas_flow_store::Arrival;
use opentelemetry::trace::SpanId;
use std::collections::HashSet;
use std::fmt::{self, Display, Formatter};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

/// One try at executing a node.
pub(super) struct Try<'a> {
    pub(super) live: &'a Arc<Live>,
    pub(super) work: &'a Work,
    /// Stands in the names of what this try keeps. The token would not do: a claim that is not committed yet may have that of
    /// another one.
    mark: u64,
    /// The node's span.
    pub(super) span: SpanId,
    instance: Option<Instance>,
    context: Arc<CallContext>,
    changes: Vec<(String, Option<Bytes>)>,
    /// Outputs that get a document of their own.
    documents: Vec<(String, Bytes)>,
    /// Where the node is to go on later, and what makes it wait.
    pub(super) suspended: Option<(Suspended, Failure)>,
    /// How long the callee whose answer failed the node wants to be left alone.
    pub(super) after: Option<Duration>,
}

/// Why a try at a node failed, and how long somebody asks to wait before the next one.
struct Failed {
    failure: Failure,
    after: Option<Duration>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, after: None }
    }
}

impl Live {
    pub(super) fn spawn(self: &Arc<Self>, works: Vec<Work>) {
        for work in works {
            tokio::spawn(self.clone().execute(work, None, self.cancelled.subscribe()));
        }
    }

    /// Executes one piece of work, and then, in the same task, what became ready by it.
    pub(super) async fn execute(
        self: Arc<Self>,
        work: Work,
        mut permit: Option<OwnedSemaphorePermit>,
        mut cancelled: watch::Receiver<()>,
    ) {
        let mut next = Some(work);
        while let Some(work) = next.take() {
            if permit.is_none() {
                let Ok(acquired) = self.services.permits.clone().acquire_owned().await else { return };
                permit = Some(acquired);
            }
            let began = self.is_watched().then(Instant::now);
            self.show(|| Step::Running(work.path.clone()));
            // The run's handlers run to their end.
            let is_handler = matches!(work.task, Task::Recover { .. } | Task::Finally { .. });
            let finished = tokio::select! {
                biased;
                _ = cancelled.changed(), if !is_handler => None,
                finished = self.perform(&work) => Some(finished),
            };
            let Some((report, documents)) = finished else { break };
            self.show(|| shown(&work, &report, began.map_or(Duration::ZERO, |began| began.elapsed())));
            self.services.counters.executed(Executed::of(&report.outcome));
            let wake = match &report.outcome {
                Outcome::Suspended(suspended) => Some(suspended.until),
                _ => None,
            };
            let event = Event::Complete { path: work.path, token: work.token, report };
            let mut session = self.lock().await;
            let mut reaction = self.drive(&mut session, Input::Event(event, documents)).await;
            drop(session);
            cancelled.mark_unchanged();
            if let Some(until) = wake {
                self.wake_at(until);
            }
            // The first goes on here, the others in tasks of their own.
            if !reaction.start.is_empty() {
                next = Some(reaction.start.remove(0));
            }
            permit = permit.filter(|_| next.is_some());
            self.carry_out(reaction);
        }
        drop(permit);
        self.leave_if_done().await;
    }

    /// Claims what waits for this moment when it has come, unless that is further away than a lease: then a look finds it.
    fn wake_at(self: &Arc<Self>, until: u64) {
        let wait = until.saturating_sub(self.services.now());
        if wait <= self.services.rules.lease {
            let live = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                live.react(Input::Wake).await;
            });
        }
    }

    /// Executes work, with the tries that the node's policy allows.
    pub(super) async fn perform(self: &Arc<Self>, work: &Work) -> (Report, Documents) {
        let input_size = work.inputs.iter().map(|input| input.payload.size()).sum();
        let (retry, timeout) = match &work.task {
            Task::Operations(operations) => (operations.retry, operations.timeout_ms),
            _ => (None, None),
        };
        let (span, begun) = (self.new_span(), SystemTime::now());
        let mut attempts = Vec::new();
        let mut tries = work.suspended.as_ref().filter(|s| s.data.is_none()).map_or(0, |s| s.tries as usize);
        let mut store_delays = PATIENT_RETRIES.delays(fastrand::f64);
        loop {
            let started = self.services.now();
            let tried = match timeout {
                None => self.attempt(work, span).await,
                Some(ms) => tokio::time::timeout(Duration::from_millis(ms), self.attempt(work, span))
                    .await
                    .unwrap_or_else(|_| {
                        Err(Failure::retry(Code::NODE_TIMED_OUT, format!("the node took longer than its {ms} ms"))
                            .into())
                    }),
            };
            let ended = self.services.now();
            // That a store does not answer is no failure of the node: whoever executes it waits, or is cut off.
            if let Err(failed) = &tried
                && !self.is_in_memory()
                && failed.failure.code.is_transient()
                && let Some(delay) = store_delays.next()
            {
                tokio::time::sleep(delay).await;
                continue;
            }
            let (outcome, changes, failure, after) = match tried {
                Ok((outcome, failure, changes)) => (outcome, changes, failure, None),
                Err(Failed { failure, after }) => {
                    (Outcome::Failed(failure.clone()), Documents::new(), Some(failure), after)
                }
            };
            let wait = match (&outcome, &failure) {
                (Outcome::Failed(_), Some(failure)) => wait_before(retry, tries, failure),
                _ => None,
            };
            let wait = wait.map(|wait| wait.max(after.unwrap_or_default()));
            attempts.push(Attempt { started, ended, failure });
            tries += 1;
            let outcome = match wait {
                None => outcome,
                Some(wait) if self.waits_here(wait).await => {
                    tokio::time::sleep(wait).await;
                    continue;
                }
                Some(wait) => Outcome::Suspended(Suspended {
                    until: ended + wait.as_millis() as u64,
                    operation: 0,
                    tries: u32::try_from(tries).unwrap_or(u32::MAX),
                    data: None,
                }),
            };
            let report = Report { outcome, input_size, attempts };
            self.trace_node(work, span, begun, &report);
            return (report, changes);
        }
    }

    /// Whether a wait is short enough to sit it out; a longer one is stored, and any replica may go on after it.
    pub(super) async fn waits_here(self: &Arc<Self>, wait: Duration) -> bool {
        if wait <= self.services.settings.longest_sleep {
            return true;
        }
        if !self.is_in_memory() {
            return false;
        }
        let unstored = self.react(Input::Store).await.unstored;
        if let Some(failure) = &unstored {
            tracing::warn!(run = %self.id, code = %failure.code, error = %failure.message, "waiting in memory, since the run cannot be stored");
        }
        unstored.is_some()
    }

    async fn attempt(
        self: &Arc<Self>,
        work: &Work,
        span: SpanId,
    ) -> Result<(Outcome, Option<Failure>, Documents), Failed> {
        let state = match &work.task {
            Task::Recover { .. } => Status::Failed,
            Task::Finally { verdict, .. } => *verdict,
            _ => Status::Running,
        };
        let context = Arc::new(CallContext { node: work.path.to_string(), state, inputs: Vec::new() });
        let (instance, changes, documents, suspended) = Default::default();
        let (mark, after) = (fastrand::u64(..), None);
        let mut attempt = Try { live: self, work, mark, span, instance, context, changes, documents, suspended, after };
        let outcome = attempt.outcome().await;
        let (documents, suspended) = (std::mem::take(&mut attempt.documents), attempt.suspended.take());
        let after = attempt.after;
        let changes = attempt.finish(outcome.is_ok() || suspended.is_some());
        let (outcome, failure) = match suspended {
            Some((suspended, failure)) => (Outcome::Suspended(suspended), Some(failure)),
            None => (outcome.map_err(|failure| Failed { failure, after })?, None),
        };
        let mut changes = self.keep_changes(work, mark, changes).await?;
        changes.extend(documents);
        Ok((outcome, failure, changes))
    }

    /// The bytes of a payload, from memory if this replica wrote or read them before.
    pub(super) async fn fetch(&self, payload: &Payload) -> Result<Bytes, Failure> {
        if let Some(bytes) = self.cached(payload) {
            return Ok(bytes);
        }
        let bytes = self.services.data.fetch(&*self.services.state, &self.id, payload).await?;
        if let Payload::Kept { doc, .. } = payload {
            self.cached.lock().unwrap_or_else(PoisonError::into_inner).insert(doc.clone(), bytes.clone());
        }
        Ok(bytes)
    }

    pub(super) fn cached(&self, payload: &Payload) -> Option<Bytes> {
        match payload {
            Payload::Inline(bytes) => Some(bytes.clone()),
            Payload::Kept { doc, .. } => self.cached.lock().unwrap_or_else(PoisonError::into_inner).get(doc).cloned(),
            Payload::Stored { .. } => None,
        }
    }

    async fn keep_changes(
        &self,
        work: &Work,
        mark: u64,
        changes: Vec<(String, Option<Bytes>)>,
    ) -> Result<Documents, Failure> {
        if self.is_in_memory() {
            // Not while the run is being stored, with its values.
            let _session = self.lock().await;
            if self.is_in_memory() {
                self.values.lock().unwrap_or_else(PoisonError::into_inner).extend(changes);
                return Ok(Documents::new());
            }
        }
        let mut kept = Vec::with_capacity(changes.len());
        for (key, value) in changes {
            let document = format!("{CONTEXT}{key}");
            let name = Name { path: &work.path, mark, name: &document };
            kept.push((document.clone(), self.keep_value(name, value).await?));
        }
        Ok(kept)
    }
}

impl Live {
    /// Stores a context value, as soon as the store is available: what led to it may have been a call.
    async fn keep_value(&self, name: Name<'_>, value: Option<Bytes>) -> Result<Bytes, Failure> {
        let mut delays = PATIENT_RETRIES.delays(fastrand::f64);
        loop {
            match self.services.data.keep_value(&self.id, &name, value.clone()).await {
                Err(failure)
                    if failure.code.is_transient()
                        && let Some(delay) = delays.next() =>
                {
                    tokio::time::sleep(delay).await;
                }
                kept => return kept,
            }
        }
    }
}

/// What a try keeps, in the place that is its own. Small things are kept without a name, so it is only written where it is
/// needed.
struct Name<'a> {
    path: &'a NodePath,
    mark: u64,
    name: &'a str,
}

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:016x}/{}", self.path, self.mark, self.name)
    }
}

/// How long to wait before the next try, if there is one; `tries` have failed before this one.
pub(super) fn wait_before(retry: Option<Backoff>, tries: usize, failure: &Failure) -> Option<Duration> {
    let (retry, next) = (retry?, u32::try_from(tries).unwrap_or(u32::MAX).saturating_add(2));
    (failure.retry && next <= retry.attempts).then(|| Duration::from_millis(retry.delay_ms(next, fastrand::f64())))
}

impl Try<'_> {
    async fn outcome(&mut self) -> Result<Outcome, Failure> {
        let (live, work) = (self.live, self.work);
        match &work.task {
            Task::Recover { handler, failure } => {
                let answer = self.instance().await?.recover(handler.as_str(), &failure.to_string()).await?;
                Ok(Outcome::Done(self.keep("", answer).await?))
            }
            Task::Finally { handler, verdict } => {
                let outcome = match verdict {
                    Status::Succeeded => faas_flow_guest::Outcome::Success,
                    _ => faas_flow_guest::Outcome::Failure,
                };
                self.instance().await?.finally(handler.as_str(), outcome).await?;
                Ok(Outcome::Done(Payload::empty()))
            }
            Task::Merge { handler, only, began_by } => {
                let results = match only {
                    Some((key, payload)) => vec![(key.clone(), live.fetch(payload).await?)],
                    None => self.arrived(*began_by).await?,
                };
                let merged = self.instance().await?.aggregate(handler.as_str(), results).await?;
                Ok(Outcome::Done(self.keep("", merged).await?))
            }
            _ => {
                let data = match self.work.suspended.as_ref().and_then(|suspended| suspended.data.as_ref()) {
                    // What earlier operations made of the inputs.
                    Some(data) => live.fetch(data).await?,
                    None => self.gather().await?,
                };
                self.task(data).await
            }
        }
    }

    async fn task(&mut self, data: Bytes) -> Result<Outcome, Failure> {
        match &self.work.task {
            Task::Operations(operations) => {
                let mut data = data;
                let done = self.work.suspended.as_ref().map_or(0, |suspended| suspended.operation as usize);
                for (index, operation) in operations.list.iter().enumerate().skip(done) {
                    data = match operation {
                        Operation::Modify(handler) => self.instance().await?.modify(handler, data).await?,
                        Operation::Apply(call) => self.call(index, call, true, data).await?,
                        Operation::Request(call) => self.call(index, call, false, data).await?,
                    };
                }
                Ok(Outcome::Done(self.keep("", data).await?))
            }
            Task::Choose { handler, keys, carries_nothing } => {
                let chosen = self.instance().await?.condition(handler.as_str(), data.clone()).await?;
                let chosen = choice(handler.as_str(), keys, chosen)?;
                let input = if *carries_nothing { Payload::empty() } else { self.keep("", data).await? };
                Ok(Outcome::Branched(chosen.into_iter().map(|key| (Some(key), input.clone())).collect()))
            }
            Task::Split { handler, carries_nothing } => {
                let items = self.instance().await?.for_each(handler.as_str(), data).await?;
                self.items(handler.as_str(), items, *carries_nothing).await
            }
            _ => {
                let input = self.keep("", data).await?;
                Ok(Outcome::Branched(vec![(None, input)]))
            }
        }
    }

    async fn items(&mut self, handler: &str, items: Vec<(String, Bytes)>, nothing: bool) -> Result<Outcome, Failure> {
        let most = self.live.services.settings.max_items;
        if items.len() > most {
            let message =
                format!("handler `{handler}` yielded {} items, and {most} is the most: group them", items.len());
            return Err(Failure::reject(Code::TOO_MANY_ITEMS, message));
        }
        let mut seen = HashSet::with_capacity(items.len());
        let mut branches = Vec::with_capacity(items.len());
        for (key, data) in items {
            let key = BranchKey::new(&key)
                .map_err(|error| Failure::reject(Code::BAD_BRANCH_KEY, format!("handler `{handler}`: {error}")))?;
            if !seen.insert(key.clone()) {
                let message = format!("handler `{handler}` yielded two items with the key `{key}`: make keys unique");
                return Err(Failure::reject(Code::DUPLICATE_KEY, message));
            }
            let input = if nothing { Payload::empty() } else { self.keep(key.as_str(), data).await? };
            branches.push((Some(key), input));
        }
        Ok(Outcome::Branched(branches))
    }

    /// The node's data: its inputs, rewritten by their forwarders and merged by its aggregator.
    async fn gather(&mut self) -> Result<Bytes, Failure> {
        let (live, work) = (self.live, self.work);
        let mut inputs = Vec::with_capacity(work.inputs.len());
        for input in &work.inputs {
            let mut data = live.fetch(&input.payload).await?;
            if let Some(forwarder) = &input.forwarder {
                data = self.instance().await?.forward(forwarder.as_str(), data).await?;
            }
            inputs.push((input.from.clone(), data));
        }
        let context = Arc::make_mut(&mut self.context);
        context.inputs = inputs;
        match (&work.aggregator, &*context.inputs) {
            (Some(aggregator), inputs) => {
                let inputs = inputs.to_vec();
                self.instance().await?.aggregate(aggregator.as_str(), inputs).await
            }
            (None, [(_, data)]) => Ok(data.clone()),
            (None, _) => Ok(Bytes::new()),
        }
    }

    async fn arrived(&self, began_by: ClaimToken) -> Result<Vec<(String, Bytes)>, Failure> {
        let (live, set) = (self.live, set_of(&self.work.path, began_by));
        let arrived = |member: &Arrival| (member.member.clone(), member.bytes.clone());
        let session = live.lock().await;
        let total = session.branches_of(&self.work.path).map(|total| total as usize);
        let unsaved: Vec<_> = session.unsaved_arrivals(&set).map(arrived).collect();
        drop(session);
        // All may be here, and none in the store yet.
        let set = if total == Some(unsaved.len()) {
            unsaved
        } else {
            live.services.state.arrivals(&live.id, &set).await.map_err(|error| store_failure(&error))?
        };
        let mut results = Vec::with_capacity(set.len());
        for (key, bytes) in set {
            let (index, payload) = read_arrival(&bytes)?;
            results.push((index, key, live.fetch(&payload).await?));
        }
        results.sort_by_key(|(index, ..)| *index);
        Ok(results.into_iter().map(|(_, key, data)| (key, data)).collect())
    }

    pub(super) async fn keep(&mut self, name: &str, bytes: Bytes) -> Result<Payload, Failure> {
        let live = self.live;
        let known = self.documents.len();
        // What led to these bytes may have been a call, so a store that is unavailable must not make that happen again.
        let mut delays = PATIENT_RETRIES.delays(fastrand::f64);
        let payload = loop {
            let name = Name { path: &self.work.path, mark: self.mark, name };
            if live.is_in_memory() {
                return live.services.data.keep_whole(&live.id, name, bytes).await;
            }
            match live.services.data.keep(&live.id, name, bytes.clone(), &mut self.documents).await {
                Err(failure)
                    if failure.code.is_transient()
                        && let Some(delay) = delays.next() =>
                {
                    tokio::time::sleep(delay).await;
                }
                kept => break kept?,
            }
        };
        if self.documents.len() == known {
            return Ok(payload);
        }
        let mut kept = live.cached.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(self.documents.iter().skip(known).cloned());
        Ok(payload)
    }

    /// An instance that knows this node: the one at hand, unless an earlier call crashed it, an idle one of this run, or a
    /// fresh one.
    pub(super) async fn instance(&mut self) -> Result<&mut Instance, Failure> {
        let mut instance = match self.at_hand() {
            Some(instance) => instance,
            None => self.live.take_instance().await?,
        };
        // A node sees its own changes at once, whichever instance made them.
        instance.enter(self.context.clone(), self.changes.clone());
        Ok(self.instance.insert(instance))
    }

    /// The instance at hand, unless a call crashed it, without what the node's code changed in it.
    fn at_hand(&mut self) -> Option<Instance> {
        let mut instance = self.instance.take().filter(Instance::usable)?;
        self.changes = instance.take_changes();
        Some(instance)
    }

    /// Needs no instance for a while: another node of the run may have it, or another run its room.
    pub(super) fn rest(&mut self) {
        if let Some(instance) = self.at_hand() {
            self.live.give_back(instance);
        }
    }

    /// Gives the instance back, and yields what the node's code changed.
    fn finish(mut self, succeeded: bool) -> Vec<(String, Option<Bytes>)> {
        self.rest();
        if succeeded { self.changes } else { Vec::new() }
    }
}

fn choice(handler: &str, keys: &[BranchKey], chosen: Vec<String>) -> Result<Vec<BranchKey>, Failure> {
    if chosen.is_empty() {
        let message = format!("handler `{handler}` chose no branch: choose one, if only an empty one");
        return Err(Failure::reject(Code::NO_BRANCH_CHOSEN, message));
    }
    let mut branches: Vec<BranchKey> = Vec::with_capacity(chosen.len());
    for name in chosen {
        let Some(key) = keys.iter().find(|key| key.as_str() == name) else {
            let known: Vec<&str> = keys.iter().map(BranchKey::as_str).collect();
            let message = format!(
                "handler `{handler}` chose `{}`, and the branches are {}",
                name.escape_debug(),
                known.join(", ")
            );
            return Err(Failure::reject(Code::UNKNOWN_BRANCH, message));
        };
        if branches.contains(key) {
            let message = format!("handler `{handler}` chose the branch `{key}` twice");
            return Err(Failure::reject(Code::DUPLICATE_KEY, message));
        }
        branches.push(key.clone());
    }
    Ok(branches)
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
