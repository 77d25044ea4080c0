//! What can go wrong with a request, and with asking another server; and the status of each code.

use crate::access::{RightMissing, TokenFault};
use crate::payload_access::PayloadFault;
use axum::http::{HeaderName, Method, StatusCode};
use faas_flow_core::{BadLabel, BadStart, Code, Failure, FlowName, Malformed, RunId, ShownDuration, SignalName};
use faas_flow_guest::Short;
use faas_flow_replica::network::Refused;
use faas_flow_store::StoreError;
use std::time::Duration;

/// Why a request is refused. [`IntoResponse`](axum::response::IntoResponse) turns it into the answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host could not do what it was asked.
    #[error(transparent)]
    Host(#[from] faas_flow_replica::error::Error),
    /// A module that an operator sent or chose cannot be used. The fault is the module's, not the host's.
    #[error(transparent)]
    UnusableModule(faas_flow_replica::error::Error),
    /// No route has this path.
    #[error("there is nothing at `{}`; /_/openapi.json lists all routes", shown(path))]
    NoRoute {
        /// The path, as it came.
        path: String,
    },
    /// The route exists, but takes other methods.
    #[error("this route does not accept {method}; the `Allow` header lists the methods that it accepts")]
    WrongMethod {
        /// The request's.
        method: Method,
    },
    /// A page of another site may have sent the request.
    #[error(transparent)]
    Browser(#[from] crate::browser::Fault),
    /// Without a token, runs are not changed by GET, which a page of any site can send.
    #[error("{method} cannot pause, resume or stop a run on a server without a `faasflow-admin-token`: use POST")]
    ControlByGet {
        /// The request's.
        method: Method,
    },
    /// The address of a signal was used before.
    #[error("signal `{signal}` was sent before with this address, which works once")]
    SignalUrlUsed {
        /// The signal.
        signal: SignalName,
    },
    /// An idempotency key is empty, too long, or not printable.
    #[error("`X-Faas-Flow-Idempotency-Key` must have 1 to 256 characters of printable ASCII")]
    BadIdempotencyKey,
    /// A signal has no page but at an address that a flow has handed out.
    #[error("a signal is sent with POST; only an address that a flow has handed out (`signal-url`) has a page")]
    SignalByGet,
    /// Neither a flow nor a step function has this name.
    #[error("there is no flow and no function `{name}` here; GET / lists what there is")]
    NoFlow {
        /// As the path has it.
        name: FlowName,
    },
    /// The path behind the name of a step function contains `..`.
    #[error("the path leaves function `{name}`: it must not contain `..`, in any spelling")]
    LeavesFunction {
        /// The function.
        name: String,
    },
    /// The flow has no such run.
    #[error("flow {flow} has no run {run}")]
    NoRun {
        /// The flow that was asked.
        flow: FlowName,
        /// The run that was asked for.
        run: RunId,
    },
    /// The answer to a node exceeds its limit, in bytes.
    #[error(
        "the answer is larger than {limit} bytes (response_limit); answer with less, or with a reference to the data"
    )]
    AnswerTooLarge {
        /// The most that an answer may have.
        limit: usize,
    },
    /// The status of a function that a callback states is not an HTTP status.
    #[error("the header X-Function-Status is not a status from 100 to 599")]
    BadFunctionStatus,
    /// There is no memory for the body at this moment.
    #[error("the host is short of memory: {0}")]
    OutOfMemory(Short),
    /// The body took too long.
    #[error("the body did not arrive within {} (read_timeout); send it faster, or send less", time(limit))]
    BodyTooSlow {
        /// How long it may take.
        limit: Duration,
    },
    /// The connection failed while the body was read.
    #[error("the body ended early: {0}")]
    BodyCutShort(axum::Error),
    /// A query parameter is missing or malformed.
    #[error("the query parameter `{name}` must be {rule}")]
    BadParameter {
        /// Which one.
        name: &'static str,
        /// What it must look like.
        rule: &'static str,
    },
    /// A header that counts once is there with different values.
    #[error("the header `{name}` was sent several times with different values: send it once")]
    ContradictoryHeader {
        /// Its name.
        name: HeaderName,
    },
    /// A time to wait is malformed.
    #[error("`{}` is not a time to wait; write 30s, 500ms or 2m", text.escape_debug())]
    BadWait {
        /// Its first 40 characters.
        text: String,
    },
    /// Something is no label.
    #[error(transparent)]
    BadLabel(#[from] BadLabel),
    /// No run can start then.
    #[error(transparent)]
    BadStart(#[from] BadStart),
    /// The caller's request id is in use.
    #[error("the request id {id} already belongs to a run {by}; choose another id")]
    RequestIdTaken {
        /// The id.
        id: RunId,
        /// What distinguishes that run from the one asked for.
        by: OtherRun,
    },
    /// An event's body names another run than its path.
    #[error("the event's body names run {body}, but its path names run {path}")]
    ForeignEvent {
        /// The run in the body.
        body: RunId,
        /// The run in the path.
        path: RunId,
    },
    /// A result must not be sent to this address.
    #[error("cannot call back to `{url}`: {fault}")]
    BadCallback {
        /// The address, without secrets, cut to 100 characters.
        url: String,
        /// What is wrong with it.
        fault: CallbackFault,
    },
    /// Requests must be signed, but nobody can sign them.
    #[error("requests must be signed here, but the host has no secret `faasflow-hmac-secret` to check them with")]
    NoSecret,
    /// An operator's request without the right token.
    #[error("{0}")]
    TokenNeeded(TokenFault),
    /// A token does not have the right that a request needs.
    #[error(transparent)]
    RightMissing(#[from] RightMissing),
    /// A request for a result or a state without the right to it.
    #[error(
        "results and states are given to signed requests only (result_access), and {why}: sign the request, or send \
         `Authorization: Bearer` with the host's `faasflow-admin-token`, or with one of its `faasflow-tokens`"
    )]
    ReadDenied {
        /// What is wrong with the signature: `it lacks …`
        why: String,
    },
    /// The input or output of a node is not shown.
    #[error(transparent)]
    Payload(#[from] PayloadFault),
    /// There was no answer within the time for a request.
    #[error("{}", timed_out(limit, run.as_ref()))]
    TimedOut {
        /// How long the request could take.
        limit: Duration,
        /// The run that continues, if one is known to have begun.
        run: Option<RunId>,
    },
    /// A deployed function answers as many requests as it may.
    #[error("this replica already answers {max} requests at a time (max_inflight); try again")]
    TooManyRequests {
        /// How many it may answer at a time.
        max: usize,
    },
    /// An error of the dashboard.
    #[error(transparent)]
    Dashboard(#[from] crate::dashboard::Error),
    /// The function is starting.
    #[error("the function is starting; try again")]
    Starting,
    /// The function is starting, and something that it needs is not there yet.
    #[error("the function is starting and waiting for {what}: {why}")]
    Waiting {
        /// What it waits for.
        what: String,
        /// The code of the error that it met.
        code: Code,
        /// The error.
        why: String,
    },
    /// New runs cannot begin here at the moment.
    #[error("not ready: {why}")]
    NotReady {
        /// What is missing.
        why: faas_flow_replica::error::Error,
    },
    /// Another server answered with an error.
    #[error("the server refused (status {status}): {message}")]
    Refused {
        /// The code that it gave, or that of calls that fail.
        code: Code,
        /// Its status.
        status: u16,
        /// What it said.
        message: String,
    },
}

/// How a run that has a request id differs from the one asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtherRun {
    #[error("that is just starting")]
    Starting,
    #[error("of another flow")]
    Flow,
    #[error("with another body")]
    Body,
    #[error("with another query")]
    Query,
    #[error("with another callback address")]
    Callback,
    #[error("with another header `{name}`")]
    Header { name: String },
}

/// What is wrong with an address to call back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackFault {
    #[error("it has more than {limit} bytes")]
    TooLong { limit: usize },
    #[error("{0}")]
    Malformed(String),
    #[error("it is not an http or https address")]
    Scheme,
    #[error("it contains a user name or password")]
    Credentials,
    #[error(transparent)]
    Refused(#[from] Refused),
}

fn shown(path: &str) -> String {
    path.escape_debug().take(100).collect()
}

fn time(limit: &Duration) -> ShownDuration {
    ShownDuration(*limit)
}

fn timed_out(limit: &Duration, run: Option<&RunId>) -> String {
    let limit = time(limit);
    match run {
        Some(run) => format!("no answer within {limit}: run {run} continues; get its result at /flow/{run}/result"),
        None => format!("no answer within {limit}, and no run is known to have started"),
    }
}

impl Error {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Error::Host(error) | Error::UnusableModule(error) | Error::NotReady { why: error } => error.code(),
            Error::Dashboard(error) => error.code(),
            Error::NoRoute { .. } => Code::ROUTE_UNKNOWN,
            Error::Browser(fault) => fault.code(),
            Error::WrongMethod { .. } | Error::ControlByGet { .. } | Error::SignalByGet => Code::WRONG_METHOD,
            Error::NoFlow { .. } => Code::FLOW_UNKNOWN,
            Error::LeavesFunction { .. } => Code::PATH_LEAVES_FUNCTION,
            Error::NoRun { .. } => Code::RUN_UNKNOWN,
            Error::AnswerTooLarge { .. } => Code::RESPONSE_TOO_LARGE,
            Error::BadFunctionStatus | Error::BadIdempotencyKey => Code::BAD_REQUEST,
            Error::SignalUrlUsed { .. } => Code::SIGNAL_URL_USED,
            Error::OutOfMemory(_) => Code::OUT_OF_MEMORY,
            Error::BodyTooSlow { .. } => Code::REQUEST_TOO_SLOW,
            Error::BodyCutShort(_)
            | Error::BadParameter { .. }
            | Error::ContradictoryHeader { .. }
            | Error::BadWait { .. } => Code::BAD_REQUEST,
            Error::BadLabel(_) => Code::BAD_LABEL,
            Error::BadStart(_) => Code::BAD_START,
            Error::RequestIdTaken { .. } => Code::RUN_EXISTS,
            Error::ForeignEvent { .. } => Code::BAD_EVENT,
            Error::BadCallback { .. } => Code::BAD_CALLBACK,
            Error::NoSecret => Code::UNSIGNED,
            Error::TokenNeeded(_) => Code::TOKEN_NEEDED,
            Error::RightMissing(_) => Code::RIGHT_MISSING,
            Error::ReadDenied { .. } => Code::READ_DENIED,
            Error::Payload(fault) => fault.code(),
            Error::TimedOut { .. } => Code::REQUEST_TIMED_OUT,
            Error::TooManyRequests { .. } => Code::TOO_MANY_REQUESTS,
            Error::Starting => Code::STARTING,
            Error::Waiting { code, .. } | Error::Refused { code, .. } => *code,
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Error::UnusableModule(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::NotReady { .. } => StatusCode::SERVICE_UNAVAILABLE,
            // The caller chose the path. If a flow did, it fails as it does for other mistakes of its own.
            Error::LeavesFunction { .. } => StatusCode::BAD_REQUEST,
            Error::AnswerTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            error => status_of(error.code()),
        }
    }

    /// An error about a version that an operator sent or chose.
    pub fn of_version(error: faas_flow_versions::Error) -> Self {
        if error.is_bad_module() { Error::UnusableModule(error.into()) } else { Error::Host(error.into()) }
    }
}

