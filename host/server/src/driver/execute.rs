//! Executes a node: gathers its inputs, merges them, and does its task with what results.

use super::host::now;
use super::live::{Changes, Live, read_arrival};
use bytes::Bytes;
use faas_flow_core::definition::{Backoff, Operation};
use faas_flow_core::run::{Attempt, CONTEXT, Outcome, Report, Task, Work, set_of};
use faas_flow_core::{BranchKey, Code, Failure, Payload, RunId, Status};
use faas_flow_guest::{CallContext, Instance, Level, RunContext};
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// One try at executing a node.
pub(super) struct Try<'a> {
    pub(super) live: &'a Arc<Live>,
    pub(super) work: &'a Work,
    instance: Option<Instance>,
    context: CallContext,
    changes: Vec<(String, Option<Bytes>)>,
}

impl Live {
    /// Executes work, with the tries that the node's policy allows.
    pub(super) async fn perform(self: &Arc<Self>, work: &Work) -> (Report, Changes) {
        let input_size = work.inputs.iter().map(|input| input.payload.size()).sum();
        let (retry, timeout) = match &work.task {
            Task::Operations(operations) => (operations.retry, operations.timeout_ms),
            _ => (None, None),
        };
        let mut attempts = Vec::new();
        loop {
            let started = now();
            let tried = match timeout {
                None => self.attempt(work).await,
                Some(ms) => {
                    tokio::time::timeout(Duration::from_millis(ms), self.attempt(work)).await.unwrap_or_else(|_| {
                        Err(Failure::retry(Code::NODE_TIMED_OUT, format!("the node took longer than its {ms} ms")))
                    })
                }
            };
            let (outcome, changes, failure) = match tried {
                Ok((outcome, changes)) => (outcome, changes, None),
                Err(failure) => (Outcome::Failed(failure.clone()), Changes::default(), Some(failure)),
            };
            let again = failure.as_ref().and_then(|failure| wait_before(retry, attempts.len(), failure));
            attempts.push(Attempt { started, ended: now(), failure });
            match again {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return (Report { outcome, input_size, attempts }, changes),
            }
        }
    }

    async fn attempt(self: &Arc<Self>, work: &Work) -> Result<(Outcome, Changes), Failure> {
        let state = match &work.task {
            Task::Recover { .. } => Status::Failed,
            Task::Finally { verdict, .. } => *verdict,
            _ => Status::Running,
        };
        let context = CallContext { node: work.path.to_string(), state, inputs: Vec::new() };
        let mut attempt = Try { live: self, work, instance: None, context, changes: Vec::new() };
        let outcome = attempt.outcome().await;
        let changes = attempt.finish(outcome.is_ok());
        let outcome = outcome?;
        Ok((outcome, self.keep_changes(work, changes).await?))
    }

