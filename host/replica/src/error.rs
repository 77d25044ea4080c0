//! Why the host could not do what it was asked, each reason with its code.

use crate::events;
use faas_flow_core::run::Refusal;
use faas_flow_core::{Code, Failure, FlowName, Malformed, NameKind, RunId};
use faas_flow_guest::GuestError;
use faas_flow_store::{CommitError, StoreError};
use faas_flow_versions as versions;

/// Why the host could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operation on the versions of a flow failed.
    #[error(transparent)]
    Versions(#[from] versions::Error),
    /// The module cannot be used.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event, or its signature, was not accepted; or the secret that signs cannot be used.
    #[error(transparent)]
    Event(#[from] events::Error),
    /// A name does not have the form that it needs.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Part of a run failed, and with it what was asked for.
    #[error("{}", .0.message)]
    Failed(Failure),

    /// No run has this request id.
    #[error("there is no run {run}")]
    UnknownRun {
        /// The request id.
        run: RunId,
    },
    /// The state of a run does not allow what was asked of it.
    #[error("run {run}: {refusal}")]
    Refused {
        /// The run.
        run: RunId,
        /// Why.
        refusal: Refusal,
    },
    /// This replica serves no flow of this name.
    #[error("unknown flow `{flow}`; {}", served(.known))]
    UnknownFlow {
        /// The name.
        flow: FlowName,
        /// The flows that it serves.
        known: Vec<FlowName>,
    },
    /// The body of a request is larger than the setting `body_limit`.
    #[error("the body has {size} bytes, but at most {limit} are allowed")]
    BodyTooLarge {
        /// The size of the body, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The replica works on as many runs as it may.
    #[error("{runs} runs are in flight, which is the limit; try again later")]
    TooManyRuns {
        /// How many.
        runs: usize,
    },
    /// An event found no room to execute its node in time.
    #[error("this replica is busy; the event will be sent again, or another replica will find that the node is ready")]
    NoRoomForEvent,
    /// The replica drains.
    #[error("this replica is stopping; try again, and another one will answer")]
    Stopping,
    /// The run could not be stored, and no store has said why.
    #[error("the run could not be stored; try again")]
    NotStored,
    /// A commit found that the run had changed.
    #[error("another replica changed the run at the same time")]
    Conflict,
    /// A task of the host panicked, or was aborted while the host stopped.
    #[error("a task of the host ended early; its log says why")]
    TaskEndedEarly,

    /// A `--function` option cannot be read.
    #[error("the function option `{option}` {fault}: write name=./program, name=http://… or name=echo")]
    BadFunctionOption {
        /// The option, without passwords.
        option: String,
        /// What is wrong with it.
        fault: FunctionOptionFault,
    },
    /// The setting `trace_server` cannot be used.
    #[error("trace_server `{server}` cannot be used: {reason}")]
    BadTraceServer {
        /// Its value, without passwords.
        server: String,
        /// Why.
        reason: String,
    },
    /// The HTTP client of the host cannot be set up.
    #[error("cannot set up the HTTP client: {reason}")]
    NoHttpClient {
        /// Why.
        reason: String,
    },
}

/// What is wrong with a `--function` option.
#[derive(Debug, thiserror::Error)]
pub enum FunctionOptionFault {
    /// It has no equals sign.
    #[error("has no `=`")]
    NoEqualsSign,
    /// The text before the equals sign cannot be the name of a function.
    #[error("has no function's name before the `=`")]
    NoName,
    /// Nothing follows the equals sign.
    #[error("has nothing after the `=`")]
    NoTarget,
    /// There is no such program.
    #[error("names no program: {0}")]
    NoProgram(std::io::Error),
    /// The program is a script that the system cannot run.
    #[error("names a script that cannot be run: {0}")]
    Script(crate::program::ScriptFault),
}

impl Error {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Error::Versions(error) => error.code(),
            Error::Guest(error) => error.code(),
            Error::Store(error) => error.code(),
            Error::Event(error) => error.code(),
            Error::Malformed(malformed) => match malformed.kind {
                NameKind::RequestId => Code::BAD_REQUEST_ID,
                NameKind::FlowName => Code::BAD_FLOW_NAME,
                _ => Code::BAD_REQUEST,
            },
            Error::Failed(failure) => failure.code,
            Error::UnknownRun { .. } => Code::RUN_UNKNOWN,
            Error::Refused { .. } => Code::RUN_STATE,
            Error::UnknownFlow { .. } => Code::FLOW_UNKNOWN,
            Error::BodyTooLarge { .. } => Code::BODY_TOO_LARGE,
            Error::TooManyRuns { .. } | Error::NoRoomForEvent => Code::OVERLOADED,
            Error::Stopping => Code::STOPPING,
            Error::NotStored => Code::STORE_UNAVAILABLE,
            Error::Conflict | Error::TaskEndedEarly | Error::NoHttpClient { .. } => Code::INTERNAL,
            Error::BadFunctionOption { .. } => Code::BAD_FUNCTION_OPTION,
            Error::BadTraceServer { .. } => Code::BAD_CONFIGURATION,
        }
    }
}

fn served(known: &[FlowName]) -> String {
    if known.is_empty() {
        return "no flows are served here".to_owned();
    }
    let known: Vec<&str> = known.iter().map(FlowName::as_str).collect();
    format!("known flows: {}", known.join(", "))
}

impl From<versions::signature::Error> for Error {
    fn from(error: versions::signature::Error) -> Self {
        Error::Versions(error.into())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::Failed(failure)
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => Error::Store(error),
            CommitError::Conflict => Error::Conflict,
        }
    }
}
