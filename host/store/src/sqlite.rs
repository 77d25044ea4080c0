//! State in one SQLite file, written by one thread.
//!
//! SQLite lets only one connection write at a time, and a transaction costs more than the statements in it. So one thread
//! owns the writing connection and applies all commits that have arrived in the meantime in one transaction (see
//! [`writer`]): the more runs commit at the same time, the cheaper each commit. Reads have a few connections of their own;
//! thanks to the write-ahead log they do not wait for the writer.

mod checkpoint;
mod connect;
mod file;
mod reader;
mod writer;

use crate::address::{Access, Address, Durability};
use crate::changes::{Changed, Seen};
use crate::{Change, CommitError, Committed, Document, RunCounts, RunEntry, RunPage, RunQuery, StateStore, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use connect::Place;
use faas_flow_core::{FlowName, Millis, Partition, RunId};
use reader::Readers;
use std::sync::Arc;
use std::time::Duration;
use writer::{Job, Writer};

/// Opens the store in a file; see [`crate::open_state`].
pub(crate) async fn open_state(address: &Address<'_>) -> Result<Arc<dyn StateStore>, StoreError> {
    address.knows(&["synchronous", "mode", "busy_timeout_ms", "max_pages"])?;
    let options = Options {
        access: Access::of(address)?,
        durability: Durability::of(address)?,
        busy_timeout: address.millis("busy_timeout_ms")?.unwrap_or(Duration::from_secs(5)),
        max_pages: address.number("max_pages")?,
    };
    let place = Arc::new(Place::new(&address.path()?, options));
    let opened = tokio::task::spawn_blocking({
        let place = place.clone();
        move || Sqlite::open(place)
    });
    Ok(Arc::new(opened.await.map_err(|error| place.unavailable(error))??))
}

/// The options of an address.
#[derive(Debug, Clone)]
struct Options {
    access: Access,
    durability: Durability,
    busy_timeout: Duration,
    max_pages: Option<u32>,
}

/// State in an SQLite file. Dropping it waits for the writer and closes the file.
struct Sqlite {
    // Dropped before the writer, since the last connection to be closed removes the log.
    readers: Readers,
    writer: Option<Writer>,
    place: Arc<Place>,
}

impl Sqlite {
    /// Opens the file, and creates it if it does not exist and the options allow it. Blocks.
    fn open(place: Arc<Place>) -> Result<Self, StoreError> {
        let writer = match place.options.access {
            Access::ReadWrite => Some(Writer::start(place.clone())?),
            Access::ReadOnly => place.verify().map(|()| None)?,
        };
        Ok(Self { readers: Readers::new(place.clone()), writer, place })
    }

    async fn write(&self, partition: &Partition, job: Job) -> Result<Committed, CommitError> {
        match &self.writer {
            Some(writer) => writer.write(partition.clone(), job).await,
            None => Err(StoreError::ReadOnly { place: self.place.to_string() }.into()),
        }
    }
}

#[async_trait]
impl StateStore for Sqlite {
    async fn read(&self, partition: &Partition, docs: &[String]) -> Result<Vec<Option<Document>>, StoreError> {
        let (partition, docs) = (partition.clone(), docs.to_vec());
        self.readers.query(move |db| reader::read(db, &partition, &docs)).await
    }

    async fn read_all(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        let partition = partition.clone();
        self.readers.query(move |db| reader::read_all(db, &partition)).await
    }

    async fn read_progress(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        let partition = partition.clone();
        self.readers.query(move |db| reader::read_progress(db, &partition)).await
    }

    async fn read_changed(&self, partition: &Partition, seen: &Arc<Seen>) -> Result<Changed, StoreError> {
        let (partition, seen) = (partition.clone(), seen.clone());
        self.readers.query(move |db| reader::read_changed(db, &partition, &seen)).await
    }

    async fn commit(&self, partition: &Partition, change: Change) -> Result<Committed, CommitError> {
        self.write(partition, Job::Commit(Box::new(change))).await
    }

    async fn arrivals(&self, partition: &Partition, set: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        let (partition, set) = (partition.clone(), set.to_owned());
        self.readers.query(move |db| reader::arrivals(db, &partition, &set)).await
    }

    async fn arrived(&self, partition: &Partition, set: &str) -> Result<u64, StoreError> {
        let (partition, set) = (partition.clone(), set.to_owned());
        self.readers.query(move |db| reader::arrived(db, &partition, &set)).await
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError> {
        let run = run.clone();
        self.readers.query(move |db| reader::entry(db, &run)).await
    }

    async fn runs(&self, query: &RunQuery) -> Result<RunPage, StoreError> {
        let query = query.clone();
        self.readers.query(move |db| reader::runs(db, &query)).await
    }

    async fn counts(&self, flow: Option<&FlowName>) -> Result<RunCounts, StoreError> {
        let flow = flow.cloned();
        self.readers.query(move |db| reader::counts(db, flow.as_ref())).await
    }

    async fn flows(&self) -> Result<Vec<FlowName>, StoreError> {
        self.readers.query(reader::flows).await
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        self.readers.query(move |db| reader::due(db, now, limit)).await
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        match self.write(partition, Job::Delete).await {
            Err(CommitError::Store(error)) => Err(error),
            Ok(_) | Err(CommitError::Conflict) => Ok(()),
        }
    }
}

/// SQLite's integers are signed. No count or time ever comes near the limit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests;
