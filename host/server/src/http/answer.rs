//! Answers: statuses, error codes, and bodies as the caller wants them.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use faas_flow_core::run::RunView;
use faas_flow_core::{Code, Failure, RunId, Status};
use faas_flow_replica::{Ended, Error};
use faas_flow_versions::MissingModule;
use serde_json::json;

pub(super) const REQUEST_ID: &str = "x-faas-flow-reqid";
pub(crate) const ERROR: &str = "x-faas-flow-error";
pub(crate) const STATE: &str = "x-faas-flow-state";
/// Seconds after which a caller that was turned away may try again.
const RETRY_AFTER: &str = "1";

/// What a caller reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Text,
    Json,
}

impl Caller {
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut kinds = accepted.flat_map(|value| value.split(',')).filter_map(|kind| kind.split(';').next());
        match kinds.any(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
            true => Caller::Json,
            false => Caller::Text,
        }
    }
}

pub(crate) fn status_of(code: Code) -> StatusCode {
    match code {
        Code::BAD_REQUEST_ID | Code::BAD_REQUEST | Code::BAD_FLOW_NAME | Code::BAD_EVENT | Code::BAD_CALLBACK => {
            StatusCode::BAD_REQUEST
        }
        Code::UNSIGNED | Code::BAD_SIGNATURE | Code::EVENT_TOO_OLD | Code::TOKEN_NEEDED => StatusCode::UNAUTHORIZED,
        Code::MODULE_UNSIGNED | Code::BAD_MODULE_SIGNATURE => StatusCode::FORBIDDEN,
        Code::FLOW_UNKNOWN | Code::RUN_UNKNOWN | Code::ROUTE_UNKNOWN | Code::VERSION_UNKNOWN => StatusCode::NOT_FOUND,
        Code::WRONG_METHOD => StatusCode::METHOD_NOT_ALLOWED,
        Code::RUN_EXISTS
        | Code::RUN_STATE
        | Code::RUN_STOPPED
        | Code::ACTIVATION_CONFLICT
        | Code::VERSION_REMOVED
        | Code::NO_CANARY
        | Code::NOTHING_TO_ROLL_BACK => StatusCode::CONFLICT,
        Code::DIGEST_MISMATCH => StatusCode::UNPROCESSABLE_ENTITY,
        Code::MODULES_FIXED => StatusCode::NOT_IMPLEMENTED,
        Code::REQUEST_TOO_SLOW => StatusCode::REQUEST_TIMEOUT,
        Code::BODY_TOO_LARGE | Code::MODULE_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        Code::OVERLOADED | Code::TOO_MANY_REQUESTS => StatusCode::TOO_MANY_REQUESTS,
        // A step's absence is not the flow's.
        Code::FUNCTION_MISSING => StatusCode::BAD_GATEWAY,
        Code::STORE_LOCKED
        | Code::STORE_FULL
        | Code::STORE_READ_ONLY
        | Code::STORE_UNAVAILABLE
        | Code::STARTING
        | Code::STOPPING
        | Code::GUEST_POOL_FULL
        | Code::MODULE_MISSING => StatusCode::SERVICE_UNAVAILABLE,
        Code::CALL_TIMED_OUT | Code::NODE_TIMED_OUT | Code::DEADLINE_PASSED | Code::REQUEST_TIMED_OUT => {
            StatusCode::GATEWAY_TIMEOUT
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(super) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Text of the host's own.
pub(super) fn plain(text: impl Into<String>) -> Response {
    text.into().into_response()
}

pub(super) fn failed(error: &Error, caller: Caller) -> Response {
    failure(&Failure::reject(error.code(), error.to_string()), caller)
}

fn failure(failure: &Failure, caller: Caller) -> Response {
    let (code, status) = (failure.code.to_string(), status_of(failure.code));
    let mut response = match caller {
        Caller::Text => plain(format!("{failure}\n")),
        Caller::Json => {
            let Failure { code, message, path, .. } = failure;
            axum_json(&json!({ "code": code, "message": message, "path": path }))
        }
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    insert(headers, ERROR, &code);
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => insert(headers, "retry-after", RETRY_AFTER),
        StatusCode::UNAUTHORIZED => insert(headers, "www-authenticate", "Bearer"),
        StatusCode::METHOD_NOT_ALLOWED => insert(headers, "allow", allow_of(&failure.message)),
        _ => {}
    }
    response
}

pub(super) fn axum_json(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// A method is one of these, or 405 says which they are.
pub(crate) fn allowed(method: &Method, methods: &[Method]) -> Result<(), Error> {
    if methods.contains(method) || *method == Method::HEAD && methods == [Method::GET] {
        return Ok(());
    }
    let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
    Err(Error::new(Code::WRONG_METHOD, format!("{method} is not for this path, but: {}", methods.join(", "))))
}

fn allow_of(message: &str) -> &str {
    message.rsplit_once("but: ").map_or("", |(_, methods)| methods)
}

/// How a run ended: its result, or why there is none.
pub(super) fn ended(run: &RunId, ended: &Ended, caller: Caller) -> Response {
    let mut response = match (ended.status, &ended.result, &ended.failure) {
        (Status::Paused | Status::Running, ..) => StatusCode::ACCEPTED.into_response(),
        (Status::Succeeded, Some(result), _) => data(result.clone()),
        (Status::Succeeded, None, None) => data(bytes::Bytes::new()),
        (_, Some(answer), failure) => {
            let code = failure.as_ref().map_or(Code::INTERNAL, |failure| failure.code);
            let mut response = data(answer.clone());
            *response.status_mut() = status_of(code);
            insert(response.headers_mut(), ERROR, &code.to_string());
            response
        }
        (Status::Stopped, None, None) => failure(&Failure::reject(Code::RUN_STOPPED, "the run was stopped"), caller),
        (Status::Failed, None, None) => failure(&Failure::reject(Code::INTERNAL, "the run failed"), caller),
        (_, None, Some(why)) => failure(why, caller),
    };
    insert(response.headers_mut(), STATE, ended.status.as_str());
    insert(response.headers_mut(), REQUEST_ID, run.as_str());
    response
}

/// Bytes of the flow's: whatever they are, no browser is to guess.
fn data(bytes: bytes::Bytes) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Body::from(bytes)).into_response()
}

/// How a run is doing: in the original's words, or in ours as JSON, with the missing version that it waits for. A header has
/// ours in any case.
pub(super) fn state(run: &RunId, view: &RunView, waits_for: Option<&MissingModule>, caller: Caller) -> Response {
    let mut response = match caller {
        Caller::Text => {
            let word = match view.status {
                Status::Running => "RUNNING",
                Status::Paused => "PAUSED",
                Status::Stopped | Status::Succeeded | Status::Failed => "FINISHED",
            };
            plain(match waits_for {
                None => word.to_owned(),
                Some(MissingModule { version, why }) => format!("{word}\nwaits for version {version}: {why}\n"),
            })
        }
        Caller::Json => {
            let mut state = json!({
                "request-id": run,
                "flow": view.flow,
                "version": view.digest,
                "state": view.status,
                "started": view.started,
                "ended": view.ended,
                "failure": view.failure,
            });
            if let Some(missing) = waits_for {
                missing.add_to(&mut state);
            }
            axum_json(&state)
        }
    };
    insert(response.headers_mut(), STATE, view.status.as_str());
    insert(response.headers_mut(), REQUEST_ID, run.as_str());
    response
}