/// The status of answers with this code: the one place that maps codes to statuses.
pub(crate) fn status_of(code: Code) -> StatusCode {
    match code {
        Code::BAD_REQUEST_ID
        | Code::BAD_REQUEST
        | Code::BAD_FLOW_NAME
        | Code::BAD_EVENT
        | Code::BAD_CALLBACK
        | Code::BAD_START
        | Code::BAD_LABEL => StatusCode::BAD_REQUEST,
        Code::UNSIGNED
        | Code::BAD_SIGNATURE
        | Code::EVENT_TOO_OLD
        | Code::TOKEN_NEEDED
        | Code::READ_DENIED
        | Code::OLD_SIGNATURE => StatusCode::UNAUTHORIZED,
        Code::MODULE_UNSIGNED
        | Code::BAD_MODULE_SIGNATURE
        | Code::FOREIGN_PAGE
        | Code::PAYLOADS_HIDDEN
        | Code::RIGHT_MISSING => StatusCode::FORBIDDEN,
        Code::FOREIGN_HOST => StatusCode::MISDIRECTED_REQUEST,
        Code::FLOW_UNKNOWN
        | Code::RUN_UNKNOWN
        | Code::SCHEDULE_UNKNOWN
        | Code::NEVER_AWAITED
        | Code::PAYLOAD_UNKNOWN
        | Code::ROUTE_UNKNOWN
        | Code::VERSION_UNKNOWN => StatusCode::NOT_FOUND,
        Code::WRONG_METHOD => StatusCode::METHOD_NOT_ALLOWED,
        Code::RUN_EXISTS
        | Code::RUN_STATE
        | Code::RUN_STOPPED
        | Code::ACTIVATION_CONFLICT
        | Code::VERSION_REMOVED
        | Code::NO_CANARY
        | Code::SCHEDULES_CONFLICT
        | Code::NOTHING_TO_ROLL_BACK => StatusCode::CONFLICT,
        Code::SIGNAL_URL_USED | Code::SIGNAL_URL_EXPIRED => StatusCode::GONE,
        Code::DIGEST_MISMATCH => StatusCode::UNPROCESSABLE_ENTITY,
        Code::MODULES_FIXED => StatusCode::NOT_IMPLEMENTED,
        Code::REQUEST_TOO_SLOW => StatusCode::REQUEST_TIMEOUT,
        Code::BODY_TOO_LARGE | Code::MODULE_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        Code::OVERLOADED | Code::TOO_MANY_REQUESTS | Code::TOO_MANY_SIGNALS => StatusCode::TOO_MANY_REQUESTS,
        // The flow and this host have done their part. What the flow calls is not there, or has not answered with a result.
        Code::FUNCTION_MISSING
        | Code::CALL_STATUS
        | Code::CALL_UNREACHABLE
        | Code::FUNCTION_FAILED
        | Code::RESPONSE_TOO_LARGE
        | Code::REDIRECT
        | Code::BAD_ENCODING
        | Code::CALL_ACCEPTED
        | Code::SIGN_IN_FAILED
        | Code::CHILD_FAILED => StatusCode::BAD_GATEWAY,
        Code::STORE_LOCKED
        | Code::STORE_FULL
        | Code::STORE_READ_ONLY
        | Code::STORE_DENIED
        | Code::STORE_UNAVAILABLE
        | Code::OUT_OF_MEMORY
        | Code::STARTING
        | Code::STOPPING
        | Code::GUEST_POOL_FULL
        | Code::MODULE_MISSING
        | Code::ACTIVE_MISSING => StatusCode::SERVICE_UNAVAILABLE,
        Code::CALL_TIMED_OUT
        | Code::ANSWER_TIMED_OUT
        | Code::NODE_TIMED_OUT
        | Code::DEADLINE_PASSED
        | Code::SIGNAL_TIMED_OUT
        | Code::REQUEST_TIMED_OUT => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The status of the answer about a run that has failed: what the flow says, or else that of the code.
pub(crate) fn status_of_failure(failure: &Failure) -> StatusCode {
    let said = failure.status.and_then(|status| StatusCode::from_u16(status).ok());
    said.filter(StatusCode::is_client_error).unwrap_or_else(|| status_of(failure.code))
}

impl From<faas_flow_versions::Error> for Error {
    fn from(error: faas_flow_versions::Error) -> Self {
        Error::Host(error.into())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::Host(failure.into())
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Error::Host(malformed.into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::Host(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each code about runs (FF02xx), the status with which it is answered. `docs/http.md` has the rule.
    const OF_RUNS: [(u16, &[u16]); 11] = [
        // What a caller asks for is wrong, or not possible now.
        (400, &[213, 217, 242, 243]),
        (404, &[212, 214, 271, 280]),
        (408, &[226]),
        (409, &[211, 215, 222, 281]),
        (410, &[273, 274]),
        (413, &[204]),
        (429, &[220, 224, 272]),
        // The flow, or its configuration.
        (500, &[201, 202, 203, 218, 221, 229, 230, 231, 232, 252, 262, 275, 276]),
        // What the flow calls.
        (502, &[205, 207, 208, 216, 219, 240, 241, 250, 251]),
        // This host, for the moment.
        (503, &[225, 227, 228]),
        // Time.
        (504, &[206, 209, 210, 223, 253, 270]),
    ];

    /// ANSWER-6.
    #[test]
    fn the_status_says_whether_a_run_failed_in_its_flow_or_in_what_the_flow_calls() {
        for code in Code::ALL.iter().filter(|code| code.number() / 100 == 2) {
            let expected = OF_RUNS.iter().find(|(_, codes)| codes.contains(&code.number())).map(|(status, _)| *status);
            assert_eq!(Some(status_of(*code).as_u16()), expected, "{code}: {}", code.title());
        }
    }

    #[test]
    fn the_page_of_a_code_tells_callers_of_502_and_504() {
        for code in Code::ALL {
            let status = status_of(*code).as_u16();
            if matches!(status, 502 | 504) {
                let page = format!("{}/../../docs/errors/{code}.md", env!("CARGO_MANIFEST_DIR"));
                let page = std::fs::read_to_string(page).unwrap();
                assert!(page.contains(&format!(" status {status}")), "{code}: status {status}");
            }
        }
    }
}
