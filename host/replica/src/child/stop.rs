//! Stops the runs that a run has called when it ends without waiting for them: when it is stopped, fails, or passes its
//! deadline.

use super::header::{Calling, PARENT};
use crate::live::Live;
use faas_flow_core::definition::{Dag, NodeKind, Operation};
use faas_flow_core::run::{Awaited, Outcome, Parent, Run, RunState, WaitId};
use faas_flow_core::{Code, Failure, NodePath, RetryPolicy, RunId, Status};
use faas_flow_guest::HttpRequest;
use faas_flow_session::Session;
use faas_flow_versions::runs::load;
use futures_util::StreamExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How often a child is told to stop, and how long after each other.
const TRIES: RetryPolicy =
    RetryPolicy::exponential(Duration::from_millis(200), Duration::from_secs(5)).with_max_tries(5);
/// How many are told at the same time.
const AT_ONCE: usize = 16;
/// Maximum time for one try.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A run that was called, and the node that waits for it.
#[derive(Debug, Clone)]
pub(crate) struct CalledRun {
    pub(crate) flow: String,
    pub(crate) run: RunId,
    pub(crate) node: NodePath,
    pub(crate) to: WaitId,
}

/// Whether a flow calls functions, and whether it does so in inner dags.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Calls {
    any: bool,
    within: bool,
}

fn calls(dag: &Dag) -> Calls {
    let within = |dag: &Dag| Calls { within: calls(dag).any, any: calls(dag).any };
    dag.nodes.iter().fold(Calls::default(), |found, node| {
        let more = match &node.kind {
            NodeKind::Operations(operations) => {
                let any = operations.list.iter().any(|operation| matches!(operation, Operation::Apply(_)));
                Calls { any, within: false }
            }
            NodeKind::SubDag(dag) => within(dag),
            NodeKind::Condition(branches) | NodeKind::ForEach(branches) => {
                branches.dags.iter().fold(Calls::default(), |found, branch| {
                    let more = within(&branch.dag);
                    Calls { any: found.any || more.any, within: found.within || more.within }
                })
            }
        };
        Calls { any: found.any || more.any, within: found.within || more.within }
    })
}

/// Whether a run ends without the runs that it waits for.
pub(crate) fn abandons(run: &Run) -> bool {
    run.verdict.is_some_and(|verdict| verdict != Status::Succeeded)
}

impl Live {
    /// Stops the runs that nodes of this one wait for.
    pub(crate) fn stop_called(self: &Arc<Self>, session: &Session) {
        let calls = calls(&self.plan.definition().dag);
        if !calls.any {
            return;
        }
        if calls.within && !self.is_in_memory() {
            // This replica may have loaded a part of the run only.
            tokio::spawn(self.clone().stop_stored());
        } else {
            self.stop_each(called(session.state()));
        }
    }

    /// The future is boxed since its type contains itself, as that of [`Live::stop_child`] does: stopping a run may stop others.
    fn stop_stored(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.stop_as_stored().await })
    }

    async fn stop_as_stored(self: &Arc<Self>) {
        match load(&*self.services.state, &self.id).await {
            Ok(state) => self.stop_each(state.as_ref().map(called).unwrap_or_default()),
            Err(error) => {
                tracing::warn!(run = %self.id, code = %error.code(), %error, "runs that it called not stopped");
            }
        }
    }

    fn stop_each(self: &Arc<Self>, called: Vec<CalledRun>) {
        if called.is_empty() {
            return;
        }
        let live = self.clone();
        tokio::spawn(async move {
            let each = futures_util::stream::iter(called);
            each.for_each_concurrent(AT_ONCE, |called| live.clone().stop_child(called)).await;
        });
    }

    /// Stops a run that this one called.
    pub(crate) fn stop_child(self: Arc<Self>, called: CalledRun) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.stop_with_patience(&called).await })
    }

    async fn stop_with_patience(&self, called: &CalledRun) {
        let mut delays = TRIES.delays(fastrand::f64);
        loop {
            let stopped = tokio::time::timeout(TIMEOUT, self.try_stop(called)).await;
            let failure = match stopped {
                Ok(Ok(())) => return,
                Ok(Err(failure)) => failure,
                Err(_) => Failure::retry(Code::CALL_TIMED_OUT, format!("no answer within {TIMEOUT:?}")),
            };
            let Some(delay) = delays.next().filter(|_| failure.retry) else {
                if failure.code == Code::RUN_UNKNOWN {
                    // It has never begun, or is not kept any more.
                    return;
                }
                tracing::warn!(run = %self.id, child = %called.run, flow = called.flow, code = %failure.code, error = %failure.message, "run that it called not stopped");
                return;
            };
            tokio::time::sleep(delay).await;
        }
    }

    async fn try_stop(&self, CalledRun { flow, run, node, to }: &CalledRun) -> Result<(), Failure> {
        if let Some(host) = self.services.serves(flow) {
            return match host.stop(run).await {
                Ok(()) => Ok(()),
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

    /// Stops a run that this one has called, if this one ends without it.
    pub(crate) async fn stop_if_abandoned(self: Arc<Self>, called: CalledRun) {
        if abandons(self.lock().await.state().run()) {
            self.stop_child(called).await;
        }
    }

    /// This run as the parent of one that a node of it calls.
    pub(crate) fn as_parent(&self, node: NodePath, to: WaitId) -> Parent {
        let mut within = self.within.clone();
        within.push(self.flow.name.clone());
        Parent { flow: self.flow.name.clone(), run: self.id.clone(), node, to, within }
    }
}

/// The runs that nodes wait for.
fn called(state: &RunState) -> Vec<CalledRun> {
    let called = state.awaiting().into_iter().filter_map(|(node, wait)| match &wait.of {
        Awaited::Run { flow, run } => Some(CalledRun { flow: flow.clone(), run: run.clone(), node, to: wait.id }),
        Awaited::Function { .. } => None,
    });
    called.collect()
}
