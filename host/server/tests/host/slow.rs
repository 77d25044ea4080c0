//! A store that a test makes wait.

use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{Millis, Partition, RunId};
use faas_flow_store::{
    Change, Changed, CommitError, Committed, Document, RunEntry, RunPage, RunQuery, Seen, StateStore, StoreError,
    open_state,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// A store in memory whose commits, and whose reads of what has changed, wait until the test lets them go on.
pub struct Slow {
    pub store: Arc<dyn StateStore>,
    /// Whether commits go on.
    pub commits: watch::Sender<bool>,
    /// How many reads may go on.
    pub reads: Semaphore,
    /// Whether commits fail, as if the store were away.
    pub fails: AtomicBool,
    /// How long it takes to delete something.
    deletes: Duration,
}

impl Slow {
    /// Commits wait.
    pub async fn commits() -> Arc<Self> {
        Self::new(false, Semaphore::MAX_PERMITS, Duration::ZERO).await
    }

    /// It takes this long to delete something.
    pub async fn deletes(takes: Duration) -> Arc<Self> {
        Self::new(true, Semaphore::MAX_PERMITS, takes).await
    }

    /// Reads of what has changed wait.
    pub async fn reads() -> Arc<Self> {
        Self::new(true, 0, Duration::ZERO).await
    }

    /// Commits fail.
    pub async fn away() -> Arc<Self> {
        let slow = Self::new(true, Semaphore::MAX_PERMITS, Duration::ZERO).await;
        slow.fails.store(true, Ordering::Relaxed);
        slow
    }

    async fn new(commits: bool, reads: usize, deletes: Duration) -> Arc<Self> {
        let store = open_state("memory").await.unwrap();
        Arc::new(Self {
            store,
            commits: watch::channel(commits).0,
            reads: Semaphore::new(reads),
            fails: AtomicBool::default(),
            deletes,
        })
    }
}

#[async_trait]
impl StateStore for Slow {
    async fn read(&self, partition: &Partition, docs: &[String]) -> Result<Vec<Option<Document>>, StoreError> {
        self.store.read(partition, docs).await
    }

    async fn read_all(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        self.store.read_all(partition).await
    }

    async fn read_changed(&self, partition: &Partition, seen: &Arc<Seen>) -> Result<Changed, StoreError> {
        self.reads.acquire().await.unwrap().forget();
        self.store.read_changed(partition, seen).await
    }

    async fn commit(&self, partition: &Partition, change: Change) -> Result<Committed, CommitError> {
        self.commits.subscribe().wait_for(|go_on| *go_on).await.unwrap();
        if self.fails.load(Ordering::Relaxed) {
            let (place, reason) = ("redis://store".into(), "connection refused".into());
            return Err(StoreError::Unavailable { place, reason }.into());
        }
        self.store.commit(partition, change).await
    }

    async fn arrivals(&self, partition: &Partition, set: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        self.store.arrivals(partition, set).await
    }

    async fn arrived(&self, partition: &Partition, set: &str) -> Result<u64, StoreError> {
        self.store.arrived(partition, set).await
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError> {
        self.store.entry(run).await
    }

    async fn runs(&self, query: &RunQuery) -> Result<RunPage, StoreError> {
        self.store.runs(query).await
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        self.store.due(now, limit).await
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        if !self.deletes.is_zero() {
            tokio::time::sleep(self.deletes).await;
        }
        self.store.delete(partition).await
    }
}
