//! Stops the runs that a run has called when it ends without waiting for them: when it is stopped, fails, or passes its
//! deadline. The answer to a stop waits for that.

use super::header::{Calling, PARENT, child_id};
use crate::Error;
use crate::call::idempotency_key;
use crate::live::Live;
use crate::log::log_run;
use crate::retries::count;
use faas_flow_core::definition::{Dag, NodeKind, Operation};
use faas_flow_core::run::{Awaited, Outcome, Parent, Run, RunState, UnknownCalls, Wait, WaitId, Withdrawn};
use faas_flow_core::{Code, Failure, NodePath, RetryPolicy, RunId, Status, split_target};
use faas_flow_guest::HttpRequest;
use faas_flow_session::Session;
use faas_flow_versions::runs::load;
use futures_util::StreamExt as _;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How often a child is told to stop, and how long after each other.
const TRIES: RetryPolicy =
    RetryPolicy::exponential(Duration::from_millis(200), Duration::from_secs(5)).with_max_tries(5);
/// How many are told at the same time.
const AT_ONCE: usize = 16;
/// How much longer than a lease one try may take: a stop is answered once no replica executes anything of the run.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A run that was called, and the node that waits for it.
#[derive(Debug, Clone)]
pub(crate) struct CalledRun {
    pub(crate) flow: String,
    pub(crate) run: RunId,
    pub(crate) node: NodePath,
    pub(crate) to: WaitId,
}

/// Whether a node of a dag, or of one inside it, calls a function.
fn calls(dag: &Dag) -> bool {
    dag.nodes.iter().any(|node| match &node.kind {
        NodeKind::Operations(operations) => operations.list.iter().any(|one| matches!(one, Operation::Apply(_))),
        NodeKind::SubDag(dag) => calls(dag),
        NodeKind::Repeat(repeat) => calls(&repeat.dag),
        NodeKind::Condition(branches) | NodeKind::ForEach(branches) => {
            branches.dags.iter().any(|branch| calls(&branch.dag))
        }
    })
}

/// Whether a run ends without the runs that it waits for.
pub(crate) fn abandons(run: &Run) -> bool {
    run.verdict.is_some_and(|verdict| verdict != Status::Succeeded)
}

/// Whether a run, or the part of it that this node belongs to, does not wait any more for what the node has called. The scopes
/// around the node must be loaded.
pub(crate) fn has_abandoned(state: &RunState, node: &NodePath) -> bool {
    abandons(state.run()) || !state.goes_on(node)
}

/// A run that another one had called and that could not be stopped with it, since nobody who has it answers. It may go on until it
/// notices that its caller has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreachedRun {
    /// The flow, by the name that it was called by.
    pub flow: String,
    /// The request id of the run.
    pub run: RunId,
}

impl Live {
    /// Stops the runs that nodes of this one wait for, once the end of this one is stored.
    pub(crate) fn stop_called(self: &Arc<Self>, session: &Session) {
        if !calls(&self.plan.definition().dag) {
            return;
        }
        if self.is_in_memory() {
            return self.stop_each(called(session.state().awaiting()));
        }
        // What this replica has in memory may be out of date: another one may have executed the node that calls.
        let (executing, stop) = (self.claims.execute(), self.clone().stop_stored());
        tokio::spawn(async move {
            stop.await;
            drop(executing);
        });
    }

    /// Stops runs that this one has called and goes on without, as far as they are in this store and go on themselves. The replica
    /// that was lost may not have done so.
    pub(crate) fn stop_forgotten(self: &Arc<Self>, forgotten: Vec<CalledRun>) {
        if forgotten.is_empty() {
            return;
        }
        let (executing, live) = (self.claims.execute(), self.clone());
        tokio::spawn(async move {
            live.stop_those_in_store(forgotten).await;
            drop(executing);
        });
    }

    /// Stops the runs that nodes of withdrawn parts of this one wait for.
    pub(crate) fn stop_withdrawn(self: &Arc<Self>, session: &Session, parts: Vec<Withdrawn>) {
        if !calls(&self.plan.definition().dag) {
            return;
        }
        if self.is_in_memory() {
            return self.stop_each(called(session.state().withdrawn(&parts)));
        }
        let (executing, live) = (self.claims.execute(), self.clone());
        tokio::spawn(async move {
            live.stop_as_stored(Some(parts)).await;
            drop(executing);
        });
    }

