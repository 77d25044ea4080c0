//! The connections that read, and their queries.

use super::connect::Place;
use super::{signed, unsigned};
use crate::changes::{Changed, PIECE, Seen};
use crate::state::behind_data;
use crate::{Document, RunEntry, RunQuery, StoreError};
use bytes::Bytes;
use faas_flow_core::run::HOLD_DATA;
use faas_flow_core::{Digest, FlowName, Labels, Malformed, Millis, NameKind, Partition, RunId, Status};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// How many connections read at the same time. More would only wait for the same disk.
const CONNECTIONS: usize = 4;

pub(super) struct Readers {
    pool: Arc<Pool>,
    permits: Semaphore,
}

struct Pool {
    place: Arc<Place>,
    /// Each with the generation of its file.
    idle: Mutex<Vec<(u64, Connection)>>,
}

impl Readers {
    pub(super) fn new(place: Arc<Place>) -> Self {
        let pool = Arc::new(Pool { place, idle: Mutex::default() });
        Self { pool, permits: Semaphore::new(CONNECTIONS) }
    }

    /// Runs a query on a thread that may block.
    pub(super) async fn query<T, F>(&self, ask: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let unavailable = |reason: &dyn ToString| self.pool.place.unavailable(reason.to_string());
        let _permit = self.permits.acquire().await.map_err(|error| unavailable(&error))?;
        let pool = self.pool.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let generation = pool.place.generation()?;
            let idle = pool.take(generation);
            let db = idle.map_or_else(|| pool.place.reader(), Ok)?;
            let answer = ask(&db).map_err(|error| pool.place.error(&error))?;
            pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push((generation, db));
            Ok(answer)
        });
        asked.await.map_err(|error| unavailable(&error))?
    }
}

impl Pool {
    /// A connection to the file of this generation. Those to earlier ones are closed.
    fn take(&self, generation: u64) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(of, _)| *of == generation);
        idle.pop().map(|(_, db)| db)
    }
}

pub(super) fn read(db: &Connection, partition: &Partition, docs: &[String]) -> rusqlite::Result<Vec<Option<Document>>> {
    // A transaction gives all queries the same view. It writes nothing, so it may be rolled back when it is dropped.
    let _view = db.unchecked_transaction()?;
    let mut statement = db.prepare_cached("SELECT version, bytes FROM docs WHERE run = ?1 AND doc = ?2")?;
    docs.iter()
        .map(|doc| statement.query_row(params![partition.as_str(), doc], |row| document(row, 0)).optional())
        .collect()
}

pub(super) fn read_all(db: &Connection, partition: &Partition) -> rusqlite::Result<Vec<(String, Document)>> {
    let mut statement = db.prepare_cached("SELECT doc, version, bytes FROM docs WHERE run = ?1 ORDER BY doc")?;
    statement.query_map([partition.as_str()], |row| Ok((row.get(0)?, document(row, 1)?)))?.collect()
}

/// Reads the ranges of names around those of documents that hold data, so that not even the pages of these are read.
pub(super) fn read_progress(db: &Connection, partition: &Partition) -> rusqlite::Result<Vec<(String, Document)>> {
    // A transaction gives all queries the same view.
    let _view = db.unchecked_transaction()?;
    let ask =
        "SELECT doc, version, bytes FROM docs WHERE run = ?1 AND doc >= ?2 AND (?3 IS NULL OR doc < ?3) ORDER BY doc";
    let mut statement = db.prepare_cached(ask)?;
    let mut found = Vec::new();
    let mut from = String::new();
    for beginning in HOLD_DATA.into_iter().map(Some).chain([None]) {
        let rows = statement
            .query_map(params![partition.as_str(), from, beginning], |row| Ok((row.get(0)?, document(row, 1)?)))?;
        for row in rows {
            found.push(row?);
        }
        from = beginning.and_then(behind_data).unwrap_or_default();
    }
    Ok(found)
}

/// Looks at the versions of some documents, in the order of their names, and reads those that have changed.
pub(super) fn read_changed(db: &Connection, partition: &Partition, seen: &Seen) -> rusqlite::Result<Changed> {
    // A transaction gives all queries the same view.
    let _view = db.unchecked_transaction()?;
    let ask = "SELECT doc, version, bytes FROM docs WHERE run = ?1 AND doc >= ?2 ORDER BY doc";
    let mut statement = db.prepare_cached(ask)?;
    let mut changed = Changed::default();
    let mut from = seen.name().to_owned();
    let mut looked = 0;
    'names: loop {
        let mut rows = statement.query(params![partition.as_str(), from])?;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_str()?;
            if looked == PIECE {
                changed.goes_on_at(name.to_owned());
                return Ok(changed);
            }
            looked += 1;
            if let Some(behind) = behind_data(name) {
                from = behind;
                continue 'names;
            }
            if !seen.has(name, unsigned(row.get(1)?)) {
                changed.documents.push((name.to_owned(), document(row, 1)?));
            }
        }
        return Ok(changed);
    }
}

