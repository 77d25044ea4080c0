//! The state of runs in Redis.

use super::changes::noted;
use super::entry::{decode, decode_failure, encode, encode_failure, indexed};
use super::link::{Arguments, Link, Lua, Repeat};
use super::list::mark_indexed;
use crate::changes::{Changed, Seen};
use crate::malformed::MalformedEntries;
use crate::state::holds_data;
use crate::{
    Arrival, Change, CommitError, Committed, Document, Expect, RunCounts, RunEntry, RunPage, RunQuery, StateStore,
    StoreError,
};
use ::redis::cmd;
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::run::HOLD_DATA;
use faas_flow_core::{FlowName, Millis, Partition, RunId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use tokio::sync::OnceCell;

/// The version of the stored form that this release writes.
const FORM: u64 = 1;

/// How many parts the index of a new store has unless its address says otherwise.
const PARTS: u64 = 16;

/// How long after it was due to be deleted a run expires by itself, in milliseconds.
const GRACE: Millis = 60 * 60 * 1000;

/// The position of the first set among the keys of a script, from 1.
const FIRST_SET: usize = 6;

/// The most documents and arrivals that a first commit may have to take the fast path (`create.lua`), where all of them are
/// arguments of one call in Lua.
const FEW: usize = 100;

pub(super) struct RedisState {
    pub(super) link: Link,
    pub(super) parts: u64,
    pub(super) forget: Lua,
    pub(super) index: Lua,
    pub(super) malformed: MalformedEntries,
    /// How many entries of the index were repaired.
    pub(super) repaired: AtomicU64,
    /// Whether all parts have an index of all their runs.
    pub(super) indexed: OnceCell<()>,
    create: Lua,
    commit: Lua,
    expire: Lua,
    delete: Lua,
    progress: Lua,
    pub(super) changed: Lua,
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

impl RedisState {
    /// Marks a new store, or checks that an existing one can be used. An existing store keeps its number of parts.
    pub(super) async fn open(link: Link, parts: Option<u64>) -> Result<Self, StoreError> {
        let key = format!("{}store", link.target.prefix);
        let mut get = cmd("GET");
        get.arg(&key);
        let mut mark = cmd("SET");
        mark.arg(&key).arg(format!("{FORM} {}", parts.unwrap_or(PARTS).clamp(1, 1024))).arg("NX");
        let mut found: Option<Vec<u8>> = link.ask(&get, Repeat::Harmless).await?;
        let mut indexed = None;
        if found.is_none() {
            let new: Option<String> = link.ask(&mark, Repeat::Harmless).await?;
            if new.is_some() {
                // A new store has no runs of an older release, for which a first list would have to look.
                mark_indexed(&link).await?;
                indexed = Some(());
            }
            found = link.ask(&get, Repeat::Harmless).await?;
        }
        let text = String::from_utf8(found.unwrap_or_default()).unwrap_or_default();
        let numbers = text.split_once(' ').and_then(|(form, parts)| Some((form.parse().ok()?, parts)));
        let parts = match numbers {
            Some((FORM, parts)) => parts.parse().ok().filter(|parts| (1..=1024).contains(parts)),
            Some((found, _)) if found > FORM => {
                return Err(StoreError::Newer { place: link.target.to_string(), found, known: FORM });
            }
            _ => None,
        };
        let parts = parts.ok_or_else(|| link.target.corrupt(format!("the key {key} was not written by faas-flow")))?;
        Ok(Self {
            link,
            parts,
            forget: Lua::new(concat!(include_str!("labels.lua"), include_str!("forget.lua"))),
            index: Lua::new(concat!(include_str!("labels.lua"), include_str!("index.lua"))),
            malformed: MalformedEntries::default(),
            repaired: AtomicU64::default(),
            indexed: OnceCell::new_with(indexed),
            create: Lua::new(concat!(include_str!("labels.lua"), include_str!("create.lua"))),
            commit: Lua::new(concat!(include_str!("labels.lua"), include_str!("commit.lua"))),
            expire: Lua::new(include_str!("expire.lua")),
            delete: Lua::new(concat!(include_str!("labels.lua"), include_str!("delete.lua"))),
            progress: Lua::new(concat!(include_str!("read.lua"), include_str!("progress.lua"))),
            changed: Lua::new(concat!(include_str!("read.lua"), include_str!("changed.lua"))),
        })
    }

    /// The prefix of the keys that are stored with a part of the index. In a cluster, what is in braces decides about the slot.
    pub(super) fn part(&self, number: u64) -> String {
        format!("{}{{{number}}}:", self.link.target.prefix)
    }

    fn part_of(&self, partition: &Partition) -> String {
        // FNV-1a. It is part of the stored form: another hash would not find stored runs.
        let hash = partition
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        self.part((hash >> 32) % self.parts)
    }

    pub(super) fn key(&self, partition: &Partition) -> Vec<u8> {
        format!("{}run:{partition}", self.part_of(partition)).into_bytes()
    }

    fn set_key(&self, partition: &Partition, set: &str) -> Vec<u8> {
        format!("{}run:{partition}:{set}", self.part_of(partition)).into_bytes()
    }

    /// The keys of the partition and of its part of the index, in the order that the scripts expect.
    pub(super) fn keys(&self, partition: &Partition) -> Vec<Vec<u8>> {
        let part = self.part_of(partition);
        let index = |name: &str| [&*part, name].concat().into_bytes();
        vec![self.key(partition), index("runs"), index("due"), index("labels"), index("labeled")]
    }

    /// Commits a change that is probably the first of its run, with a script that is shorter than `commit.lua`. `None` if the
    /// run exists already, so that nothing was changed.
    async fn create(
        &self,
        partition: &Partition,
        change: &Change,
        entry: &RunEntry,
    ) -> Result<Option<Committed>, CommitError> {
        let Change { puts, arrivals, .. } = change;
        let mut keys = self.keys(partition);
        let mut arguments = Arguments::default();
        let due = entry.due.map(|due| due.to_string()).unwrap_or_default();
        arguments.bytes(partition.as_str().as_bytes()).text(entry.started).text(due).text(expiry(entry));
        arguments.text(indexed(entry));
        let at = self.arrive(partition, arrivals, &mut keys, &mut arguments);
        for set in at.keys() {
            arguments.text(format_args!("s{set}")).bytes(b"");
        }
        for put in puts {
            arguments.text(format_args!("d{}", put.doc)).bytes(&put.bytes);
            arguments.text(format_args!("v{}", put.doc)).bytes(b"1");
        }
        arguments.bytes(b"l").bytes(b"1").bytes(b"l1").text(noted(puts));
        arguments.bytes(b"c").text(puts.iter().filter(|put| !holds_data(&put.doc)).count());
        arguments.bytes(b"e").text(encode(entry));
        if let Some(failure) = &entry.failure {
            arguments.bytes(b"f").text(encode_failure(failure));
        }
        let sizes: Option<Vec<u64>> = self.link.run(&self.create, &keys, &arguments, Repeat::Never).await?;
        Ok(sizes.map(|sizes| {
            let size = |arrival: &Arrival| sizes.get(at.get(&*arrival.set)?.checked_sub(FIRST_SET)?).copied();
            let arrived = arrivals.iter().map(|arrival| size(arrival).unwrap_or_default()).collect();
            Committed { versions: vec![1; puts.len()], arrived }
        }))
    }

    /// Adds the sets and their arrivals to keys and arguments, as the scripts expect them. Returns the position of each set
    /// among the keys, from 1.
    fn arrive<'a>(
        &self,
        partition: &Partition,
        arrivals: &'a [Arrival],
        keys: &mut Vec<Vec<u8>>,
        arguments: &mut Arguments<'a>,
    ) -> BTreeMap<&'a str, usize> {
        let mut sets = BTreeMap::new();
        arguments.text(arrivals.len());
        for Arrival { set, member, bytes } in arrivals {
            let at = *sets.entry(set.as_str()).or_insert_with(|| {
                keys.push(self.set_key(partition, set));
                keys.len()
            });
            arguments.text(at).bytes(set.as_bytes()).bytes(member.as_bytes()).bytes(bytes);
        }
        sets
    }

    /// Makes all keys of a run expire at a time, or never (0).
    async fn expire(&self, partition: &Partition, sets: &[String], at: Millis) -> Result<(), StoreError> {
        let mut keys: Vec<Vec<u8>> = sets.iter().map(|set| self.set_key(partition, set)).collect();
        keys.push(self.key(partition));
        let mut arguments = Arguments::default();
        arguments.text(at);
        self.link.run(&self.expire, &keys, &arguments, Repeat::Harmless).await
    }

    fn text(&self, bytes: Vec<u8>) -> Result<String, StoreError> {
        String::from_utf8(bytes).map_err(|_| self.link.target.corrupt("a name is not UTF-8"))
    }

    fn version(&self, bytes: &[u8]) -> Result<u64, StoreError> {
        let version = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
        version.ok_or_else(|| self.link.target.corrupt("a version is not a number"))
    }

    fn document(&self, version: Option<Vec<u8>>, bytes: Option<Vec<u8>>) -> Result<Option<Document>, StoreError> {
        match (version, bytes) {
            (Some(version), Some(bytes)) => {
                Ok(Some(Document { version: self.version(&version)?, bytes: bytes.into() }))
            }
            (None, None) => Ok(None),
            _ => Err(self.link.target.corrupt("half of a document is missing")),
        }
    }

    /// Documents, of each of which come name, version and bytes.
    pub(super) fn documents(
        &self,
        mut found: impl ExactSizeIterator<Item = Option<Vec<u8>>>,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        let mut documents = Vec::with_capacity(found.len() / 3);
        while let Some(Some(name)) = found.next() {
            let document = self.document(found.next().flatten(), found.next().flatten())?;
            let document = document.ok_or_else(|| self.link.target.corrupt("half of a document is missing"))?;
            documents.push((self.text(name)?, document));
        }
        Ok(documents)
    }

    /// The entry in the fields `e` and `f` of a run; `None` if it has none.
    pub(super) fn decode(&self, run: &RunId, fields: EntryFields) -> Result<Option<RunEntry>, StoreError> {
        let (Some(entry), failure) = fields else { return Ok(None) };
        let malformed = || self.link.target.corrupt(format!("the entry of run {run} is malformed"));
        let failure = failure.map(|bytes| decode_failure(&bytes).ok_or_else(malformed)).transpose()?;
        let entry = decode(run, &entry).ok_or_else(malformed)?;
        Ok(Some(RunEntry { failure, ..entry }))
    }

    /// The command that reads the fields of an entry.
    pub(super) fn read_entry(&self, run: &RunId) -> ::redis::Cmd {
        let mut read = cmd("HMGET");
        read.arg(self.key(&Partition::of_run(run))).arg("e").arg("f");
        read
    }
}

