//! The shared stores as one replica sees them; and the ledger of what is committed.

use super::agenda::Agenda;
use super::cluster::Looks;
use super::outside::Outside;
use super::power::Power;
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::run::{Doc, NodeState, Progress, Run, Scope, decode};
use faas_flow_core::{FlowName, Millis, Partition, RunId};
use faas_flow_store::{
    Change, CommitError, Committed, DataKey, DataStore, Document, RunCounts, RunEntry, RunPage, RunQuery, StateStore,
    StoreError,
};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The truth about runs, as one replica reaches it.
pub struct State {
    pub(super) inner: Arc<dyn StateStore>,
    pub(super) power: Arc<Power>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) outside: Arc<dyn Outside>,
    pub(super) agenda: Arc<Agenda>,
    pub(super) looks: Looks,
}

/// Counts how often each node was committed.
#[derive(Default)]
pub struct Ledger {
    committed: Mutex<HashMap<String, u32>>,
    /// Runs that somebody may re-run: commits that a re-run takes back do not count.
    again: Mutex<HashSet<RunId>>,
    /// How often the end of a run cut off each node before the run was begun again: `RUN/PATH`.
    cut_off: Mutex<HashMap<String, usize>>,
}

fn lost<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable { place: "simulated".to_owned(), reason: "no answer".to_owned() })
}

impl State {
    async fn step<T>(
        &self,
        partition: &Partition,
        what: &str,
        effect: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.power.world.know(partition.as_str());
        self.power.step(what, effect).await.unwrap_or_else(lost)
    }
}

impl Ledger {
    /// Somebody may run this run again.
    pub fn may_run_again(&self, run: &RunId) {
        self.again.lock().unwrap_or_else(PoisonError::into_inner).insert(run.clone());
    }

    /// The end of its run has cut off this node. Its history has no attempt for that.
    pub fn was_cut_off(&self, node: String) {
        *self.cut_off.lock().unwrap_or_else(PoisonError::into_inner).entry(node).or_default() += 1;
    }

    /// How often the end of its run has cut off this node, see [`Self::was_cut_off`].
    pub fn times_cut_off(&self, node: &str) -> usize {
        self.cut_off.lock().unwrap_or_else(PoisonError::into_inner).get(node).copied().unwrap_or_default()
    }

    /// Counts what this change turns from not done to done. The store is asked before and after in one moment.
    async fn commit(
        &self,
        store: &dyn StateStore,
        partition: &Partition,
        change: Change,
        power: &Power,
    ) -> Result<Committed, CommitError> {
        let names: Vec<String> = change.puts.iter().map(|put| put.doc.clone()).collect();
        let before = store.read(partition, &names).await?;
        let after: Vec<Bytes> = change.puts.iter().map(|put| put.bytes.clone()).collect();
        let committed = store.commit(partition, change).await?;
        for ((name, before), after) in names.iter().zip(before).zip(after) {
            let done = |nodes: Vec<(String, bool)>| -> HashSet<String> {
                nodes.into_iter().filter(|(_, done)| *done).map(|(node, _)| format!("{partition} {node}")).collect()
            };
            let before = done(before.map(|document| nodes(name, &document.bytes)).unwrap_or_default());
            let after = done(nodes(name, &after));
            let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
            if self
                .again
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .any(|run| run.as_str() == partition.as_str())
            {
                for taken_back in before.difference(&after) {
                    committed.remove(taken_back);
                }
            }
            for key in after.difference(&before) {
                let count = committed.entry(key.clone()).or_default();
                *count += 1;
                if *count > 1 {
                    power.world.violation(format!("{key} was committed {count} times"));
                }
            }
        }
        Ok(committed)
    }
}

/// The nodes in a document, and whether each is done. A scope that was begun anew is another one.
fn nodes(name: &str, bytes: &[u8]) -> Vec<(String, bool)> {
    let read = |place: String, nodes: &[NodeState]| {
        let done = |node: &NodeState| matches!(node.progress, Progress::Done | Progress::Failed);
        nodes.iter().map(|node| (format!("{place}/{}", node.id), done(node))).collect::<Vec<_>>()
    };
    match Doc::parse(name) {
        Some(Doc::Run) => decode::<Run>(bytes).map(|run| read(String::new(), &run.hooks)).unwrap_or_default(),
        Some(Doc::Scope(path)) => decode::<Scope>(bytes)
            .map(|scope| read(format!("{path}@{}", scope.started_by), &scope.nodes))
            .unwrap_or_default(),
        Some(Doc::Signal(_) | Doc::EarlySignals) | None => Vec::new(),
    }
}

