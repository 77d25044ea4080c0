//! Signals to runs: from programs, and from people who open a signed address in a browser.

mod page;

use super::answer::Accept;
use super::browser::OwnPages;
use super::error::Error;
use super::headers::{REQUEST_ID, header, insert, only};
use super::invoke::kept_headers;
use super::openapi::{On, Payload, Refusals};
use super::request::{Asked, Asker, FromQuery, Query, RunPath, Target, WholeBody, path_parameter};
use super::surface::Surface;
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, StatusCode, header as http};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use faas_flow_core::{Code, Content, FlowName, MediaType, RunId, SignalName};
use faas_flow_replica::{SIGNATURE_PARAMETER, Signal, SignalAddress, Signalled};
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

const KEY: HeaderName = HeaderName::from_static("x-faas-flow-idempotency-key");
/// The longest idempotency key, in bytes.
const LONGEST_KEY: usize = 256;

/// The signal that a request is about.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SignalPath {
    /// The name of the signal.
    #[param(rename = "signal", value_type = String, pattern = "^[A-Za-z0-9_.-]{1,64}$", example = "approval")]
    name: SignalName,
}

impl<S: Send + Sync> FromRequestParts<S> for SignalPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Ok(Self { name: SignalName::new(path_parameter(parts, "signal").await)? })
    }
}

/// The query of an address that a flow has handed out. Without it, the request is admitted like a new request to the flow.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AddressQuery {
    /// Distinguishes the addresses of one signal.
    #[param(rename = "once", value_type = String, required = false)]
    address: Option<SignalAddress>,
    /// When the address expires, in milliseconds since the Unix epoch.
    #[param(rename = "expires", value_type = u64, required = false)]
    _expires: (),
    /// `v2=` and the signature of the address.
    #[param(rename = "signature", value_type = String, required = false)]
    _signature: (),
}

impl FromQuery for AddressQuery {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let is_address = ["once", "expires", SIGNATURE_PARAMETER].iter().any(|name| query.first(name).is_some());
        let address = if is_address {
            let rule = "exactly as in the address that the flow has handed out";
            let once = query
                .first("once")
                .filter(|once| once.len() <= 64)
                .ok_or(Error::BadParameter { name: "once", rule })?;
            let expires = query.number("expires")?.ok_or(Error::BadParameter { name: "expires", rule })?;
            let signature = query.first(SIGNATURE_PARAMETER).map(str::to_owned);
            Some(SignalAddress { once: once.to_owned(), expires, signature })
        } else {
            None
        };
        Ok(Self { address, _expires: (), _signature: () })
    }
}

/// What is said about a signal in its headers.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct SignalHeaders {
    /// An idempotency key: of several signals to a run with the same name and key, one counts. 1 to 256 characters of printable
    /// ASCII.
    #[param(rename = "X-Faas-Flow-Idempotency-Key", value_type = String, required = false)]
    key: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for SignalHeaders {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let key = only(&parts.headers, KEY)?;
        let is_good =
            |key: &String| (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|b| (b' '..=b'~').contains(&b));
        match key {
            Some(key) if !is_good(&key) => Err(Error::BadIdempotencyKey),
            key => Ok(Self { key }),
        }
    }
}

/// What became of a signal, as JSON.
#[derive(Serialize, ToSchema)]
pub(super) struct Received<'a> {
    /// The request id of the run.
    #[schema(value_type = String)]
    request_id: &'a RunId,
    /// The name of the signal.
    #[schema(value_type = String)]
    signal: &'a SignalName,
    /// `taken`: a node continues with it. `kept`: no node waits for it yet, so the run keeps it. `repeated`: one with the same
    /// idempotency key was received before, so this one does not count.
    #[schema(value_type = String, pattern = "^(taken|kept|repeated)$")]
    became: &'static str,
}

/// The form in which somebody reads an answer about a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    Page,
    Text,
    Json,
}

impl Reads {
    fn of(headers: &HeaderMap) -> Self {
        let accepts = |kind: &str| {
            let accepted = headers.get_all(http::ACCEPT).iter().filter_map(|value| value.to_str().ok());
            accepted.flat_map(|value| value.split(',')).any(|one| one.trim().starts_with(kind))
        };
        match Accept::of(headers) {
            Accept::Json => Reads::Json,
            Accept::Text if accepts("text/html") => Reads::Page,
            Accept::Text => Reads::Text,
        }
    }
}

/// What a request to send a signal has beside its body.
pub(super) struct Extras {
    extensions: Extensions,
    headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Extras {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self { extensions: parts.extensions.clone(), headers: parts.headers.clone() })
    }
}

