//! The one thread that writes, with many commits in one transaction.
//!
//! Each commit is checked against the database, including the commits before it in the transaction, before it writes
//! anything. So a commit that conflicts has nothing to undo. If the transaction fails as a whole, each commit is tried again
//! alone, so that one that does not fit does not make others fail.

use super::checkpoint::Checkpointer;
use super::connect::Place;
use super::{signed, unsigned};
use crate::{Change, CommitError, Committed, RunEntry, RunFailure, StoreError};
use faas_flow_core::Partition;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// The most commits that share a transaction.
const GROUP: usize = 256;

/// How many commits may wait for the writer before further callers have to wait.
const QUEUE: usize = 1024;

pub(super) struct Writer {
    tasks: Option<mpsc::Sender<Task>>,
    thread: Option<JoinHandle<()>>,
    place: Arc<Place>,
}

pub(super) enum Job {
    Commit(Box<Change>),
    Delete,
}

struct Task {
    partition: Partition,
    job: Job,
    reply: oneshot::Sender<Result<Committed, CommitError>>,
}

impl Writer {
    pub(super) fn start(place: Arc<Place>) -> Result<Self, StoreError> {
        let open = Open::new(&place)?;
        let (tasks, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("sqlite-writer".into()).spawn({
            let place = place.clone();
            move || serve(&place, open, queue)
        });
        let thread = thread.map_err(|error| place.unavailable(error))?;
        Ok(Self { tasks: Some(tasks), thread: Some(thread), place })
    }

    /// Returns once the transaction is committed.
    pub(super) async fn write(&self, partition: Partition, job: Job) -> Result<Committed, CommitError> {
        let ended = || self.place.unavailable("its writer has ended");
        let (reply, answer) = oneshot::channel();
        let tasks = self.tasks.as_ref().ok_or_else(ended)?;
        tasks.send(Task { partition, job, reply }).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.tasks.take());
        if let Some(thread) = self.thread.take() {
            // If the thread has panicked, its callers have been told.
            let _ = thread.join();
        }
    }
}

/// The connection that writes, to the file that is at the path.
struct Open {
    generation: u64,
    // Dropped before the connection, which is the last one then, so that it removes the log.
    checkpointer: Checkpointer,
    db: Connection,
}

impl Open {
    fn new(place: &Arc<Place>) -> Result<Self, StoreError> {
        let mut db = place.writer()?;
        let checkpointer = Checkpointer::start(place, &mut db)?;
        Ok(Self { generation: place.generation()?, checkpointer, db })
    }
}

fn serve(place: &Arc<Place>, open: Open, mut queue: mpsc::Receiver<Task>) {
    let mut open = Some(open);
    let mut group = Vec::with_capacity(GROUP);
    while queue.blocking_recv_many(&mut group, GROUP) > 0 {
        let answers = match current(place, &mut open) {
            Ok(open) => commit_all(place, open, &group),
            Err(error) => refuse(&error, group.len()),
        };
        for (task, answer) in group.drain(..).zip(answers) {
            // If the caller's future was dropped, no one receives the answer.
            let _ = task.reply.send(answer);
        }
        if let Some(Open { checkpointer, db, .. }) = &mut open {
            checkpointer.after_commit(place, db);
        }
    }
}

/// The connection to the file that is at the path now, which may have been replaced.
fn current<'a>(place: &Arc<Place>, open: &'a mut Option<Open>) -> Result<&'a mut Open, StoreError> {
    let generation = place.generation()?;
    if open.as_ref().is_some_and(|open| open.generation != generation) {
        *open = None;
    }
    match open {
        Some(open) => Ok(open),
        None => Ok(open.insert(Open::new(place)?)),
    }
}

fn commit_all(place: &Place, open: &mut Open, group: &[Task]) -> Vec<Result<Committed, CommitError>> {
    let db = &mut open.db;
    match transact(db, group).map_err(|error| place.error(&error)) {
        Ok(answers) => answers.into_iter().map(|answer| answer.ok_or(CommitError::Conflict)).collect(),
        // No single commit is the reason, and each would wait for the same lock again.
        Err(error @ StoreError::Locked { .. }) => refuse(&error, group.len()),
        Err(error) if group.len() == 1 => refuse(&error, 1),
        Err(_) => group.iter().map(|task| alone(place, db, task)).collect(),
    }
}

fn refuse(error: &StoreError, tasks: usize) -> Vec<Result<Committed, CommitError>> {
    (0..tasks).map(|_| Err(error.clone().into())).collect()
}

fn alone(place: &Place, db: &mut Connection, task: &Task) -> Result<Committed, CommitError> {
    let answers = transact(db, std::slice::from_ref(task)).map_err(|error| place.error(&error))?;
    answers.into_iter().next().flatten().ok_or(CommitError::Conflict)
}