/// The fields of an entry.
pub(super) type EntryFields = (Option<Vec<u8>>, Option<Vec<u8>>);

#[async_trait]
impl StateStore for RedisState {
    async fn read(&self, partition: &Partition, docs: &[String]) -> Result<Vec<Option<Document>>, StoreError> {
        if docs.is_empty() {
            return Ok(Vec::new());
        }
        let mut read = cmd("HMGET");
        read.arg(self.key(partition));
        for doc in docs {
            read.arg(format!("v{doc}")).arg(format!("d{doc}"));
        }
        let found: Vec<Option<Vec<u8>>> = self.link.ask(&read, Repeat::Harmless).await?;
        let mut found = found.into_iter();
        docs.iter().map(|_| self.document(found.next().flatten(), found.next().flatten())).collect()
    }

    async fn read_all(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        let mut read = cmd("HGETALL");
        read.arg(self.key(partition));
        let fields: Fields = self.link.ask(&read, Repeat::Harmless).await?;
        let mut halves: BTreeMap<Vec<u8>, (Option<Vec<u8>>, Option<Vec<u8>>)> = BTreeMap::new();
        for (mut name, value) in fields {
            let kind = name.first().copied();
            let name = name.split_off(1.min(name.len()));
            match kind {
                Some(b'v') => halves.entry(name).or_default().0 = Some(value),
                Some(b'd') => halves.entry(name).or_default().1 = Some(value),
                _ => {}
            }
        }
        let docs = halves.into_iter().map(|(name, (version, bytes))| {
            let document = self.document(version, bytes)?;
            let document = document.ok_or_else(|| self.link.target.corrupt("half of a document is missing"))?;
            Ok((self.text(name)?, document))
        });
        docs.collect()
    }

