//! Why the host could not do what it was asked, each reason with its code.

use crate::body_limit::BodyLimit;
use crate::child::MAX_CALLS;
use crate::events;
use faas_flow_core::run::{Refusal, Unreadable};
use faas_flow_core::{
    Code, Failure, FlowName, Malformed, Millis, NameKind, NodePath, RunId, SignalName, moment, nearest,
};
use faas_flow_guest::GuestError;
use faas_flow_store::{CommitError, StoreError};
use faas_flow_versions as versions;
use std::fmt;

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
    /// A run that is to be deleted has not ended.
    #[error("run {run} has not ended, so it cannot be deleted: stop it first")]
    NotEnded {
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
    /// No node of the flow waits for such a signal.
    #[error("run {run}: no node of the flow waits for signal `{signal}`; {}", awaited(.signal, .known))]
    NeverAwaited {
        /// The run.
        run: RunId,
        /// The signal.
        signal: SignalName,
        /// Those for which nodes wait.
        known: Vec<String>,
    },
    /// The address of a signal has expired.
    #[error("this address expired at {}: ask its sender for a new one", moment(*.expires))]
    SignalUrlExpired {
        /// When.
        expires: Millis,
    },
    /// A run has no such node.
    #[error("run {run}: there is no node `{node}`; {known}")]
    UnknownNode {
        /// The run.
        run: RunId,
        /// The node.
        node: NodePath,
        /// The nodes that it has, as far as they are begun.
        known: KnownNodes,
    },
    /// This replica serves no flow of this name.
    #[error("unknown flow `{flow}`; {}", served(.known))]
    UnknownFlow {
        /// The name.
        flow: FlowName,
        /// The flows that it serves.
        known: Vec<FlowName>,
    },
    /// Too many runs call each other.
    #[error("{}", too_deep(.flow, .within))]
    FlowsTooDeep {
        /// The flow of the run that was to begin.
        flow: FlowName,
        /// The flows of the runs around it, the outermost first.
        within: Vec<FlowName>,
    },
    /// The body of a request is larger than what can be processed.
    #[error("the body is larger than {limit}; send less, or pass a reference to the data")]
    BodyTooLarge {
        /// The limit, and the key that it follows from.
        limit: BodyLimit,
    },
    /// The flow has no schedule of this name.
    #[error("flow `{flow}` has no schedule `{name}`; {}", scheduled(.known))]
    UnknownSchedule {
        /// The flow.
        flow: FlowName,
        /// The name.
        name: String,
        /// The schedules that it has.
        known: Vec<String>,
    },
    /// The stored document of the limits that the operator has set cannot be read.
    #[error("cannot read the limits that were set: {source}")]
    LimitsUnreadable {
        /// Why.
        source: Unreadable,
    },
    /// Others changed the schedules of a flow at the same moment, several times in a row.
    #[error("gave up after repeated conflicting changes to the schedules of flow {flow}: try again")]
    SchedulesConflict {
        /// The flow.
        flow: FlowName,
    },
    /// The stored schedules of a flow cannot be read.
    #[error("the stored schedules of flow {flow} are unreadable: {reason}")]
    SchedulesUnreadable {
        /// The flow.
        flow: FlowName,
        /// Why.
        reason: String,
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
    /// Others changed the run at the same moment, several times in a row.
    #[error("others changed the run at the same moment: look at its state, and try again")]
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
    /// The certificates for the connection to the server of traces cannot be used.
    #[error("the certificates for traces cannot be used: {reason}")]
    BadTlsFiles {
        /// Why, with the file.
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
            Error::NeverAwaited { .. } => Code::NEVER_AWAITED,
            Error::SignalUrlExpired { .. } => Code::SIGNAL_URL_EXPIRED,
            Error::Refused { refusal: Refusal::TooManySignals, .. } => Code::TOO_MANY_SIGNALS,
            Error::Refused { .. } | Error::NotEnded { .. } | Error::UnknownNode { .. } | Error::Conflict => {
                Code::RUN_STATE
            }
            Error::UnknownFlow { .. } => Code::FLOW_UNKNOWN,
            Error::FlowsTooDeep { .. } => Code::FLOWS_TOO_DEEP,
            Error::UnknownSchedule { .. } => Code::SCHEDULE_UNKNOWN,
            Error::SchedulesConflict { .. } => Code::SCHEDULES_CONFLICT,
            Error::LimitsUnreadable { source } => source.code(),
            Error::SchedulesUnreadable { .. } => Code::STORE_CORRUPT,
            Error::BodyTooLarge { .. } => Code::BODY_TOO_LARGE,
            Error::TooManyRuns { .. } | Error::NoRoomForEvent => Code::OVERLOADED,
            Error::Stopping => Code::STOPPING,
            Error::NotStored => Code::STORE_UNAVAILABLE,
            Error::TaskEndedEarly | Error::NoHttpClient { .. } => Code::INTERNAL,
            Error::BadFunctionOption { .. } => Code::BAD_FUNCTION_OPTION,
            Error::BadTraceServer { .. } | Error::BadTlsFiles { .. } => Code::BAD_CONFIGURATION,
        }
    }
}

/// The nodes of a run.
#[derive(Debug)]
pub struct KnownNodes {
    /// The one that was meant, perhaps.
    nearest: Option<String>,
    /// Their paths, in the order of the run.
    paths: Vec<String>,
}

impl KnownNodes {
    /// How many are named.
    const NAMED: usize = 12;

    /// The nodes with these paths, of which `wrong` is none.
    pub fn new(wrong: &NodePath, paths: Vec<String>) -> Self {
        let near = |path: &str| path.len() / 3;
        let nearest = nearest(&wrong.to_string(), paths.iter().map(String::as_str), near);
        Self { nearest: nearest.map(str::to_owned), paths }
    }
}

impl fmt::Display for KnownNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nearest) = &self.nearest {
            write!(f, "did you mean `{nearest}`? ")?;
        }
        let named = self.paths.get(..Self::NAMED).unwrap_or(&self.paths).join(", ");
        write!(f, "the nodes are {named}")?;
        match self.paths.len().saturating_sub(Self::NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

fn too_deep(flow: &FlowName, within: &[FlowName]) -> String {
    let chain: Vec<&str> = within.iter().chain([flow]).map(FlowName::as_str).collect();
    let what = if within.contains(flow) {
        format!("flow `{flow}` calls itself endlessly")
    } else {
        "flows call each other too deeply".to_owned()
    };
    format!("{what}: at most {MAX_CALLS} runs may be nested, and this would be {}", chain.join(" > "))
}

fn served(known: &[FlowName]) -> String {
    if known.is_empty() {
        return "no flows are served here".to_owned();
    }
    let known: Vec<&str> = known.iter().map(FlowName::as_str).collect();
    format!("known flows: {}", known.join(", "))
}

fn scheduled(known: &[String]) -> String {
    match known {
        [] => "it has none".to_owned(),
        known => format!("it has {}", known.join(", ")),
    }
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

/// What to say of the signals for which nodes wait.
fn awaited(signal: &SignalName, known: &[String]) -> String {
    match (known, nearest(signal.as_str(), known.iter().map(String::as_str), |name| name.len() / 3)) {
        ([], _) => "it waits for no signals".to_owned(),
        (_, Some(near)) => format!("did you mean `{near}`?"),
        (known, None) => format!("it waits for {}", known.join(", ")),
    }
}