#[async_trait]
impl StateStore for State {
    async fn read(&self, partition: &Partition, docs: &[String]) -> Result<Vec<Option<Document>>, StoreError> {
        self.step(partition, &format!("reads {partition} {docs:?}"), self.inner.read(partition, docs)).await
    }

    async fn read_all(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        self.step(partition, &format!("reads all of {partition}"), self.inner.read_all(partition)).await
    }

    async fn commit(&self, partition: &Partition, change: Change) -> Result<Committed, CommitError> {
        self.power.world.know(partition.as_str());
        let docs: Vec<&str> = change.puts.iter().map(|put| put.doc.as_str()).collect();
        let what = format!("commits to {partition} {docs:?}, {} arrive", change.arrivals.len());
        let run = change.puts.iter().find(|put| Doc::parse(&put.doc) == Some(Doc::Run));
        let run = run.and_then(|run| decode::<Run>(&run.bytes).ok());
        let entry = change.entry.clone();
        let commit = async {
            let committed = self.ledger.commit(&*self.inner, partition, change, &self.power).await?;
            if let Some(entry) = entry {
                self.agenda.note(entry);
            }
            if let Some((run, parent)) = run.and_then(|run| Some((run.id.clone(), *run.parent?))) {
                self.outside.begins(&parent, &run);
            }
            Ok(committed)
        };
        match self.power.step(&what, commit).await {
            Some(done) => done,
            None => lost().map_err(CommitError::Store),
        }
    }

    async fn arrivals(&self, partition: &Partition, set: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        self.step(partition, &format!("reads set {set} of {partition}"), self.inner.arrivals(partition, set)).await
    }

    async fn arrived(&self, partition: &Partition, set: &str) -> Result<u64, StoreError> {
        self.step(partition, &format!("counts set {set} of {partition}"), self.inner.arrived(partition, set)).await
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError> {
        self.step(&Partition::of_run(run), &format!("reads the entry of {run}"), self.inner.entry(run)).await
    }

    async fn runs(&self, query: &RunQuery) -> Result<RunPage, StoreError> {
        self.power.step("lists runs", self.inner.runs(query)).await.unwrap_or_else(lost)
    }

    async fn counts(&self, flow: Option<&FlowName>) -> Result<RunCounts, StoreError> {
        self.power.step("counts runs", self.inner.counts(flow)).await.unwrap_or_else(lost)
    }

    async fn flows(&self) -> Result<Vec<FlowName>, StoreError> {
        self.power.step("lists flows", self.inner.flows()).await.unwrap_or_else(lost)
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        // The list may lag behind, unless nothing takes time.
        let world = &self.power.world;
        let lag = if world.slow().is_zero() { 0 } else { world.draw(200) };
        let due = self.inner.due(now.saturating_sub(lag), limit);
        let what = "looks for runs that are due";
        match self.looks {
            Looks::Always => self.power.step(what, due).await.unwrap_or_else(lost),
            Looks::WhenDue => self.power.look(what, due).await,
        }
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        self.step(partition, &format!("deletes {partition}"), self.inner.delete(partition)).await?;
        self.agenda.forget(partition);
        Ok(())
    }
}

/// The data store, as one replica reaches it.
pub struct Data {
    pub(super) inner: Arc<dyn DataStore>,
    pub(super) power: Arc<Power>,
}

#[async_trait]
impl DataStore for Data {
    async fn put(&self, key: &DataKey, bytes: Bytes) -> Result<(), StoreError> {
        self.power.world.know(key.partition().as_str());
        let what = format!("puts {key}");
        self.power.step(&what, self.inner.put(key, bytes)).await.unwrap_or_else(lost)
    }

    async fn get(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError> {
        let what = format!("gets {key}");
        self.power.step(&what, self.inner.get(key)).await.unwrap_or_else(lost)
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        let what = format!("deletes the data of {partition}");
        self.power.step(&what, self.inner.delete(partition)).await.unwrap_or_else(lost)
    }

    async fn keep(&self, partition: &Partition) -> Result<(), StoreError> {
        let what = format!("keeps the data of {partition}");
        self.power.step(&what, self.inner.keep(partition)).await.unwrap_or_else(lost)
    }
}
