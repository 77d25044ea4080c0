//! How many ended runs of each flow are kept (`history_budget`). Beyond that, those go first that began first.
//!
//! The list of runs is ordered by their beginnings, the latest first. The oldest runs are found by a binary search for a moment
//! before which few runs began, so that the work for each of them does not depend on how many there are.

use super::host::Host;
use crate::Error;
use crate::counters::Deleted;
use faas_flow_core::run::RunState;
use faas_flow_core::{FlowName, Millis, Status};
use faas_flow_store::{RunEntry, RunQuery};
use faas_flow_versions::runs::load_run;
use futures_util::StreamExt as _;
use futures_util::stream;
use std::sync::Arc;

/// The final statuses.
const ENDED: [Status; 3] = [Status::Succeeded, Status::Failed, Status::Stopped];
/// How many runs of one status are looked at together.
const PAGE: usize = 500;
/// How many pages one search may read.
const SEARCH: usize = 48;
/// How often a sweep goes on with the same flow, if there is still too much.
const ROUNDS: usize = 20;
/// How many runs are deleted at the same time.
const AT_ONCE: usize = 16;
/// For so many leases after its end, a run is kept in any case: those who wait for it, on whichever replica, may ask for its result.
const SETTLED: u64 = 6;

impl Host {
    /// Deletes the oldest ended runs of the flows that are served here while there are more than the budget allows. Never returns.
    pub(super) async fn keep_budget(self: &Arc<Self>) {
        let Some(budget) = self.services.settings.history_budget else { return std::future::pending().await };
        loop {
            // Replicas come at different times: one of them is enough.
            tokio::time::sleep(self.services.settings.lease.mul_f64(1.0 + fastrand::f64())).await;
            for flow in self.versions().all_active() {
                if self.is_draining() {
                    break;
                }
                if let Err(error) = self.keep_budget_of(&flow.name, budget as u64).await {
                    tracing::warn!(flow = %flow.name, code = %error.code(), %error, "runs beyond history_budget not deleted");
                }
            }
        }
    }

    async fn keep_budget_of(&self, flow: &FlowName, budget: u64) -> Result<(), Error> {
        for _ in 0..ROUNDS {
            let counts = self.services.state.counts(Some(flow)).await?;
            let ended: u64 = ENDED.into_iter().map(|status| counts.of(status)).sum();
            let excess = usize::try_from(ended.saturating_sub(budget)).unwrap_or(usize::MAX);
            if excess == 0 {
                break;
            }
            let mut oldest = Vec::new();
            // A store that counts the latest runs only may have older ones of any status.
            for status in ENDED.into_iter().filter(|status| counts.of(*status) > 0 || !counts.complete) {
                oldest.extend(self.oldest(flow, status).await?);
            }
            let now = self.now();
            let settled = self.services.rules.lease.saturating_mul(SETTLED);
            oldest.retain(|entry| entry.ended.is_some_and(|ended| ended.saturating_add(settled) <= now));
            oldest.sort_unstable_by(|one, other| (one.started, &one.run).cmp(&(other.started, &other.run)));
            oldest.truncate(excess.min(PAGE));
            // So that replicas that do the same begin with different runs.
            fastrand::shuffle(&mut oldest);
            let deletions = stream::iter(oldest).map(|entry| self.delete_settled(entry));
            let deleted: Vec<Result<bool, Error>> = deletions.buffer_unordered(AT_ONCE).collect().await;
            let mut any = false;
            for deleted in deleted {
                any |= deleted?;
            }
            if !any || self.is_draining() {
                break;
            }
        }
        Ok(())
    }

    /// Deletes an ended run, unless its callback is still to be delivered. Whether it did.
    async fn delete_settled(&self, entry: RunEntry) -> Result<bool, Error> {
        let state = load_run(&*self.services.state, &entry.run).await?;
        let goes_on = |state: &RunState| state.callback_due().is_some() || !state.run().status().is_final();
        if state.as_ref().is_some_and(goes_on) {
            return Ok(false);
        }
        self.services.delete(&entry.run, Deleted::Budget).await?;
        Ok(true)
    }

    /// Some of the oldest runs of a flow with this status: all that began before some moment, if they fit into a page.
    async fn oldest(&self, flow: &FlowName, status: Status) -> Result<Vec<RunEntry>, Error> {
        let before = |until: Millis| {
            let query = RunQuery {
                flow: Some(flow.clone()),
                status: Some(status),
                until: Some(until),
                ..RunQuery::latest(PAGE)
            };
            async move { self.services.state.runs(&query).await }
        };
        let mut page = before(Millis::MAX).await?;
        // Nothing began before `nothing`, as far as is known, and something before `some`.
        let (mut nothing, mut some) = (0, self.now().saturating_add(1));
        for _ in 0..SEARCH {
            let middle = nothing + (some - nothing) / 2;
            if page.next.is_none() || middle == nothing {
                break;
            }
            let earlier = before(middle).await?;
            if earlier.runs.is_empty() && earlier.next.is_none() {
                nothing = middle;
            } else {
                (page, some) = (earlier, middle);
            }
        }
        Ok(page.runs)
    }
}
