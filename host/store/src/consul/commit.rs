//! Commits and deletions, each as one transaction.

use super::agent::{Op, Outcome, Pair};
use super::aside::{self, Values};
use super::heads::{Head, Place};
use super::{Consul, OPS};
use crate::{Arrival, Change, CommitError, Committed, Put, RunEntry, StoreError, entry};
use bytes::Bytes;
use faas_flow_core::{Partition, RunId};
use std::collections::{BTreeSet, HashMap, HashSet};

/// How often a change is tried while other processes change the same keys. There is no wait between the tries, as each
/// failure means that another process has made progress.
const MAX_CONFLICTS: usize = 100;

/// A transaction, and the heads that it writes. Their indices are only known from the answer.
#[derive(Default)]
struct Plan {
    ops: Vec<Op>,
    heads: HashMap<String, Head>,
    /// Pieces to which no head refers after the transaction.
    replaced: Vec<String>,
    committed: Committed,
}

impl Consul {
    pub(super) async fn apply(&self, partition: &Partition, change: &Change) -> Result<Committed, CommitError> {
        if *change == Change::default() {
            return Ok(Committed::default());
        }
        // A set's size is one key, so concurrent arrivals conflict. Within this process they wait for each other instead.
        let _turn = if change.arrivals.is_empty() { None } else { Some(self.turn(partition).lock().await) };
        let keys = self.heads_of_change(partition, change);
        let mut heads = self.heads.of(&keys);
        if !self.admits(partition, change, &heads) {
            heads = self.look(&keys).await?;
            if !self.admits(partition, change, &heads) {
                return Err(CommitError::Conflict);
            }
        }
        let values = Values::set_aside(&self.agent, &self.values(partition, change)).await?;
        let outcome = self.attempt(partition, change, &keys, heads, &values).await;
        match outcome {
            Ok(Plan { committed, replaced, .. }) => {
                aside::discard(&self.agent, replaced).await;
                Ok(committed)
            }
            Err(error) => {
                // If it is unknown whether the change has happened, a head may refer to the pieces.
                if !matches!(error, CommitError::Store(StoreError::Unavailable { .. })) {
                    aside::discard(&self.agent, values.pieces()).await;
                }
                Err(error)
            }
        }
    }

    /// Tries until the change has happened or has failed.
    async fn attempt(
        &self,
        partition: &Partition,
        change: &Change,
        keys: &BTreeSet<String>,
        mut heads: HashMap<String, Head>,
        values: &Values,
    ) -> Result<Plan, CommitError> {
        for _ in 0..MAX_CONFLICTS {
            let mut plan = self.plan(partition, change, &heads, values);
            match self.agent.txn(&plan.ops).await? {
                Outcome::Done(pairs) => {
                    self.learn(&mut plan, &pairs);
                    return Ok(plan);
                }
                Outcome::Stale(what) => {
                    let found = self.look(keys).await?;
                    if !self.admits(partition, change, &found) {
                        return Err(CommitError::Conflict);
                    }
                    if found == heads {
                        // Only the guard can have failed: another process has deleted the run, and the pieces with it.
                        let deleted = values.guard().is_some();
                        return Err(if deleted { CommitError::Conflict } else { self.agent.unavailable(what).into() });
                    }
                    heads = found;
                }
            }
        }
        Err(self.too_many_conflicts().into())
    }

    pub(super) async fn forget(&self, partition: &Partition) -> Result<(), StoreError> {
        let keys = BTreeSet::from([self.keys.entry(partition)]);
        let mut heads = self.heads.of(&keys);
        for _ in 0..MAX_CONFLICTS {
            let mut ops = Vec::new();
            for (key, head) in &heads {
                ops.push(Op::check(key.clone(), head.index));
                ops.extend(partition.run().into_iter().flat_map(|run| self.leave(&run, head.place, None)));
            }
            ops.push(Op::delete_all(self.keys.partition(partition)));
            match self.agent.txn(&ops).await? {
                Outcome::Done(_) => {
                    self.heads.note(keys.into_iter().map(|key| (key, Head::default())));
                    return Ok(());
                }
                Outcome::Stale(_) => heads = self.look(&keys).await?,
            }
        }
        Err(self.too_many_conflicts())
    }

