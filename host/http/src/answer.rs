//! Answers: statuses, error codes, and bodies in the form that the caller reads.

use super::browser::make_inert;
use super::error::{Error, status_of_failure};
use super::headers::{ERROR, REQUEST_ID, STATE, insert};
use super::unchanged::{Known, Tag};
use axum::Json;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use faas_flow_core::run::{Awaited, Callback, NodeView, Retrying, RunView, WaitView};
use faas_flow_core::text::printable_lines;
use faas_flow_core::{
    Code, Content, Digest, Failure, FlowName, Labels, MediaType, Millis, ResponseHead, RunId, SignalName, Spent, Status,
};
use faas_flow_replica::Ended;
use faas_flow_versions::{Error as VersionsError, MissingModule};
use serde::Serialize;
use std::convert::Infallible;
use utoipa::ToSchema;

/// Seconds after which a caller that was turned away may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The form that a caller reads, by its `Accept` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accept {
    /// Text for people: a line, or a page.
    Text,
    /// JSON.
    Json,
}

impl Accept {
    /// JSON only for those who name it.
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut kinds = accepted.flat_map(|value| value.split(',')).filter_map(|kind| kind.split(';').next());
        if kinds.any(|kind| kind.trim().eq_ignore_ascii_case("application/json")) { Accept::Json } else { Accept::Text }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Accept {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// A failure as JSON.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem<'a> {
    /// The error's code; `faas-flow explain CODE` explains it.
    #[schema(value_type = String, pattern = "^FF[0-9]{4}$")]
    code: Code,
    /// What happened, to what, and what to do.
    message: &'a str,
    /// The node that failed.
    path: Option<String>,
    /// The retry policy that ran out, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = RanOut)]
    exhausted: Option<Spent>,
}

/// A retry policy that ran out. It only describes [`Spent`].
#[derive(ToSchema)]
#[allow(dead_code, reason = "it is a description")]
pub(super) struct RanOut {
    /// Whose policy it is.
    #[schema(pattern = "^(call|node)$")]
    policy: String,
    /// How many tries or attempts there were.
    tries: u32,
}

/// Kept with the response to a request that was refused, so that [`in_form`] can write it again in another form.
#[derive(Clone)]
pub(crate) struct Refusal(pub Failure);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = refuse(Failure::reject(self.code(), self.to_string()), self.status());
        if let Error::TimedOut { run: Some(run), .. } = &self {
            insert(response.headers_mut(), REQUEST_ID, run.as_str());
        }
        if let Error::ControlByGet { .. } | Error::SignalByGet = &self {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// The answer that reports a failure: a line of text, until [`in_form`] says otherwise.
fn refuse(failure: Failure, status: StatusCode) -> Response {
    let mut response = (status, format!("{}\n", printable_lines(&failure))).into_response();
    let headers = response.headers_mut();
    insert(headers, ERROR, &failure.code.to_string());
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ => {}
    }
    response.extensions_mut().insert(Refusal(failure));
    make_inert(&mut response);
    response
}

/// Writes a failure in the form that the caller reads.
pub(super) fn in_form(mut response: Response, accept: Accept) -> Response {
    if accept == Accept::Text {
        return response;
    }
    if let Some(Refusal(Failure { code, message, path, exhausted, .. })) = response.extensions_mut().remove() {
        let problem = Problem { code, message: &message, path: path.map(|path| path.to_string()), exhausted };
        let (parts, body) = Json(problem).into_response().into_parts();
        response.headers_mut().extend(parts.headers);
        *response.body_mut() = body;
    }
    response
}

/// How a run ended: its result, or why there is none.
pub(super) fn ended(run: &RunId, ended: &Ended) -> Response {
    let refuse = |failure: Failure| {
        let status = status_of_failure(&failure);
        refuse(failure, status)
    };
    let mut response = match (ended.status, &ended.result, &ended.failure) {
        (Status::Paused | Status::Running, ..) => StatusCode::ACCEPTED.into_response(),
        (Status::Succeeded, Some(result), _) => data(result.clone()),
        (Status::Succeeded, None, None) => data(Content::empty()),
        (_, Some(answer), failure) => {
            let unknown = || Failure::reject(Code::INTERNAL, "the run failed");
            let failure = failure.clone().unwrap_or_else(unknown);
            let mut response = data(answer.clone());
            *response.status_mut() = status_of_failure(&failure);
            insert(response.headers_mut(), ERROR, &failure.code.to_string());
            response
        }
        (Status::Stopped, None, None) => refuse(Failure::reject(Code::RUN_STOPPED, "the run was stopped")),
        (Status::Failed, None, None) => refuse(Failure::reject(Code::INTERNAL, "the run failed")),
        (_, None, Some(failure)) => refuse(failure.clone()),
    };
    if let Some(head) = ended.response.as_ref().filter(|_| ended.status.is_final()) {
        set_head(&mut response, head);
    }
    insert(response.headers_mut(), STATE, ended.status.as_str());
    insert(response.headers_mut(), REQUEST_ID, run.as_str());
    response
}

/// Gives an answer the status and headers that the flow has set.
fn set_head(response: &mut Response, head: &ResponseHead) {
    if let Ok(status) = StatusCode::from_u16(head.status) {
        *response.status_mut() = status;
    }
    if head.has_no_body() {
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    for (name, value) in &head.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
}

/// Data of the flow, which may be anything.
pub(super) fn data(Content { bytes, media_type }: Content) -> Response {
    ([(header::CONTENT_TYPE, media_type_header(&media_type))], Body::from(bytes)).into_response()
}

/// Every media type is the value of a header.
fn media_type_header(media_type: &MediaType) -> HeaderValue {
    const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");
    if media_type.is_octet_stream() {
        return OCTET_STREAM;
    }
    HeaderValue::from_str(media_type.as_str()).unwrap_or(OCTET_STREAM)
}

/// Status and headers that a flow has set for its answer.
#[derive(Serialize, ToSchema)]
pub(super) struct Head<'a> {
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    /// Names, in lower case, and values, in order.
    headers: &'a [(String, String)],
}

impl<'a> From<&'a ResponseHead> for Head<'a> {
    fn from(ResponseHead { status, headers }: &'a ResponseHead) -> Self {
        Self { status: *status, headers }
    }
}

