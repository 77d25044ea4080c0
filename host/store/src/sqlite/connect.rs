//! Opens connections to the file, and checks whose file it is.

use super::Options;
use super::file::Current;
use crate::StoreError;
use crate::address::Durability;
use crate::private::{beside, close, create_folders, create_unopened};
use faas_flow_core::RetryPolicy;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Marks the file as one of faas-flow: `ffst`.
const APPLICATION_ID: i32 = 0x6666_7374;

/// The version of the schema.
pub(super) const SCHEMA_VERSION: i32 = 1;

const SCHEMA: &str = include_str!("schema.sql");
/// The table of labels, which a file of an older build gets.
const LABELS: &str = include_str!("labels.sql");
/// In its place where such a file is only read.
const NO_LABELS: &str = "CREATE TEMP TABLE labels (run TEXT, key TEXT, value TEXT, started INTEGER)";
/// What runs are found by, which a file of an older build gets, too.
const INDEX: &str = include_str!("index.sql");
/// In place of its tables where such a file is only read.
const NO_INDEX: &str = "CREATE TEMP TABLE failures (run TEXT, code TEXT, message TEXT, started INTEGER);
     CREATE TEMP VIEW counts AS SELECT flow, status, count(*) AS runs FROM main.runs GROUP BY flow, status;";

/// The waits before the write-ahead log is turned on again. How often is limited by the busy timeout.
const RETRIES: RetryPolicy = RetryPolicy::exponential(Duration::from_millis(2), Duration::from_millis(50));

/// The file, and how to open it.
pub(super) struct Place {
    path: PathBuf,
    pub(super) options: Options,
    pub(super) current: Current,
}

