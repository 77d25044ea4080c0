//! The state of runs: the trait of a state store, and its data.

use crate::changes::{Changed, Seen};
use crate::query::{RunCounts, RunFailure, RunPage, RunQuery};
use crate::{CommitError, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::run::HOLD_DATA;
use faas_flow_core::{Digest, FlowName, Labels, Millis, Partition, RunId, Status};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many of the latest runs are counted by a backend without an index of them.
const COUNTED: usize = 10_000;

/// Whether a document holds data of the flow, by its name.
pub(crate) fn holds_data(doc: &str) -> bool {
    HOLD_DATA.iter().any(|beginning| doc.starts_with(beginning))
}

/// The first name behind those of the documents that hold data, for a document that does.
pub(crate) fn behind_data(doc: &str) -> Option<String> {
    let beginning = HOLD_DATA.into_iter().find(|beginning| doc.starts_with(beginning))?;
    // `;` follows `:`, with which each beginning ends.
    Some(beginning.replace(':', ";"))
}

/// A document as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// How often the document has been written; 1 after the first write.
    pub version: u64,
    /// The content, which is opaque to the store.
    pub bytes: Bytes,
}

/// What a [`Put`] expects to find; if it finds something else, the commit conflicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything: the document may exist or not.
    Any,
    /// The document does not exist.
    Absent,
    /// The document has this version. Version 0 means that it does not exist.
    Version(u64),
}

/// Writes a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The document's name within the partition: not empty, at most 1 KiB.
    pub doc: String,
    /// What must be there before.
    pub expect: Expect,
    /// The new content.
    pub bytes: Bytes,
}

/// Requires that a document has a version, without writing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The document's name within the partition.
    pub doc: String,
    /// The required version; 0 for a document that does not exist.
    pub version: u64,
}

/// Adds a member to a set. The first arrival of a member wins: a second one changes nothing and is not a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The set's name within the partition.
    pub set: String,
    /// The member's name within the set.
    pub member: String,
    /// The member's content.
    pub bytes: Bytes,
}

/// What one commit changes. The puts of a change must name different documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The versions that must hold before the change.
    pub checks: Vec<Check>,
    /// The documents to write.
    pub puts: Vec<Put>,
    /// The members to add to sets.
    pub arrivals: Vec<Arrival>,
    /// The run's new entry in the list of runs; `None` keeps the present one. Only the partition of a run has one.
    pub entry: Option<RunEntry>,
}

/// The result of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The new version of each put document, in the order of the puts: one more than before.
    pub versions: Vec<u64>,
    /// For each arrival, in order, how many members its set has after the whole commit.
    pub arrived: Vec<u64>,
}

/// A run's entry in the list of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEntry {
    /// The run, which must be the one that is committed to.
    pub run: RunId,
    /// The run's flow.
    pub flow: FlowName,
    /// The digest of the module that the run is pinned to.
    pub digest: Digest,
    /// The run's status.
    pub status: Status,
    /// Its labels. A backend that can find runs by them without reading others keeps an index of them.
    pub labels: Labels,
    /// How it has failed, if its status is that.
    pub failure: Option<RunFailure>,
    /// When the run started.
    pub started: Millis,
    /// When the run ended; `None` if it has not.
    pub ended: Option<Millis>,
    /// When the sweeper should look at the run; `None` for never.
    pub due: Option<Millis>,
}

