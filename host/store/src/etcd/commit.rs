//! Commits and deletions, each as one transaction.

use super::places::Place;
use super::{Etcd, gets, version};
use crate::{Arrival, Change, CommitError, Committed, Expect, Put, RunEntry, StoreError, entry};
use etcd_client::{Compare, CompareOp, DeleteOptions, GetOptions, KeyValue, Txn, TxnOp, TxnResponse};
use faas_flow_core::{Partition, RunId};
use std::collections::{HashMap, HashSet};

/// How often a change is tried while other processes move the run in the lists at the same time. There is no wait between
/// the tries, as each failure means that another process has made progress.
const MAX_CONFLICTS: usize = 100;

impl Etcd {
    pub(super) async fn apply(&self, partition: &Partition, change: Change) -> Result<Committed, CommitError> {
        if change == Change::default() {
            return Ok(Committed::default());
        }
        if change.entry.is_none() {
            let answer =
                self.servers.txn(self.transaction(partition, &change, None)).await.map_err(StoreError::from)?;
            return if answer.succeeded() { Ok(committed(&change, &answer)) } else { Err(CommitError::Conflict) };
        }
        let mut place = self.places.of(partition);
        for _ in 0..MAX_CONFLICTS {
            let txn = self.transaction(partition, &change, Some(place));
            let answer = self.servers.txn(txn).await.map_err(StoreError::from)?;
            if answer.succeeded() {
                let entry = change.entry.as_ref();
                let revision = answer.header().map_or(0, |header| header.revision());
                let (started, due) = entry.map_or((0, None), |entry| (entry.started, entry.due));
                self.places.note(partition, Place { revision, started, due });
                return Ok(committed(&change, &answer));
            }
            let found = self.place(&answer)?;
            self.places.note(partition, found);
            if found == place {
                return Err(CommitError::Conflict);
            }
            place = found;
        }
        Err(self.too_many_conflicts().into())
    }

    pub(super) async fn forget(&self, partition: &Partition) -> Result<(), StoreError> {
        let mut place = self.places.of(partition);
        for _ in 0..MAX_CONFLICTS {
            let mut ops = vec![TxnOp::delete(self.keys.partition(partition), Some(DeleteOptions::new().with_prefix()))];
            ops.extend(partition.run().into_iter().flat_map(|run| self.leave(&run, place, None)));
            let txn = Txn::new()
                .when([Compare::mod_revision(self.keys.entry(partition), CompareOp::Equal, place.revision)])
                .and_then(ops)
                .or_else([TxnOp::get(self.keys.entry(partition), None)]);
            let answer = self.servers.txn(txn).await?;
            if answer.succeeded() {
                self.places.forget(partition);
                return Ok(());
            }
            place = self.place(&answer)?;
        }
        Err(self.too_many_conflicts())
    }

    fn too_many_conflicts(&self) -> StoreError {
        self.servers.unavailable(format!("gave up after {MAX_CONFLICTS} conflicting updates to the run"))
    }

    /// The place of the run as a failed transaction found it.
    fn place(&self, answer: &TxnResponse) -> Result<Place, StoreError> {
        let Some(pair) = gets(answer.op_responses()).next().and_then(|pairs| pairs.into_iter().next()) else {
            return Ok(Place::default());
        };
        let entry = self.read_entry(pair.value())?;
        Ok(Place { revision: pair.mod_revision(), started: entry.started, due: entry.due })
    }

    fn transaction(&self, partition: &Partition, change: &Change, place: Option<Place>) -> Txn {
        let mut compares: Vec<Compare> =
            change.checks.iter().map(|check| self.at_version(partition, &check.doc, check.version)).collect();
        compares.extend(change.puts.iter().filter_map(|put| match put.expect {
            Expect::Any => None,
            Expect::Absent => Some(self.at_version(partition, &put.doc, 0)),
            Expect::Version(version) => Some(self.at_version(partition, &put.doc, version)),
        }));
        let mut ops: Vec<TxnOp> =
            change.puts.iter().map(|put| TxnOp::put(self.keys.doc(partition, &put.doc), &*put.bytes, None)).collect();
        ops.extend(self.arrive(partition, &change.arrivals));
        let mut or_else = Vec::new();
        if let Some((entry, place)) = change.entry.as_ref().zip(place) {
            let key = self.keys.entry(partition);
            compares.push(Compare::mod_revision(key.clone(), CompareOp::Equal, place.revision));
            or_else.push(TxnOp::get(key, None));
            ops.extend(self.enter(entry, place));
        }
        let keys_only = || Some(GetOptions::new().with_keys_only());
        let unknown = change.puts.iter().filter(|put| put.expect == Expect::Any);
        ops.extend(unknown.map(|put| TxnOp::get(self.keys.doc(partition, &put.doc), keys_only())));
        let lanes = |set: &str| {
            TxnOp::get(self.keys.lanes(partition, set), Some(GetOptions::new().with_keys_only().with_prefix()))
        };
        ops.extend(sets(&change.arrivals).iter().map(|set| lanes(set)));
        Txn::new().when(compares).and_then(ops).or_else(or_else)
    }

