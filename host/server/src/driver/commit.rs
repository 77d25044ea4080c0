//! One step, one commit: writes what changed of a run.

use super::live::{Inner, Live};
use bytes::Bytes;
use faas_flow_core::run::{ClaimToken, Doc, RunState, encode, set_of};
use faas_flow_core::{BranchKey, Failure, NodePath, Payload, ScopePath, Status};
use faas_flow_store::{Arrival, Change, Check, CommitError, Committed, Expect, Put, RunEntry};
use std::sync::atomic::Ordering;

/// Documents that one commit may hold, and their bytes together: what the smallest of the backends takes.
const CHUNK: usize = 50;
const CHUNK_BYTES: usize = 768 << 10;

/// A branch that ended, and the node that it arrives at.
pub(super) struct Arriving {
    pub(super) node: NodePath,
    pub(super) branch: ScopePath,
    pub(super) began_by: ClaimToken,
    pub(super) total: u32,
    pub(super) member: Arrival,
}

impl Arriving {
    pub(super) fn new(
        node: NodePath,
        began_by: ClaimToken,
        key: &BranchKey,
        index: u32,
        payload: &Payload,
        total: u32,
    ) -> Self {
        let branch = node.scope.branch(&node.node, Some(key));
        let bytes = encode(&(index, payload)).into();
        let member = Arrival { set: set_of(&node, began_by), member: key.to_string(), bytes };
        Self { node, branch, began_by, total, member }
    }
}

/// A branch's place and result, as [`Arriving::new`] wrote them.
pub(super) fn read_arrival(bytes: &[u8]) -> Result<(u32, Payload), Failure> {
    faas_flow_core::run::decode(bytes).map_err(|error| Failure::reject(error.code(), error.to_string()))
}

impl Live {
    /// Writes what changed, and what arrives with it; answers with how many have arrived at each of these nodes. All in one
    /// piece if it is small enough; otherwise branches first, then what says that they began. `values` are documents that
    /// nothing depends on but what is written with them.
    pub(super) async fn commit(
        &self,
        inner: &mut Inner,
        values: Vec<(String, Bytes)>,
    ) -> Result<Vec<u64>, CommitError> {
        match self.is_deferred() {
            true => Ok(Vec::new()),
            false => self.write(inner, values).await,
        }
    }

    pub(super) async fn write(&self, inner: &mut Inner, values: Vec<(String, Bytes)>) -> Result<Vec<u64>, CommitError> {
        let mut documents: Vec<(Doc, Put)> = Vec::with_capacity(inner.state.changed().len());
        inner.state.write_changed(|doc, version, bytes| {
            let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
            documents.push((doc.clone(), Put { doc: doc.name(), expect, bytes: bytes.into() }));
        });
        let mut change = Change::default();
        let is_run = |documents: &[(Doc, Put)]| documents.iter().any(|(doc, _)| *doc == Doc::Run);
        if is_run(&documents) || inner.keeper && (inner.sleeps.is_some() || self.near_due(inner)) {
            change.entry = Some(self.entry(inner));
        }
        let mut arrivals = Arrivals::new(&inner.unsaved.arrivals);
        let mut values: Vec<Put> =
            values.into_iter().map(|(doc, bytes)| Put { doc, expect: Expect::Any, bytes }).collect();
        let bytes = documents.iter().map(|(_, put)| put).chain(&values).map(|put| put.bytes.len()).sum::<usize>();
        if documents.len() + values.len() > CHUNK || bytes > CHUNK_BYTES {
            // Values and the scopes further down only count once the node that began them says so, which the last piece does.
            let last = last_piece(&mut documents);
            let guards = guards(inner, &last);
            for piece in pieces(&values, |put| put.bytes.len()) {
                let piece = Change { checks: guards.clone(), puts: piece.to_vec(), ..Change::default() };
                self.host.state.commit(&self.id, piece).await?;
            }
            for piece in pieces(&documents, |(_, put)| put.bytes.len()) {
                let puts = piece.iter().map(|(_, put)| put.clone()).collect();
                let arriving = arrivals.of(piece);
                let change = Change { checks: guards.clone(), puts, arrivals: arriving, ..Change::default() };
                let committed = self.host.state.commit(&self.id, change).await?;
                arrivals.note(&committed);
                note(&mut inner.state, piece, &committed);
            }
            (documents, values) = (last, Vec::new());
        }
        if !is_run(&documents) && inner.state.run_version() > 0 {
            change.checks.push(Check { doc: Doc::Run.name(), version: inner.state.run_version() });
        }
        change.puts = documents.iter().map(|(_, put)| put.clone()).collect();
        change.puts.extend(values);
        change.arrivals = arrivals.rest();
        if !change.puts.is_empty() || !change.arrivals.is_empty() || change.entry.is_some() {
            let committed = self.host.state.commit(&self.id, change).await?;
            arrivals.note(&committed);
            note(&mut inner.state, &documents, &committed);
            self.late.store(false, Ordering::Release);
        }
        Ok(arrivals.arrived)
    }