    fn too_many_conflicts(&self) -> StoreError {
        self.agent.unavailable(format!("gave up after {MAX_CONFLICTS} conflicting updates to the run"))
    }

    fn head_of(&self, partition: &Partition, doc: &str) -> String {
        format!("{}v", self.keys.doc(partition, doc))
    }

    /// The keys whose heads the change reads or writes.
    fn heads_of_change(&self, partition: &Partition, change: &Change) -> BTreeSet<String> {
        let mut keys: BTreeSet<String> =
            change.checks.iter().map(|check| self.head_of(partition, &check.doc)).collect();
        keys.extend(change.puts.iter().map(|put| self.head_of(partition, &put.doc)));
        for Arrival { set, member, .. } in &change.arrivals {
            keys.insert(self.keys.count(partition, set));
            keys.insert(format!("{}v", self.keys.member(partition, set, member)));
        }
        keys.extend(change.entry.as_ref().map(|_| self.keys.entry(partition)));
        keys
    }

    /// The values that the change writes, each with the base of its keys.
    fn values<'a>(&self, partition: &Partition, change: &'a Change) -> Vec<(String, &'a Bytes)> {
        let docs = change.puts.iter().map(|put| (self.keys.doc(partition, &put.doc), &put.bytes));
        let members = first(&change.arrivals)
            .into_iter()
            .map(|arrival| (self.keys.member(partition, &arrival.set, &arrival.member), &arrival.bytes));
        docs.chain(members).collect()
    }

    /// Reads heads, and remembers them.
    async fn look(&self, keys: &BTreeSet<String>) -> Result<HashMap<String, Head>, StoreError> {
        let mut heads: HashMap<String, Head> = keys.iter().map(|key| (key.clone(), Head::default())).collect();
        let keys: Vec<&String> = keys.iter().collect();
        for keys in keys.chunks(OPS) {
            let ops: Vec<Op> = keys.iter().map(|key| Op::read((*key).clone())).collect();
            for pair in self.agent.read(&ops).await? {
                let head = Head::of(&pair).map_err(|reason| self.agent.corrupt(reason))?;
                heads.insert(pair.key, head);
            }
        }
        self.heads.note(heads.clone());
        Ok(heads)
    }

    fn admits(&self, partition: &Partition, change: &Change, heads: &HashMap<String, Head>) -> bool {
        let version = |doc: &str| heads.get(&self.head_of(partition, doc)).map_or(0, |head| head.flags);
        change.checks.iter().all(|check| version(&check.doc) == check.version)
            && change.puts.iter().all(|put| put.expect.admits(version(&put.doc)))
    }

    fn plan(&self, partition: &Partition, change: &Change, heads: &HashMap<String, Head>, values: &Values) -> Plan {
        let mut plan = Plan::default();
        let head = |key: &str| heads.get(key).cloned().unwrap_or_default();
        let written: HashSet<&str> = change.puts.iter().map(|put| put.doc.as_str()).collect();
        for doc in change.checks.iter().map(|check| check.doc.as_str()).filter(|doc| !written.contains(doc)) {
            let key = self.head_of(partition, doc);
            plan.ops.push(Op::check(key.clone(), head(&key).index));
        }
        for Put { doc, bytes, .. } in &change.puts {
            let base = self.keys.doc(partition, doc);
            let key = self.head_of(partition, doc);
            let Head { index, flags, aside, .. } = head(&key);
            plan.replaced.extend(aside.map(|id| format!("{base}{id}/")));
            plan.committed.versions.push(flags + 1);
            plan.ops.push(Op::cas(key.clone(), &values.head(&base, bytes), flags + 1, index));
            plan.heads.insert(key, Head { flags: flags + 1, aside: values.id(&base), ..Head::default() });
        }
        self.arrive(partition, &change.arrivals, heads, values, &mut plan);
        if let Some(entry) = &change.entry {
            let key = self.keys.entry(partition);
            let Head { index, place, .. } = head(&key);
            plan.ops.extend(self.enter(entry, index, place));
            plan.heads.insert(key, Head { place: Some(Place::of(entry)), ..Head::default() });
        }
        plan.ops.extend(values.guard());
        plan
    }

    /// Adds the operations that write and count each member that is new.
    fn arrive(
        &self,
        partition: &Partition,
        arrivals: &[Arrival],
        heads: &HashMap<String, Head>,
        values: &Values,
        plan: &mut Plan,
    ) {
        let head = |key: &str| heads.get(key).cloned().unwrap_or_default();
        let mut new: HashMap<&str, u64> = HashMap::new();
        for Arrival { set, member, bytes } in first(arrivals) {
            let base = self.keys.member(partition, set, member);
            let key = format!("{base}v");
            let count = new.entry(set).or_default();
            if head(&key).index == 0 {
                *count += 1;
                plan.ops.push(Op::cas(key, &values.head(&base, bytes), 0, 0));
            } else {
                plan.replaced.extend(values.id(&base).map(|id| format!("{base}{id}/")));
            }
        }
        let mut counted = HashMap::new();
        for (set, new) in new {
            let key = self.keys.count(partition, set);
            let Head { index, flags, .. } = head(&key);
            counted.insert(set, flags + new);
            plan.ops.push(match new {
                0 => Op::check(key.clone(), index),
                _ => Op::cas(key.clone(), b"", flags + new, index),
            });
            plan.heads.insert(key, Head { flags: flags + new, ..Head::default() });
        }
        plan.committed.arrived =
            arrivals.iter().map(|arrival| counted.get(arrival.set.as_str()).copied().unwrap_or_default()).collect();
    }

    /// The operations that write the entry, including its copies in the lists.
    fn enter(&self, entry: &RunEntry, index: u64, place: Option<Place>) -> Vec<Op> {
        let (line, run) = (entry::encode(entry), &entry.run);
        let mut ops = self.leave(run, place, Some(entry));
        ops.push(Op::cas(self.keys.entry(&Partition::of_run(run)), &line, 0, index));
        ops.push(Op::set(self.keys.listed(entry.started, run), &line));
        let moved = place.is_none_or(|place| place.due != entry.due);
        ops.extend(entry.due.filter(|_| moved).map(|due| Op::set(self.keys.due(due, run), b"")));
        ops
    }

    /// The operations that remove the run's places in the lists, except those that the next entry overwrites.
    fn leave(&self, run: &RunId, place: Option<Place>, next: Option<&RunEntry>) -> Vec<Op> {
        let Some(Place { started, due }) = place else { return Vec::new() };
        let mut ops = Vec::new();
        if next.is_none_or(|next| next.started != started) {
            ops.push(Op::delete(self.keys.listed(started, run)));
        }
        let due = due.filter(|due| next.is_none_or(|next| next.due != Some(*due)));
        ops.extend(due.map(|due| Op::delete(self.keys.due(due, run))));
        ops
    }

    /// Remembers the heads that a transaction has written.
    fn learn(&self, plan: &mut Plan, pairs: &[Pair]) {
        let mut heads = std::mem::take(&mut plan.heads);
        let known = pairs.iter().filter_map(|pair| {
            let (key, head) = heads.remove_entry(&pair.key)?;
            Some((key, Head { index: pair.modify_index, ..head }))
        });
        self.heads.note(known.collect::<Vec<_>>());
    }
}

/// The first arrival of each member.
fn first(arrivals: &[Arrival]) -> Vec<&Arrival> {
    let mut seen = HashSet::new();
    arrivals.iter().filter(|arrival| seen.insert((&arrival.set, &arrival.member))).collect()
}