/// How many of the nodes that are tried again, of those that sleep, and of those that wait for a signal, the state of a run has.
const NODES: usize = 20;

/// A node that has failed, or of which a call has, and that is to be tried again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RetryingNode<'a> {
    /// Its path.
    node: String,
    /// The index of the operation whose call has failed. If it is absent, the node as a whole has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32)]
    operation: Option<u32>,
    /// Which try of the call it was, from 1.
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32)]
    number: Option<u32>,
    /// How many tries of the call there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32)]
    of: Option<u32>,
    /// The status of the response, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u16)]
    status: Option<u16>,
    /// Why it failed.
    #[schema(value_type = Problem<'static>)]
    failure: &'a Failure,
    /// When it failed, in milliseconds since the Unix epoch.
    #[schema(value_type = u64)]
    failed: Millis,
    /// When the next try is due. Once that has passed, it is being made.
    #[schema(value_type = u64)]
    next: Millis,
}

impl<'a> RetryingNode<'a> {
    fn of(node: &'a NodeView) -> Option<Self> {
        let Retrying { call, failure, ended, next } = node.retrying()?;
        Some(Self {
            node: node.path.to_string(),
            operation: call.map(|call| call.operation),
            number: call.map(|call| call.number),
            of: call.map(|call| call.of),
            status: call.and_then(|call| call.status),
            failure,
            failed: ended,
            next,
        })
    }
}

/// A node that sleeps.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SleepingNode {
    /// Its path.
    node: String,
    /// Since when it sleeps, in milliseconds since the Unix epoch.
    #[schema(value_type = u64)]
    since: Millis,
    /// When it continues, in milliseconds since the Unix epoch.
    #[schema(value_type = u64)]
    until: Millis,
}

impl SleepingNode {
    fn of(node: &NodeView) -> Option<Self> {
        Some(Self { node: node.path.to_string(), since: node.sleeps_since?, until: node.waits_until? })
    }
}

/// A node that waits for a signal.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct AwaitingNode<'a> {
    /// Its path.
    node: String,
    /// The name of the signal.
    #[schema(value_type = String)]
    signal: &'a SignalName,
    /// Since when it waits, in milliseconds since the Unix epoch.
    #[schema(value_type = u64)]
    since: Millis,
    /// When it gives up, in milliseconds since the Unix epoch, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    until: Option<Millis>,
}

impl<'a> AwaitingNode<'a> {
    fn of(node: &'a NodeView) -> Option<Self> {
        let WaitView { of: Awaited::Signal { signal }, since } = node.waits_for.as_ref()? else { return None };
        Some(Self { node: node.path.to_string(), signal, since: *since, until: node.waits_until })
    }
}

/// A node that waits for a permit of a limit over all runs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LimitedNode<'a> {
    /// Its path.
    node: String,
    /// The name of the limit.
    limit: &'a str,
    /// The key of the limit for which it waits, if the limit has keys.
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    /// Since when it waits, in milliseconds since the Unix epoch.
    #[schema(value_type = u64)]
    since: Millis,
}

impl<'a> LimitedNode<'a> {
    fn of(node: &'a NodeView) -> Option<Self> {
        let WaitView { of: Awaited::Limit { name, key }, since } = node.waits_for.as_ref()? else { return None };
        Some(Self { node: node.path.to_string(), limit: name, key, since: *since })
    }
}