/// Send a signal to a run
///
/// A node that waits for it continues with the body; if none does, the run keeps the signal until one does. At an address that
/// a flow has handed out, the form of the page is accepted, too: its fields become a JSON object.
#[utoipa::path(
    post,
    path = "/flow/{id}/signal/{signal}",
    operation_id = "signal",
    params(RunPath, SignalPath, AddressQuery, SignalHeaders, super::guards::SignatureHeaders),
    request_body(content = Payload, content_type = "application/octet-stream", description = "The data with which the node continues."),
    responses(
        (status = 200, description = "The signal is stored, or one with the same idempotency key was before.",
            headers(("X-Faas-Flow-Reqid" = String, description = "The run's request id.")),
            content((String = "text/plain"), (Received<'static> = "application/json"))),
        Refusals, On<401>, On<409>, On<410>,
    ),
)]
pub(super) async fn signal(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    (RunPath { id }, SignalPath { name }): (RunPath, SignalPath),
    Asked(AddressQuery { address, .. }): Asked<AddressQuery>,
    (SignalHeaders { key }, Asker(by)): (SignalHeaders, Asker),
    extras: Extras,
    WholeBody(body): WholeBody,
) -> Response {
    let Extras { extensions, headers } = extras;
    let reads = Reads::of(&headers);
    // Where nobody needs a token, programs send signals all the time.
    let by = by.filter(|actor| actor.via.is_some());
    let send = async {
        let key = match &address {
            Some(address) => {
                surface.check_address(address, &flow.name, &id, &name)?;
                Some(address.key())
            }
            None => {
                OwnPages::admit(&extensions)?;
                let to = (&flow.name, &id, &name);
                surface.guards.admit_signal(&headers, to, (key, &body), surface.host.now())?
            }
        };
        let body = content(&headers, body, address.is_some());
        let limit = surface.host.body_limit(Some(&flow));
        if body.bytes.len() > limit.bytes {
            // A form grows when it becomes JSON.
            return Err(Error::Host(faas_flow_replica::Error::BodyTooLarge { limit }));
        }
        let signal = Signal { name: name.clone(), key, body };
        let became = surface
            .host
            .signal(&flow.name, &id, &signal, by.as_ref())
            .await
            .map_err(|error| about(error, &flow.name))?;
        match (became, &address) {
            (Signalled::Repeated, Some(_)) => Err(Error::SignalUrlUsed { signal: name.clone() }),
            _ => Ok(became),
        }
    };
    match send.await {
        Ok(became) => received(reads, &id, &name, became),
        Err(error) => refused(reads, error),
    }
}

/// The page on which somebody approves or rejects
///
/// Only at an address that a flow has handed out.
#[utoipa::path(
    get,
    path = "/flow/{id}/signal/{signal}",
    operation_id = "signal_page",
    params(RunPath, SignalPath, AddressQuery),
    responses(
        (status = 200, description = "A page with a form, for browsers; for others, what to send.",
            content((String = "text/html"), (String = "text/plain"))),
        Refusals, On<401>, On<409>, On<410>,
    ),
)]
pub(super) async fn signal_page(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id }: RunPath,
    SignalPath { name }: SignalPath,
    Asked(AddressQuery { address, .. }): Asked<AddressQuery>,
    headers: HeaderMap,
) -> Response {
    let reads = Reads::of(&headers);
    let look = async {
        let address = address.ok_or(Error::SignalByGet)?;
        surface.check_address(&address, &flow.name, &id, &name)?;
        let host = &surface.host;
        let was_used = host.was_signalled(&flow.name, &id, &name, &address.key()).await;
        if was_used.map_err(|error| about(error, &flow.name))? {
            return Err(Error::SignalUrlUsed { signal: name.clone() });
        }
        Ok(address)
    };
    match look.await {
        Ok(address) if reads == Reads::Page => page::form(&flow.name, &id, &name, address.expires),
        Ok(_) => {
            format!("Send signal {name} to request {id} with a POST to this address: it works once.\n").into_response()
        }
        Err(error) => refused(reads, error),
    }
}

impl Surface {
    fn check_address(
        &self,
        address: &SignalAddress,
        flow: &FlowName,
        run: &RunId,
        name: &SignalName,
    ) -> Result<(), Error> {
        Ok(address.check(self.guards.keys.as_ref(), (flow, run, name), self.host.now())?)
    }
}

/// A run that is not there is one that the flow does not have.
fn about(error: faas_flow_replica::Error, flow: &FlowName) -> Error {
    match error {
        faas_flow_replica::Error::UnknownRun { run } => Error::NoRun { flow: flow.clone(), run },
        error => error.into(),
    }
}

/// The body of a signal. What the form of the page sends becomes a JSON object.
fn content(headers: &HeaderMap, body: Bytes, may_be_form: bool) -> Content {
    let media_type = MediaType::of_message(&kept_headers(headers, &[]));
    let is_form = header(headers, http::CONTENT_TYPE)
        .is_some_and(|given| given.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(page::FORM)));
    if may_be_form && is_form { page::fields(&body) } else { Content::new(body, media_type) }
}

fn received(reads: Reads, run: &RunId, signal: &SignalName, became: Signalled) -> Response {
    let (word, sentence) = match became {
        Signalled::Taken => ("taken", "a node continues with it"),
        Signalled::Kept => ("kept", "no node waits for it yet, so it is kept until one does"),
        Signalled::Repeated => {
            ("repeated", "one with this idempotency key was received before, so this one does not count")
        }
    };
    let mut response = match reads {
        Reads::Page => page::thanks(signal),
        Reads::Text => format!("Signal {signal} to request {run}: {sentence}\n").into_response(),
        Reads::Json => Json(Received { request_id: run, signal, became: word }).into_response(),
    };
    insert(response.headers_mut(), REQUEST_ID, run.as_str());
    response
}

fn refused(reads: Reads, error: Error) -> Response {
    if reads != Reads::Page {
        return error.into_response();
    }
    let text = match error.code() {
        Code::SIGNAL_URL_USED => "This address was used before. It works once.".to_owned(),
        Code::RUN_STATE => "The run has ended in the meantime, so it no longer waits for an answer.".to_owned(),
        _ => error.to_string(),
    };
    let (status, code) = (error.status(), error.code());
    let mut response = page::refusal(status, code, &text);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(http::ALLOW, http::HeaderValue::from_static("POST"));
    }
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(http::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
    }
    response
}