    fn at_version(&self, partition: &Partition, doc: &str, version: u64) -> Compare {
        // No document is ever written as often as that.
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        Compare::version(self.keys.doc(partition, doc), CompareOp::Equal, version)
    }

    /// The operations that write and count each member that is new.
    fn arrive(&self, partition: &Partition, arrivals: &[Arrival]) -> Vec<TxnOp> {
        let mut seen = HashSet::new();
        let mut lanes = HashMap::<&str, u32>::new();
        // If a member arrives twice in one change, the first arrival wins.
        let first = arrivals.iter().filter(|arrival| seen.insert((&arrival.set, &arrival.member)));
        let arrive = first.map(|Arrival { set, member, bytes }| {
            let lane = lanes.entry(set).or_default();
            let member = self.keys.member(partition, set, member);
            let counter = self.keys.lane(partition, set, *lane);
            *lane += 1;
            let missing = Compare::version(member.clone(), CompareOp::Equal, 0);
            let puts = [TxnOp::put(member, &**bytes, None), TxnOp::put(counter, "", None)];
            TxnOp::txn(Txn::new().when([missing]).and_then(puts))
        });
        arrive.collect()
    }

    /// The operations that write the entry, including its copies in the lists.
    fn enter(&self, entry: &RunEntry, place: Place) -> Vec<TxnOp> {
        let (line, run) = (entry::encode(entry), &entry.run);
        let mut ops = self.leave(run, place, Some(entry));
        ops.push(TxnOp::put(self.keys.entry(&Partition::of_run(run)), &*line, None));
        ops.push(TxnOp::put(self.keys.listed(entry.started, run), &*line, None));
        ops.extend(entry.due.map(|due| TxnOp::put(self.keys.due(due, run), "", None)));
        ops
    }

    /// The operations that remove the run's places in the lists, except those that the next entry overwrites.
    fn leave(&self, run: &RunId, place: Place, next: Option<&RunEntry>) -> Vec<TxnOp> {
        let mut ops = Vec::new();
        if place.revision > 0 && next.is_none_or(|next| next.started != place.started) {
            ops.push(TxnOp::delete(self.keys.listed(place.started, run), None));
        }
        let due = place.due.filter(|due| next.is_none_or(|next| next.due != Some(*due)));
        ops.extend(due.map(|due| TxnOp::delete(self.keys.due(due, run), None)));
        ops
    }
}

/// The sets in which members arrive, each once.
fn sets(arrivals: &[Arrival]) -> Vec<&str> {
    let mut seen = HashSet::new();
    arrivals.iter().map(|arrival| arrival.set.as_str()).filter(|set| seen.insert(*set)).collect()
}

fn committed(change: &Change, answer: &TxnResponse) -> Committed {
    let mut gets = gets(answer.op_responses());
    let version = |put: &Put| match put.expect {
        Expect::Absent => 1,
        Expect::Version(version) => version + 1,
        Expect::Any => gets.next().and_then(|pairs| pairs.first().map(version)).unwrap_or_default(),
    };
    let versions = change.puts.iter().map(version).collect();
    let size = |pairs: Vec<KeyValue>| pairs.iter().map(super::version).sum();
    let sizes: HashMap<&str, u64> = sets(&change.arrivals).into_iter().zip(gets.map(size)).collect();
    let arrived = change.arrivals.iter().map(|arrival| sizes.get(arrival.set.as_str()).copied().unwrap_or_default());
    Committed { versions, arrived: arrived.collect() }
}
