//! State in Consul's key-value store: one commit is one transaction, and one round trip.
//!
//! - Consul compares the index at which a key was last modified, not a version. So a document's version is in the flags of
//!   its key, and this process remembers the index that belongs to it (see [`heads`]). If Consul has another index, the
//!   heads are read again, which shows whether there is a conflict or the memory was only out of date.
//! - The size of a set is in a key of its own, which is written with each first arrival.
//! - Values that are too large for a transaction are written beforehand (see [`aside`]).
//! - The two lists have a run at its start and at its due time, in bundles (see [`keys`]).
//!
//! All reads are `consistent`: linearizable.

mod agent;
mod aside;
mod commit;
mod heads;
mod keys;

use crate::address::Address;
use crate::malformed::MalformedEntries;
use crate::query::Collector;
use crate::{Change, CommitError, Committed, Document, RunEntry, RunPage, RunQuery, StateStore, StoreError, entry};
use agent::{Agent, Op, Outcome};
use aside::Read;
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{Millis, Partition, RunId};
use heads::{Head, Heads};
use keys::{Keys, bundle, moment};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::sync::Mutex;

/// The version of the key scheme.
const VERSION: u64 = 1;
/// How many operations every Consul allows in one transaction. Since 1.14 it allows 128.
const OPS: usize = 64;
/// The number of locks over which the runs are distributed.
const TURNS: usize = 256;

/// State in Consul.
struct Consul {
    agent: Agent,
    keys: Keys,
    heads: Heads,
    malformed: MalformedEntries,
    /// Arrivals in one partition wait for each other here, see [`Consul::apply`].
    turns: Vec<Mutex<()>>,
    hasher: RandomState,
}

pub(crate) async fn open_state(address: &Address<'_>) -> Result<Arc<dyn StateStore>, StoreError> {
    address.knows(match address.scheme {
        "consuls" => &["prefix", "token", "dc", "timeout_ms", "ca"],
        _ => &["prefix", "token", "dc", "timeout_ms"],
    })?;
    let prefix = address.text("prefix").unwrap_or_else(|| "faas-flow/".into());
    let valid = |c: char| c.is_ascii_alphanumeric() || ",-_/".contains(c);
    if prefix.starts_with('/') || !prefix.chars().all(valid) {
        return Err(address.bad("prefix may have letters, digits and ,-_/ and must not begin with a slash"));
    }
    let store = Consul {
        agent: Agent::new(address)?,
        keys: Keys::new(prefix),
        heads: Heads::default(),
        malformed: MalformedEntries::default(),
        turns: (0..TURNS).map(|_| Mutex::default()).collect(),
        hasher: RandomState::new(),
    };
    store.verify().await?;
    Ok(Arc::new(store))
}

impl Consul {
    /// Marks a new store with the version, and rejects one that a newer release has written.
    async fn verify(&self) -> Result<(), StoreError> {
        let key = self.keys.version();
        // Tries to write even if the key exists, so that missing permission is reported now.
        if let Outcome::Done(_) = self.agent.txn(&[Op::cas(key.clone(), VERSION.to_string().as_bytes(), 0, 0)]).await? {
            return Ok(());
        }
        let found = self.agent.read(&[Op::read(key)]).await?;
        let found = found.first().and_then(agent::Pair::value).unwrap_or_default();
        match std::str::from_utf8(&found).ok().and_then(|text| text.parse().ok()) {
            Some(found) if found > VERSION => {
                Err(StoreError::Newer { place: self.agent.place().to_owned(), found, known: VERSION })
            }
            Some(_) => Ok(()),
            None => Err(self.agent.corrupt(format!("its version is `{}`", found.escape_ascii()))),
        }
    }

    #[allow(clippy::indexing_slicing, reason = "the index is taken modulo the length")]
    fn turn(&self, partition: &Partition) -> &Mutex<()> {
        &self.turns[self.hasher.hash_one(partition) as usize % TURNS]
    }

    fn read_entry(&self, bytes: Option<Vec<u8>>) -> Result<RunEntry, StoreError> {
        entry::decode(&bytes.unwrap_or_default()).map_err(|reason| self.agent.corrupt(reason))
    }

    /// The bundles of a list, sorted.
    async fn bundles(&self, list: &str) -> Result<Vec<String>, StoreError> {
        let found = self.agent.folders(list).await?.into_iter().map(|bundle| {
            if !bundle.ends_with('/') {
                return Err(self.agent.corrupt(format!("the key `{bundle}` is not in a bundle")));
            }
            Ok(bundle)
        });
        let bundles = found.filter_map(|bundle| self.malformed.skip(bundle).transpose());
        let mut bundles: Vec<String> = bundles.collect::<Result<_, _>>()?;
        bundles.sort_unstable();
        Ok(bundles)
    }

    fn listed(&self, pair: &agent::Pair) -> Result<RunEntry, StoreError> {
        let entry = entry::decode(&pair.value().unwrap_or_default());
        entry.map_err(|reason| self.agent.corrupt(format!("{reason}, at `{}`", pair.key)))
    }

