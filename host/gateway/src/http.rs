//! The gateway's routes (docs/openfaas.md#the-path-of-a-request and docs/openfaas.md#asynchronous-calls).

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use bytes::Bytes;
use faas_flow_core::ShownDuration;
use http::{HeaderMap, Method, StatusCode, header};
use prometheus_client::encoding::prometheus_text;
use tokio::time::timeout;

use crate::proxy::{Call, identified};
use crate::{Config, Error, Gateway, Visit, path};

const SYNC: &str = "/function";
const ASYNC: &str = "/async-function";

impl Gateway {
    /// `/function/…`, `/async-function/…`, and what [`system_router`](Gateway::system_router) has.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/function/{name}", any(function))
            .route("/function/{name}/{*path}", any(function))
            .route("/function/{name}/", any(function))
            .route("/async-function/{name}", any(async_function))
            .route("/async-function/{name}/{*path}", any(async_function))
            .route("/async-function/{name}/", any(async_function))
            .with_state(self.clone())
            .merge(self.system_router())
    }

    /// `/metrics`, in a router of its own since OpenFaaS has it on another port and the host may have such a route itself.
    pub fn metrics_router(self: &Arc<Self>) -> Router {
        Router::new().route("/metrics", get(metrics)).with_state(self.clone())
    }
}

/// A request to a function, with its whole body.
struct Incoming {
    method: Method,
    function: String,
    rest: String,
    headers: HeaderMap,
    body: Bytes,
}

async fn read(config: &Config, prefix: &str, request: Request) -> Result<Incoming, Response> {
    Visit::may_begin(request.extensions()).map_err(IntoResponse::into_response)?;
    let (mut parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let bad = |why: &str| (StatusCode::BAD_REQUEST, why.to_owned()).into_response();
    let decoded = path::decode(parts.uri.path()).ok_or_else(|| bad("malformed path"))?;
    let clean = path::clean(&decoded);
    if clean != decoded {
        let location = path::with_query(&path::encode(&clean), &query);
        return Err((StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)]).into_response());
    }
    let named = clean.strip_prefix(prefix).and_then(path::split_name);
    let (function, rest) = named.ok_or_else(|| StatusCode::NOT_FOUND.into_response())?;
    let rest = path::with_query(&path::encode(rest), &query);
    // HTTP/2 requests and requests in absolute form have the host in the URI.
    if let (None, Some(authority)) = (parts.headers.get(header::HOST), parts.uri.authority())
        && let Ok(host) = authority.as_str().parse()
    {
        parts.headers.insert(header::HOST, host);
    }
    let body = read_body(config, body).await.map_err(|(status, why)| (status, why).into_response())?;
    Ok(Incoming { method: parts.method, function: function.into(), rest, headers: parts.headers, body })
}

/// The whole body, or why it is refused.
async fn read_body(config: &Config, body: Body) -> Result<Bytes, (StatusCode, String)> {
    let limit = config.request_limit;
    let read = to_bytes(body, limit);
    let read = match config.read_timeout {
        None => read.await,
        Some(limit) => timeout(limit, read).await.map_err(|_| {
            let why = format!("the body did not arrive within {} (--read-timeout)", ShownDuration(limit));
            (StatusCode::REQUEST_TIMEOUT, why)
        })?,
    };
    read.map_err(|error| {
        let source = std::error::Error::source(&error);
        if source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>()) {
            (StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes (--body-limit)"))
        } else {
            (StatusCode::BAD_REQUEST, format!("the body ended early: {error}"))
        }
    })
}

async fn function(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let allowed =
        [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS, Method::HEAD];
    if !allowed.contains(request.method()) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let incoming = match read(&gateway.config, SYNC, request).await {
        Ok(incoming) => incoming,
        Err(response) => return response,
    };
    let rest = if incoming.rest.starts_with('/') { incoming.rest } else { format!("/{}", incoming.rest) };
    let Incoming { method, function, headers, body, .. } = incoming;
    gateway.proxy(Call { method, function, rest, headers, body }).await.map(Body::from)
}

async fn async_function(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    if request.method() != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let incoming = match read(&gateway.config, ASYNC, request).await {
        Ok(incoming) => incoming,
        Err(response) => return response,
    };
    match gateway.enqueue(&incoming.function, &incoming.rest, incoming.headers, incoming.body).await {
        Ok(accepted) => {
            let mut response = StatusCode::ACCEPTED.into_response();
            identified(response.headers_mut(), &accepted);
            response
        }
        Err(error) => refused(&error),
    }
}

/// The response to a call that was not accepted, as OpenFaaS words it. A body that is too large is a 500 there, not a 413.
fn refused(error: &Error) -> Response {
    let queuing = |why: String| (StatusCode::INTERNAL_SERVER_ERROR, format!("Error queuing request: {why}"));
    match error {
        Error::BadPath(_) | Error::BadCallbackUrl { .. } => (StatusCode::BAD_REQUEST, error.to_string()),
        Error::BodyTooLarge { size, limit, .. } => {
            queuing(format!("request body too large for OpenFaaS CE ({size} bytes), maximum: {limit} bytes"))
        }
        Error::Queue(error) => queuing(error.to_string()),
    }
    .into_response()
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    ([(header::CONTENT_TYPE, prometheus_text::CONTENT_TYPE)], gateway.metrics().await).into_response()
}