    /// The moment at which the run becomes due moves on a third of a lease before it is there.
    fn near_due(&self, inner: &Inner) -> bool {
        self.host.now().saturating_sub(inner.state.run().started) >= self.lease() / 3
    }

    pub(super) fn entry(&self, inner: &Inner) -> RunEntry {
        let run = inner.state.run();
        let status = run.status();
        let due = match status {
            Status::Running => Some(inner.sleeps.unwrap_or(self.host.now() + self.lease())),
            // An operator resumes it.
            Status::Paused => None,
            _ => inner.state.callback_due().or(run.ended.map(|ended| self.host.forgotten(ended))),
        };
        RunEntry {
            run: self.id.clone(),
            flow: run.flow.clone(),
            digest: run.digest.clone(),
            status,
            started: run.started,
            ended: run.ended,
            due,
        }
    }
}

/// What is to arrive, each with the scope whose end it tells.
struct Arrivals {
    left: Vec<(usize, ScopePath, Arrival)>,
    /// Which of them are in the commit under way.
    sent: Vec<usize>,
    arrived: Vec<u64>,
}

impl Arrivals {
    fn new(arriving: &[Arriving]) -> Self {
        let left = arriving.iter().enumerate().map(|(at, one)| (at, one.branch.clone(), one.member.clone()));
        Self { left: left.collect(), sent: Vec::new(), arrived: vec![0; arriving.len()] }
    }

    /// Those that these documents tell of.
    fn of(&mut self, documents: &[(Doc, Put)]) -> Vec<Arrival> {
        let tells =
            |branch: &ScopePath| documents.iter().any(|(doc, _)| matches!(doc, Doc::Scope(path) if path == branch));
        let (of, left) = std::mem::take(&mut self.left).into_iter().partition(|(_, branch, _)| tells(branch));
        self.left = left;
        self.send(of)
    }

    fn rest(&mut self) -> Vec<Arrival> {
        let rest = std::mem::take(&mut self.left);
        self.send(rest)
    }

    fn send(&mut self, arrivals: Vec<(usize, ScopePath, Arrival)>) -> Vec<Arrival> {
        let (sent, arrivals) = arrivals.into_iter().map(|(at, _, arrival)| (at, arrival)).unzip();
        self.sent = sent;
        arrivals
    }

    fn note(&mut self, committed: &Committed) {
        for (at, arrived) in self.sent.drain(..).zip(&committed.arrived) {
            if let Some(known) = self.arrived.get_mut(at) {
                *known = *arrived;
            }
        }
    }
}

/// Cuts into pieces that a commit may hold; one that is too large by itself is a piece.
fn pieces<T>(all: &[T], size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let (mut pieces, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (at, one) in all.iter().enumerate() {
        if at > begin && (at - begin == CHUNK || bytes + size(one) > CHUNK_BYTES) {
            pieces.extend(all.get(begin..at));
            (begin, bytes) = (at, 0);
        }
        bytes += size(one);
    }
    pieces.extend(all.get(begin..).filter(|rest| !rest.is_empty()));
    pieces
}

/// Takes out the documents that say that the others count: the run's own, and those of the outermost scopes.
fn last_piece(documents: &mut Vec<(Doc, Put)>) -> Vec<(Doc, Put)> {
    let depth = |doc: &Doc| match doc {
        Doc::Run => 0,
        Doc::Scope(path) => 1 + path.steps().count(),
    };
    documents.sort_by_cached_key(|(doc, _)| std::cmp::Reverse(depth(doc)));
    let outermost = documents.iter().rev().map(|(doc, _)| depth(doc)).find(|depth| *depth > 0).unwrap_or(0);
    let first = documents.iter().position(|(doc, _)| depth(doc) <= outermost).unwrap_or(0);
    documents.split_off(first.max(documents.len().saturating_sub(CHUNK)))
}

/// A piece may be written while the run, and what began it, are as they were.
fn guards(inner: &Inner, old: &[(Doc, Put)]) -> Vec<Check> {
    let old = old.iter().filter_map(|(_, put)| match put.expect {
        Expect::Version(version) => Some(Check { doc: put.doc.clone(), version }),
        _ => None,
    });
    let run = Check { doc: Doc::Run.name(), version: inner.state.run_version() };
    let mut checks: Vec<Check> = old.filter(|check| check.doc != run.doc).collect();
    if run.version > 0 {
        checks.push(run);
    }
    checks
}

fn note(state: &mut RunState, documents: &[(Doc, Put)], committed: &Committed) {
    for ((doc, _), version) in documents.iter().zip(&committed.versions) {
        state.committed(doc, *version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_neither_too_many_documents_nor_too_many_bytes() {
        let sizes = |all: &[usize]| pieces(all, |size| *size).iter().map(|piece| piece.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [] as [usize; 0]);
        assert_eq!(sizes(&[1; 120]), [50, 50, 20]);
        assert_eq!(sizes(&[CHUNK_BYTES * 2, 1, CHUNK_BYTES / 2, CHUNK_BYTES / 2]), [1, 2, 1]);
    }
}
