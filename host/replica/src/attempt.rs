//! One attempt at executing a node: its inputs, its task, and what comes of it.

use super::call::{CallKind, NodeCall};
use super::limited::{Entry, settle};
use super::live::Live;
use super::notes::Notes;
use super::operations::Whose;
use super::repeat::Rounds;
use super::retries::Failed;
use bytes::Bytes;
use faas_flow_core::definition::Operation;
use faas_flow_core::run::{Caught, OperationKind, Outcome, Side, Suspended, Task, Work};
use faas_flow_core::{Code, Content, Failure, Labels, Payload, ResponseHead, Status, Wake};
use faas_flow_guest::{CallContext, Instance};
use faas_flow_session::Documents;
use opentelemetry::trace::SpanId;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The status that says that the caller's data is at fault.
const UNPROCESSABLE: u16 = 422;

/// One attempt at executing a node.
pub(super) struct NodeAttempt<'a> {
    pub(super) live: &'a Arc<Live>,
    pub(super) work: &'a Work,
    /// A random number in the names of what this attempt stores. The claim's token would not do, since all attempts of a
    /// claim share it.
    pub(super) mark: u64,
    /// The node's span.
    pub(super) span: SpanId,
    instance: Option<Instance>,
    pub(super) context: Arc<CallContext>,
    /// Context values that the node's code has set or deleted.
    changes: Vec<(String, Option<Bytes>)>,
    /// The status and headers that the node's code has set for the answer of the run.
    response: Option<ResponseHead>,
    /// The labels that the node's code has given the run.
    labels: Labels,
    /// Whether the node's code has seen what a call answered, so that it does not speak of the request alone.
    pub(super) has_called: bool,
    /// Stored outputs that get documents of their own.
    pub(super) documents: Documents,
    /// Whether it has dealt with the answer that the node waited for.
    pub(super) resumed: AtomicBool,
    /// The status of the response to the present try of a call, if there is one.
    pub(super) status: Option<u16>,
    /// The present try of a call, from 1.
    pub(super) number: u32,
    /// What the history gets to know of it.
    pub(super) notes: &'a Arc<Notes>,
}

/// What an attempt yielded.
pub(super) struct Attempted {
    pub(super) outcome: Outcome,
    /// The status and headers that the node has set for the answer of the run.
    pub(super) response: Option<ResponseHead>,
    /// The labels that the node has given the run.
    pub(super) labels: Labels,
    /// Why it failed.
    pub(super) failure: Option<Failure>,
    /// To be committed with the outcome.
    pub(super) documents: Documents,
}

impl Attempted {
    pub(super) fn failed(Failed { failure, .. }: Failed) -> Self {
        let outcome = Outcome::Failed(failure.clone());
        Self { outcome, response: None, labels: Labels::new(), failure: Some(failure), documents: Documents::new() }
    }
}

/// Why a node's task did not yield anything yet.
pub(super) enum Unfinished {
    Failed(Failed),
    /// It continues later, where it stopped because of a failure, or to wait for an answer.
    Suspended(Suspended),
}

impl From<Failed> for Unfinished {
    fn from(failed: Failed) -> Self {
        Unfinished::Failed(failed)
    }
}

impl From<Failure> for Unfinished {
    fn from(failure: Failure) -> Self {
        Unfinished::Failed(failure.into())
    }
}