    async fn read_progress(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        if let Some(documents) = self.wide_progress(partition).await? {
            return Ok(documents);
        }
        let mut arguments = Arguments::default();
        for beginning in HOLD_DATA {
            arguments.bytes(beginning.as_bytes());
        }
        let found: Vec<Option<Vec<u8>>> =
            self.link.run(&self.progress, &[self.key(partition)], &arguments, Repeat::Harmless).await?;
        let mut docs = self.documents(found.into_iter())?;
        docs.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(docs)
    }

    async fn read_changed(&self, partition: &Partition, seen: &Arc<Seen>) -> Result<Changed, StoreError> {
        self.changed(partition, seen).await
    }

    async fn commit(&self, partition: &Partition, change: Change) -> Result<Committed, CommitError> {
        if let Change { checks, puts, arrivals, entry: Some(entry) } = &change
            && checks.is_empty()
            && puts.len() + arrivals.len() <= FEW
            && puts.iter().all(|put| matches!(put.expect, Expect::Any | Expect::Absent | Expect::Version(0)))
            && let Some(created) = self.create(partition, &change, entry).await?
        {
            return Ok(created);
        }
        let mut keys = self.keys(partition);
        let mut arguments = Arguments::default();
        // What belongs to a flow changes for ever, and nobody follows it.
        let noted = partition.run().map(|_| noted(&change.puts)).unwrap_or_default();
        arguments.bytes(partition.as_str().as_bytes()).text(noted);
        arguments.text(change.checks.len() + change.puts.len());
        for check in &change.checks {
            arguments.bytes(check.doc.as_bytes()).text(check.version);
        }
        for put in &change.puts {
            arguments.bytes(put.doc.as_bytes());
            match put.expect {
                Expect::Any => arguments.bytes(b"*"),
                Expect::Absent => arguments.bytes(b"0"),
                Expect::Version(version) => arguments.text(version),
            };
        }
        arguments.text(change.puts.len());
        for put in &change.puts {
            arguments.bytes(put.doc.as_bytes()).bytes(&put.bytes);
        }
        self.arrive(partition, &change.arrivals, &mut keys, &mut arguments);
        let expire = change.entry.as_ref().map_or(0, expiry);
        if let Some(entry) = &change.entry {
            let due = entry.due.map(|due| due.to_string()).unwrap_or_default();
            arguments.text(encode(entry)).text(entry.started).text(due).text(expire).text(indexed(entry));
            arguments.text(entry.failure.as_ref().map(encode_failure).unwrap_or_default());
        }
        type Answer = (Vec<u64>, Vec<u64>, Vec<Vec<u8>>);
        let answer: Option<Answer> = self.link.run(&self.commit, &keys, &arguments, Repeat::Never).await?;
        let (versions, arrived, sets) = answer.ok_or(CommitError::Conflict)?;
        if !sets.is_empty() {
            let sets = sets.into_iter().map(|set| self.text(set)).collect::<Result<Vec<_>, _>>()?;
            let expired = self.expire(partition, &sets, expire).await;
            // If a run fails to expire, it only stays longer than necessary; but it must not expire too early.
            if expire == 0 {
                expired.map_err(|error| self.link.target.unavailable(error))?;
            }
        }
        Ok(Committed { versions, arrived })
    }