/// Applies tasks in one transaction. The answer of a task that conflicts is `None`.
fn transact(db: &mut Connection, tasks: &[Task]) -> rusqlite::Result<Vec<Option<Committed>>> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let answers = tasks.iter().map(|task| match &task.job {
        Job::Commit(change) => commit(&transaction, task.partition.as_str(), change),
        Job::Delete => delete(&transaction, task.partition.as_str()).map(|()| Some(Committed::default())),
    });
    let answers = answers.collect::<rusqlite::Result<_>>()?;
    transaction.commit()?;
    Ok(answers)
}

fn commit(db: &Connection, run: &str, change: &Change) -> rusqlite::Result<Option<Committed>> {
    let Some(mut versions) = admit(db, run, change)? else { return Ok(None) };
    for (put, version) in change.puts.iter().zip(&mut versions) {
        *version += 1;
        let put_doc = "INSERT INTO docs (run, doc, version, bytes) VALUES (?1, ?2, ?3, ?4) \
                       ON CONFLICT DO UPDATE SET version = excluded.version, bytes = excluded.bytes";
        db.prepare_cached(put_doc)?.execute(params![run, put.doc, signed(*version), &put.bytes[..]])?;
    }
    for arrival in &change.arrivals {
        let join = "INSERT INTO members (run, name, member, bytes) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        let member = params![run, arrival.set, arrival.member, &arrival.bytes[..]];
        if db.prepare_cached(join)?.execute(member)? == 1 {
            let count =
                "INSERT INTO sets (run, name, size) VALUES (?1, ?2, 1) ON CONFLICT DO UPDATE SET size = size + 1";
            db.prepare_cached(count)?.execute([run, &arrival.set])?;
        }
    }
    let size = |set: &str| {
        let mut statement = db.prepare_cached("SELECT size FROM sets WHERE run = ?1 AND name = ?2")?;
        statement.query_row([run, set], |row| row.get(0)).map(unsigned)
    };
    let arrived = change.arrivals.iter().map(|arrival| size(&arrival.set)).collect::<rusqlite::Result<_>>()?;
    if let Some(entry) = &change.entry {
        put_entry(db, run, entry)?;
    }
    Ok(Some(Committed { versions, arrived }))
}

/// The versions that the puts replace, or `None` if the change conflicts.
fn admit(db: &Connection, run: &str, change: &Change) -> rusqlite::Result<Option<Vec<u64>>> {
    let mut statement = db.prepare_cached("SELECT version FROM docs WHERE run = ?1 AND doc = ?2")?;
    let mut version = |doc: &str| -> rusqlite::Result<u64> {
        Ok(statement.query_row([run, doc], |row| row.get(0)).optional()?.map_or(0, unsigned))
    };
    for check in &change.checks {
        if version(&check.doc)? != check.version {
            return Ok(None);
        }
    }
    let mut versions = Vec::with_capacity(change.puts.len());
    for put in &change.puts {
        let found = version(&put.doc)?;
        if !put.expect.admits(found) {
            return Ok(None);
        }
        versions.push(found);
    }
    Ok(Some(versions))
}

fn put_entry(db: &Connection, run: &str, entry: &RunEntry) -> rusqlite::Result<()> {
    let put = "INSERT INTO runs (run, flow, digest, status, started, ended, due) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
               ON CONFLICT DO UPDATE SET flow = excluded.flow, digest = excluded.digest, status = excluded.status, \
               started = excluded.started, ended = excluded.ended, due = excluded.due";
    db.prepare_cached(put)?.execute(params![
        run,
        entry.flow.as_str(),
        entry.digest.as_str(),
        entry.status.as_str(),
        signed(entry.started),
        entry.ended.map(signed),
        entry.due.map(signed),
    ])?;
    match &entry.failure {
        Some(RunFailure { code, message }) => {
            let put = "INSERT INTO failures (run, code, message, started) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET \
                       code = excluded.code, message = excluded.message, started = excluded.started";
            db.prepare_cached(put)?.execute(params![run, code.to_string(), message, signed(entry.started)])?;
        }
        None => {
            db.prepare_cached("DELETE FROM failures WHERE run = ?1")?.execute([run])?;
        }
    }
    // Labels are added and replaced, and never taken away.
    for (key, value) in entry.labels.iter() {
        let put = "INSERT INTO labels (run, key, value, started) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET \
                   value = excluded.value, started = excluded.started \
                   WHERE value <> excluded.value OR started <> excluded.started";
        db.prepare_cached(put)?.execute(params![run, key, value, signed(entry.started)])?;
    }
    Ok(())
}

fn delete(db: &Connection, run: &str) -> rusqlite::Result<()> {
    for table in ["docs", "members", "sets", "runs", "labels", "failures"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE run = ?1"))?.execute([run])?;
    }
    Ok(())
}
