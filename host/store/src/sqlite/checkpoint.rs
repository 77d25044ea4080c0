//! Checkpoints: copying the write-ahead log to the database, by a thread and a connection of its own, so that commits do not
//! wait for it.
//!
//! After every few commits the thread copies what is new (a passive checkpoint, which hinders nobody), and syncs the database.
//! The log can only begin anew at a moment when all of it is copied. While commits keep coming there is no such moment, so
//! once the log is long, the writer itself copies the little that the thread has left over, between two commits.

use super::connect::Place;
use crate::StoreError;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode};
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many pages of 4 KiB the writer adds before the thread copies them.
const EVERY: u64 = 512;
/// At how many pages the log begins anew: 32 MiB.
const LONG: u64 = 8192;
/// At how many pages it does so even if the thread has left much over, since the writer is faster: 128 MiB.
const LONGEST: u64 = 4 * LONG;
/// How many pages the thread may have left over for the writer.
const REST: u64 = 512;

/// How long the log is, and how much of it is copied, in pages.
#[derive(Default)]
struct Log {
    pages: AtomicU64,
    copied: AtomicU64,
}

impl Log {
    /// How many pages are not copied.
    fn rest(&self) -> u64 {
        let (pages, copied) = (self.pages.load(Ordering::Relaxed), self.copied.load(Ordering::Relaxed));
        // Where more are copied than there are, the log has begun anew since.
        pages.checked_sub(copied).unwrap_or(pages)
    }
}

/// The thread. It ends with its value.
pub(super) struct Checkpointer {
    log: Arc<Log>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// How long the log was when the thread was woken.
    woken: u64,
}

impl Checkpointer {
    /// Starts the thread for the file at a place, to which `db` writes.
    pub(super) fn start(place: &Arc<Place>, db: &mut Connection) -> Result<Self, StoreError> {
        let log = Arc::<Log>::default();
        let hook = {
            let log = log.clone();
            move |_: &mut Wal, pages: c_int| {
                log.pages.store(super::unsigned(pages.into()), Ordering::Relaxed);
                Ok(())
            }
        };
        db.wal_hook(Some(hook)).map_err(|error| place.error(&error))?;
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new().name("sqlite-checkpoint".into()).spawn({
            let (place, log) = (place.clone(), log.clone());
            move || serve(&place, &log, &woken)
        });
        let thread = thread.map_err(|error| place.unavailable(error))?;
        Ok(Self { log, wake: Some(wake), thread: Some(thread), woken: 0 })
    }

    /// Does what has become necessary by the commits so far.
    pub(super) fn after_commit(&mut self, place: &Place, db: &Connection) {
        let pages = self.log.pages.load(Ordering::Relaxed);
        if pages < self.woken || pages - self.woken >= EVERY {
            self.woken = pages;
            // If the thread is copying already, it will copy again.
            let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
        }
        if pages >= LONGEST || (pages >= LONG && self.log.rest() <= REST) {
            begin_anew(place, db, &self.log);
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(place: &Place, log: &Log, woken: &Receiver<()>) {
    let mut open: Option<Connection> = None;
    while woken.recv().is_ok() {
        let db = match open.take().map_or_else(|| place.checkpointer(), Ok) {
            Ok(db) => db,
            Err(error) => {
                tracing::warn!(store = %place, code = %error.code(), %error, "checkpoint failed");
                continue;
            }
        };
        match copy(&db, "PASSIVE") {
            Ok(copied) => log.copied.store(copied, Ordering::Relaxed),
            Err(error) if is_busy(&error) => {}
            Err(error) => {
                // The disk may be full. The log goes on to grow, and the next commits say so when it cannot any more.
                tracing::warn!(store = %place, %error, "checkpoint failed");
                continue;
            }
        }
        open = Some(db);
    }
}

/// Copies the rest of the log, and makes the next commit write to its beginning. Waits for nobody: if somebody is reading from
/// the log, there will be another moment.
fn begin_anew(place: &Place, db: &Connection, log: &Log) {
    let _ = db.busy_timeout(Duration::ZERO);
    match copy(db, "RESTART") {
        Ok(copied) => log.copied.store(copied, Ordering::Relaxed),
        Err(error) if is_busy(&error) => {}
        Err(error) => tracing::warn!(store = %place, %error, "checkpoint failed"),
    }
    let _ = db.busy_timeout(place.options.busy_timeout);
}

/// Copies as much of the log as possible, and returns how many of its pages are copied.
fn copy(db: &Connection, mode: &str) -> rusqlite::Result<u64> {
    db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get::<_, i64>(2).map(super::unsigned))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