/// The store of the state of runs: small, consistent, changed by compare-and-swap.
///
/// A [`Partition`] consists of named documents and named sets of members; that of a run also has an entry in the list of
/// runs. A commit changes one partition only, so a backend may distribute the partitions over servers.
///
/// - *Atomic*: a commit happens as a whole or not at all, both for readers and after a crash of the process. With
///   [`CommitError::Conflict`] nothing has changed.
/// - *Linearizable per partition*: commits to a partition happen one after the other, and every call sees what earlier calls
///   have returned, on every replica. A version is never used twice while the partition exists.
/// - *Listing* ([`runs`](StateStore::runs), [`due`](StateStore::due)) may lag behind in a distributed backend. It is a
///   hint: the sweeper reads the run before it acts. Entries that are not runs are skipped and counted
///   ([`malformed_entries`](StateStore::malformed_entries)).
/// - *Errors*: an error of a read changes nothing. If a commit fails with [`StoreError::Unavailable`], it is unknown
///   whether it has happened: read before trying again. After any other error it has not happened.
/// - *Cancellation*: a commit whose future is dropped may or may not happen.
#[async_trait]
pub trait StateStore: Send + Sync + 'static {
    /// Reads documents in one consistent view, in the order of `docs`; `None` for those that do not exist.
    async fn read(&self, partition: &Partition, docs: &[String]) -> Result<Vec<Option<Document>>, StoreError>;

    /// Reads all documents of a partition in one consistent view, sorted by name (bytewise); empty for an unknown one.
    async fn read_all(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError>;

    /// Reads as [`read_all`](StateStore::read_all) does, without the documents that hold data of the flow, payloads and
    /// context values ([`HOLD_DATA`]). A backend should not transfer these.
    async fn read_progress(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        let mut found = self.read_all(partition).await?;
        found.retain(|(doc, _)| !holds_data(doc));
        Ok(found)
    }

    /// Reads some of the documents that [`read_progress`](StateStore::read_progress) reads and that have changed since a reader
    /// saw them. The reader notes them ([`Seen::note`]) and asks again, as long as there is more; then it has seen every document
    /// as it was when it began, or later. One answer is of one consistent view; several together are not. A document that has not
    /// changed may come again.
    ///
    /// A backend should answer in pieces, so that a run of a hundred thousand items holds up nobody else, and should not transfer
    /// what has not changed. By itself this reads everything at once.
    async fn read_changed(&self, partition: &Partition, seen: &Arc<Seen>) -> Result<Changed, StoreError> {
        Ok(Changed::of_all(self.read_progress(partition).await?, seen))
    }

    /// Applies a change if all its checks and expectations hold for the state before it. Returns once the change is stored;
    /// [`open_state`](crate::open_state) says how durable that is in each backend.
    async fn commit(&self, partition: &Partition, change: Change) -> Result<Committed, CommitError>;

    /// The members of a set, sorted by name (bytewise); empty for an unknown set.
    async fn arrivals(&self, partition: &Partition, set: &str) -> Result<Vec<(String, Bytes)>, StoreError>;

    /// How many members a set has; 0 for an unknown set. The size of the set does not affect how long this takes.
    async fn arrived(&self, partition: &Partition, set: &str) -> Result<u64, StoreError>;

    /// The run's entry in the list of runs; `None` before the first commit with an entry.
    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError>;

    /// Lists runs that have an entry, page by page. A backend should answer from an index that is kept in the same commit as
    /// the entries. Whatever the query asks for, it should look at some thousand entries at most, and say where to go on.
    async fn runs(&self, query: &RunQuery) -> Result<RunPage, StoreError>;

    /// How many runs have each status, of a flow or of all. A backend should not read entries for that. By itself this counts
    /// the latest runs only, about ten thousand.
    async fn counts(&self, flow: Option<&FlowName>) -> Result<RunCounts, StoreError> {
        let page = self.runs(&RunQuery { flow: flow.cloned(), ..RunQuery::latest(COUNTED) }).await?;
        let mut counts = RunCounts::default();
        counts.complete = page.next.is_none();
        page.runs.iter().for_each(|entry| counts.add(entry.status, 1));
        Ok(counts)
    }

    /// The flows that have runs, in any order. By itself this looks at the latest runs only, as [`counts`](StateStore::counts) does.
    async fn flows(&self) -> Result<Vec<FlowName>, StoreError> {
        let page = self.runs(&RunQuery::latest(COUNTED)).await?;
        let flows: BTreeSet<FlowName> = page.runs.into_iter().map(|entry| entry.flow).collect();
        Ok(flows.into_iter().collect())
    }

    /// Lists at most `limit` runs that are due at or before `now`, earliest first. A run stays due until its entry changes.
    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError>;

    /// Deletes a partition: documents, sets and entry. Deleting an unknown one succeeds. Versions start at 1 again.
    async fn delete(&self, partition: &Partition) -> Result<(), StoreError>;

    /// How many malformed entries this process has found in the lists of runs and skipped.
    fn malformed_entries(&self) -> u64 {
        0
    }

    /// How many entries of an index this process has found that did not fit their runs, and has repaired.
    fn repaired_entries(&self) -> u64 {
        0
    }
}
