//! Requests about one run: events, control, state and result.

use super::answer::{self, Accept};
use super::ask::Control;
use super::browser::{Controls, OwnPages};
use super::error::Error;
use super::guards::{ControlMethods, Read, SignatureHeaders};
use super::headers::{REQUEST_ID, insert};
use super::invoke::kept_headers;
use super::openapi::{IfNoneMatch, OfTheFlow, On, Payload, Refusals};
use super::reply::Stops;
use super::request::{Asker, Query, RequestContext, RunPath, Target, Wait, WholeBody};
use super::surface::Surface;
use super::unchanged::Known;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use faas_flow_core::run::{Actor, RunView};
use faas_flow_core::{Code, Content, FlowName, MediaType, NodePath, RunId};
use faas_flow_replica::counters::Ignored;
use faas_flow_replica::events::Event;
use faas_flow_replica::{Ended, Forwarded, UnreachedRun};
use std::fmt::Write as _;
use std::sync::Arc;
use utoipa::IntoParams;

/// Execute a node: an event between replicas
///
/// It is signed with the replicas' secret; docs/http.md says how.
#[utoipa::path(
    post,
    path = "/flow/{id}/forward",
    operation_id = "forward",
    params(RunPath, SignatureHeaders),
    request_body(content = Event, content_type = "application/json"),
    responses(
        (status = 200, description = "Ignored: there was nothing to do.", content_type = "text/plain", body = String),
        (status = 202, description = "This replica executes the node."),
        Refusals, On<401>,
    ),
)]
pub(super) async fn forward(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id: run }: RunPath,
    _: OwnPages,
    headers: SignatureHeaders,
    WholeBody(body): WholeBody,
) -> Result<Response, Error> {
    let host = &surface.host;
    let counters = host.counters();
    let checked = surface.guards.check_event(&headers, &flow.name, &run, &body, host.now());
    if let Some(signed) = surface.guards.signed_at(&headers, &checked) {
        host.note_time(&run, signed);
    }
    let event = checked.and_then(|()| Ok(Event::parse(&body)?)).inspect_err(|error| {
        counters.event_ignored(match error.code() {
            Code::UNSIGNED => Ignored::Unsigned,
            Code::EVENT_TOO_OLD => Ignored::TooOld,
            Code::BAD_EVENT => Ignored::Malformed,
            _ => Ignored::BadSignature,
        });
    })?;
    if event.run != run {
        counters.event_ignored(Ignored::Foreign);
        return Err(Error::ForeignEvent { body: event.run, path: run });
    }
    let unknown = || Error::NoRun { flow: flow.name.clone(), run: run.clone() };
    match host.forward(&flow.name, &run, &event.path).await {
        Ok(Forwarded::Taken) => {
            counters.event_accepted();
            Ok(StatusCode::ACCEPTED.into_response())
        }
        Ok(Forwarded::Ignored(why)) => {
            counters.event_ignored(Ignored::Stale);
            Ok(format!("ignored: {why}\n").into_response())
        }
        Ok(Forwarded::UnknownRun) => {
            counters.event_ignored(Ignored::UnknownRun);
            Err(unknown())
        }
        Ok(Forwarded::Foreign) => {
            counters.event_ignored(Ignored::Foreign);
            Err(unknown())
        }
        // Sending the event again would not bring the version. Once it is there, the run is found due.
        Err(error) if matches!(error.code(), Code::MODULE_MISSING | Code::MODULE_DAMAGED) => {
            counters.event_ignored(Ignored::UnknownVersion);
            Ok(format!("ignored: {error}\n").into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// Stop scheduling new nodes of a run; nodes already running finish
#[utoipa::path(
    method(post, get),
    path = "/flow/{id}/pause",
    operation_id = "pause",
    params(RunPath),
    security((), ("token" = [])),
    responses(On<200>, Refusals, On<401>, On<409>),
)]
pub(super) async fn pause(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id }: RunPath,
    _: Controls,
    Asker(by): Asker,
    _: WholeBody,
) -> Result<Response, Error> {
    surface.control(&flow.name, Control::Pause, &id, by.as_ref()).await
}

/// Resume a paused run
#[utoipa::path(
    method(post, get),
    path = "/flow/{id}/resume",
    operation_id = "resume",
    params(RunPath),
    security((), ("token" = [])),
    responses(On<200>, Refusals, On<401>, On<409>),
)]
pub(super) async fn resume(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id }: RunPath,
    _: Controls,
    Asker(by): Asker,
    _: WholeBody,
) -> Result<Response, Error> {
    surface.control(&flow.name, Control::Resume, &id, by.as_ref()).await
}

/// End a run; calls in flight are cut off
#[utoipa::path(
    method(post, get),
    path = "/flow/{id}/stop",
    operation_id = "stop",
    params(RunPath),
    security((), ("token" = [])),
    responses(On<200>, Refusals, On<401>, On<409>),
)]
pub(super) async fn stop(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id }: RunPath,
    stops: Stops,
    Asker(by): Asker,
    _: WholeBody,
) -> Result<Response, Error> {
    surface.admit_stop(stops, &id).await?;
    surface.control(&flow.name, Control::Stop, &id, by.as_ref()).await
}

