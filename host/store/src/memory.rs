//! Stores in the memory of this process, for tests, benchmarks and trials. Their content is lost when the process ends.

use crate::address::Address;
use crate::changes::{Changed, PIECE, Seen};
use crate::query::page_of;
use crate::state::{behind_data, holds_data};
use crate::{
    Change, CommitError, Committed, DataKey, DataStore, Document, Expect, RunCounts, RunEntry, RunPage, RunQuery,
    StateStore, StoreError,
};
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{FlowName, Millis, Partition, RunId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Opens an empty state store.
pub(crate) fn open_state(address: &Address<'_>) -> Result<Arc<dyn StateStore>, StoreError> {
    require_plain(address).map(|()| Arc::new(MemoryState::default()) as _)
}

/// Opens an empty data store.
pub(crate) fn open_data(address: &Address<'_>) -> Result<Arc<dyn DataStore>, StoreError> {
    require_plain(address).map(|()| Arc::new(MemoryData::default()) as _)
}

/// The address is one word, with neither place nor options.
fn require_plain(address: &Address<'_>) -> Result<(), StoreError> {
    if !address.place.is_empty() {
        return Err(address.bad("use memory"));
    }
    address.knows(&[])
}

/// The number of locks over which the partitions are distributed, so that commits to different ones rarely wait for each other.
const SHARDS: usize = 64;

struct Shards<T>([Mutex<T>; SHARDS]);

impl<T: Default> Default for Shards<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl<T> Shards<T> {
    #[allow(clippy::indexing_slicing, reason = "the index is taken modulo the length")]
    fn of(&self, partition: &Partition) -> MutexGuard<'_, T> {
        // FNV-1a is enough: colliding ids would only slow down the caller who chose them.
        let hash = partition
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        lock(&self.0[(hash >> 32) as usize % SHARDS])
    }

    fn each(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        self.0.iter().map(lock)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics in the middle of a change, so the data is consistent even if a holder of the lock panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// State in memory.
#[derive(Default)]
struct MemoryState(Shards<StateShard>);

#[derive(Default)]
struct StateShard {
    partitions: HashMap<Partition, Stored>,
    due: BTreeSet<(Millis, RunId)>,
}

#[derive(Default)]
struct Stored {
    docs: BTreeMap<String, Document>,
    sets: BTreeMap<String, BTreeMap<String, Bytes>>,
    entry: Option<RunEntry>,
}

impl Stored {
    fn version(&self, doc: &str) -> u64 {
        self.docs.get(doc).map_or(0, |doc| doc.version)
    }

    /// The versions that the puts replace, if the change does not conflict.
    fn admit(&self, change: &Change) -> Result<Vec<u64>, CommitError> {
        if change.checks.iter().any(|check| self.version(&check.doc) != check.version) {
            return Err(CommitError::Conflict);
        }
        let found = change.puts.iter().map(|put| (self.version(&put.doc), put.expect));
        found.map(|(version, expect)| expect.admits(version).then_some(version).ok_or(CommitError::Conflict)).collect()
    }
}

impl Expect {
    /// Whether a document with this version is as expected; version 0 means that it does not exist.
    pub(crate) fn admits(self, version: u64) -> bool {
        match self {
            Expect::Any => true,
            Expect::Absent => version == 0,
            Expect::Version(expected) => version == expected,
        }
    }
}

#[async_trait]
impl StateStore for MemoryState {
    async fn read(&self, partition: &Partition, docs: &[String]) -> Result<Vec<Option<Document>>, StoreError> {
        let shard = self.0.of(partition);
        let stored = shard.partitions.get(partition);
        Ok(docs.iter().map(|doc| stored.and_then(|stored| stored.docs.get(doc)).cloned()).collect())
    }

    async fn read_all(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        let shard = self.0.of(partition);
        let docs = shard.partitions.get(partition).into_iter().flat_map(|stored| &stored.docs);
        Ok(docs.map(|(name, doc)| (name.clone(), doc.clone())).collect())
    }

    async fn read_progress(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        let shard = self.0.of(partition);
        let docs = shard.partitions.get(partition).into_iter().flat_map(|stored| &stored.docs);
        let docs = docs.filter(|(name, _)| !holds_data(name));
        Ok(docs.map(|(name, doc)| (name.clone(), doc.clone())).collect())
    }

    async fn read_changed(&self, partition: &Partition, seen: &Arc<Seen>) -> Result<Changed, StoreError> {
        let shard = self.0.of(partition);
        let mut changed = Changed::default();
        let Some(stored) = shard.partitions.get(partition) else { return Ok(changed) };
        let mut documents = stored.docs.range(seen.name().to_owned()..);
        for _ in 0..PIECE {
            let Some((name, document)) = documents.next() else { return Ok(changed) };
            if let Some(behind) = behind_data(name) {
                documents = stored.docs.range(behind..);
            } else if !seen.has(name, document.version) {
                changed.documents.push((name.clone(), document.clone()));
            }
        }
        if let Some((name, _)) = documents.next() {
            changed.goes_on_at(name.clone());
        }
        Ok(changed)
    }

    async fn commit(&self, partition: &Partition, change: Change) -> Result<Committed, CommitError> {
        let mut shard = self.0.of(partition);
        let StateShard { partitions, due } = &mut *shard;
        let mut versions = match partitions.get(partition) {
            Some(state) => state.admit(&change)?,
            None => Stored::default().admit(&change)?,
        };
        let state = partitions.entry(partition.clone()).or_default();

        for (put, version) in change.puts.into_iter().zip(&mut versions) {
            *version += 1;
            let next = Document { version: *version, bytes: put.bytes };
            match state.docs.get_mut(&put.doc) {
                Some(doc) => *doc = next,
                None => drop(state.docs.insert(put.doc, next)),
            }
        }
        let sets: Vec<String> = change.arrivals.iter().map(|arrival| arrival.set.clone()).collect();
        for arrival in change.arrivals {
            state.sets.entry(arrival.set).or_default().entry(arrival.member).or_insert(arrival.bytes);
        }
        let arrived = sets.iter().map(|set| state.sets.get(set).map_or(0, |set| set.len() as u64)).collect();
        if let Some(entry) = change.entry {
            let before = state.entry.as_ref().and_then(|entry| entry.due);
            if before != entry.due {
                if let Some(before) = before {
                    due.remove(&(before, entry.run.clone()));
                }
                if let Some(at) = entry.due {
                    due.insert((at, entry.run.clone()));
                }
            }
            state.entry = Some(entry);
        }
        Ok(Committed { versions, arrived })
    }

    async fn arrivals(&self, partition: &Partition, set: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        let shard = self.0.of(partition);
        let members = shard.partitions.get(partition).and_then(|stored| stored.sets.get(set)).into_iter().flatten();
        Ok(members.map(|(member, bytes)| (member.clone(), bytes.clone())).collect())
    }

    async fn arrived(&self, partition: &Partition, set: &str) -> Result<u64, StoreError> {
        let shard = self.0.of(partition);
        Ok(shard.partitions.get(partition).and_then(|stored| stored.sets.get(set)).map_or(0, |set| set.len() as u64))
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError> {
        let partition = Partition::of_run(run);
        Ok(self.0.of(&partition).partitions.get(&partition).and_then(|stored| stored.entry.clone()))
    }

    async fn runs(&self, query: &RunQuery) -> Result<RunPage, StoreError> {
        let mut found: Vec<RunEntry> = Vec::new();
        for shard in self.0.each() {
            let entries = shard.partitions.values().filter_map(|stored| stored.entry.as_ref());
            found.extend(entries.filter(|entry| query.admits(entry)).cloned());
        }
        Ok(page_of(query, found))
    }

    async fn counts(&self, flow: Option<&FlowName>) -> Result<RunCounts, StoreError> {
        let mut counts = RunCounts::default();
        for shard in self.0.each() {
            let entries = shard.partitions.values().filter_map(|stored| stored.entry.as_ref());
            let entries = entries.filter(|entry| flow.is_none_or(|flow| *flow == entry.flow));
            entries.for_each(|entry| counts.add(entry.status, 1));
        }
        Ok(counts)
    }

    async fn flows(&self) -> Result<Vec<FlowName>, StoreError> {
        let mut flows = BTreeSet::new();
        for shard in self.0.each() {
            let entries = shard.partitions.values().filter_map(|stored| stored.entry.as_ref());
            flows.extend(entries.map(|entry| entry.flow.clone()));
        }
        Ok(flows.into_iter().collect())
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let mut found = Vec::new();
        for shard in self.0.each() {
            found.extend(shard.due.iter().take_while(|(at, _)| *at <= now).take(limit).cloned());
        }
        found.sort_unstable();
        Ok(found.into_iter().take(limit).map(|(_, run)| run).collect())
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        let mut shard = self.0.of(partition);
        let mut removed = shard.partitions.remove(partition);
        if let Some(RunEntry { run, due: Some(at), .. }) = removed.as_mut().and_then(|stored| stored.entry.take()) {
            shard.due.remove(&(at, run));
        }
        // What a wide run has takes long to free, and others need the lock.
        drop(shard);
        drop(removed);
        Ok(())
    }
}

/// Data in memory.
#[derive(Default)]
struct MemoryData(Shards<HashMap<Partition, HashMap<String, Bytes>>>);

#[async_trait]
impl DataStore for MemoryData {
    async fn put(&self, key: &DataKey, bytes: Bytes) -> Result<(), StoreError> {
        self.0.of(key.partition()).entry(key.partition().clone()).or_default().insert(key.name().to_owned(), bytes);
        Ok(())
    }

    async fn get(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.of(key.partition()).get(key.partition()).and_then(|values| values.get(key.name())).cloned())
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        self.0.of(partition).remove(partition);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{conformance, open_data, open_state};

    #[tokio::test(flavor = "multi_thread")]
    async fn conforms() {
        conformance::state_store(|| async { open_state("memory").await.unwrap() }).await;
        conformance::data_store(|| async { open_data("memory").await.unwrap() }).await;
    }
}
