//! What a replica tells Prometheus: what it has counted, what it knows of itself at this moment, and how many runs are stored.

use super::host::Host;
use crate::Error;
use crate::counters::{Exposition, Figures, MOST_FLOWS, OTHERS};
use faas_flow_core::Status;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long the numbers of stored runs are shown before the store is asked again.
const FRESH: Duration = Duration::from_secs(10);
/// How long those who ask for metrics wait for the store. If it takes longer, they get no numbers of stored runs.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many runs of a flow have a status.
type Counted = Vec<(String, Status, u64)>;

/// How many runs are stored, as it was read last.
#[derive(Default)]
pub(super) struct StoredRuns(Mutex<Option<(Instant, Counted)>>);

impl Host {
    /// The metrics of this replica, after those of other registries.
    pub async fn metrics(&self, exposition: Exposition, others: &[&Registry]) -> String {
        let figures = self.figures().await;
        self.services.counters.expose(&figures, exposition, others)
    }

    async fn figures(&self) -> Figures {
        let services = &self.services;
        let (runs_live, runs_waiting) = {
            let runs = self.runs.lock();
            (runs.len(), runs.values().filter(|live| live.claims.is_idle()).count())
        };
        let nodes_limit = services.settings.max_nodes;
        let versions = services.versions.all_active().into_iter().take(MOST_FLOWS);
        Figures {
            runs_live,
            runs_waiting,
            nodes_executing: nodes_limit.saturating_sub(services.permits.available_permits()),
            nodes_limit,
            malformed_entries: services.state.malformed_entries(),
            repaired_entries: services.state.repaired_entries(),
            instances: services.versions.instances().unwrap_or_default(),
            swaps: services.versions.swaps(),
            versions: versions.map(|flow| (flow.name.to_string(), flow.digest().short().to_owned())).collect(),
            limits_waiting: services.limits.waiting(),
            stored: self.stored().await,
        }
    }

    /// How many stored runs of each flow that is served here have each status. Nothing if the store does not answer.
    async fn stored(&self) -> Counted {
        let mut known = self.stored.0.lock().await;
        if known.as_ref().is_none_or(|(at, _)| at.elapsed() >= FRESH) {
            let counted = timeout(PATIENCE, self.count_stored()).await;
            *known = Some((Instant::now(), counted.ok().and_then(Result::ok).unwrap_or_default()));
        }
        known.as_ref().map(|(_, counted)| counted.clone()).unwrap_or_default()
    }

    async fn count_stored(&self) -> Result<Counted, Error> {
        let state = &self.services.state;
        let flows = self.services.versions.all_active();
        let mut stored = Vec::new();
        // Of the flows that are too many: what there is in all, without the others.
        let mut rest: BTreeMap<&str, u64> = BTreeMap::new();
        if flows.len() > MOST_FLOWS {
            rest.extend(state.counts(None).await?.each().map(|(status, runs)| (status.as_str(), runs)));
        }
        for flow in flows.iter().take(MOST_FLOWS) {
            for (status, runs) in state.counts(Some(&flow.name)).await?.each() {
                stored.push((flow.name.to_string(), status, runs));
                rest.entry(status.as_str()).and_modify(|rest| *rest = rest.saturating_sub(runs));
            }
        }
        let others = Status::ALL.into_iter().filter_map(|status| Some((status, *rest.get(status.as_str())?)));
        stored.extend(others.map(|(status, runs)| (OTHERS.to_owned(), status, runs)));
        Ok(stored)
    }
}
