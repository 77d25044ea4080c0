//! Commits: from the changed documents of a run to changes of the store.

use crate::batch::Arriving;
use crate::durability::{Durability, Role, Watch};
use crate::io::Io;
use crate::session::{Outstanding, Session, Todo};
use faas_flow_core::run::{ANSWERS, Doc};
use faas_flow_core::{Millis, ScopePath, Status};
use faas_flow_store::{Arrival, Change, Check, Committed, Expect, Put, RunEntry, RunFailure};
use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};

/// How many documents, and how many bytes of them, one change may contain: the lowest limits among the backends.
const CHUNK: usize = 50;
const CHUNK_BYTES: usize = 768 << 10;

/// A requested commit: one change if it is small enough, otherwise several, of which the last makes the others count.
#[derive(Debug)]
pub(crate) struct Committing {
    /// The documents of the outstanding change's first puts.
    docs: Vec<Doc>,
    /// The indices of its arrivals in the batch.
    arriving: Vec<usize>,
    /// The changes that follow.
    left: VecDeque<Piece>,
    /// For each arrival of the batch, the size of its set as far as it is known.
    arrived: Vec<u64>,
    /// The purpose of the commit.
    pub(crate) purpose: Purpose,
}

/// The purpose of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To commit what was applied.
    Batch,
    /// To store a run that was only in memory.
    Durable,
}

#[derive(Debug)]
struct Piece {
    change: Change,
    /// The documents of the change's first puts.
    docs: Vec<Doc>,
    /// The indices of its arrivals in the batch.
    arriving: Vec<usize>,
}

impl Session {
    /// Requests a commit of everything that changed, including arrivals. If there is nothing to write, it counts as
    /// committed at once.
    pub(crate) fn commit(&mut self, now: Millis) {
        if self.durability == Durability::Memory {
            if !self.state.run().paused {
                return self.committed(Vec::new());
            }
            // Anybody who sees that the run has paused may resume it, on any replica, so it must be stored.
            self.todo.push_front(Todo::Commit);
            return self.wait_for(Outstanding::Values, Io::Values { tries: self.unknown });
        }
        let documents = self.changed(|version| match version {
            0 => Expect::Absent,
            version => Expect::Version(version),
        });
        let values = self.batch.documents().into_iter().map(|(doc, bytes)| Put { doc, expect: Expect::Any, bytes });
        let entry = self.wants_entry(&documents, now).then(|| self.entry(now));
        let pieces = self.pieces(documents, values.collect(), entry);
        let arrived = vec![0; self.batch.arrivals.len()];
        if pieces.is_empty() {
            return self.committed(arrived);
        }
        self.ask(pieces, arrived, Purpose::Batch);
    }

    /// Requests a commit of a run that was only in memory, with its context values. No other replica knows the run, so this
    /// overwrites what an earlier try may have left.
    pub(crate) fn make_durable(&mut self, values: Vec<(String, bytes::Bytes)>, now: Millis) {
        let documents = self.changed(|_| Expect::Any);
        let values = values.into_iter().map(|(doc, bytes)| Put { doc, expect: Expect::Any, bytes });
        let entry = Some(self.entry(now));
        let pieces = self.pieces(documents, values.collect(), entry);
        self.ask(pieces, Vec::new(), Purpose::Durable);
    }

    /// The change that stores the history of a run in memory that has ended. It overwrites what an earlier try to make the
    /// run durable may have left.
    pub fn history(&self, now: Millis) -> Change {
        let puts = self.changed(|_| Expect::Any).into_iter().map(|(_, put)| put).collect();
        Change { puts, entry: Some(self.entry(now)), ..Change::default() }
    }

    fn ask(&mut self, mut left: VecDeque<Piece>, arrived: Vec<u64>, purpose: Purpose) {
        let Some(Piece { change, docs, arriving }) = left.pop_front() else { return };
        let io = Io::Commit { change, tries: self.unknown };
        self.wait_for(Outstanding::Commit(Committing { docs, arriving, left, arrived, purpose }), io);
    }