/// Where to run again from.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RerunQuery {
    /// The node's path: `n1`, or `C[c1]/n1` in a branch. Encoded for a query or not: as histories show it, it works too. Without
    /// it, what failed or was cut off is run again.
    #[param(value_type = String, required = false, min_length = 1)]
    node: Option<NodePath>,
}

impl RerunQuery {
    fn of(query: &str) -> Result<Self, Error> {
        Ok(Self { node: node_in(query)? })
    }
}

/// The node that a query names. A path has escapes of its own, in the keys of branches. If the value of `node` has brackets, it
/// is a path as it is; otherwise it was encoded for the query, which encodes brackets.
pub(super) fn node_in(query: &str) -> Result<Option<NodePath>, Error> {
    let given = query.split('&').find_map(|pair| pair.strip_prefix("node="));
    Ok(match given {
        Some(path) if path.contains('[') => Some(NodePath::parse(path)?),
        _ => Query::parse(query).first("node").map(NodePath::parse).transpose()?,
    })
}

impl<S: Send + Sync> FromRequestParts<S> for RerunQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Self::of(parts.uri.query().unwrap_or_default())
    }
}

/// Run a node and all nodes that follow it again, or what failed or was cut off
///
/// A body that is not empty becomes the input of the node, instead of the outputs of the nodes before it.
#[utoipa::path(
    post,
    path = "/flow/{id}/rerun",
    operation_id = "rerun",
    params(RunPath, RerunQuery),
    request_body(content = Payload, content_type = "application/octet-stream"),
    security((), ("token" = [])),
    responses(On<200>, Refusals, On<401>, On<409>),
)]
pub(super) async fn rerun(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id }: RunPath,
    RerunQuery { node }: RerunQuery,
    Asker(by): Asker,
    headers: HeaderMap,
    WholeBody(body): WholeBody,
) -> Result<Response, Error> {
    surface.of_flow(&flow.name, &id).await?;
    let input = (!body.is_empty()).then(|| Content::new(body, MediaType::of_message(&kept_headers(&headers, &[]))));
    if input.is_some() && node.is_none() {
        return Err(Error::BadParameter { name: "node", rule: "the path of the node that gets the body as its input" });
    }
    surface.host.rerun(&id, node.as_ref(), input, by.as_ref()).await?;
    Ok(done(&id, "restarted"))
}

/// Send the callback of an ended run once more
///
/// It is sent after this request was answered, with as many tries as the first time and the same idempotency key.
#[utoipa::path(
    post,
    path = "/flow/{id}/callback",
    operation_id = "callback",
    params(RunPath),
    security((), ("token" = [])),
    responses((status = 202, description = "The callback is being sent."), Refusals, On<401>, On<409>),
)]
pub(super) async fn callback(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id }: RunPath,
    Asker(by): Asker,
    _: WholeBody,
) -> Result<Response, Error> {
    surface.of_flow(&flow.name, &id).await?;
    surface.host.send_callback(&id, by.as_ref()).await?;
    let mut response = (StatusCode::ACCEPTED, format!("Sending the callback of request {id} again")).into_response();
    insert(response.headers_mut(), REQUEST_ID, id.as_str());
    Ok(response)
}

/// The state of a run
#[utoipa::path(
    method(get, post),
    path = "/flow/{id}/state",
    operation_id = "state",
    params(RunPath, SignatureHeaders, IfNoneMatch),
    security((), ("token" = [])),
    responses(
        (status = 200,
            description = "`RUNNING`, `PAUSED` or `FINISHED`, as in the original; if the run's version is missing, a second \
                line says what the run waits for. With `Accept: application/json`, the state in full.",
            headers(
                ("X-Faas-Flow-Reqid" = String, description = "The run's request id."),
                ("X-Faas-Flow-State" = String, description = "`running`, `paused`, `stopped`, `succeeded` or `failed`."),
                ("ETag" = String, description = "Identifies the content of the answer."),
            ),
            content((String = "text/plain"), (answer::RunState<'static> = "application/json"))),
        On<304>, Refusals, On<401>,
    ),
)]
pub(super) async fn state(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id }: RunPath,
    accept: Accept,
    known: Known,
    headers: HeaderMap,
    _: WholeBody,
) -> Result<Response, Error> {
    surface.guards.admit_read(&headers, Read::State, (&flow.name, &id), surface.host.now())?;
    surface.state(&flow.name, &id, accept, &known).await
}

