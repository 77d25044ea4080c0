//! State in etcd: one commit is one transaction, and one round trip.
//!
//! - A document's version is etcd's version of its key, and conditions compare it.
//! - A member arrives in a transaction nested in the commit's, which writes and counts the member if it is new (see
//!   [`keys`]).
//! - The two lists have a run at its start and at its due time. Moving it requires its last place, which this process
//!   remembers (see [`places`]) and the transaction compares. If the comparison fails, another process has moved the run,
//!   and the commit is tried again with the place that etcd has.
//!
//! All reads are linearizable.

mod changes;
mod commit;
mod connect;
mod keys;
mod places;

use crate::address::Address;
use crate::changes::{Changed, Seen};
use crate::malformed::MalformedEntries;
use crate::query::Collector;
use crate::{
    Change, CommitError, Committed, Cursor, Document, RunEntry, RunPage, RunQuery, StateStore, StoreError, entry,
};
use async_trait::async_trait;
use bytes::Bytes;
use connect::{Servers, Trouble};
use etcd_client::{Compare, CompareOp, GetOptions, KeyValue, Txn, TxnOp, TxnOpResponse};
use faas_flow_core::run::HOLD_DATA;
use faas_flow_core::{Millis, Partition, RunId};
use keys::{Keys, after, after_prefix};
use places::Places;
use std::sync::Arc;

/// The version of the key scheme.
const VERSION: u64 = 1;
/// How many documents one transaction reads. By default etcd allows 128 operations.
const READS: usize = 100;

/// How many entries of the list are read at a time at least.
const FEW: usize = 100;

/// State in etcd.
struct Etcd {
    servers: Servers,
    keys: Keys,
    places: Places,
    malformed: MalformedEntries,
}

pub(crate) async fn open_state(address: &Address<'_>) -> Result<Arc<dyn StateStore>, StoreError> {
    address.knows(match address.scheme {
        "etcds" => &["prefix", "timeout_ms", "ca", "cert", "key"],
        _ => &["prefix", "timeout_ms"],
    })?;
    let servers = Servers::connect(address).await?;
    let keys = Keys::new(address.text("prefix").unwrap_or_else(|| "faas-flow/".into()));
    let store = Etcd { servers, keys, places: Places::default(), malformed: MalformedEntries::default() };
    store.verify().await?;
    Ok(Arc::new(store))
}

impl Etcd {
    /// Marks a new store with the version, and rejects one that a newer release has written.
    async fn verify(&self) -> Result<(), StoreError> {
        let key = self.keys.version();
        let txn = Txn::new()
            .when([Compare::version(key.clone(), CompareOp::Equal, 0)])
            .and_then([TxnOp::put(key.clone(), VERSION.to_string(), None)])
            .or_else([TxnOp::get(key, None)]);
        let found = self.servers.txn(txn).await?;
        let Some(pair) = gets(found.op_responses()).next().and_then(|pairs| pairs.into_iter().next()) else {
            return Ok(());
        };
        match std::str::from_utf8(pair.value()).ok().and_then(|text| text.parse().ok()) {
            Some(found) if found > VERSION => {
                Err(StoreError::Newer { place: self.servers.place().to_owned(), found, known: VERSION })
            }
            Some(_) => Ok(()),
            None => Err(self.servers.corrupt(format!("its version is `{}`", pair.value().escape_ascii()))),
        }
    }

    async fn read_once(&self, partition: &Partition, docs: &[String]) -> Result<Vec<Option<Document>>, Trouble> {
        let mut found = Vec::with_capacity(docs.len());
        let mut revision = 0;
        for docs in docs.chunks(READS) {
            let get = |doc| TxnOp::get(self.keys.doc(partition, doc), Some(GetOptions::new().with_revision(revision)));
            let answer =
                self.servers.txn(Txn::new().and_then(docs.iter().map(|doc| get(doc)).collect::<Vec<_>>())).await?;
            revision = answer.header().map_or(0, |header| header.revision());
            found.extend(gets(answer.op_responses()).map(|pairs| pairs.into_iter().next().map(document)));
        }
        Ok(found)
    }

    /// The ranges of keys of a partition's documents that hold no data.
    fn without_data(&self, partition: &Partition) -> Vec<(Vec<u8>, Vec<u8>)> {
        let prefix = self.keys.doc(partition, "");
        let held = HOLD_DATA.map(|beginning| self.keys.doc(partition, beginning));
        let ends = held.iter().cloned().chain([after_prefix(&prefix)]);
        let starts = [prefix.clone()].into_iter().chain(held.iter().map(|held| after_prefix(held)));
        starts.zip(ends).collect()
    }

    fn read_entry(&self, bytes: &[u8]) -> Result<RunEntry, StoreError> {
        entry::decode(bytes).map_err(|reason| self.servers.corrupt(reason))
    }

    fn listed(&self, pair: &KeyValue) -> Result<RunEntry, StoreError> {
        entry::decode(pair.value())
            .map_err(|reason| self.servers.corrupt(format!("{reason}, at `{}`", pair.key().escape_ascii())))
    }

