//! The keys of a partition.
//!
//! ```text
//! <prefix>version                                 the version of this key scheme
//! <prefix>r/<partition>/d/<document>              a document; its version is etcd's version of the key
//! <prefix>r/<partition>/m/<length><set><member>   a member of a set
//! <prefix>r/<partition>/n/<length><set><lane>     a counter of the members of a set, see `Keys::lane`
//! <prefix>r/<partition>/e                         the run's entry
//! <prefix>l/<started><run>                        a copy of the entry, in the order in which runs are listed
//! <prefix>q/<due>/<run>                           a due run
//! ```
//!
//! etcd's keys are bytes, so names need no encoding. If it would be ambiguous where a name ends, its length precedes it.

use faas_flow_core::{Millis, Partition, RunId};

pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    fn key<const N: usize>(&self, parts: [&[u8]; N]) -> Vec<u8> {
        [self.prefix.as_bytes(), &parts.concat()].concat()
    }

    pub(super) fn version(&self) -> Vec<u8> {
        self.key([b"version"])
    }

    /// The prefix of all keys of a partition, except those in the two lists.
    pub(super) fn partition(&self, partition: &Partition) -> Vec<u8> {
        self.key([b"r/", partition.as_str().as_bytes(), b"/"])
    }

    fn below<const N: usize>(&self, partition: &Partition, parts: [&[u8]; N]) -> Vec<u8> {
        [self.partition(partition), parts.concat()].concat()
    }

    pub(super) fn doc(&self, partition: &Partition, doc: &str) -> Vec<u8> {
        self.below(partition, [b"d/", doc.as_bytes()])
    }

    pub(super) fn member(&self, partition: &Partition, set: &str, member: &str) -> Vec<u8> {
        self.below(partition, [b"m/", &(set.len() as u32).to_be_bytes(), set.as_bytes(), member.as_bytes()])
    }

    /// A key that counts members: it is written with each first arrival, and etcd counts the writes of a key, so counting
    /// requires no read. Since a transaction may write a key only once, several arrivals of one commit in one set are
    /// counted in different *lanes*. The size of the set is the sum of its lanes.
    pub(super) fn lane(&self, partition: &Partition, set: &str, lane: u32) -> Vec<u8> {
        self.below(partition, [b"n/", &(set.len() as u32).to_be_bytes(), set.as_bytes(), &lane.to_be_bytes()])
    }

    /// The prefix of the lanes of a set.
    pub(super) fn lanes(&self, partition: &Partition, set: &str) -> Vec<u8> {
        self.below(partition, [b"n/", &(set.len() as u32).to_be_bytes(), set.as_bytes()])
    }

    pub(super) fn entry(&self, partition: &Partition) -> Vec<u8> {
        self.below(partition, [b"e"])
    }

    /// The prefix of the list of runs.
    pub(super) fn list(&self) -> Vec<u8> {
        self.key([b"l/"])
    }

    /// The key of a run in the list, which sorts by descending start and id, since etcd lists keys in ascending order. It has
    /// the complements of the bytes; the last byte is larger than any of them, so that `ab` comes before `a`.
    pub(super) fn listed(&self, started: Millis, run: &RunId) -> Vec<u8> {
        let run: Vec<u8> = run.as_str().bytes().map(|byte| !byte).collect();
        self.key([b"l/", &(!started).to_be_bytes(), &run, &[0xff]])
    }

    /// The first key of the list that a run with this start, or an earlier one, may have.
    pub(super) fn listed_from(&self, started: Millis) -> Vec<u8> {
        self.key([b"l/", &(!started).to_be_bytes()])
    }

    pub(super) fn due(&self, at: Millis, run: &RunId) -> Vec<u8> {
        self.key([b"q/", &at.to_be_bytes(), b"/", run.as_str().as_bytes()])
    }

    /// The range of the keys of runs that are due at a moment.
    pub(super) fn due_until(&self, now: Millis) -> (Vec<u8>, Vec<u8>) {
        // `0` follows `/`.
        (self.key([b"q/"]), self.key([b"q/", &now.to_be_bytes(), b"0"]))
    }
}

/// The first key after all those that begin with `prefix`.
pub(super) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // There is no such key. To etcd, this end means that the range is unbounded.
    vec![0]
}

/// The first key after `key`.
pub(super) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str) -> RunId {
        RunId::new(id).unwrap()
    }

    #[test]
    fn listed_runs_sort_by_descending_start_and_id() {
        let keys = Keys::new("p/".into());
        let listed = [(9, "a"), (5, "b"), (5, "ab"), (5, "a"), (0, "z")].map(|(at, id)| keys.listed(at, &run(id)));
        assert!(listed.is_sorted(), "{listed:?}");
    }

    #[test]
    fn the_range_of_due_runs_has_exactly_those_that_are_due() {
        let keys = Keys::new(String::new());
        for now in [0, 47, 48, u64::MAX] {
            let (from, end) = keys.due_until(now);
            assert!((from..end.clone()).contains(&keys.due(now, &run("a"))), "{now}");
            assert!(now == u64::MAX || keys.due(now + 1, &run("-")) >= end, "{now}");
        }
    }

    #[test]
    fn the_end_of_a_prefix_is_past_all_that_begin_with_it() {
        assert_eq!(after_prefix(b"ab"), b"ac");
        assert_eq!(after_prefix(b"a\xff\xff"), b"b");
        assert_eq!(after_prefix(b"\xff"), b"\0");
    }

    #[test]
    fn sets_do_not_share_members() {
        let (keys, partition) = (Keys::new(String::new()), Partition::of_run(&run("r")));
        assert_ne!(keys.member(&partition, "a", "bc"), keys.member(&partition, "ab", "c"));
        assert!(!keys.lane(&partition, "ab", 0).starts_with(&keys.lanes(&partition, "a")));
    }
}