#[derive(PartialEq, Eq)]
enum Content {
    Nothing,
    Store,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl Place {
    pub(super) fn new(path: &Path, options: Options) -> Self {
        Self { path: path.to_owned(), options, current: Current::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the connection that writes, and creates the directory, file and tables that do not exist.
    pub(super) fn writer(&self) -> Result<Connection, StoreError> {
        if let Some(parent) = self.path.parent() {
            create_folders(parent).map_err(|error| self.io_error(&error))?;
        }
        // If this fails, SQLite says why, or creates the file itself.
        let _ = create_unopened(&self.path);
        let mut db = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        if db.is_readonly(rusqlite::MAIN_DB).map_err(|error| self.error(&error))? {
            return Err(StoreError::ReadOnly { place: self.to_string() });
        }
        self.identify(&db)?;
        self.configure(&db).map_err(|error| self.error(&error))?;
        self.create(&mut db)?;
        db.execute_batch(LABELS).map_err(|error| self.error(&error))?;
        self.add_index(&mut db).map_err(|error| self.error(&error))?;
        // SQLite gives the log and its index the rights of the file, when it creates them.
        for end in ["", "-wal", "-shm"] {
            close(&beside(&self.path, end));
        }
        self.opened();
        Ok(db)
    }

    /// Opens a connection that reads.
    pub(super) fn reader(&self) -> Result<Connection, StoreError> {
        let db = self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        // What an older build has written lacks tables: this connection sees tables of its own.
        for (table, instead) in [("labels", NO_LABELS), ("counts", NO_INDEX)] {
            if !has_table(&db, table).map_err(|error| self.error(&error))? {
                db.execute_batch(instead).map_err(|error| self.error(&error))?;
            }
        }
        Ok(db)
    }

    /// Adds what runs are found by, unless the file has it or another process adds it first.
    fn add_index(&self, db: &mut Connection) -> rusqlite::Result<()> {
        if has_table(db, "counts")? {
            return Ok(());
        }
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !has_table(&transaction, "counts")? {
            transaction.execute_batch(INDEX)?;
        }
        transaction.commit()
    }

    /// Opens a connection that copies the log to the database.
    pub(super) fn checkpointer(&self) -> Result<Connection, StoreError> {
        let db = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        self.set_synchronous(&db).map_err(|error| self.error(&error))?;
        Ok(db)
    }

    /// Checks that there is a store that this release supports.
    pub(super) fn verify(&self) -> Result<(), StoreError> {
        let missing = || StoreError::NotFound { place: self.to_string() };
        if !self.path.exists() {
            return Err(missing());
        }
        match self.identify(&self.reader()?)? {
            Content::Store => Ok(()),
            Content::Nothing => Err(missing()),
        }
    }

    fn open(&self, flags: OpenFlags) -> Result<Connection, StoreError> {
        let open = || {
            let db = Connection::open_with_flags(&self.path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            db.busy_timeout(self.options.busy_timeout)?;
            db.set_prepared_statement_cache_capacity(32);
            Ok(db)
        };
        open().map_err(|error| self.error(&error))
    }

    fn identify(&self, db: &Connection) -> Result<Content, StoreError> {
        let ask = "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM \
                   pragma_user_version), (SELECT count(*) FROM sqlite_schema)";
        let found = db.query_row(ask, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        match found.map_err(|error| self.error(&error))? {
            (0, 0, 0) => Ok(Content::Nothing),
            (APPLICATION_ID, SCHEMA_VERSION, _) => Ok(Content::Store),
            (APPLICATION_ID, found, _) if found > SCHEMA_VERSION => Err(StoreError::Newer {
                place: self.to_string(),
                found: super::unsigned(found.into()),
                known: super::unsigned(SCHEMA_VERSION.into()),
            }),
            (APPLICATION_ID, _, _) => Err(self.corrupt("its version is malformed")),
            _ => Err(self.corrupt("it is the database of another program")),
        }
    }

    fn configure(&self, db: &Connection) -> rusqlite::Result<()> {
        self.enable_log(db)?;
        self.set_synchronous(db)?;
        // Instead, a thread of its own copies the log to the database, see `checkpoint`.
        db.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        db.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
        if let Some(pages) = self.options.max_pages {
            db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        Ok(())
    }

    fn set_synchronous(&self, db: &Connection) -> rusqlite::Result<()> {
        let synchronous = match self.options.durability {
            Durability::ProcessCrash => "normal",
            Durability::PowerLoss => "full",
        };
        db.pragma_update(None, "synchronous", synchronous)
    }

    /// Turns the write-ahead log on. If several processes do so at once, SQLite rejects some of them immediately, despite the
    /// busy timeout, to avoid a deadlock. They try again here until the timeout.
    fn enable_log(&self, db: &Connection) -> rusqlite::Result<()> {
        let begun = Instant::now();
        let mut delays = RETRIES.delays(fastrand::f64);
        loop {
            // On a file system without shared memory SQLite keeps another mode, which is slower but as safe.
            match db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && begun.elapsed() < self.options.busy_timeout
                        && let Some(delay) = delays.next() =>
                {
                    std::thread::sleep(delay);
                }
                result => return result,
            }
        }
    }

    /// Creates the tables, unless they exist or another process creates them first.
    fn create(&self, db: &mut Connection) -> Result<(), StoreError> {
        if self.identify(db)? == Content::Store {
            return Ok(());
        }
        let begun = db.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| self.error(&error))?;
        if self.identify(&transaction)? == Content::Store {
            return Ok(());
        }
        let create = || {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            transaction.commit()
        };
        create().map_err(|error| self.error(&error))
    }

    /// Maps an error of SQLite.
    pub(super) fn error(&self, error: &rusqlite::Error) -> StoreError {
        let place = self.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
                StoreError::Locked { place }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly { place },
            Some(ErrorCode::DiskFull) => StoreError::Full { place },
            Some(ErrorCode::CannotOpen) => self.cannot_open(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => self.corrupt(error.to_string()),
            Some(_) => self.unavailable(error),
            // Not an error of SQLite itself: a row has a value that cannot be converted.
            None => self.corrupt(error.to_string()),
        }
    }

    /// The reason why SQLite cannot open the file or create its log beside it. SQLite does not say, but the system does when
    /// a file is created there.
    fn cannot_open(&self, error: &rusqlite::Error) -> StoreError {
        let probe = self.path.with_extension(format!("probe-{}", std::process::id()));
        let created = std::fs::File::create_new(&probe);
        if created.is_ok() {
            let _ = std::fs::remove_file(&probe);
        }
        // If files can be created in the directory, the file itself is the problem.
        let opened = created.and_then(|_| std::fs::OpenOptions::new().write(true).open(&self.path));
        match opened {
            Err(refusal) if is_write_protected(&refusal) => StoreError::ReadOnly { place: self.to_string() },
            _ => self.unavailable(error),
        }
    }

    fn io_error(&self, error: &std::io::Error) -> StoreError {
        if is_write_protected(error) {
            return StoreError::ReadOnly { place: self.to_string() };
        }
        self.unavailable(error)
    }

    fn corrupt(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Corrupt { place: self.to_string(), reason: reason.into() }
    }

    pub(super) fn unavailable(&self, reason: impl ToString) -> StoreError {
        StoreError::Unavailable { place: self.to_string(), reason: reason.to_string() }
    }
}

fn has_table(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = ?1)", [name], |row| row.get(0))
}

/// Whether the file or directory cannot be written, by this user or by anybody.
fn is_write_protected(refusal: &std::io::Error) -> bool {
    matches!(refusal.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}