    async fn keep_changes(&self, work: &Work, changes: Vec<(String, Option<Bytes>)>) -> Result<Changes, Failure> {
        if self.deferred {
            self.values.lock().unwrap_or_else(PoisonError::into_inner).extend(changes);
            return Ok(Changes::default());
        }
        let mut kept = Vec::with_capacity(changes.len());
        for (key, value) in changes {
            let name = format!("{}/{}/{CONTEXT}{key}", work.path, work.token);
            let bytes = self.host.data.keep_value(&self.id, &name, value).await?;
            kept.push((format!("{CONTEXT}{key}"), bytes));
        }
        Ok(Changes(kept))
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
            Task::Merge { handler, only, epoch } => {
                let results = match only {
                    Some((key, payload)) => vec![(key.clone(), live.host.data.fetch(&live.id, payload).await?)],
                    None => self.arrived(*epoch).await?,
                };
                let merged = self.instance().await?.aggregate(handler.as_str(), results).await?;
                Ok(Outcome::Done(self.keep("", merged).await?))
            }
            _ => {
                let data = self.gather().await?;
                self.task(data).await
            }
        }
    }

    async fn task(&mut self, data: Bytes) -> Result<Outcome, Failure> {
        match &self.work.task {
            Task::Operations(operations) => {
                let mut data = data;
                for (index, operation) in operations.list.iter().enumerate() {
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

    async fn items(&self, handler: &str, items: Vec<(String, Bytes)>, nothing: bool) -> Result<Outcome, Failure> {
        let most = self.live.host.settings.max_items;
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
            let mut data = live.host.data.fetch(&live.id, &input.payload).await?;
            if let Some(forwarder) = &input.forwarder {
                data = self.instance().await?.forward(forwarder.as_str(), data).await?;
            }
            inputs.push((input.from.clone(), data));
        }
        self.context.inputs = inputs.clone();
        if let Some(aggregator) = &work.aggregator {
            return self.instance().await?.aggregate(aggregator.as_str(), inputs).await;
        }
        Ok(match <[_; 1]>::try_from(inputs) {
            Ok([(_, data)]) => data,
            Err(_) => Bytes::new(),
        })
    }

    async fn arrived(&self, epoch: u32) -> Result<Vec<(String, Bytes)>, Failure> {
        let live = self.live;
        let set = live.host.state.arrivals(&live.id, &set_of(&self.work.path, epoch)).await;
        let set = set.map_err(|error| Failure::retry(error.code(), error.to_string()))?;
        let mut results = Vec::with_capacity(set.len());
        for (key, bytes) in set {
            let (index, payload) = read_arrival(&bytes)?;
            results.push((index, key, live.host.data.fetch(&live.id, &payload).await?));
        }
        results.sort_by_key(|(index, ..)| *index);
        Ok(results.into_iter().map(|(_, key, data)| (key, data)).collect())
    }

    async fn keep(&self, name: &str, bytes: Bytes) -> Result<Payload, Failure> {
        let Work { path, token, .. } = self.work;
        if bytes.len() <= self.live.host.data.inline_limit {
            return Ok(Payload::Inline(bytes));
        }
        self.live.host.data.keep(&self.live.id, &format!("{path}/{token}/{name}"), bytes).await
    }

    /// An instance that knows this node: an idle one of this run, or a fresh one.
    pub(super) async fn instance(&mut self) -> Result<&mut Instance, Failure> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => {
                let idle = self.live.instances.lock().unwrap_or_else(PoisonError::into_inner).pop();
                match idle {
                    Some(instance) => instance,
                    None => self.fresh().await?,
                }
            }
        };
        // What earlier calls of this node changed is taken before the context is entered anew.
        self.changes.extend(instance.take_changes());
        instance.enter(self.context.clone());
        Ok(self.instance.insert(instance))
    }

    async fn fresh(&self) -> Result<Instance, Failure> {
        let context = Arc::new(Context { live: self.live.clone() });
        let instance = self.live.flow.module.instantiate(context).await;
        instance.map_err(|error| match error.code() {
            Code::GUEST_POOL_FULL => Failure::retry(error.code(), error.to_string()),
            code => Failure::reject(code, error.to_string()),
        })
    }

    /// Gives the instance back, and yields what the node's code changed.
    fn finish(mut self, succeeded: bool) -> Vec<(String, Option<Bytes>)> {
        if let Some(mut instance) = self.instance.take().filter(Instance::usable) {
            self.changes.extend(instance.take_changes());
            self.live.instances.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
        }
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

/// What a flow's code sees of its run.
struct Context {
    live: Arc<Live>,
}

#[async_trait::async_trait]
impl RunContext for Context {
    fn request_id(&self) -> &str {
        self.live.id.as_str()
    }

    fn flow_name(&self) -> &str {
        self.live.flow.name.as_str()
    }

    fn query(&self, name: &str) -> Vec<String> {
        values(&self.live.request.query, |given| given == name)
    }

    fn header(&self, name: &str) -> Vec<String> {
        values(&self.live.request.headers, |given| given.eq_ignore_ascii_case(name))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, String> {
        if self.live.deferred {
            let values = self.live.values.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(values.get(key).cloned().flatten());
        }
        let value = self.live.host.data.value(&*self.live.host.state, &self.live.id, key).await;
        value.map_err(|error| format!("{}: {error}", error.code()))
    }

    fn log(&self, node: &str, level: Level, message: &str) {
        log(&self.live.id, self.flow_name(), node, level, message);
    }
}

/// The values of a name, in order.
pub(super) fn values(given: &[(String, String)], is: impl Fn(&str) -> bool) -> Vec<String> {
    given.iter().filter(|(name, _)| is(name)).map(|(_, value)| value.clone()).collect()
}

/// A line from a flow's code.
pub(super) fn log(run: &RunId, flow: &str, node: &str, level: Level, message: &str) {
    match level {
        Level::Trace => tracing::trace!(target: "flow", %run, flow, node, "{message}"),
        Level::Debug => tracing::debug!(target: "flow", %run, flow, node, "{message}"),
        Level::Info => tracing::info!(target: "flow", %run, flow, node, "{message}"),
        Level::Warn => tracing::warn!(target: "flow", %run, flow, node, "{message}"),
        Level::Error => tracing::error!(target: "flow", %run, flow, node, "{message}"),
    }
}