pub(super) fn arrivals(db: &Connection, partition: &Partition, set: &str) -> rusqlite::Result<Vec<(String, Bytes)>> {
    let ask = "SELECT member, bytes FROM members WHERE run = ?1 AND name = ?2 ORDER BY member";
    let mut statement = db.prepare_cached(ask)?;
    statement.query_map([partition.as_str(), set], |row| Ok((row.get(0)?, blob(row, 1)?)))?.collect()
}

pub(super) fn arrived(db: &Connection, partition: &Partition, set: &str) -> rusqlite::Result<u64> {
    let mut statement = db.prepare_cached("SELECT size FROM sets WHERE run = ?1 AND name = ?2")?;
    Ok(statement.query_row([partition.as_str(), set], |row| row.get(0)).optional()?.map_or(0, unsigned))
}

pub(super) fn entry(db: &Connection, run: &RunId) -> rusqlite::Result<Option<RunEntry>> {
    let ask = format!("SELECT {ENTRY} FROM runs WHERE run = ?1");
    db.prepare_cached(&ask)?.query_row([run.as_str()], run_entry).optional()
}

/// The columns of an entry. The labels come as an object in JSON.
const ENTRY: &str = "runs.run, flow, digest, status, runs.started, ended, due, \
                     (SELECT json_group_object(key, value) FROM labels WHERE labels.run = runs.run)";

pub(super) fn runs(db: &Connection, query: &RunQuery) -> rusqlite::Result<Vec<RunEntry>> {
    // With labels, their index says which runs there are: one label leads to them, and the others must be there, too.
    let (from, also, order) = match query.labels.len() {
        0 => ("runs", String::new(), "runs.started DESC, runs.run DESC"),
        count => {
            let other = |at: usize| {
                let (key, value) = (4 + 2 * at, 5 + 2 * at);
                format!(
                    " AND EXISTS (SELECT 1 FROM labels AS other WHERE other.run = runs.run AND other.key = ?{key} \
                     AND other.value = ?{value})"
                )
            };
            let others: String = (1..count).map(other).collect();
            let also = format!(" AND first.key = ?4 AND first.value = ?5{others}");
            ("labels AS first CROSS JOIN runs ON runs.run = first.run", also, "first.started DESC, first.run DESC")
        }
    };
    let ask = format!(
        "SELECT {ENTRY} FROM {from} WHERE (?1 IS NULL OR flow = ?1) AND (?2 IS NULL OR status = ?2){also} \
         ORDER BY {order} LIMIT ?3"
    );
    let flow = query.flow.as_ref().map(FlowName::as_str);
    let status = query.status.map(Status::as_str);
    let limit = signed(query.limit as u64);
    let mut given: Vec<&dyn ToSql> = vec![&flow, &status, &limit];
    let labels: Vec<&str> = query.labels.iter().flat_map(|(key, value)| [key, value]).collect();
    given.extend(labels.iter().map(|text| text as &dyn ToSql));
    let mut statement = db.prepare_cached(&ask)?;
    statement.query_map(&*given, run_entry)?.collect()
}

pub(super) fn due(db: &Connection, now: Millis, limit: usize) -> rusqlite::Result<Vec<RunId>> {
    let mut statement = db.prepare_cached("SELECT run FROM runs WHERE due <= ?1 ORDER BY due, run LIMIT ?2")?;
    statement.query_map([signed(now), signed(limit as u64)], |row| name(row, 0, RunId::new))?.collect()
}

fn document(row: &Row<'_>, at: usize) -> rusqlite::Result<Document> {
    Ok(Document { version: unsigned(row.get(at)?), bytes: blob(row, at + 1)? })
}

fn blob(row: &Row<'_>, at: usize) -> rusqlite::Result<Bytes> {
    row.get::<_, Vec<u8>>(at).map(Bytes::from)
}

fn run_entry(row: &Row<'_>) -> rusqlite::Result<RunEntry> {
    let status = |text: String| {
        let malformed = || Malformed {
            kind: NameKind::Status,
            text: text.chars().take(80).collect(),
            rule: "running, paused, stopped, succeeded or failed",
        };
        Status::parse(&text).ok_or_else(malformed)
    };
    Ok(RunEntry {
        run: name(row, 0, RunId::new)?,
        flow: name(row, 1, FlowName::new)?,
        digest: name(row, 2, Digest::new)?,
        status: name(row, 3, status)?,
        started: unsigned(row.get(4)?),
        ended: row.get::<_, Option<i64>>(5)?.map(unsigned),
        due: row.get::<_, Option<i64>>(6)?.map(unsigned),
        labels: name(row, 7, labels)?,
    })
}

/// Labels as the database hands them out.
fn labels(json: String) -> Result<Labels, Malformed> {
    let malformed = |_| Malformed { kind: NameKind::Status, text: String::new(), rule: "labels in JSON" };
    if json == "{}" { Ok(Labels::new()) } else { serde_json::from_str(&json).map_err(malformed) }
}

fn name<T>(row: &Row<'_>, at: usize, parse: impl Fn(String) -> Result<T, Malformed>) -> rusqlite::Result<T> {
    let parsed = parse(row.get(at)?);
    parsed.map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error)))
}
