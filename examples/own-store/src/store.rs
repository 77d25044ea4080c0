//! A state store that keeps everything in one map, behind one lock.

use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{Millis, Partition, RunId};
use faas_flow_store::{
    Change, CommitError, Committed, Cursor, Document, Expect, RunEntry, RunPage, RunQuery, StateStore, StoreError,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tokio::sync::Mutex;

/// Loses everything when the process ends.
#[derive(Default)]
pub struct OwnStore(Mutex<BTreeMap<Partition, Stored>>);

#[derive(Default, Clone)]
struct Stored {
    docs: BTreeMap<String, Document>,
    sets: BTreeMap<String, BTreeMap<String, Bytes>>,
    entry: Option<RunEntry>,
}

impl Stored {
    fn version(&self, doc: &str) -> u64 {
        self.docs.get(doc).map_or(0, |doc| doc.version)
    }

    fn admits(&self, change: &Change) -> bool {
        change.checks.iter().all(|check| self.version(&check.doc) == check.version)
            && change.puts.iter().all(|put| match put.expect {
                Expect::Any => true,
                Expect::Absent => self.version(&put.doc) == 0,
                Expect::Version(version) => self.version(&put.doc) == version,
            })
    }
}

impl OwnStore {
    /// A snapshot of a partition.
    async fn stored(&self, partition: &Partition) -> Stored {
        self.0.lock().await.get(partition).cloned().unwrap_or_default()
    }

    async fn entries(&self) -> Vec<RunEntry> {
        self.0.lock().await.values().filter_map(|stored| stored.entry.clone()).collect()
    }
}

#[async_trait]
impl StateStore for OwnStore {
    async fn read(&self, partition: &Partition, docs: &[String]) -> Result<Vec<Option<Document>>, StoreError> {
        let stored = self.stored(partition).await;
        Ok(docs.iter().map(|doc| stored.docs.get(doc).cloned()).collect())
    }

    async fn read_all(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        Ok(self.stored(partition).await.docs.into_iter().collect())
    }

    async fn commit(&self, partition: &Partition, change: Change) -> Result<Committed, CommitError> {
        let mut partitions = self.0.lock().await;
        let stored = partitions.entry(partition.clone()).or_default();
        if !stored.admits(&change) {
            return Err(CommitError::Conflict);
        }
        let mut committed = Committed::default();
        for put in change.puts {
            let version = stored.version(&put.doc) + 1;
            stored.docs.insert(put.doc, Document { version, bytes: put.bytes });
            committed.versions.push(version);
        }
        let sets: Vec<String> = change.arrivals.iter().map(|arrival| arrival.set.clone()).collect();
        for arrival in change.arrivals {
            stored.sets.entry(arrival.set).or_default().entry(arrival.member).or_insert(arrival.bytes);
        }
        committed.arrived = sets.iter().map(|set| stored.sets.get(set).map_or(0, |set| set.len() as u64)).collect();
        stored.entry = change.entry.or(stored.entry.take());
        Ok(committed)
    }

    async fn arrivals(&self, partition: &Partition, set: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        Ok(self.stored(partition).await.sets.remove(set).into_iter().flatten().collect())
    }

    async fn arrived(&self, partition: &Partition, set: &str) -> Result<u64, StoreError> {
        let partitions = self.0.lock().await;
        Ok(partitions.get(partition).and_then(|stored| stored.sets.get(set)).map_or(0, |set| set.len() as u64))
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError> {
        Ok(self.stored(&Partition::of_run(run)).await.entry)
    }

    async fn runs(&self, query: &RunQuery) -> Result<RunPage, StoreError> {
        let mut runs = self.entries().await;
        runs.retain(|entry| query.admits(entry));
        runs.sort_by_key(|entry| Reverse((entry.started, entry.run.clone())));
        let is_last = runs.len() <= query.limit;
        runs.truncate(query.limit);
        // A store with very many runs would look them up in an index instead.
        let next = runs.last().filter(|_| !is_last).map(Cursor::behind);
        Ok(RunPage { runs, next })
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let entries = self.entries().await;
        let due = entries.into_iter().filter_map(|entry| Some((entry.due.filter(|due| *due <= now)?, entry.run)));
        let mut due: Vec<(Millis, RunId)> = due.collect();
        due.sort_unstable();
        Ok(due.into_iter().take(limit).map(|(_, run)| run).collect())
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        self.0.lock().await.remove(partition);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(flavor = "multi_thread")]
    async fn conforms() {
        faas_flow_store::conformance::state_store(|| async { Arc::new(OwnStore::default()) as _ }).await;
    }
}
