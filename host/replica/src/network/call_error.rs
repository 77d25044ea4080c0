//! Why a call failed.

use super::Refused;
use super::decode::EncodingFault;
use super::proxy::ProxyFailed;
use super::redirect::RedirectFault;
use crate::program::{BlockFault, ScriptFault, may_pass};
use faas_flow_core::{Code, Failure, ShownDuration};
use faas_flow_guest::Short;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a call of a function or a URL failed. Callees are shown without passwords and queries.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The method is not one of HTTP.
    #[error("`{}` is not an HTTP method", .0.escape_debug())]
    BadMethod(String),
    /// The request could not be built.
    #[error("the request to {callee} is malformed: {reason}")]
    BadRequest { callee: String, reason: String },
    /// The path would lead out of the function. It is not repeated, since it may have been made from data.
    #[error("the path of the call leaves function `{name}`: it must not contain `..`, in any spelling")]
    LeavesFunction { name: String },
    /// The connection could not be made, or it broke.
    #[error("no answer from {callee}: {reason}")]
    Unreachable { callee: String, reason: String },
    /// A proxy could not be reached, or did not pass the request on.
    #[error("no answer from {callee}: {source}")]
    Proxy { callee: String, source: ProxyFailed },
    /// The configuration does not allow the host or its address.
    #[error("the request was not sent: {0}")]
    Refused(#[from] Refused),
    /// The whole answer did not arrive in time.
    #[error("`{callee}` did not answer within {} ms{quote}", limit.as_millis())]
    TimedOut { callee: String, limit: Duration, quote: Quote },
    /// The answer has an error status.
    #[error("`{callee}` answered with status {status}{quote}")]
    Status { callee: String, status: u16, quote: Quote, retry: Retry },
    /// The answer leads elsewhere, and that is not followed.
    #[error("`{callee}` answered with status {status} and the location {location}, which is not followed: {fault}")]
    Redirect { callee: String, status: u16, location: String, fault: Box<RedirectFault> },
    /// The answer is compressed in a way that cannot be decoded.
    #[error("the answer of `{callee}` cannot be decoded: {fault}")]
    Encoding { callee: String, fault: EncodingFault },
    /// There is not enough memory for the answer.
    #[error("out of memory: {0}")]
    OutOfMemory(#[from] Short),
    /// The answer is too large.
    #[error("`{callee}` answered with more than {limit} bytes")]
    TooLarge { callee: String, limit: usize },
    /// A function has only begun what it was called for.
    #[error("`{callee}` answered with status 202, so its result is not in the answer: {}", advice(*.asynchronous))]
    Accepted { callee: String, asynchronous: bool },
    /// The answer that a node waits for did not come in time.
    #[error("`{callee}` did not answer within {limit}", limit = ShownDuration(*limit))]
    NoAnswer { callee: String, limit: Duration, retry: Retry },
    /// The run that a node waits for does not exist any more.
    #[error("run {run} of flow `{callee}` is gone: it was deleted before its end was known here")]
    ChildGone { callee: String, run: String },
    /// There is no function of this name, and no gateway that may have it.
    #[error("unknown function `{name}` ({}); add --function {name}=… or --gateway", registered(.known))]
    UnknownFunction { name: String, known: Vec<String> },
    /// The program that serves as a function could not be started.
    #[error("function `{name}`: cannot run {}: {source}", program.display())]
    NotStarted { name: String, program: PathBuf, source: io::Error },
    /// The program that serves as a function is a script that the system cannot run.
    #[error("function `{name}`: cannot run {}: {fault}", program.display())]
    BadScript { name: String, program: PathBuf, fault: ScriptFault },
    /// The end of the program could not be awaited.
    #[error("function `{name}`: {source}")]
    Lost { name: String, source: io::Error },
    /// The program was to answer with a header block.
    #[error("function `{name}`: {fault}{quote}")]
    BadBlock { name: String, fault: BlockFault, quote: Quote },
    /// The program ended with an error.
    #[error("function `{name}` ended with {status}{quote}")]
    Exited { name: String, status: ExitStatus, quote: Quote },
}

/// Whether another try of a call that was answered may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    Yes,
    No,
}

/// What a message repeats of an answer: nothing, or its beginning.
#[derive(Debug, Default)]
pub(crate) struct Quote(String);

impl Quote {
    /// The text that [`Answers::quote`](crate::Answers::quote) lets through.
    pub(crate) fn new(quoted: String) -> Self {
        Self(quoted)
    }
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn advice(asynchronous: bool) -> &'static str {
    if asynchronous {
        "a function that is called asynchronously must answer with its result, however late"
    } else {
        "have it answer when it is done, and call it with `.asynchronous()` if that takes long; if it is a flow, update it \
         and this one to the same release"
    }
}