    /// The values among pairs that were read in one view, by the bases of their keys. Remembers their heads.
    fn assemble(&self, pairs: Vec<agent::Pair>) -> Result<BTreeMap<String, Read>, StoreError> {
        let heads = pairs.iter().filter(|pair| pair.key.ends_with("/v"));
        let heads: Result<Vec<_>, String> = heads.map(|pair| Ok((pair.key.clone(), Head::of(pair)?))).collect();
        self.heads.note(heads.map_err(|reason| self.agent.corrupt(reason))?);
        aside::assemble(pairs).map_err(|reason| self.agent.corrupt(reason))
    }

    /// The values below a prefix with their names, sorted.
    async fn named(&self, prefix: &str) -> Result<Vec<(String, Read)>, StoreError> {
        let values = self.assemble(self.agent.below(prefix).await?)?;
        let name = |base: &str| keys::decode(base.strip_prefix(prefix)?.strip_suffix('/')?);
        let values = values.into_iter().map(|(base, read)| match name(&base) {
            Some(name) => Ok((name, read)),
            None => Err(self.agent.corrupt(format!("the key `{base}` has no name"))),
        });
        let mut values: Vec<(String, Read)> = values.collect::<Result<_, _>>()?;
        values.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(values)
    }
}

fn document(read: Read) -> Document {
    Document { version: read.head.flags, bytes: read.value }
}

#[async_trait]
impl StateStore for Consul {
    async fn read(&self, partition: &Partition, docs: &[String]) -> Result<Vec<Option<Document>>, StoreError> {
        let pairs = match docs.len() {
            0 => return Ok(Vec::new()),
            1..=OPS => {
                let ops: Vec<Op> = docs.iter().map(|doc| Op::read(self.keys.doc(partition, doc))).collect();
                self.agent.read(&ops).await?
            }
            _ => self.agent.below(&self.keys.docs(partition)).await?,
        };
        let found = self.assemble(pairs)?;
        let document = |read: &Read| Document { version: read.head.flags, bytes: read.value.clone() };
        Ok(docs.iter().map(|doc| found.get(&self.keys.doc(partition, doc)).map(document)).collect())
    }

    async fn read_all(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        let found = self.named(&self.keys.docs(partition)).await?;
        Ok(found.into_iter().map(|(name, read)| (name, document(read))).collect())
    }

    async fn commit(&self, partition: &Partition, change: Change) -> Result<Committed, CommitError> {
        self.apply(partition, &change).await
    }

    async fn arrivals(&self, partition: &Partition, set: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        let found = self.named(&self.keys.members(partition, set)).await?;
        Ok(found.into_iter().map(|(name, read)| (name, read.value)).collect())
    }

    async fn arrived(&self, partition: &Partition, set: &str) -> Result<u64, StoreError> {
        let found = self.agent.read(&[Op::read(self.keys.count(partition, set))]).await?;
        Ok(found.first().map_or(0, |pair| pair.flags))
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError> {
        let found = self.agent.read(&[Op::read(self.keys.entry(&Partition::of_run(run)))]).await?;
        found.first().map(|pair| self.read_entry(pair.value())).transpose()
    }

    async fn runs(&self, query: &RunQuery) -> Result<RunPage, StoreError> {
        let mut found = Collector::new(query);
        if query.limit == 0 {
            return Ok(found.page());
        }
        let list = self.keys.list();
        let first = query.since.map(|since| format!("{list}{}", bundle(since)));
        let last = Some(query.latest_start()).filter(|latest| *latest < Millis::MAX);
        let last = last.map(|latest| format!("{list}{}", bundle(latest)));
        let is_asked_for = |bundle: &&String| {
            first.as_ref().is_none_or(|first| *bundle >= first) && last.as_ref().is_none_or(|last| *bundle <= last)
        };
        for bundle in self.bundles(&list).await?.iter().rev().filter(is_asked_for) {
            let entries = self.agent.below(bundle).await?;
            let entries = entries.iter().filter_map(|pair| self.malformed.skip(self.listed(pair)).transpose());
            let mut entries: Vec<RunEntry> = entries.collect::<Result<_, _>>()?;
            entries.sort_unstable_by(|a, b| Reverse((a.started, &a.run)).cmp(&Reverse((b.started, &b.run))));
            // Another bundle is not read only to see whether the list goes on.
            if entries.into_iter().any(|entry| found.take(entry)) || found.goes_on_if_full() {
                break;
            }
        }
        Ok(found.page())
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let queue = self.keys.queue();
        let bundles = self.bundles(&queue).await?;
        let last = format!("{queue}{}", bundle(now));
        let mut found: Vec<(Millis, RunId)> = Vec::new();
        for bundle in bundles.iter().take_while(|bundle| **bundle <= last) {
            let keys = self.agent.keys(bundle).await?;
            let due = keys.iter().filter_map(|key| {
                let due = key.strip_prefix(bundle.as_str()).and_then(moment);
                let due = due.ok_or_else(|| self.agent.corrupt(format!("the key `{key}` is not a due run")));
                self.malformed.skip(due).transpose()
            });
            let mut due: Vec<(Millis, RunId)> = due.collect::<Result<_, _>>()?;
            due.sort_unstable();
            found.extend(due.into_iter().filter(|(at, _)| *at <= now));
            if found.len() >= limit {
                break;
            }
        }
        Ok(found.into_iter().take(limit).map(|(_, run)| run).collect())
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        self.forget(partition).await
    }

    fn malformed_entries(&self) -> u64 {
        self.malformed.count()
    }
}