    async fn arrivals(&self, partition: &Partition, set: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        let mut read = cmd("HGETALL");
        read.arg(self.set_key(partition, set));
        let fields: Fields = self.link.ask(&read, Repeat::Harmless).await?;
        let members = fields.into_iter().map(|(member, bytes)| Ok((self.text(member)?, bytes.into())));
        let mut members: Vec<(String, Bytes)> = members.collect::<Result<_, StoreError>>()?;
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(members)
    }

    async fn arrived(&self, partition: &Partition, set: &str) -> Result<u64, StoreError> {
        let mut count = cmd("HLEN");
        count.arg(self.set_key(partition, set));
        self.link.ask(&count, Repeat::Harmless).await
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError> {
        self.decode(run, self.link.ask(&self.read_entry(run), Repeat::Harmless).await?)
    }

    async fn runs(&self, query: &RunQuery) -> Result<RunPage, StoreError> {
        self.list(query).await
    }

    async fn counts(&self, flow: Option<&FlowName>) -> Result<RunCounts, StoreError> {
        self.count(flow).await
    }

    async fn flows(&self) -> Result<Vec<FlowName>, StoreError> {
        self.list_flows().await
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        self.list_due(now, limit).await
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        let mut sets: Vec<String> = Vec::new();
        loop {
            let mut keys = self.keys(partition);
            keys.extend(sets.iter().map(|set| self.set_key(partition, set)));
            let mut arguments = Arguments::default();
            arguments.bytes(partition.as_str().as_bytes());
            for set in &sets {
                arguments.bytes(set.as_bytes());
            }
            let missing: Vec<Vec<u8>> = self.link.run(&self.delete, &keys, &arguments, Repeat::Harmless).await?;
            if missing.is_empty() {
                return Ok(());
            }
            sets = missing.into_iter().map(|set| self.text(set)).collect::<Result<Vec<_>, _>>()?;
        }
    }

    fn malformed_entries(&self) -> u64 {
        self.malformed.count()
    }

    fn repaired_entries(&self) -> u64 {
        self.repaired.load(Ordering::Relaxed)
    }
}

/// When a run with this entry expires, in milliseconds; 0 for never.
fn expiry(entry: &RunEntry) -> Millis {
    match (entry.ended, entry.due) {
        (Some(_), Some(due)) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
            due.max(Millis::try_from(now).unwrap_or(due)).saturating_add(GRACE).min(i64::MAX as Millis)
        }
        _ => 0,
    }
}
