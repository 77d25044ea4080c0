//! Opens connections to the file, and tells whose file it is.

use super::Options;
use crate::StoreError;
use crate::address::Durability;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Marks the file as ours: `ffst`.
const APPLICATION_ID: i32 = 0x6666_7374;

/// The version of the schema.
pub(super) const SCHEMA_VERSION: i32 = 1;

const SCHEMA: &str = include_str!("schema.sql");

/// The pages that the log may hold before they are copied to the database: 16 MiB. Hot pages are copied once for many
/// writes, and the two syncs that copying costs are rare.
const CHECKPOINT_PAGES: i32 = 4096;

/// Who is refused the log comes again after this.
const AGAIN: Duration = Duration::from_millis(2);

/// The file, and how to open it.
pub(super) struct Place {
    path: PathBuf,
    pub(super) options: Options,
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
        Self { path: path.to_owned(), options }
    }

    /// Opens the connection that writes, and creates directory, file and tables where they are missing.
    pub(super) fn writer(&self) -> Result<Connection, StoreError> {
        if let Some(parent) = self.path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| self.refused(&error))?;
        }
        let mut db = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        if db.is_readonly(rusqlite::MAIN_DB).map_err(|error| self.error(&error))? {
            return Err(StoreError::ReadOnly { place: self.to_string() });
        }
        self.identify(&db)?;
        self.configure(&db).map_err(|error| self.error(&error))?;
        self.create(&mut db)?;
        Ok(db)
    }

    /// Opens a connection that reads.
    pub(super) fn reader(&self) -> Result<Connection, StoreError> {
        self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// Sees that there is a store that this release reads.
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
        self.keep_a_log(db)?;
        let synchronous = match self.options.durability {
            Durability::ProcessCrash => "normal",
            Durability::PowerLoss => "full",
        };
        db.pragma_update(None, "synchronous", synchronous)?;
        db.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
        db.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
        if let Some(pages) = self.options.max_pages {
            db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        Ok(())
    }

    /// Turns the write-ahead log on. Of several who do so at once, SQLite refuses some right away instead of letting them
    /// wait, since each may hold what another needs: they come again as long as they would have waited.
    fn keep_a_log(&self, db: &Connection) -> rusqlite::Result<()> {
        let begun = Instant::now();
        loop {
            // A file system without shared memory keeps another mode, which is slower and as correct.
            match db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && begun.elapsed() < self.options.busy_timeout =>
                {
                    std::thread::sleep(AGAIN);
                }
                settled => return settled,
            }
        }
    }

    /// Creates the tables, unless they are there or another process creates them first.
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

    /// What an error of SQLite means to us.
    pub(super) fn error(&self, error: &rusqlite::Error) -> StoreError {
        let place = self.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
                StoreError::Locked { place }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly { place },
            Some(ErrorCode::DiskFull) => StoreError::Full { place },
            Some(ErrorCode::CannotOpen) => self.closed(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => self.corrupt(error.to_string()),
            Some(_) => self.unavailable(error),
            // Not SQLite's own errors, but those of reading what a row holds.
            None => self.corrupt(error.to_string()),
        }
    }

    /// SQLite does not say why it cannot open the file, or make its log beside it: the system does, when it is asked for a
    /// file there.
    fn closed(&self, error: &rusqlite::Error) -> StoreError {
        let probe = self.path.with_extension(format!("probe-{}", std::process::id()));
        let made = std::fs::File::create_new(&probe);
        // It exists no longer than this, if at all.
        let _ = made.is_ok().then(|| std::fs::remove_file(&probe));
        // Where the folder takes files, it is about this one.
        let opened = made.and_then(|_| std::fs::OpenOptions::new().write(true).open(&self.path));
        match opened {
            Err(refusal) if writes_nothing(&refusal) => StoreError::ReadOnly { place: self.to_string() },
            _ => self.unavailable(error),
        }
    }

    fn refused(&self, error: &std::io::Error) -> StoreError {
        match writes_nothing(error) {
            true => StoreError::ReadOnly { place: self.to_string() },
            false => self.unavailable(error),
        }
    }

    fn corrupt(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Corrupt { place: self.to_string(), reason: reason.into() }
    }

    pub(super) fn unavailable(&self, reason: impl ToString) -> StoreError {
        StoreError::Unavailable { place: self.to_string(), reason: reason.to_string() }
    }
}

/// Whether the user may not write there, or nobody may.
fn writes_nothing(refusal: &std::io::Error) -> bool {
    matches!(refusal.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}
