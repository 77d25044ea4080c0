//! The errors of a store.

use faas_flow_core::Code;

/// A store could not do what was asked. Unless it is [`Unavailable`](StoreError::Unavailable), nothing of it has happened.
///
/// `place` is the file, directory or address of the store, without passwords.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has held a lock of the store for longer than the busy timeout.
    #[error("the store {place} is locked by another process: end that process, or try again")]
    Locked {
        /// The store.
        place: String,
    },
    /// The store was opened read-only, or the system or server does not allow writing.
    #[error("the store {place} is read-only: open it without mode=ro, and make it writable")]
    ReadOnly {
        /// The store.
        place: String,
    },
    /// There is no space left.
    #[error("the store {place} is full: free some space, or delete old runs")]
    Full {
        /// The store.
        place: String,
    },
    /// The store was written by a newer release.
    #[error(
        "the store {place} has version {found}, but this release supports versions up to {known}: use a newer release, or another store"
    )]
    Newer {
        /// The store.
        place: String,
        /// The version of the store.
        found: u64,
        /// The newest version that this release supports.
        known: u64,
    },
    /// The store has data that no release of this program has written.
    #[error("the store {place} has unreadable data, {reason}: restore it from a backup, or use another store")]
    Corrupt {
        /// The store.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store does not answer.
    #[error("the store {place} does not answer, {reason}: check that it is running and can be reached")]
    Unavailable {
        /// The store.
        place: String,
        /// What happened instead.
        reason: String,
    },
    /// The change is larger than the store allows.
    #[error("the change is too large for the store {place}, {reason}: {remedy}")]
    TooLarge {
        /// The store.
        place: String,
        /// What is too large about the change.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The address is not that of a store.
    #[error("the store address `{url}` is malformed: {rule}")]
    BadUrl {
        /// The address, without a password.
        url: String,
        /// What it must look like.
        rule: String,
    },
    /// The store denies access to this user.
    #[error("the store {place} denies access, {reason}: check the user, its password or token, and its permissions")]
    Denied {
        /// The store.
        place: String,
        /// The store's own message.
        reason: String,
    },
    /// The server may evict keys, so that what is stored would vanish.
    #[error(
        "the store {place} may evict keys, its maxmemory-policy is {policy}: set maxmemory-policy noeviction on each of its \
         servers (CONFIG SET, and in the configuration), or use another store"
    )]
    Evicts {
        /// The store.
        place: String,
        /// What the server evicts.
        policy: String,
    },
    /// There is no store at the address, and it may not be created.
    #[error(
        "there is no store at {place}: check the address, and the current folder if it is a path; a run or a server creates a \
         store there, unless its address says mode=ro, and a bucket if it says create=true"
    )]
    NotFound {
        /// The store.
        place: String,
    },
}

impl StoreError {
    /// The error's code.
    pub const fn code(&self) -> Code {
        match self {
            StoreError::Locked { .. } => Code::STORE_LOCKED,
            StoreError::ReadOnly { .. } => Code::STORE_READ_ONLY,
            StoreError::Full { .. } => Code::STORE_FULL,
            StoreError::Newer { .. } => Code::STORE_NEWER,
            StoreError::Corrupt { .. } => Code::STORE_CORRUPT,
            StoreError::Unavailable { .. } => Code::STORE_UNAVAILABLE,
            StoreError::BadUrl { .. } => Code::BAD_STORE_URL,
            StoreError::TooLarge { .. } => Code::CHANGE_TOO_LARGE,
            StoreError::Denied { .. } => Code::STORE_DENIED,
            StoreError::Evicts { .. } => Code::STORE_EVICTS,
            StoreError::NotFound { .. } => Code::STORE_NOT_FOUND,
        }
    }
}

/// An error with its causes, as one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Why a commit failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A document was not as the change expects: the caller has to read it again and decide again.
    #[error("the run was changed in the meantime: read it again and try again")]
    Conflict,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommitError {
    /// The error's code. Callers resolve conflicts themselves, so a conflict that reaches a user is an internal error.
    pub const fn code(&self) -> Code {
        match self {
            CommitError::Conflict => Code::INTERNAL,
            CommitError::Store(error) => error.code(),
        }
    }
}