    /// Continues with the next piece of a commit, or ends the commit.
    pub(crate) fn piece_committed(&mut self, mut committing: Committing, committed: &Committed) {
        for (at, arrived) in committing.arriving.iter().zip(&committed.arrived) {
            if let Some(known) = committing.arrived.get_mut(*at) {
                *known = *arrived;
            }
        }
        for (doc, version) in committing.docs.iter().zip(&committed.versions) {
            self.state.committed(doc, *version);
        }
        if !committing.left.is_empty() {
            return self.ask(committing.left, committing.arrived, committing.purpose);
        }
        match committing.purpose {
            Purpose::Batch => self.committed(committing.arrived),
            Purpose::Durable => self.durability = Durability::Stored,
        }
    }

    fn changed(&self, expect: impl Fn(u64) -> Expect) -> Vec<(Doc, Put)> {
        let mut documents = Vec::with_capacity(self.state.changed().len());
        self.state.write_changed(|doc, version, bytes| {
            documents.push((doc.clone(), Put { doc: doc.name(), expect: expect(version), bytes: bytes.into() }));
        });
        documents
    }

    /// One piece if everything fits into it. Otherwise the values and the inner scopes come first: they count only once the
    /// document of the node that started them, which is in the last piece, refers to them.
    fn pieces(&self, mut documents: Vec<(Doc, Put)>, mut values: Vec<Put>, entry: Option<RunEntry>) -> VecDeque<Piece> {
        let mut arrivals = Arrivals::new(&self.batch.arrivals);
        let mut pieces = VecDeque::new();
        let bytes: usize = documents.iter().map(|(_, put)| put).chain(&values).map(|put| put.bytes.len()).sum();
        if documents.len() + values.len() > CHUNK || bytes > CHUNK_BYTES {
            let last = take_last_piece(&mut documents, &self.batch.together);
            let checks = self.guards(&last);
            for puts in chunks(values, |put| put.bytes.len()) {
                let change = Change { checks: checks.clone(), puts, ..Change::default() };
                pieces.push_back(Piece { change, docs: Vec::new(), arriving: Vec::new() });
            }
            for chunk in chunks(documents, |(_, put)| put.bytes.len()) {
                let (docs, puts): (Vec<Doc>, Vec<Put>) = chunk.into_iter().unzip();
                let (arriving, members) = arrivals.of(&docs);
                let change = Change { checks: checks.clone(), puts, arrivals: members, entry: None };
                pieces.push_back(Piece { change, docs, arriving });
            }
            documents = last;
            values = Vec::new();
        }
        let (docs, mut puts): (Vec<Doc>, Vec<Put>) = documents.into_iter().unzip();
        puts.extend(values);
        let (arriving, members) = arrivals.rest();
        if !puts.is_empty() || !members.is_empty() || entry.is_some() {
            // A run that is not stored yet is among the documents.
            let run =
                (!docs.contains(&Doc::Run)).then(|| Check { doc: Doc::Run.name(), version: self.state.run_version() });
            let checks = run.into_iter().chain(self.unanswered(entry.as_ref())).collect();
            let change = Change { checks, puts, arrivals: members, entry };
            pieces.push_back(Piece { change, docs, arriving });
        }
        pieces
    }

    /// A piece may only be written while the run and the documents of the last piece are unchanged.
    fn guards(&self, last: &[(Doc, Put)]) -> Vec<Check> {
        let run = Check { doc: Doc::Run.name(), version: self.state.run_version() };
        let old = last.iter().filter_map(|(_, put)| match put.expect {
            Expect::Version(version) => Some(Check { doc: put.doc.clone(), version }),
            _ => None,
        });
        let mut checks: Vec<Check> = old.filter(|check| check.doc != run.doc).collect();
        if run.version > 0 {
            checks.push(run);
        }
        checks
    }

    /// Before this replica leaves the run until a moment that may be far away, requires that no answer has come which makes the
    /// run due earlier.
    fn unanswered(&self, entry: Option<&RunEntry>) -> Option<Check> {
        let Role::Owner(Watch { sleeps: Some(until), checked, answers }) = self.role else { return None };
        entry.filter(|_| until > checked).map(|_| Check { doc: ANSWERS.to_owned(), version: answers })
    }

    /// The entry in the list of runs changes together with the run's own document. An owner also postpones the moment at
    /// which the run becomes due, before that moment comes.
    fn wants_entry(&self, documents: &[(Doc, Put)], now: Millis) -> bool {
        let age = now.saturating_sub(self.state.run().started);
        documents.iter().any(|(doc, _)| *doc == Doc::Run)
            || self.batch.has_answer()
            || matches!(self.role, Role::Owner(watch) if watch.sleeps.is_some() || age >= self.rules.lease / 3)
    }

