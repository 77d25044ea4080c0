//! The connections that read, and their queries.

use super::connect::Place;
use super::{signed, unsigned};
use crate::changes::{Changed, PIECE, Seen};
use crate::query::{Collector, Key, LOOKED_AT, page_of};
use crate::state::behind_data;
use crate::{Cursor, Document, RunCounts, RunEntry, RunFailure, RunPage, RunQuery, StoreError};
use bytes::Bytes;
use faas_flow_core::run::HOLD_DATA;
use faas_flow_core::{Code, Digest, FlowName, Labels, Malformed, Millis, NameKind, Partition, RunId, Status};
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
    entry_of(db, run.as_str())
}

fn entry_of(db: &Connection, run: &str) -> rusqlite::Result<Option<RunEntry>> {
    let ask = format!("SELECT {ENTRY} FROM runs LEFT JOIN failures ON failures.run = runs.run WHERE runs.run = ?1");
    db.prepare_cached(&ask)?.query_row([run], run_entry).optional()
}

fn failure_of(db: &Connection, run: &str) -> rusqlite::Result<Option<RunFailure>> {
    let mut statement = db.prepare_cached("SELECT code, message FROM failures WHERE run = ?1")?;
    Ok(statement.query_row([run], |row| failure(row, 0)).optional()?.flatten())
}

/// The columns of an entry. The labels come as an object in JSON.
const ENTRY: &str = "runs.run, flow, digest, status, runs.started, ended, due, \
                     (SELECT json_group_object(key, value) FROM labels WHERE labels.run = runs.run), \
                     failures.code, failures.message";

/// The order of the list of runs, and the range of it that a query asks for.
const IN_ORDER: &str = "AND runs.started BETWEEN ?1 AND ?2 ORDER BY runs.started DESC, runs.run DESC";

pub(super) fn runs(db: &Connection, query: &RunQuery) -> rusqlite::Result<RunPage> {
    if query.limit == 0 {
        return Ok(RunPage::default());
    }
    let since = signed(query.since.unwrap_or_default());
    let until = signed(query.latest_start());
    let mut given: Vec<&dyn ToSql> = vec![&since, &until];
    // A transaction gives all queries the same view.
    let _view = db.unchecked_transaction()?;
    if let Some(beginning) = &query.id
        && let Some(entries) = with_ids(db, beginning)?
    {
        return Ok(page_of(query, entries));
    }
    let (flow, code);
    let key = query.key();
    let places = match &key {
        Key::Label(key, value) => {
            given.extend([key as &dyn ToSql, value as &dyn ToSql]);
            format!("SELECT runs.started, runs.run FROM labels AS runs WHERE key = ?3 AND value = ?4 {IN_ORDER}")
        }
        Key::Code(found) => {
            code = found.to_string();
            given.push(&code);
            format!("SELECT runs.started, runs.run FROM failures AS runs WHERE code = ?3 {IN_ORDER}")
        }
        Key::Version(short) => {
            given.push(short);
            format!("SELECT runs.started, runs.run FROM runs WHERE substr(digest, 1, 12) = ?3 {IN_ORDER}")
        }
        Key::Flow(found, only) => {
            flow = found.as_str();
            given.push(&flow);
            let of = |status: Status| {
                format!(
                    "SELECT * FROM (SELECT runs.started, runs.run FROM runs WHERE flow = ?3 AND status = '{}' {IN_ORDER})",
                    status.as_str()
                )
            };
            let each: Vec<String> =
                Status::ALL.into_iter().filter(|each| only.is_none_or(|only| only == *each)).map(of).collect();
            format!("{} ORDER BY 1 DESC, 2 DESC", each.join(" UNION ALL "))
        }
        Key::Status(status) if *status != Status::Succeeded => {
            // SQLite takes an index of a part of the rows only if the query has that index's own condition, word for word.
            format!(
                "SELECT runs.started, runs.run FROM runs WHERE status = '{status}' AND status <> 'succeeded' {IN_ORDER}"
            )
        }
        Key::Status(_) | Key::Any => format!("SELECT runs.started, runs.run FROM runs WHERE true {IN_ORDER}"),
    };
    let mut found = Collector::new(query);
    let mut statement = db.prepare_cached(&places)?;
    let mut rows = statement.query(&*given)?;
    while let Some(row) = rows.next()? {
        let run: String = row.get(1)?;
        // Few runs have a text as a rule, and it takes several times as long to read a whole entry.
        if query.text.is_some() && !query.admits_failure(failure_of(db, &run)?.as_ref()) {
            if found.pass(Cursor { started: unsigned(row.get(0)?), run: name(row, 1, RunId::new)? }) {
                break;
            }
            continue;
        }
        if let Some(entry) = entry_of(db, &run)?
            && found.take(entry)
        {
            break;
        }
    }
    Ok(found.page())
}

/// The entries of all runs whose ids begin so, in no order; `None` if there are very many of them.
fn with_ids(db: &Connection, beginning: &str) -> rusqlite::Result<Option<Vec<RunEntry>>> {
    let mut statement = db.prepare_cached("SELECT run FROM runs WHERE run >= ?1 AND run < ?1 || char(127) LIMIT ?2")?;
    let limit = signed(LOOKED_AT as u64 + 1);
    let ids: Vec<String> =
        statement.query_map(params![beginning, limit], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    if ids.len() > LOOKED_AT {
        return Ok(None);
    }
    ids.iter().filter_map(|run| entry_of(db, run).transpose()).collect::<rusqlite::Result<_>>().map(Some)
}

/// How many runs of a flow, or of all, have each status.
pub(super) fn counts(db: &Connection, flow: Option<&FlowName>) -> rusqlite::Result<RunCounts> {
    let ask = "SELECT status, sum(runs) FROM counts WHERE ?1 IS NULL OR flow = ?1 GROUP BY status";
    let mut statement = db.prepare_cached(ask)?;
    let mut counts = RunCounts::default();
    let mut rows = statement.query([flow.map(FlowName::as_str)])?;
    while let Some(row) = rows.next()? {
        counts.add(name(row, 0, status)?, unsigned(row.get(1)?));
    }
    Ok(counts)
}

/// The flows that have runs.
pub(super) fn flows(db: &Connection) -> rusqlite::Result<Vec<FlowName>> {
    let mut statement = db.prepare_cached("SELECT DISTINCT flow FROM counts WHERE runs > 0")?;
    statement.query_map([], |row| name(row, 0, FlowName::new))?.collect()
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
    Ok(RunEntry {
        run: name(row, 0, RunId::new)?,
        flow: name(row, 1, FlowName::new)?,
        digest: name(row, 2, Digest::new)?,
        status: name(row, 3, status)?,
        failure: failure(row, 8)?,
        started: unsigned(row.get(4)?),
        ended: row.get::<_, Option<i64>>(5)?.map(unsigned),
        due: row.get::<_, Option<i64>>(6)?.map(unsigned),
        labels: name(row, 7, labels)?,
    })
}

/// The failure in this column, its code, and in the next, its message.
fn failure(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<RunFailure>> {
    let Some(code) = row.get::<_, Option<String>>(at)? else { return Ok(None) };
    Ok(Some(RunFailure { code: Code::parse(&code).unwrap_or(Code::INTERNAL), message: row.get(at + 1)? }))
}

fn status(text: String) -> Result<Status, Malformed> {
    let malformed = || Malformed {
        kind: NameKind::Status,
        text: text.chars().take(80).collect(),
        rule: "running, paused, stopped, succeeded or failed",
    };
    Status::parse(&text).ok_or_else(malformed)
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
