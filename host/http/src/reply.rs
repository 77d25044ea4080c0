//! Answers to nodes that wait: OpenFaaS's queue sends what a function answered that was called asynchronously, and a flow sends
//! how the run ended that was called.

use super::access::{TokenFault, need_of};
use super::browser::{Controls, OwnPages};
use super::error::Error;
use super::headers::header;
use super::openapi::{On, Payload, Refusals};
use super::request::{Asked, FromQuery, Query, RunPath, Target};
use super::surface::Surface;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use faas_flow_core::run::{ClaimToken, WaitId};
use faas_flow_core::{Code, Failure, FlowName, NodePath, RunId};
use faas_flow_guest::HttpResponse;
use faas_flow_replica::{AnswerEnd, Answered, Calling, PARENT, Reply, SIGNATURE_PARAMETER, check_answer};
use std::sync::Arc;
use utoipa::IntoParams;

/// The header with the status of the function, as OpenFaaS's queue sends it.
const STATUS: HeaderName = HeaderName::from_static("x-function-status");
/// The header with the name of the function.
const NAME: HeaderName = HeaderName::from_static("x-function-name");

/// Which wait of a node an answer ends. All of it is part of the address that the callee was given.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitQuery {
    /// The node's path.
    #[param(value_type = String, min_length = 1)]
    node: NodePath,
    /// The claim under which the node asked.
    #[param(rename = "claim", value_type = u32)]
    to: WaitId,
    /// The operation that asked.
    #[param(minimum = 0)]
    #[expect(dead_code, reason = "describes a part of `to`")]
    operation: u32,
    /// `v2=` and the signature of run, node, claim and operation.
    #[param(required = false)]
    signature: Option<String>,
}

impl FromQuery for WaitQuery {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let once = |name: &str| query.0.iter().filter(|(given, _)| given == name).count() <= 1;
        if let Some(name) = ["node", "claim", "operation", SIGNATURE_PARAMETER].into_iter().find(|name| !once(name)) {
            return Err(Error::BadParameter { name, rule: "given once" });
        }
        let node = query.first("node").and_then(|node| NodePath::parse(node).ok());
        let node = node.ok_or(Error::BadParameter { name: "node", rule: "the path of a node" })?;
        let number = |name| {
            let digits = query.first(name).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
            let number = digits.and_then(|digits| digits.parse::<u32>().ok());
            number.ok_or(Error::BadParameter { name, rule: "a whole number below 2^32" })
        };
        let operation = number("operation")?;
        let to = WaitId { claim: ClaimToken::new(number("claim")?), operation };
        Ok(Self { node, to, operation, signature: query.first(SIGNATURE_PARAMETER).map(str::to_owned) })
    }
}

/// What is said about an answer in its headers.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes headers, which are read with all others")]
pub(super) struct AnswerHeaders {
    /// The status of the function's response; 200 if there is none.
    #[param(rename = "X-Function-Status", value_type = u16, required = false, minimum = 100, maximum = 599)]
    status: Option<u16>,
    /// The name of the function.
    #[param(rename = "X-Function-Name", value_type = String, required = false)]
    name: Option<String>,
}

/// Answer a node that waits: the callback of an asynchronous call
///
/// Its address is signed. An answer counts once.
#[utoipa::path(
    post,
    path = "/flow/{id}/answer",
    operation_id = "answer",
    params(RunPath, WaitQuery, AnswerHeaders),
    request_body(content = Payload, content_type = "application/octet-stream", description = "What the function answered."),
    responses(
        (status = 200, description = "Ignored: no node waits for this answer, or none does any longer.", content_type = "text/plain", body = String),
        (status = 202, description = "The node continues with it."),
        Refusals, On<401>,
    ),
)]
pub(super) async fn answer(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id }: RunPath,
    _: OwnPages,
    Asked(wait): Asked<WaitQuery>,
    request: Request,
) -> Result<Response, Error> {
    let host = &surface.host;
    // The signature comes first: what nobody asked for is not even read.
    if let Some(keys) = &surface.guards.keys {
        let checked = check_answer(keys, &id, &wait.node, wait.to, wait.signature.as_deref());
        checked.inspect_err(|_| host.counters().answered(AnswerEnd::Refused))?;
    }
    let (parts, body) = request.into_parts();
    let status = status_of_function(&parts.headers)?;
    let name = header(&parts.headers, NAME).unwrap_or_else(|| "the function".to_owned());
    let give = async |reply| surface.give(&flow.name, &id, &wait, reply).await;
    match surface.read_answer(body).await {
        Ok(Some(body)) => give(Reply::Response(HttpResponse { status, headers: texts(&parts.headers), body })).await,
        Ok(None) => {
            // It will never come whole, so there is nothing to wait for.
            let limit = host.settings().response_limit;
            let message = format!("`{}` answered with more than {limit} bytes (response_limit)", name.escape_debug());
            give(Reply::Failed(Failure::reject(Code::RESPONSE_TOO_LARGE, message))).await?;
            Err(Error::AnswerTooLarge { limit })
        }
        // The queue does not send it again.
        Err(Error::OutOfMemory(short)) => {
            give(Reply::Failed(Failure::retry(Code::OUT_OF_MEMORY, short.to_string()))).await?;
            Err(Error::OutOfMemory(short))
        }
        Err(error) => Err(error),
    }
}

fn status_of_function(headers: &HeaderMap) -> Result<u16, Error> {
    let Some(status) = header(headers, STATUS) else { return Ok(200) };
    let status = status.trim().parse().ok().filter(|status| (100..600).contains(status));
    status.ok_or(Error::BadFunctionStatus)
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

impl Surface {
    async fn give(&self, flow: &FlowName, run: &RunId, wait: &WaitQuery, reply: Reply) -> Result<Response, Error> {
        match self.host.answer(flow, run, &wait.node, wait.to, reply).await? {
            Answered::Taken => Ok(StatusCode::ACCEPTED.into_response()),
            Answered::Ignored(why) => Ok(format!("ignored: {why}\n").into_response()),
            Answered::UnknownRun | Answered::Foreign => Err(Error::NoRun { flow: flow.clone(), run: run.clone() }),
        }
    }
}

/// Who stops a run.
pub(super) enum Stops {
    /// An operator.
    Operator,
    /// The run that called it, which has ended.
    Parent(Calling),
}

impl FromRequestParts<Arc<Surface>> for Stops {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, surface: &Arc<Surface>) -> Result<Self, Error> {
        let calling = header(&parts.headers, HeaderName::from_static(PARENT));
        match (calling, &surface.guards.keys) {
            (Some(calling), Some(keys)) => Ok(Stops::Parent(Calling::decode(&calling, Some(keys), b"")?)),
            _ => {
                Controls::admit(&surface.guards, parts)?;
                surface.guards.admit(&parts.headers, need_of("stop")).map(|()| Stops::Operator)
            }
        }
    }
}

impl Surface {
    /// Admits who stops this run.
    pub(super) async fn admit_stop(&self, by: Stops, run: &RunId) -> Result<(), Error> {
        let Stops::Parent(calling) = by else { return Ok(()) };
        let parent = self.host.head(run).await?.and_then(|view| view.parent);
        match parent {
            Some(parent) if calling.child == *run && calling.began(&parent) => Ok(()),
            _ => Err(Error::TokenNeeded(TokenFault::Bearer)),
        }
    }
}