/// The state of a run as JSON.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RunState<'a> {
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "d7ca4bhj0q8g00f3k1v0m2s9")]
    request_id: &'a RunId,
    #[schema(value_type = String)]
    flow: &'a FlowName,
    /// The sha256 of the module that the run is pinned to.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    version: &'a Digest,
    #[schema(value_type = String, pattern = "^(running|paused|stopped|succeeded|failed)$")]
    state: Status,
    /// When the run began, in milliseconds since the Unix epoch.
    #[schema(value_type = u64)]
    started: Millis,
    /// When the run ended, in milliseconds since the Unix epoch.
    #[schema(value_type = Option<u64>)]
    ended: Option<Millis>,
    /// The labels of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = HashMap<String, String>)]
    labels: Option<&'a Labels>,
    /// The moment at which the run was to start, if its caller has named one: then `started` is the same, also before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    start_at: Option<Millis>,
    /// Why the run failed.
    #[schema(value_type = Option<Problem<'static>>)]
    failure: Option<&'a Failure>,
    /// Whether the callback of the run was delivered, if its caller asked for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, pattern = "^(pending|delivered|given-up)$")]
    callback: Option<&'static str>,
    /// The number of tries to deliver it that have begun since the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32)]
    callback_tries: Option<u32>,
    /// Why the latest try of the callback failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Problem<'static>)]
    callback_failure: Option<&'a Failure>,
    /// The status and headers of the answer, if the run has ended and the flow has set them.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Head<'a>>,
    /// Nodes of the outermost dag that have failed and are to be tried again, the first 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retrying: Vec<RetryingNode<'a>>,
    /// Nodes of the outermost dag that sleep, the first 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sleeping: Vec<SleepingNode>,
    /// Nodes of the outermost dag that wait for a signal, the first 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    awaiting: Vec<AwaitingNode<'a>>,
    /// Nodes of the outermost dag that wait for a permit of a limit over all runs, the first 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limited: Vec<LimitedNode<'a>>,
    /// The version that the run waits for, since it cannot be loaded anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    waits_for: Option<&'a Digest>,
    /// The code of the reason why that version cannot be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    waits_code: Option<String>,
    /// Why that version cannot be loaded, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    waits_because: Option<&'a str>,
}

/// The state of a run: in the original's words, or as JSON, with the missing version that it waits for. A header has our own
/// word in any case.
pub(super) fn state(
    run: &RunId,
    view: &RunView,
    waits_for: Option<&MissingModule>,
    accept: Accept,
    known: &Known,
) -> Result<Response, Error> {
    let (text, kind) = match accept {
        Accept::Text => {
            let word = match view.status {
                Status::Running => "RUNNING",
                Status::Paused => "PAUSED",
                Status::Stopped | Status::Succeeded | Status::Failed => "FINISHED",
            };
            let text = match waits_for {
                None => word.to_owned(),
                Some(MissingModule { version, code, why }) => {
                    format!("{word}\nwaits for version {version}: {code}: {why}\n")
                }
            };
            (text, "text/plain; charset=utf-8")
        }
        Accept::Json => {
            let state = RunState {
                request_id: run,
                flow: &view.flow,
                version: &view.digest,
                state: view.status,
                started: view.started,
                ended: view.ended,
                labels: (!view.labels.is_empty()).then_some(&view.labels),
                start_at: view.start_at,
                failure: view.failure.as_ref(),
                callback: view.callback.as_ref().map(Callback::state),
                callback_tries: view.callback.as_ref().map(|callback| callback.tries),
                callback_failure: view.callback.as_ref().and_then(|callback| callback.failure.as_ref()),
                response: view.response.as_ref().map(Head::from),
                retrying: view.nodes.iter().filter_map(RetryingNode::of).take(NODES).collect(),
                sleeping: view.nodes.iter().filter_map(SleepingNode::of).take(NODES).collect(),
                awaiting: view.nodes.iter().filter_map(AwaitingNode::of).take(NODES).collect(),
                limited: view.nodes.iter().filter_map(LimitedNode::of).take(NODES).collect(),
                waits_for: waits_for.map(|missing| &missing.version),
                waits_code: waits_for.map(|missing| missing.code.to_string()),
                waits_because: waits_for.map(|missing| missing.why.as_str()),
            };
            let text = serde_json::to_string(&state).map_err(VersionsError::Unwritable)?;
            (text, "application/json")
        }
    };
    let tag = Tag::of(&text);
    let mut response = known.or(&tag, || ([(header::CONTENT_TYPE, kind)], text).into_response());
    insert(response.headers_mut(), STATE, view.status.as_str());
    insert(response.headers_mut(), REQUEST_ID, run.as_str());
    Ok(response)
}
