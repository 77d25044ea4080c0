//! What can go wrong in the host, each with its code.

use faas_flow_core::{Code, Failure, Malformed, NameKind};
use faas_flow_guest::GuestError;
use faas_flow_store::{CommitError, StoreError};
use faas_flow_versions as versions;

/// Why the host could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something could not be done with the versions of a flow.
    #[error(transparent)]
    Versions(#[from] versions::Error),
    /// The module cannot be used.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Anything else, with its code.
    #[error("{message}")]
    Coded {
        /// Which kind.
        code: Code,
        /// What happened, to what, and what to do.
        message: String,
    },
}

impl Error {
    /// An error with this code and message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error::Coded { code, message: message.into() }
    }

    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Error::Versions(error) => error.code(),
            Error::Guest(error) => error.code(),
            Error::Store(error) => error.code(),
            Error::Coded { code, .. } => *code,
        }
    }
}

impl From<versions::signature::Error> for Error {
    fn from(error: versions::signature::Error) -> Self {
        Error::Versions(error.into())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::Coded { code: failure.code, message: failure.message }
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        let code = match malformed.kind {
            NameKind::RequestId => Code::BAD_REQUEST_ID,
            NameKind::FlowName => Code::BAD_FLOW_NAME,
            _ => Code::BAD_REQUEST,
        };
        Error::new(code, malformed.to_string())
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => Error::Store(error),
            CommitError::Conflict => Error::new(Code::INTERNAL, "somebody else changed the run at the same time"),
        }
    }
}
