//! The synchronous call: from the gateway through the provider to the function (docs/openfaas.md#the-path-of-a-request).

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tokio::time::timeout;

use crate::config::Profile;
use crate::function::Unreachable;
use crate::{Accepted, Gateway};

/// Headers of one hop, which are not passed on. The length is one of them: see [`Sized`].
const HOP: [&str; 10] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// The header of responses that come from OpenFaaS and not from the function.
pub(crate) const INTERNAL: &str = "x-openfaas-internal";

/// Marks requests whose body came with its length, and is passed on with it. Otherwise it is passed on in chunks, as
/// OpenFaaS passes on all bodies (docs/openfaas.md#the-path-of-a-request).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sized;

/// A call of a function, synchronous or for the queue.
pub(crate) struct Call {
    pub method: Method,
    pub function: String,
    /// The path from the slash on, percent-encoded, with the query.
    pub rest: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Gateway {
    /// Calls a function. Failures become the gateway's own responses.
    pub(crate) async fn proxy(&self, mut call: Call) -> Response<Bytes> {
        let accepted = self.identify(&mut call.headers);
        let asked_type = call.headers.get(header::CONTENT_TYPE).cloned();
        let function = self.function(&call.function).map_or_else(|| call.function.clone(), |(name, _)| name);
        self.tally.started(&function);
        let mut response = self.invoke(call).await;
        self.tally.ended(&function, response.status().as_u16());
        complete(&mut response, &accepted, asked_type);
        response
    }

    async fn invoke(&self, call: Call) -> Response<Bytes> {
        let Some((_, function)) = self.function(&call.function) else {
            return self.unknown(&call.function);
        };
        let mut headers = call.headers;
        let sized = headers.contains_key(header::CONTENT_LENGTH);
        pass_on(&mut headers);
        let mut request = Request::new(call.body);
        *request.method_mut() = call.method;
        *request.headers_mut() = headers;
        if sized {
            request.extensions_mut().insert(Sized);
        }
        match call.rest.parse() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => return plain(StatusCode::BAD_REQUEST, format!("{}: {error}", call.rest)),
        }
        match timeout(self.config.upstream_timeout, function.call(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(Unreachable(why))) => {
                tracing::warn!(function = call.function, error = why, "could not reach function");
                internal(StatusCode::INTERNAL_SERVER_ERROR, format!("Can't reach service for: {}.", call.function))
            }
            Err(_) => plain(StatusCode::BAD_GATEWAY, String::new()),
        }
    }

    /// The response for an unknown function. CE's provider finds no endpoints; Pro's gateway looks the function up to scale
    /// it from zero.
    fn unknown(&self, name: &str) -> Response<Bytes> {
        match self.config.profile {
            Profile::Ce => internal(StatusCode::SERVICE_UNAVAILABLE, format!("No endpoints available for: {name}.")),
            Profile::Pro => plain(StatusCode::NOT_FOUND, format!("error finding function {name}: not found")),
        }
    }
}

fn plain(status: StatusCode, text: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    response
}

fn internal(status: StatusCode, text: String) -> Response<Bytes> {
    let mut response = plain(status, text);
    response.headers_mut().insert(INTERNAL, HeaderValue::from_static("proxy"));
    response
}

/// Leaves of a request's headers those that a function gets. Functions see their own address in `Host`, and that of the gateway
/// in `X-Forwarded-Host`.
pub fn pass_on(headers: &mut HeaderMap) {
    strip_hop(headers);
    if let Some(host) = headers.remove(header::HOST) {
        headers.insert("x-forwarded-host", host);
    }
}

/// Removes the headers of one hop, which are not passed on.
pub fn strip_hop(headers: &mut HeaderMap) {
    for name in HOP {
        headers.remove(name);
    }
}

/// Adds what every response of the gateway has.
fn complete(response: &mut Response<Bytes>, accepted: &Accepted, asked_type: Option<HeaderValue>) {
    let headers = response.headers_mut();
    strip_hop(headers);
    identified(headers, accepted);
    headers.entry(header::CONTENT_TYPE).or_insert_with(|| asked_type.unwrap_or(HeaderValue::from_static("text/plain")));
}

/// Adds the headers of the gateway itself.
pub(crate) fn identified(headers: &mut HeaderMap, accepted: &Accepted) {
    headers.insert("x-call-id", accepted.call_id.clone());
    headers.insert("x-start-time", accepted.start_time.clone());
    headers.insert(HeaderName::from_static("x-served-by"), HeaderValue::from_static("openfaas-ce/0.27.14"));
}
