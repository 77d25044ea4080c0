//! What goes wrong with a store.

use faas_flow_core::Code;

/// A store that could not do what was asked. Nothing of what was asked has happened.
///
/// `place` is the file, directory or address of the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the store for longer than the busy timeout.
    #[error("the store {place} is locked by another process: end that process, or try again")]
    Locked {
        /// Where.
        place: String,
    },
    /// The store was opened for reading, or the system or server forbids writing.
    #[error("the store {place} cannot be written: open it without mode=ro, and make it writable")]
    ReadOnly {
        /// Where.
        place: String,
    },
    /// No room is left.
    #[error("the store {place} is full: free some room, or delete old runs")]
    Full {
        /// Where.
        place: String,
    },
    /// A newer release wrote the store.
    #[error(
        "the store {place} has version {found}, and this release knows up to {known}: use a newer release, or another store"
    )]
    Newer {
        /// Where.
        place: String,
        /// The version of what is there.
        found: u64,
        /// The newest version that this release reads.
        known: u64,
    },
    /// Something that no release of this program wrote.
    #[error("the store {place} holds something unreadable, {reason}: restore it from a backup, or use another place")]
    Corrupt {
        /// Where.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store does not answer.
    #[error("the store {place} does not answer, {reason}: see that it is there and can be reached")]
    Unavailable {
        /// Where.
        place: String,
        /// What it said instead.
        reason: String,
    },
    /// The store lets nobody write so much at once.
    #[error("the store {place} takes no change this large, {reason}: {remedy}")]
    TooLarge {
        /// Where.
        place: String,
        /// What is too large about it.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// An address that names no store.
    #[error("the store address `{url}` is malformed: {rule}")]
    BadUrl {
        /// The address, without a password.
        url: String,
        /// What it must look like.
        rule: String,
    },
    /// The store does not let this user do it.
    #[error("the store {place} refuses its user, {reason}: check the user and the rights that the store gives to it")]
    Denied {
        /// Where.
        place: String,
        /// What it said.
        reason: String,
    },
    /// Nothing is there, and nothing may be created.
    #[error(
        "there is no store at {place}: check the address, or let it be created, without mode=ro or with create=true"
    )]
    NotFound {
        /// Where.
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
            StoreError::NotFound { .. } => Code::STORE_NOT_FOUND,
        }
    }
}

/// Why a commit did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A document was not as the change expects it: read again, decide again.
    #[error("the run was changed by somebody else in the meantime: read it again and try again")]
    Conflict,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommitError {
    /// The error's code. A conflict is the driver's to resolve; one that reaches a person is the host's mistake.
    pub const fn code(&self) -> Code {
        match self {
            CommitError::Conflict => Code::INTERNAL,
            CommitError::Store(error) => error.code(),
        }
    }
}