fn registered(known: &[String]) -> String {
    if known.is_empty() { "no functions are registered".to_owned() } else { format!("known: {}", known.join(", ")) }
}

impl CallError {
    /// The error's code.
    pub(crate) fn code(&self) -> Code {
        match self {
            CallError::BadMethod(_) | CallError::BadRequest { .. } => Code::BAD_CALL,
            CallError::LeavesFunction { .. } => Code::PATH_LEAVES_FUNCTION,
            CallError::Unreachable { .. } | CallError::Proxy { .. } => Code::CALL_UNREACHABLE,
            CallError::Refused(_) => Code::DESTINATION_REFUSED,
            CallError::TimedOut { .. } => Code::CALL_TIMED_OUT,
            CallError::Status { .. } => Code::CALL_STATUS,
            CallError::Accepted { .. } => Code::CALL_ACCEPTED,
            CallError::NoAnswer { .. } => Code::ANSWER_TIMED_OUT,
            CallError::ChildGone { .. } => Code::CHILD_FAILED,
            CallError::Redirect { fault, .. } => fault.code(),
            CallError::Encoding { .. } => Code::BAD_ENCODING,
            CallError::OutOfMemory(_) => Code::OUT_OF_MEMORY,
            CallError::TooLarge { .. } => Code::RESPONSE_TOO_LARGE,
            CallError::UnknownFunction { .. } => Code::FUNCTION_MISSING,
            CallError::NotStarted { .. }
            | CallError::BadScript { .. }
            | CallError::Lost { .. }
            | CallError::BadBlock { .. }
            | CallError::Exited { .. } => Code::FUNCTION_FAILED,
        }
    }

    /// Whether another try may help.
    fn retry(&self) -> Retry {
        match self {
            CallError::BadMethod(_)
            | CallError::BadRequest { .. }
            | CallError::LeavesFunction { .. }
            | CallError::Refused(_)
            | CallError::TooLarge { .. }
            | CallError::Accepted { .. }
            | CallError::ChildGone { .. }
            | CallError::Redirect { .. }
            | CallError::Encoding { fault: EncodingFault::Unknown(_) | EncodingFault::TooMany, .. }
            | CallError::BadScript { .. }
            | CallError::BadBlock { .. }
            | CallError::UnknownFunction { .. } => Retry::No,
            CallError::OutOfMemory(short) if !short.fits => Retry::No,
            CallError::Status { retry, .. } | CallError::NoAnswer { retry, .. } => *retry,
            CallError::Proxy { source, .. } => source.retry,
            CallError::Exited { status, .. } if !may_pass(*status) => Retry::No,
            CallError::Unreachable { .. }
            | CallError::TimedOut { .. }
            | CallError::Encoding { .. }
            | CallError::OutOfMemory(_)
            | CallError::NotStarted { .. }
            | CallError::Lost { .. }
            | CallError::Exited { .. } => Retry::Yes,
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error.retry() {
            Retry::Yes => Failure::retry(error.code(), error.to_string()),
            Retry::No => Failure::reject(error.code(), error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_function_is_named_with_those_that_are_known() {
        let unknown = |known: &[&str]| {
            let known = known.iter().map(|&name| name.to_owned()).collect();
            CallError::UnknownFunction { name: "wc".to_owned(), known }.to_string()
        };
        let none = "unknown function `wc` (no functions are registered); add --function wc=… or --gateway";
        assert_eq!(unknown(&[]), none);
        assert_eq!(unknown(&["a", "b"]), "unknown function `wc` (known: a, b); add --function wc=… or --gateway");
    }

    #[test]
    fn only_a_call_that_may_succeed_later_is_tried_again() {
        let status = |retry| CallError::Status { callee: "f".to_owned(), status: 503, quote: Quote::default(), retry };
        let failure = Failure::from(status(Retry::Yes));
        assert_eq!((failure.code, failure.retry), (Code::CALL_STATUS, true));
        assert_eq!(failure.message, "`f` answered with status 503");
        assert!(!Failure::from(status(Retry::No)).retry);
        assert!(!Failure::from(CallError::TooLarge { callee: "f".to_owned(), limit: 1 }).retry);
        let quote = Quote::default();
        let timed_out = CallError::TimedOut { callee: "f".to_owned(), limit: Duration::from_secs(60), quote };
        assert_eq!(timed_out.to_string(), "`f` did not answer within 60000 ms");
        assert!(Failure::from(timed_out).retry);
    }
}
