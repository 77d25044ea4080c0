//! What can go wrong in the host, each with its code.

use faas_flow_core::run::Unreadable;
use faas_flow_core::{Code, Failure, Malformed, Problem, RunId};
use faas_flow_guest::GuestError;
use faas_flow_store::{CommitError, StoreError};
use std::path::PathBuf;

/// Why the host could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The module cannot be read.
    #[error("cannot read the module {}: {source}", path.display())]
    ModuleUnreadable {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The module cannot be used.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The flow's definition is wrong.
    #[error("the definition of the flow is not valid:{}", list(.0))]
    Definition(Vec<Problem>),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored document cannot be read.
    #[error("run {run}: {source}")]
    Unreadable {
        /// Whose.
        run: RunId,
        /// Why.
        source: Unreadable,
    },
    /// Anything else, with its code.
    #[error("{message}")]
    Coded {
        /// Which kind.
        code: Code,
        /// What happened, to what, and what to do.
        message: String,
    },
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

impl Error {
    /// An error with this code and message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error::Coded { code, message: message.into() }
    }

    /// The error's code: a definition's first problem stands for all.
    pub fn code(&self) -> Code {
        match self {
            Error::ModuleUnreadable { .. } => Code::MODULE_UNREADABLE,
            Error::Guest(error) => error.code(),
            Error::Definition(problems) => problems.first().map_or(Code::INTERNAL, |problem| problem.code),
            Error::Config(error) => error.code(),
            Error::Store(error) => error.code(),
            Error::Unreadable { source, .. } => source.code(),
            Error::Coded { code, .. } => *code,
        }
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
            "request id" => Code::BAD_REQUEST_ID,
            "flow name" => Code::BAD_FLOW_NAME,
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
