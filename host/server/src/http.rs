//! The local server: `/function/…` and `/async-function/…`, for flows and for the functions that they apply.

use crate::driver::{Ended, Host, Submission, Submitted, Waits};
use crate::graph::{self, Format};
use crate::{Error, Flow};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use faas_flow_core::run::Request;
use faas_flow_core::{Code, FlowName, RunId, Status};
use std::sync::Arc;
use std::time::Duration;

const REQUEST_ID: &str = "x-faas-flow-reqid";
const WAIT: &str = "x-faas-flow-wait";
const ERROR: &str = "x-faas-flow-error";
/// Headers that a run does not keep: they let their owner in somewhere.
const SECRET: [&str; 5] = ["authorization", "cookie", "proxy-authorization", "x-hub-signature", "x-hub-signature-256"];

/// The routes of the local server.
pub fn router(host: Arc<Host>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/_/health", get(|| async { "OK" }))
        .route("/function/{name}", any(function))
        .route("/function/{name}/{*rest}", any(function))
        .route("/async-function/{name}", post(async_function))
        .route("/async-function/{name}/{*rest}", post(async_function))
        .with_state(host)
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        failed(status_of(self.code()), self.code(), &self.to_string())
    }
}

fn status_of(code: Code) -> StatusCode {
    match code {
        Code::BAD_REQUEST_ID | Code::BAD_REQUEST | Code::BAD_FLOW_NAME => StatusCode::BAD_REQUEST,
        Code::FLOW_UNKNOWN | Code::FUNCTION_MISSING | Code::RUN_UNKNOWN => StatusCode::NOT_FOUND,
        Code::RUN_EXISTS => StatusCode::CONFLICT,
        Code::BODY_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        Code::OVERLOADED => StatusCode::TOO_MANY_REQUESTS,
        Code::STORE_LOCKED | Code::STORE_FULL | Code::STORE_READ_ONLY | Code::STORE_UNAVAILABLE => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Code::CALL_TIMED_OUT | Code::NODE_TIMED_OUT | Code::DEADLINE_PASSED => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn failed(status: StatusCode, code: Code, message: &str) -> Response {
    let code = code.to_string();
    let mut response = (status, format!("{code}: {message}\n")).into_response();
    insert(response.headers_mut(), ERROR, &code);
    response
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

async fn index(State(host): State<Arc<Host>>) -> String {
    let flows = host.flows();
    let flows = flows.iter().map(|flow| format!("POST /function/{}\n", flow.name));
    let functions = host.functions().names();
    let functions = functions.iter().map(|name| format!("POST /function/{name} (a step function)\n"));
    flows.chain(functions).collect()
}

async fn function(
    State(host): State<Arc<Host>>,
    Path(path): Path<Vec<(String, String)>>,
    request: HttpRequest,
) -> Response {
    answer(host, path, request, false).await.unwrap_or_else(IntoResponse::into_response)
}

async fn async_function(
    State(host): State<Arc<Host>>,
    Path(path): Path<Vec<(String, String)>>,
    request: HttpRequest,
) -> Response {
    answer(host, path, request, true).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(
    host: Arc<Host>,
    path: Vec<(String, String)>,
    request: HttpRequest,
    asynchronous: bool,
) -> Result<Response, Error> {
    let mut path = path.into_iter().map(|(_, value)| value);
    let (name, rest) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
    if host.functions().get(&name).is_some() {
        return step_function(&host, &name, request).await;
    }
    let flow = FlowName::new(&name)?;
    let Some(deployed) = host.flow(&flow) else {
        let message = format!("there is no flow and no function `{name}` here: see / for what there is");
        return Err(Error::new(Code::FLOW_UNKNOWN, message));
    };
    if !rest.is_empty() {
        return about_run(&host, &flow, &rest).await;
    }
    let query = parse_query(request.uri().query().unwrap_or_default());
    if query.iter().any(|(name, value)| name == "export-dag" && value.eq_ignore_ascii_case("true")) {
        return Ok(export_dag(&deployed));
    }
    invoke(&host, &flow, query, request, asynchronous).await
}

fn export_dag(flow: &Flow) -> Response {
    let json = graph::render(&flow.definition, flow.name.as_str(), Format::Json);
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

async fn invoke(
    host: &Arc<Host>,
    flow: &FlowName,
    query: Vec<(String, String)>,
    request: HttpRequest,
    asynchronous: bool,
) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    let id = match parts.headers.get(REQUEST_ID) {
        Some(id) => Some(RunId::new(String::from_utf8_lossy(id.as_bytes()))?),
        None => None,
    };
    let wait = match parts.headers.get(WAIT) {
        Some(wait) => Some(parse_wait(&String::from_utf8_lossy(wait.as_bytes()))?.min(host.settings().max_wait)),
        None => None,
    };
    let body = read_body(host, body).await?;
    let submission = Submission { id, body, request: Request { query, headers: kept(&parts.headers) } };
    let waits = if asynchronous || wait.is_some() { Waits::No } else { Waits::Yes };
    let run = host.submit(flow, submission, waits).await?;
    let ended = match (asynchronous, wait) {
        (true, _) => None,
        (false, Some(wait)) => tokio::time::timeout(wait, run.end()).await.ok().flatten(),
        // A flow of a single node answers with its result, as in the original; any other goes on by itself.
        (false, None) if run.is_deferred() => run.end().await,
        (false, None) => None,
    };
    Ok(respond(&run, ended.as_deref()))
}

fn respond(run: &Submitted, ended: Option<&Ended>) -> Response {
    let mut response = match ended {
        None => StatusCode::ACCEPTED.into_response(),
        Some(ended) => ended_response(ended),
    };
    insert(response.headers_mut(), "x-faas-flow-reqid", run.id.as_str());
    response
}

fn ended_response(ended: &Ended) -> Response {
    match (ended.status, &ended.failure, &ended.result) {
        (Status::Paused, ..) => StatusCode::ACCEPTED.into_response(),
        (Status::Succeeded, None, result) => Body::from(result.clone().unwrap_or_default()).into_response(),
        (_, failure, answer) => {
            let code = failure.as_ref().map_or(Code::INTERNAL, |failure| failure.code);
            let text = failure.as_ref().map(|failure| format!("{failure}\n")).unwrap_or_default();
            let body = answer.clone().unwrap_or_else(|| text.into());
            let mut response = (status_of(code), Body::from(body)).into_response();
            insert(response.headers_mut(), ERROR, &code.to_string());
            response
        }
    }
}

/// `flow/{id}/state` and `flow/{id}/result`.
async fn about_run(host: &Host, flow: &FlowName, rest: &str) -> Result<Response, Error> {
    let unknown = || {
        Error::new(
            Code::BAD_REQUEST,
            format!("flow {flow} has no path `{rest}`: there are flow/ID/state and flow/ID/result"),
        )
    };
    let mut parts = rest.split('/');
    let (Some("flow"), Some(id), Some(what), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(unknown());
    };
    let run = RunId::new(id)?;
    let view = host.view(&run).await?.filter(|view| view.flow == *flow);
    let view = view.ok_or_else(|| Error::new(Code::RUN_UNKNOWN, format!("flow {flow} has no run {run}")))?;
    match what {
        "state" => Ok(view.status.to_string().into_response()),
        "result" if view.status.is_final() => {
            let result = host.result(&run).await?;
            Ok(ended_response(&Ended { status: view.status, result, failure: view.failure }))
        }
        "result" => Ok(StatusCode::ACCEPTED.into_response()),
        _ => Err(unknown()),
    }
}

async fn step_function(host: &Host, name: &str, request: HttpRequest) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    let uri = parts.uri.path_and_query().map_or("", |uri| uri.as_str());
    let tail = uri.split_once("function/").map_or("", |(_, tail)| tail);
    let headers = kept(&parts.headers)
        .into_iter()
        .filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length" | "connection" | "transfer-encoding"));
    let request = faas_flow_guest::HttpRequest {
        method: parts.method.to_string(),
        url: format!("http://function/{tail}"),
        headers: headers.collect(),
        body: read_body(host, body).await?,
    };
    let answer = host.functions().apply(name, request).await?;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    Ok((status, Body::from(answer.body)).into_response())
}

async fn read_body(host: &Host, body: Body) -> Result<Bytes, Error> {
    let most = host.settings().body_limit;
    to_bytes(body, most).await.map_err(|error| {
        let limited =
            std::error::Error::source(&error).is_some_and(|source| source.to_string().contains("length limit"));
        match limited {
            true => Error::new(Code::BODY_TOO_LARGE, format!("the body is larger than {most} bytes")),
            false => Error::new(Code::BAD_REQUEST, format!("the body ended early: {error}")),
        }
    })
}

fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    let kept = headers.iter().filter(|(name, _)| !SECRET.contains(&name.as_str()));
    kept.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

fn parse_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// `30s`, `500ms`, `2m`, or seconds.
fn parse_wait(text: &str) -> Result<Duration, Error> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let wait = digits.parse::<u64>().ok().and_then(|count| match unit {
        "ms" => Some(Duration::from_millis(count)),
        "s" | "" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_secs(count.saturating_mul(60))),
        _ => None,
    });
    wait.ok_or_else(|| Error::new(Code::BAD_REQUEST, format!("`{text}` is no time to wait: write 30s, 500ms or 2m")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_with_their_units() {
        assert_eq!(parse_wait("30s").unwrap(), Duration::from_secs(30));
        assert_eq!(parse_wait("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(parse_wait("2m").unwrap(), Duration::from_secs(120));
        assert_eq!(parse_wait("soon").unwrap_err().code(), Code::BAD_REQUEST);
    }

    #[test]
    fn queries_are_decoded_in_order() {
        let query = parse_query("a=1&b=x%20y+z&a=2&c");
        let query: Vec<(&str, &str)> = query.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(query, [("a", "1"), ("b", "x y z"), ("a", "2"), ("c", "")]);
    }
}