/// The result of a run, once there is one
#[utoipa::path(
    get,
    path = "/flow/{id}/result",
    operation_id = "result",
    params(RunPath, Wait, SignatureHeaders),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "The result.",
            headers(
                ("X-Faas-Flow-Reqid" = String, description = "The run's request id."),
                ("X-Faas-Flow-State" = String, description = "`succeeded`."),
            ),
            content_type = "application/octet-stream", body = Payload),
        On<202>, Refusals, On<401>, On<409>, On<422>, On<502>, OfTheFlow,
    ),
)]
pub(super) async fn result(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id }: RunPath,
    wait: Wait,
    context: RequestContext,
    headers: HeaderMap,
    _: WholeBody,
) -> Result<Response, Error> {
    surface.guards.admit_read(&headers, Read::Result, (&flow.name, &id), surface.host.now())?;
    if let Some(wait) = surface.wait_of(&wait, &context) {
        surface.of_flow(&flow.name, &id).await?;
        surface.host.wait(&id, wait).await?;
    }
    let view = surface.view(&flow.name, &id).await?;
    let result = if view.status.is_final() { surface.host.result(&id).await? } else { None };
    Ok(answer::ended(
        &id,
        &Ended {
            status: view.status,
            response: view.response.filter(|_| result.is_some()),
            result,
            failure: view.failure,
        },
    ))
}

impl Surface {
    pub(super) async fn control(
        &self,
        flow: &FlowName,
        control: Control,
        run: &RunId,
        by: Option<&Actor>,
    ) -> Result<Response, Error> {
        self.of_flow(flow, run).await?;
        match control {
            Control::Pause => self.host.pause(run, by).await?,
            Control::Resume => self.host.resume(run, by).await?,
            Control::Stop => return Ok(stopped(run, &self.host.stop(run, by).await?)),
        }
        Ok(done(run, control.done()))
    }

    pub(super) async fn state(
        &self,
        flow: &FlowName,
        run: &RunId,
        accept: Accept,
        known: &Known,
    ) -> Result<Response, Error> {
        // The form as text needs no nodes.
        let view = match accept {
            Accept::Text => self.host.head(run).await?,
            Accept::Json => self.host.outline(run).await?,
        };
        let view = view.filter(|view| view.flow == *flow);
        let view = view.ok_or_else(|| Error::NoRun { flow: flow.clone(), run: run.clone() })?;
        let waits_for = self.host.versions().missing_module(&view).await?;
        answer::state(run, &view, waits_for.as_ref(), accept, known)
    }

    /// The refusal of a method at an address that pauses, resumes or stops a run.
    pub(super) fn controls_only(&self, method: &Method) -> Response {
        let methods = match self.guards.control_methods() {
            ControlMethods::Post => "POST",
            ControlMethods::GetAndPost => "GET,POST",
        };
        let allowed = HeaderValue::from_static(methods);
        ([(header::ALLOW, allowed)], Error::WrongMethod { method: method.clone() }).into_response()
    }

    pub(super) async fn view(&self, flow: &FlowName, run: &RunId) -> Result<RunView, Error> {
        let view = self.host.head(run).await?.filter(|view| view.flow == *flow);
        view.ok_or_else(|| Error::NoRun { flow: flow.clone(), run: run.clone() })
    }

    /// Refuses a run of another flow than the one that was asked.
    async fn of_flow(&self, flow: &FlowName, run: &RunId) -> Result<(), Error> {
        let entry = self.host.entry(run).await?;
        if entry.is_some_and(|entry| entry.flow == *flow) {
            Ok(())
        } else {
            Err(Error::NoRun { flow: flow.clone(), run: run.clone() })
        }
    }
}

/// Says that a run is stopped, and which of the runs that it had called may still go on.
fn stopped(run: &RunId, unreached: &[UnreachedRun]) -> Response {
    let mut text = format!("Successfully {} request {run}", Control::Stop.done());
    for UnreachedRun { flow, run } in unreached {
        let _ = write!(
            text,
            "\nRequest {run} of flow {flow}, which it had called, could not be reached: it may continue until it \
             notices that its caller has ended"
        );
    }
    let mut response = text.into_response();
    insert(response.headers_mut(), REQUEST_ID, run.as_str());
    response
}

fn done(run: &RunId, what: &str) -> Response {
    let mut response = format!("Successfully {what} request {run}").into_response();
    insert(response.headers_mut(), REQUEST_ID, run.as_str());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_understood_as_it_is_shown_and_as_it_is_encoded() {
        let node = |query: &str| RerunQuery::of(query).map(|query| query.node.map(|node| node.to_string()));
        let path = "F[a%20%2541%5D]/n";
        assert_eq!(node(&format!("x=1&node={path}")).unwrap().as_deref(), Some(path));
        assert_eq!(node("node=F%5Ba%2520%252541%255D%5D%2Fn&y").unwrap().as_deref(), Some(path));
        assert_eq!(node("node=S%2Fn1").unwrap().as_deref(), Some("S/n1"));
        assert_eq!((node("").unwrap(), node("nodes=n1").unwrap()), (None, None));
        for bad in ["node=", "node=F[", "node=%5B%5D", "node=F[x]"] {
            assert_eq!(node(bad).unwrap_err().code(), Code::BAD_REQUEST, "{bad}");
        }
    }
}
