//! What this replica executes of a run: until when calls may begin, and when nothing is executed any more.
//!
//! No call begins after a stop was answered, on whichever replica. Once a stop is committed, nobody can claim or renew
//! anything of the run. The replica that answers it waits until its own work is dropped, and until each other replica has
//! reported that it has cut off its work, which it does as soon as it notices: within a third of a lease. It does not wait
//! for replicas that are lost: after a whole lease, none may begin a call, since a replica begins calls only under a lease
//! that it has renewed in time, by a clock that only measures durations.

use super::completion::run_to_completion;
use super::live::Live;
use crate::log::log_run;
use faas_flow_core::run::{ClaimToken, Doc, RunState};
use faas_flow_core::{Code, Failure, Millis, NodePath, RetryPolicy};
use faas_flow_session::Input;
use faas_flow_versions::runs::{load, load_some};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The time between two looks at what others execute.
const LOOKS: RetryPolicy = RetryPolicy::exponential(Duration::from_millis(20), Duration::from_millis(500));

/// The claims of this replica in one run.
pub(super) struct Claims {
    /// Until when calls may begin under each claim, by the clock that only measures durations.
    until: Mutex<HashMap<ClaimToken, Millis>>,
    /// Those under which nothing is executed any more, since a failure was caught further out.
    withdrawn: Mutex<HashSet<ClaimToken>>,
    /// What is being done for nodes of the flow: executing them, and stopping the runs that they have called.
    executing: TaskTracker,
}

impl Default for Claims {
    fn default() -> Self {
        let executing = TaskTracker::new();
        // Then a wait ends as soon as nothing is done any more.
        executing.close();
        Self { until: Mutex::default(), withdrawn: Mutex::default(), executing }
    }
}

impl Claims {
    fn lock(&self) -> MutexGuard<'_, HashMap<ClaimToken, Millis>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the claim of work that has become ready.
    pub(super) fn add(&self, claim: ClaimToken, until: Millis) {
        self.lock().insert(claim, until);
    }

    /// Notes which claims were renewed; under all others, no call begins any more.
    pub(super) fn renewed(&self, claims: &[ClaimToken], until: Millis) {
        let mut known = self.lock();
        known.retain(|claim, _| claims.contains(claim));
        known.values_mut().for_each(|known| *known = until);
    }

    /// From now on, no call begins under any claim so far.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// From now on, nothing is executed under these claims, and no call begins.
    pub(super) fn withdraw(&self, claims: &[ClaimToken]) {
        self.lock().retain(|claim, _| !claims.contains(claim));
        self.withdrawn.lock().unwrap_or_else(PoisonError::into_inner).extend(claims);
    }

    pub(super) fn is_withdrawn(&self, claim: ClaimToken) -> bool {
        self.withdrawn.lock().unwrap_or_else(PoisonError::into_inner).contains(&claim)
    }

    /// Notes that something is done for a node, until the token is dropped.
    pub(crate) fn execute(&self) -> TaskTrackerToken {
        self.executing.token()
    }

    pub(super) fn done(&self, claim: ClaimToken) {
        self.lock().remove(&claim);
        self.withdrawn.lock().unwrap_or_else(PoisonError::into_inner).remove(&claim);
    }

    /// Whether nothing is being done for nodes of the flow at this moment.
    pub(super) fn is_idle(&self) -> bool {
        self.executing.is_empty()
    }

    /// Waits until no node of the flow is executed here, and the runs are stopped that those nodes have called if the run ends
    /// without them.
    pub(super) async fn idle(&self) {
        self.executing.wait().await;
    }
}

impl Live {
    /// Waits until a call may begin under a claim, which is at once unless the store did not answer for so long that the lease
    /// has run out. Fails if the claim is lost.
    pub(super) async fn may_call(self: &Arc<Self>, claim: ClaimToken) -> Result<(), Failure> {
        let lost = || Failure::retry(Code::NODE_LOST, "another replica has taken over the node");
        let mut pauses = LOOKS.delays(fastrand::f64);
        loop {
            if self.is_in_memory() {
                return Ok(());
            }
            let until = self.claims.lock().get(&claim).copied().ok_or_else(lost)?;
            if self.services.clock.uptime() < until {
                return Ok(());
            }
            let live = self.clone();
            let checked = run_to_completion(async move { Ok(live.react(Input::Check).await) }).await;
            checked.map_err(|error| Failure::retry(error.code(), error.to_string()))?;
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// Waits until no call of the run, which was stopped, can begin any more, on this replica or on another one, nor one of the
    /// runs that it has called.
    pub(super) async fn cut_off_everywhere(self: &Arc<Self>) {
        self.claims.idle().await;
        if !self.is_in_memory() {
            self.cut_off_elsewhere().await;
        }
        self.stop_unknown_runs().await;
    }

    /// Waits until no other replica can begin a call of the run any more.
    async fn cut_off_elsewhere(&self) {
        let until = Instant::now() + self.services.settings.lease;
        let mut looked: Option<BTreeSet<Doc>> = None;
        for pause in LOOKS.delays(fastrand::f64) {
            match self.executed_elsewhere(looked.as_ref()).await {
                Ok(nodes) if nodes.is_empty() => return,
                Ok(nodes) => looked = Some(nodes.into_iter().map(|path| Doc::Scope(path.scope)).collect()),
                Err(error) => {
                    log_run!(debug, self, code = %error.code(), %error, "not known whether other replicas have stopped");
                }
            }
            let now = Instant::now();
            if now >= until {
                return;
            }
            tokio::time::sleep_until(until.min(now + pause)).await;
        }
    }

    /// The nodes of the run that other replicas may be executing; of these scopes only, if some are given.
    async fn executed_elsewhere(
        &self,
        scopes: Option<&BTreeSet<Doc>>,
    ) -> Result<Vec<NodePath>, faas_flow_versions::Error> {
        let store = &*self.services.state;
        let state = match scopes {
            None => load(store, &self.id).await?,
            Some(scopes) => {
                let docs: Vec<Doc> = std::iter::once(&Doc::Run).chain(scopes).cloned().collect();
                load_some(store, &self.id, &docs).await?
            }
        };
        let nodes = state.as_ref().map(RunState::to_cut_off).unwrap_or_default();
        let own = &self.services.rules.owner;
        Ok(nodes.into_iter().filter(|(_, owner)| owner != own).map(|(path, _)| path).collect())
    }

    /// Reports which nodes of a run that has come to its end elsewhere are no longer executed here, once that is so.
    ///
    /// The future is boxed since its type contains itself: driving a run spawns it, and it drives the run.
    pub(super) fn report_cut_off(
        self: Arc<Self>,
        nodes: Vec<(NodePath, ClaimToken)>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            self.claims.idle().await;
            self.react(Input::CutOff(nodes)).await;
            self.leave_if_done().await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn under_a_claim_that_was_not_renewed_no_call_begins() {
        let claims = Claims::default();
        let [one, other] = [1, 2].map(ClaimToken::new);
        claims.add(one, 10);
        claims.add(other, 10);
        claims.renewed(&[other, ClaimToken::new(3)], 20);
        assert_eq!(*claims.lock(), HashMap::from([(other, 20)]));
        claims.done(other);
        assert!(claims.lock().is_empty());
    }

    #[tokio::test]
    async fn a_replica_is_idle_once_all_that_it_executed_is_dropped() {
        let claims = Claims::default();
        claims.idle().await;
        let (one, other) = (claims.execute(), claims.execute());
        drop(one);
        assert!(futures_util::poll!(std::pin::pin!(claims.idle())).is_pending());
        drop(other);
        claims.idle().await;
    }
}