    /// The name at the end of a key.
    fn name(&self, key: &[u8], prefix: &[u8]) -> Result<String, StoreError> {
        let name = key.strip_prefix(prefix).and_then(|name| String::from_utf8(name.to_vec()).ok());
        name.ok_or_else(|| self.servers.corrupt(format!("the key `{}` is not text", key.escape_ascii())))
    }

    /// The pairs below a prefix, each with the name at the end of its key.
    async fn below(&self, prefix: &[u8]) -> Result<Vec<(String, KeyValue)>, StoreError> {
        let pairs = self.servers.range(prefix, &after_prefix(prefix), usize::MAX).await?;
        pairs.into_iter().map(|pair| Ok((self.name(pair.key(), prefix)?, pair))).collect()
    }
}

/// The answers to the gets of a transaction, in order.
fn gets(answers: Vec<TxnOpResponse>) -> impl Iterator<Item = Vec<KeyValue>> {
    answers.into_iter().filter_map(|answer| match answer {
        TxnOpResponse::Get(mut get) => Some(get.take_kvs()),
        _ => None,
    })
}

fn document(pair: KeyValue) -> Document {
    let version = version(&pair);
    Document { version, bytes: pair.into_key_value().1.into() }
}

fn version(pair: &KeyValue) -> u64 {
    u64::try_from(pair.version()).unwrap_or_default()
}

#[async_trait]
impl StateStore for Etcd {
    async fn read(&self, partition: &Partition, docs: &[String]) -> Result<Vec<Option<Document>>, StoreError> {
        loop {
            // Each try reads a newer revision, so a compaction can only interfere again if it is newer still.
            match self.read_once(partition, docs).await {
                Err(Trouble::Compacted) => {}
                found => return Ok(found?),
            }
        }
    }

    async fn read_all(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        let found = self.below(&self.keys.doc(partition, "")).await?;
        Ok(found.into_iter().map(|(name, pair)| (name, document(pair))).collect())
    }

    async fn read_progress(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        let prefix = self.keys.doc(partition, "");
        let found = self.servers.ranges(&self.without_data(partition)).await?;
        found.into_iter().map(|pair| Ok((self.name(pair.key(), &prefix)?, document(pair)))).collect()
    }

    async fn read_changed(&self, partition: &Partition, seen: &Arc<Seen>) -> Result<Changed, StoreError> {
        self.changed(partition, seen).await
    }

    async fn commit(&self, partition: &Partition, change: Change) -> Result<Committed, CommitError> {
        self.apply(partition, change).await
    }

    async fn arrivals(&self, partition: &Partition, set: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        let found = self.below(&self.keys.member(partition, set, "")).await?;
        Ok(found.into_iter().map(|(name, pair)| (name, pair.into_key_value().1.into())).collect())
    }

    async fn arrived(&self, partition: &Partition, set: &str) -> Result<u64, StoreError> {
        let lanes = self.keys.lanes(partition, set);
        let lanes = self.servers.range(&lanes, &after_prefix(&lanes), usize::MAX).await?;
        Ok(lanes.iter().map(version).sum())
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError> {
        let key = self.keys.entry(&Partition::of_run(run));
        let found = self.servers.range(&key, &after(&key), 1).await?;
        found.first().map(|pair| self.read_entry(pair.value())).transpose()
    }

    async fn runs(&self, query: &RunQuery) -> Result<RunPage, StoreError> {
        let mut found = Collector::new(query);
        if query.limit == 0 {
            return Ok(found.page());
        }
        let mut from = match &query.after {
            Some(Cursor { started, run }) => after(&self.keys.listed(*started, run)),
            None => self.keys.listed_from(query.latest_start()),
        };
        let end = match query.since.and_then(|since| since.checked_sub(1)) {
            Some(before) => self.keys.listed_from(before),
            None => after_prefix(&self.keys.list()),
        };
        loop {
            let (pairs, _) = self.servers.page((&from, &end), found.wanted().max(FEW), 0).await?;
            let Some(last) = pairs.last() else { return Ok(found.page()) };
            from = after(last.key());
            for pair in &pairs {
                if let Some(entry) = self.malformed.skip(self.listed(pair))?
                    && found.take(entry)
                {
                    return Ok(found.page());
                }
            }
        }
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let (from, end) = self.keys.due_until(now);
        let found = self.servers.range(&from, &end, self.malformed.with_skipped(limit)).await?;
        let run = |pair: &KeyValue| {
            let name =
                pair.key().get(from.len() + size_of::<Millis>() + 1..).and_then(|id| std::str::from_utf8(id).ok());
            let run = name.and_then(|id| RunId::new(id).ok());
            run.ok_or_else(|| self.servers.corrupt(format!("the key `{}` is not a due run", pair.key().escape_ascii())))
        };
        found.iter().filter_map(|pair| self.malformed.skip(run(pair)).transpose()).take(limit).collect()
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        self.forget(partition).await
    }

    fn malformed_entries(&self) -> u64 {
        self.malformed.count()
    }
}

#[cfg(test)]
mod tests;