impl Live {
    /// Attempts work. `number` says which attempt of the node this is, from 1.
    pub(super) async fn attempt(
        self: &Arc<Self>,
        work: &Work,
        span: SpanId,
        (number, notes): (u32, &Arc<Notes>),
    ) -> Result<Attempted, Failed> {
        let state = match &work.task {
            Task::Recover { .. } => Status::Failed,
            Task::Finally { verdict, .. } => *verdict,
            _ => Status::Running,
        };
        let labels = work.labels.clone();
        let context = CallContext {
            node: work.path.to_string(),
            observer: self.observer(&work.path, span),
            round: work.round,
            attempt: number,
            state,
            labels,
            inputs: Vec::new(),
            log: notes.log().cloned(),
        };
        let mut attempt = NodeAttempt {
            live: self,
            work,
            mark: fastrand::u64(..),
            span,
            instance: None,
            context: Arc::new(context),
            changes: Vec::new(),
            response: None,
            labels: Labels::new(),
            has_called: false,
            documents: Documents::new(),
            resumed: AtomicBool::new(false),
            status: None,
            number: 0,
            notes,
        };
        let outcome = attempt.outcome().await;
        attempt.return_instance();
        let NodeAttempt { mark, changes, response, labels, has_called, documents, .. } = attempt;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(Unfinished::Suspended(suspended)) => Outcome::Suspended(suspended),
            Err(Unfinished::Failed(mut failed)) => {
                if !has_called {
                    self.blame_caller(work, &mut failed.failure);
                }
                return Err(failed);
            }
        };
        let mut stored = self.store_changes(work, mark, changes).await?;
        stored.extend(documents);
        Ok(Attempted { outcome, response, labels, failure: None, documents: stored })
    }

    /// If the flow's code has rejected the body of the request itself, the caller is to blame, unless the code says otherwise.
    fn blame_caller(&self, work: &Work, failure: &mut Failure) {
        let gets_inputs = !matches!(work.task, Task::Merge { .. } | Task::Repeat { .. } | Task::Catch { .. });
        let rejects = failure.code == Code::GUEST_REJECTED && failure.status.is_none();
        if rejects && gets_inputs && self.plan.gets_request_body(&work.path) {
            failure.status = Some(UNPROCESSABLE);
        }
    }
}