    /// The future is boxed since its type contains itself, as that of [`Live::stop_child`] does: stopping a run may stop others.
    fn stop_stored(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.stop_as_stored(None).await })
    }

    /// Stops the runs that nodes wait for: those of these parts, or all.
    async fn stop_as_stored(self: &Arc<Self>, parts: Option<Vec<Withdrawn>>) {
        let Some(state) = self.stored().await else { return };
        let Some(parts) = parts else { return self.stop_each(called(state.awaiting())) };
        self.stop_each(called(state.withdrawn(&parts)));
        let mut nodes = state.unknown_calls(&self.plan, &self.services.rules.owner);
        nodes.retain(|node| parts.iter().any(|part| part.contains(&node.path)));
        self.stop_begun(&nodes).await;
    }

    /// The run as it is stored; `None` if there is none, or if the store does not answer, even after some tries.
    async fn stored(&self) -> Option<RunState> {
        self.patiently(|| load(&*self.services.state, &self.id)).await.flatten()
    }

    /// What the store answers; `None` if it does not, even after some tries.
    async fn patiently<T, F: Future<Output = Result<T, E>>, E: Into<Error>>(&self, ask: impl Fn() -> F) -> Option<T> {
        let mut delays = TRIES.delays(fastrand::f64);
        loop {
            let error: Error = match ask().await {
                Ok(answer) => return Some(answer),
                Err(error) => error.into(),
            };
            let Some(delay) = delays.next().filter(|_| error.code().is_transient()) else {
                log_run!(warn, self, code = %error.code(), %error, "could not stop the runs that this run had called");
                return None;
            };
            tokio::time::sleep(delay).await;
        }
    }

    /// Stops the runs that nodes of this one may have called without knowing it, after nothing of this one is executed any
    /// more. Their ids follow from the calls, and those that have begun are in the store. Runs of flows with another store
    /// find out by themselves.
    pub(crate) async fn stop_unknown_runs(self: &Arc<Self>) {
        if !calls(&self.plan.definition().dag) {
            return;
        }
        let own = &*self.services.rules.owner;
        let nodes = if self.is_in_memory() {
            self.lock().await.state().unknown_calls(&self.plan, own)
        } else {
            self.stored().await.map(|state| state.unknown_calls(&self.plan, own)).unwrap_or_default()
        };
        self.stop_begun(&nodes).await;
    }

    /// Stops the runs that these nodes may have called, as far as they are in the store.
    async fn stop_begun(self: &Arc<Self>, nodes: &[UnknownCalls]) {
        let called: Vec<CalledRun> = nodes.iter().flat_map(|node| self.perhaps_called(node)).collect();
        self.stop_those_in_store(called).await;
    }

    async fn stop_those_in_store(self: &Arc<Self>, called: Vec<CalledRun>) {
        let stop = |called: CalledRun| async move {
            if self.is_under_way(&called.run).await {
                self.clone().stop_child(called).await;
            }
        };
        futures_util::stream::iter(called).for_each_concurrent(AT_ONCE, stop).await;
    }

    /// The runs that the calls of a node begin, if they call flows.
    fn perhaps_called(&self, node: &UnknownCalls) -> Vec<CalledRun> {
        let calls = node.operations.list.iter().enumerate().filter_map(|(index, operation)| match operation {
            Operation::Apply(call) if !call.asynchronous => Some((index, split_target(&call.target).0)),
            _ => None,
        });
        let runs = calls.flat_map(|(index, flow)| {
            let key = idempotency_key(&self.id, &node.path, node.round, index);
            let to = WaitId { claim: node.token, operation: count(index) };
            (0..=node.called).map(move |number| CalledRun {
                flow: flow.to_owned(),
                run: child_id(self.started, flow, &key, number),
                node: node.path.clone(),
                to,
            })
        });
        runs.collect()
    }

    fn stop_each(self: &Arc<Self>, called: Vec<CalledRun>) {
        if called.is_empty() {
            return;
        }
        let (executing, live) = (self.claims.execute(), self.clone());
        tokio::spawn(async move {
            let each = futures_util::stream::iter(called);
            each.for_each_concurrent(AT_ONCE, |called| live.clone().stop_child(called)).await;
            drop(executing);
        });
    }

    /// Stops a run that this one called, in a task of its own.
    pub(crate) fn spawn_stop(self: &Arc<Self>, called: CalledRun) {
        self.stop_each(vec![called]);
    }

    /// Stops a run that this one called.
    fn stop_child(self: Arc<Self>, called: CalledRun) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.stop_with_patience(&called).await })
    }

    async fn stop_with_patience(&self, called: &CalledRun) {
        let mut delays = TRIES.delays(fastrand::f64);
        let limit = self.services.settings.lease + TIMEOUT;
        loop {
            let stopped = tokio::time::timeout(limit, self.try_stop(called)).await;
            let failure = match stopped {
                Ok(Ok(())) => return,
                Ok(Err(failure)) => failure,
                Err(_) => Failure::retry(Code::CALL_TIMED_OUT, format!("no answer within {limit:?}")),
            };
            let Some(delay) = delays.next().filter(|_| failure.retry) else {
                if failure.code == Code::RUN_UNKNOWN {
                    // It has never begun, or is not kept any more.
                    return;
                }
                log_run!(warn, self, child = %called.run, flow = called.flow, code = %failure.code, error = %failure.message, "could not stop a run that this run had called");
                let unreached = UnreachedRun { flow: called.flow.clone(), run: called.run.clone() };
                self.unreached.lock().unwrap_or_else(PoisonError::into_inner).push(unreached);
                return;
            };
            tokio::time::sleep(delay).await;
        }
    }

    async fn try_stop(&self, CalledRun { flow, run, node, to }: &CalledRun) -> Result<(), Failure> {
        if let Some(host) = self.services.serves(flow) {
            return match host.stop(run, None).await {
                Ok(_) => Ok(()),
                // It has ended.
                Err(error) if error.code() == Code::RUN_STATE => Ok(()),
                // It may be about to begin.
                Err(error) => Err(Failure::retry(error.code(), error.to_string())),
            };
        }
        let calling = Calling { parent: self.as_parent(node.clone(), *to), child: run.clone() };
        let headers = vec![(PARENT.to_owned(), calling.encode(self.services.keys.as_ref(), b""))];
        let url = format!("http://function/{flow}/flow/{run}/stop");
        let request = HttpRequest { method: "POST".to_owned(), url, headers, body: Default::default() };
        let answer = self.services.functions.apply(flow, request).await?;
        match answer.status {
            200..300 | 409 => Ok(()),
            // It may be about to begin.
            404 => Err(Failure::retry(Code::RUN_UNKNOWN, "there is no such run")),
            status @ (408 | 429 | 500..) => Err(Failure::retry(Code::CALL_STATUS, format!("status {status}"))),
            status => Err(Failure::reject(Code::CALL_STATUS, format!("status {status}"))),
        }
    }

    /// The run that a node waits for, if its execution ended so.
    pub(crate) fn begun_by(&self, node: &NodePath, outcome: &Outcome) -> Option<CalledRun> {
        let Outcome::Suspended(suspended) = outcome else { return None };
        let wait = suspended.wait.as_ref()?;
        let Awaited::Run { flow, run } = &wait.of else { return None };
        Some(CalledRun { flow: flow.clone(), run: run.clone(), node: node.clone(), to: wait.id })
    }

    /// Stops a run that this one may have called just now, if this one, or the part of it that has called, ends without it.
    pub(crate) async fn stop_if_abandoned(self: Arc<Self>, called: CalledRun) {
        let serves = self.services.serves(&called.flow).is_some();
        if has_abandoned(self.lock().await.state(), &called.node) && (serves || self.is_begun(&called.run).await) {
            self.stop_child(called).await;
        }
    }

    /// Whether this is a run in the store. What was called elsewhere may be no flow, and a function must not get the request to
    /// stop a run. If a flow has another store, the run finds out by itself.
    async fn is_begun(&self, run: &RunId) -> bool {
        self.patiently(|| self.services.state.entry(run)).await.flatten().is_some()
    }

    /// Whether this is a run in the store that has not ended.
    async fn is_under_way(&self, run: &RunId) -> bool {
        let entry = self.patiently(|| self.services.state.entry(run)).await.flatten();
        entry.is_some_and(|entry| !entry.status.is_final())
    }

    /// This run as the parent of one that a node of it calls.
    pub(crate) fn as_parent(&self, node: NodePath, to: WaitId) -> Parent {
        let mut within = self.parent.as_ref().map(|parent| parent.within.clone()).unwrap_or_default();
        within.push(self.flow.name.clone());
        Parent { flow: self.flow.name.clone(), run: self.id.clone(), node, to, within }
    }
}

/// The runs that a run has called and goes on without.
pub(crate) fn forgotten(state: &RunState) -> Vec<CalledRun> {
    called(state.forgotten())
}

/// The runs that nodes wait for.
fn called(awaiting: Vec<(NodePath, &Wait)>) -> Vec<CalledRun> {
    let called = awaiting.into_iter().filter_map(|(node, wait)| match &wait.of {
        Awaited::Run { flow, run } => Some(CalledRun { flow: flow.clone(), run: run.clone(), node, to: wait.id }),
        Awaited::Function { .. } | Awaited::Signal { .. } | Awaited::Limit { .. } => None,
    });
    called.collect()
}
