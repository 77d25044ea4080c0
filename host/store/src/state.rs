//! The truth about runs: what a state store keeps and promises.

use crate::{CommitError, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{Digest, FlowName, Millis, RunId, Status};

/// A document of a run, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Counts the document's writes, from 1.
    pub version: u64,
    /// Its content; the store does not look into it.
    pub bytes: Bytes,
}

/// What a [`Put`] finds, or else the commit conflicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there.
    Any,
    /// No such document.
    Absent,
    /// The document at this version. Version 0 is a document that does not exist.
    Version(u64),
}

/// Writes a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Its name within the run: non-empty, at most 1 KiB.
    pub doc: String,
    /// What must be there.
    pub expect: Expect,
    /// What will be there.
    pub bytes: Bytes,
}

/// Demands that a document is at a version, without writing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name within the run.
    pub doc: String,
    /// Its version; 0 for a document that does not exist.
    pub version: u64,
}

/// Lets a member arrive in a set. The first write of a member wins: a second one changes nothing and is no conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The set's name within the run.
    pub set: String,
    /// The member's name within the set.
    pub member: String,
    /// What the member brings.
    pub bytes: Bytes,
}

/// What one commit changes. The puts of one change name different documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// What must hold.
    pub checks: Vec<Check>,
    /// The documents to write.
    pub puts: Vec<Put>,
    /// The members that arrive.
    pub arrivals: Vec<Arrival>,
    /// The run's new line in the list of runs; without one the line stays as it is.
    pub entry: Option<RunEntry>,
}

/// What a commit yielded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The versions of the puts, in their order: each one more than before.
    pub versions: Vec<u64>,
    /// For each arrival, in their order, how many members its set has after the whole commit.
    pub arrived: Vec<u64>,
}

/// A run's line in the list of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEntry {
    /// The run: the one that is committed to.
    pub run: RunId,
    /// Its flow.
    pub flow: FlowName,
    /// The module that it is pinned to.
    pub digest: Digest,
    /// How it is doing.
    pub status: Status,
    /// When it began.
    pub started: Millis,
    /// When it ended.
    pub ended: Option<Millis>,
    /// When the sweeper should look at it; never, if there is none.
    pub due: Option<Millis>,
}

/// Which runs to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunQuery {
    /// Only those of this flow.
    pub flow: Option<FlowName>,
    /// Only those with this status.
    pub status: Option<Status>,
    /// At most so many.
    pub limit: usize,
}

/// Keeps the truth about runs: small, consistent, changed by compare-and-swap.
///
/// A run consists of named documents, named sets of members, and one entry in the list of runs. All of it is one
/// partition: a commit touches one run only, so a backend may spread the runs over servers.
///
/// - *Atomic*: a commit happens entirely or not at all, for readers and after a crash of the process alike. With
///   [`CommitError::Conflict`] nothing has changed.
/// - *Linearizable per run*: commits to a run happen one after the other, and whatever a call has answered, every later
///   call sees, on every replica. A version is never given twice while the run exists.
/// - *Listing* ([`runs`](StateStore::runs), [`due`](StateStore::due)) may lag behind in a distributed backend: it is a
///   hint, and the sweeper reads the run before it acts.
///   What stands in a list and is no run is passed over and counted ([`garbage`](StateStore::garbage)).
/// - *Errors*: with an error of [`read`](StateStore::read) and its like nothing has happened. When a commit answers
///   [`StoreError::Unavailable`] it is unknown whether it happened: read before trying again. After any other error it
///   has not happened.
/// - *Cancelling*: a commit whose future is dropped may or may not happen.
#[async_trait]
pub trait StateStore: Send + Sync + 'static {
    /// Reads documents in one consistent view, in the order of `docs`; none for those that do not exist.
    async fn read(&self, run: &RunId, docs: &[String]) -> Result<Vec<Option<Document>>, StoreError>;

    /// Reads all documents of a run in one consistent view, sorted by name (bytewise); empty for an unknown run.
    async fn read_all(&self, run: &RunId) -> Result<Vec<(String, Document)>, StoreError>;

    /// Applies a change if all its checks and expectations hold against the state before it. Answers once the change is
    /// stored (see the backend's address for how durable that is).
    async fn commit(&self, run: &RunId, change: Change) -> Result<Committed, CommitError>;

    /// The members of a set, sorted by name (bytewise); empty for an unknown set.
    async fn arrivals(&self, run: &RunId, set: &str) -> Result<Vec<(String, Bytes)>, StoreError>;

    /// How many members a set has; 0 for an unknown set. Does not take longer for a larger set.
    async fn arrived(&self, run: &RunId, set: &str) -> Result<u64, StoreError>;

    /// The run's line in the list of runs; none before the first commit with an entry.
    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError>;

    /// Lists runs that have an entry, newest start first; those that started together by descending id.
    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunEntry>, StoreError>;

    /// The runs whose due time is at or before `now`, earliest first. They stay due until their entry says otherwise.
    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError>;

    /// Forgets a run: documents, sets and entry. Deleting an unknown run is fine. Versions begin anew.
    async fn delete(&self, run: &RunId) -> Result<(), StoreError>;

    /// How much this process has met in the lists that is no run, and passed over.
    fn garbage(&self) -> u64 {
        0
    }
}