impl NodeAttempt<'_> {
    async fn outcome(&mut self) -> Result<Outcome, Unfinished> {
        let work = self.work;
        match &work.task {
            Task::Recover { handler, failure } => {
                let answer = self.instance().await?.recover(handler.as_str(), &failure.to_string()).await?;
                self.keep(Whose::handler(OperationKind::Recover), Side::Output, &answer);
                Ok(Outcome::Done(self.store("", answer).await?))
            }
            Task::Finally { handler, verdict } => {
                let outcome = match verdict {
                    Status::Succeeded => faas_flow_guest::Outcome::Success,
                    _ => faas_flow_guest::Outcome::Failure,
                };
                self.instance().await?.finally(handler.as_str(), outcome).await?;
                Ok(Outcome::Done(Payload::empty()))
            }
            Task::Merge { handler, gathers, only, started_by, redone } => {
                let branches = match only {
                    Some(only) => vec![only.clone()],
                    None => self.arrived(*started_by, redone).await?,
                };
                let merged = self.merge(handler.as_str(), *gathers, branches).await?;
                Ok(Outcome::Done(self.store("", merged).await?))
            }
            Task::Catch { handler, caught } => {
                let Caught { failure, evidence, .. } = &**caught;
                let input = self.live.fetch(&evidence.input).await?;
                let body = match &evidence.body {
                    Some(body) => Some(self.live.fetch(body).await?),
                    None => None,
                };
                let what = faas_flow_guest::Failed { failure: failure.clone(), status: evidence.status };
                let whose = Whose::handler(OperationKind::Recover);
                self.keep(whose, Side::Input, &input);
                let data = self.instance().await?.recover_from(handler.as_str(), &what, input, body).await?;
                self.keep(whose, Side::Output, &data);
                Ok(Outcome::Done(self.store("", data).await?))
            }
            Task::Repeat { handler, most, wait_ms, ended: Some((round, result)) } => {
                let rounds = Rounds { handler, most: *most, wait_ms: *wait_ms };
                self.next_round(rounds, *round, result).await
            }
            _ => {
                let data = match work.suspended.as_ref().and_then(|suspended| suspended.data.as_ref()) {
                    // What earlier operations made of the inputs.
                    Some(data) => self.live.fetch(data).await?,
                    None => self.gather().await?,
                };
                self.notes.got(&data);
                let Task::Operations(operations) = &work.task else { return self.task(data).await };
                match self.enter_node(operations, &data).await? {
                    Entry::Permits(permits) => {
                        let outcome = self.task(data).await;
                        settle(permits, &outcome);
                        outcome
                    }
                    Entry::Waits { wait, until } => Err(self.wait_before(data, wait, until).await),
                }
            }
        }
    }

    async fn task(&mut self, data: Content) -> Result<Outcome, Unfinished> {
        match &self.work.task {
            Task::Operations(operations) => {
                let data = self.operations(&operations.list, data).await?;
                Ok(Outcome::Done(self.store("", data).await?))
            }
            Task::Choose { handler, keys, carries_nothing } => {
                let whose = Whose::handler(OperationKind::Condition);
                self.keep(whose, Side::Input, &data);
                let chosen = self.instance().await?.condition(handler.as_str(), &data).await?;
                self.keep_text(whose, Side::Output, || chosen.join("\n"));
                Ok(self.choose(handler.as_str(), keys, chosen, (!carries_nothing).then_some(data)).await?)
            }
            Task::Split { handler, carries_nothing } => {
                let whose = Whose::handler(OperationKind::ForEach);
                self.keep(whose, Side::Input, &data);
                let mut items = self.instance().await?.for_each(handler.as_str(), data).await?;
                self.keep_each(whose, Side::Output, &items);
                if *carries_nothing {
                    for (_, data) in &mut items {
                        *data = Content::empty();
                    }
                }
                Ok(self.split(handler.as_str(), items).await?)
            }
            Task::Repeat { .. } => Ok(self.first_round(data).await?),
            _ => {
                let input = self.store("", data).await?;
                Ok(Outcome::Branched(vec![(None, input)]))
            }
        }
    }

    /// Performs the node's operations one after the other, beginning with the one at which the node was suspended.
    async fn operations(&mut self, operations: &[Operation], mut data: Content) -> Result<Content, Unfinished> {
        let done = self.work.suspended.as_ref().map_or(0, |suspended| suspended.operation as usize);
        self.has_called |= operations.iter().take(done).any(Operation::is_call);
        for (index, operation) in operations.iter().enumerate().skip(done) {
            let (kind, call) = match operation {
                Operation::Modify(handler) => {
                    let whose = Whose::operation(OperationKind::Modify, index);
                    self.notes.got(&data);
                    self.keep(whose, Side::Input, &data);
                    data = self.instance().await?.modify(handler, data).await?;
                    self.keep(whose, Side::Output, &data);
                    continue;
                }
                Operation::Sleep(ms) => {
                    self.keep(Whose::operation(OperationKind::Sleep, index), Side::Input, &data);
                    data = self.sleep(index, &Wake::After(*ms), data).await?;
                    continue;
                }
                Operation::WaitFor(wait) => {
                    data = Box::pin(self.wait_for(index, wait, data)).await?;
                    self.keep(Whose::operation(OperationKind::WaitFor, index), Side::Output, &data);
                    continue;
                }
                Operation::SleepUntil(handler) => {
                    self.keep(Whose::operation(OperationKind::Sleep, index), Side::Input, &data);
                    let wake = self.instance().await?.moment(handler, &data).await?;
                    data = self.sleep(index, &wake, data).await?;
                    continue;
                }
                Operation::Apply(call) => (CallKind::Function, call),
                Operation::Request(call) => (CallKind::Url, call),
            };
            // Boxed, since it is large, and most nodes call nothing: each task would have room for it.
            data = Box::pin(self.call(NodeCall { index, kind, call }, data)).await?;
        }
        Ok(data)
    }

    /// An instance that knows this node: the one of this attempt, unless it cannot be used again, an idle one of this run, or
    /// a fresh one.
    pub(super) async fn instance(&mut self) -> Result<&mut Instance, Failure> {
        let mut instance = match self.take_usable() {
            Some(instance) => instance,
            None => self.live.take_instance(&self.context).await?,
        };
        // A node sees its own changes at once, whichever instance made them.
        instance.enter(self.context.clone(), self.changes.clone());
        Ok(self.instance.insert(instance))
    }

    /// Takes the attempt's instance, unless a call has crashed it or its memory has grown much, and from the instance what the
    /// node's code changed.
    fn take_usable(&mut self) -> Option<Instance> {
        let mut instance = self.instance.take().filter(Instance::usable)?;
        self.changes = instance.take_changes();
        self.response = instance.take_response().or_else(|| self.response.take());
        for (key, value) in instance.take_labels().iter() {
            // The instance has refused what is none. Of too many that several instances have named, the last ones are left out.
            let _ = self.labels.insert(key, value);
        }
        Some(instance).filter(|instance| !instance.has_grown_much())
    }

    /// Returns the instance to the run, for another node of it, or so that there is room for another run's instance.
    pub(super) fn return_instance(&mut self) {
        if let Some(instance) = self.take_usable() {
            self.live.return_instance(instance);
        }
    }
}