    fn entry(&self, now: Millis) -> RunEntry {
        let run = self.state.run();
        let status = run.status();
        let sleeps = match self.role {
            Role::Owner(watch) => watch.sleeps,
            Role::Helper | Role::Left => None,
        };
        let due = match status {
            // A replica that takes a signal for the run before it starts does not change when it is due.
            Status::Running => sleeps.or_else(|| self.state.starts_later(now)).or(Some(now + self.rules.lease)),
            // It waits for an operator, but not for longer than its deadline.
            Status::Paused => run.deadline,
            _ => self.state.callback_due().or(run.ended.map(|ended| self.rules.expires(status, ended))),
        };
        RunEntry {
            run: run.id.clone(),
            flow: run.flow.clone(),
            digest: run.digest.clone(),
            status,
            labels: run.labels.clone(),
            failure: run.failure.as_ref().filter(|_| status == Status::Failed).map(RunFailure::of),
            started: run.started,
            ended: run.ended,
            due,
        }
    }
}

/// The arrivals of a batch that are in no piece yet, each with its index in the batch and the branch that has ended.
struct Arrivals(Vec<(usize, ScopePath, Arrival)>);

impl Arrivals {
    fn new(arriving: &[Arriving]) -> Self {
        let indexed = arriving.iter().enumerate();
        Self(indexed.map(|(at, one)| (at, one.branch.clone(), one.member.clone())).collect())
    }

    /// Takes the arrivals of the branches whose documents these are.
    fn of(&mut self, docs: &[Doc]) -> (Vec<usize>, Vec<Arrival>) {
        let includes = |branch: &ScopePath| docs.iter().any(|doc| matches!(doc, Doc::Scope(path) if path == branch));
        let (taken, left) = std::mem::take(&mut self.0).into_iter().partition(|(_, branch, _)| includes(branch));
        self.0 = left;
        unzip(taken)
    }

    fn rest(&mut self) -> (Vec<usize>, Vec<Arrival>) {
        unzip(std::mem::take(&mut self.0))
    }
}

fn unzip(arrivals: Vec<(usize, ScopePath, Arrival)>) -> (Vec<usize>, Vec<Arrival>) {
    arrivals.into_iter().map(|(at, _, member)| (at, member)).unzip()
}

/// Splits items into chunks that fit into one change. An item that is too large for that is a chunk of its own.
fn chunks<T>(all: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    let mut bytes = 0;
    for one in all {
        let more = size(&one);
        if !chunk.is_empty() && (chunk.len() == CHUNK || bytes + more > CHUNK_BYTES) {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += more;
        chunk.push(one);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

/// Takes out the documents that make the others count: the run's own, and those of the outermost scopes. Those that must be
/// written together are among them.
fn take_last_piece(documents: &mut Vec<(Doc, Put)>, together: &BTreeSet<Doc>) -> Vec<(Doc, Put)> {
    let depth = |doc: &Doc| match doc {
        _ if together.contains(doc) => 0,
        Doc::Run | Doc::Signal(_) | Doc::EarlySignals => 0,
        Doc::Scope(path) => 1 + path.steps().count(),
    };
    documents.sort_by_cached_key(|(doc, _)| Reverse(depth(doc)));
    let outermost = documents.iter().rev().map(|(doc, _)| depth(doc)).find(|depth| *depth > 0).unwrap_or(0);
    let first = documents.iter().position(|(doc, _)| depth(doc) <= outermost).unwrap_or(0);
    documents.split_off(first.max(documents.len().saturating_sub(CHUNK)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_has_neither_too_many_documents_nor_too_many_bytes() {
        let sizes = |all: &[usize]| chunks(all.to_vec(), |size| *size).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [] as [usize; 0]);
        assert_eq!(sizes(&[1; 120]), [50, 50, 20]);
        assert_eq!(sizes(&[CHUNK_BYTES * 2, 1, CHUNK_BYTES / 2, CHUNK_BYTES / 2]), [1, 2, 1]);
        assert_eq!(sizes(&[CHUNK_BYTES / 2, CHUNK_BYTES / 2, 1]), [2, 1]);
    }
}
