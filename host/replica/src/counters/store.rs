//! A state store whose round trips are counted.

use super::{Counters, Seconds};
use crate::writes::{Writes, of_commit};
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{FlowName, Millis, Partition, RunId};
use faas_flow_store::{
    Change, Changed, CommitError, Committed, Document, RunCounts, RunEntry, RunPage, RunQuery, Seen, StateStore,
    StoreError,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Instant;

/// The kinds of calls of a state store. Each is one round trip, unless the page of the backend says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Of documents, sets or an entry of one run.
    Read,
    /// Of a change to one run.
    Commit,
    /// Of runs that are due, or of all runs.
    List,
    /// Of a run whose history has expired.
    Delete,
}

impl Call {
    pub(super) const ALL: [Call; 4] = [Call::Read, Call::Commit, Call::List, Call::Delete];

    /// The value of the label `call`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Call::Read => "read",
            Call::Commit => "commit",
            Call::List => "list",
            Call::Delete => "delete",
        }
    }
}

/// The counters of one kind of call.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) made: Counter,
    pub(super) failed: Counter,
    pub(super) seconds: Seconds,
    pub(super) duration: Histogram,
}

/// The bounds of the buckets for round trips, in seconds.
const BOUNDS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// A histogram for each kind of call.
type Durations = Family<[(&'static str, &'static str); 1], Histogram, fn() -> Histogram>;

/// Registers the histograms of all kinds of calls.
pub(super) fn register_durations(to: &mut Registry) -> Durations {
    let durations = Family::new_with_constructor((|| Histogram::new(BOUNDS)) as fn() -> Histogram);
    to.register("store_call_duration_seconds", "time that a round trip to the state store took", durations.clone());
    durations
}

/// A store whose calls are counted, and whose commits are noted.
pub struct Counted {
    inner: Arc<dyn StateStore>,
    counters: Arc<Counters>,
    writes: Arc<Writes>,
}

impl Counted {
    /// A store whose round trips are counted, and whose commits are noted.
    pub(crate) fn new(inner: Arc<dyn StateStore>, counters: Arc<Counters>, writes: Arc<Writes>) -> Self {
        Self { inner, counters, writes }
    }

    async fn count<T, E>(&self, call: Call, asked: impl Future<Output = Result<T, E>>) -> Result<T, E>
    where
        CommitError: From<E>,
        E: Clone,
    {
        let began = Instant::now();
        let answer = asked.await;
        if let Some(calls) = self.counters.store.get(call as usize) {
            calls.made.inc();
            let took = began.elapsed().as_secs_f64();
            calls.seconds.inc_by(took);
            calls.duration.observe(took);
            if let Err(error) = &answer {
                match CommitError::from(error.clone()) {
                    CommitError::Conflict => self.counters.commit_conflicts.inc(),
                    CommitError::Store(_) => calls.failed.inc(),
                };
            }
        }
        answer
    }
}

#[async_trait]
impl StateStore for Counted {
    async fn read(&self, partition: &Partition, docs: &[String]) -> Result<Vec<Option<Document>>, StoreError> {
        self.count(Call::Read, self.inner.read(partition, docs)).await
    }

    async fn read_all(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        self.count(Call::Read, self.inner.read_all(partition)).await
    }

    async fn read_progress(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        self.count(Call::Read, self.inner.read_progress(partition)).await
    }

    async fn read_changed(&self, partition: &Partition, seen: &Arc<Seen>) -> Result<Changed, StoreError> {
        self.count(Call::Read, self.inner.read_changed(partition, seen)).await
    }

    async fn commit(&self, partition: &Partition, change: Change) -> Result<Committed, CommitError> {
        let answer = self.count(Call::Commit, self.inner.commit(partition, change)).await;
        self.writes.note(of_commit(&answer));
        answer
    }

    async fn arrivals(&self, partition: &Partition, set: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        self.count(Call::Read, self.inner.arrivals(partition, set)).await
    }

    async fn arrived(&self, partition: &Partition, set: &str) -> Result<u64, StoreError> {
        self.count(Call::Read, self.inner.arrived(partition, set)).await
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError> {
        self.count(Call::Read, self.inner.entry(run)).await
    }

    async fn runs(&self, query: &RunQuery) -> Result<RunPage, StoreError> {
        self.count(Call::List, self.inner.runs(query)).await
    }

    async fn counts(&self, flow: Option<&FlowName>) -> Result<RunCounts, StoreError> {
        self.count(Call::List, self.inner.counts(flow)).await
    }

    async fn flows(&self) -> Result<Vec<FlowName>, StoreError> {
        self.count(Call::List, self.inner.flows()).await
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        self.count(Call::List, self.inner.due(now, limit)).await
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        self.count(Call::Delete, self.inner.delete(partition)).await
    }

    fn malformed_entries(&self) -> u64 {
        self.inner.malformed_entries()
    }

    fn repaired_entries(&self) -> u64 {
        self.inner.repaired_entries()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{Exposition, Figures};
    use faas_flow_store::{Expect, Put, open_state};

    #[tokio::test]
    async fn calls_conflicts_and_errors_are_told_apart() {
        let counters = Arc::new(Counters::default());
        let store = Counted::new(open_state("memory").await.unwrap(), counters.clone(), Arc::default());
        let run = RunId::new("r").unwrap();
        let partition = Partition::of_run(&run);
        let put = Put { doc: "x".into(), expect: Expect::Absent, bytes: Bytes::new() };
        let change = Change { puts: vec![put], ..Change::default() };
        store.commit(&partition, change.clone()).await.unwrap();
        store.commit(&partition, change).await.unwrap_err();
        store.read(&partition, &["x".into()]).await.unwrap();
        store.entry(&run).await.unwrap();
        store.due(0, 1).await.unwrap();
        let failing = async { Err::<(), _>(StoreError::Full { place: "here".into() }) };
        store.count(Call::Delete, failing).await.unwrap_err();
        let text = counters.expose(&Figures::default(), Exposition::Text, &[]);
        for line in [
            "faas_flow_store_calls_total{call=\"read\"} 2",
            "faas_flow_store_calls_total{call=\"commit\"} 2",
            "faas_flow_store_calls_total{call=\"list\"} 1",
            "faas_flow_store_errors_total{call=\"commit\"} 0",
            "faas_flow_store_errors_total{call=\"delete\"} 1",
            "faas_flow_store_call_duration_seconds_count{call=\"commit\"} 2",
            "faas_flow_commit_conflicts_total 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
