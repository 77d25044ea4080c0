//! Step functions, which a local server answers itself, in place of OpenFaaS.

use super::browser::Visit;
use super::error::Error;
use super::invoke::kept_headers;
use super::surface::Surface;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use faas_flow_core::{leaves_function, split_target};
use faas_flow_guest::HttpRequest;

/// Headers that belong to one connection.
const HOP: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

/// Calls a function with whatever follows its name in the path, and with the query. The answer has the function's content
/// type, if it names one.
pub(super) async fn answer(surface: &Surface, name: &str, request: Request) -> Result<Response, Error> {
    Visit::may_begin(request.extensions())?;
    let (parts, body) = request.into_parts();
    let uri = parts.uri.path_and_query().map_or("", |uri| uri.as_str());
    // The prefix is `/function/` or `/async-function/`.
    let tail = uri.split_once("function/").map_or("", |(_, tail)| tail);
    let (_, below) = split_target(tail);
    if leaves_function(below) {
        return Err(Error::LeavesFunction { name: name.to_owned() });
    }
    let headers = kept_headers(&parts.headers).into_iter().filter(|(name, _)| !HOP.contains(&name.as_str()));
    let request = HttpRequest {
        method: parts.method.to_string(),
        url: format!("http://function/{tail}"),
        headers: headers.collect(),
        body: surface.read_body(body).await?,
    };
    let answer = surface.host.functions().apply(name, request).await?;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let kind = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
    let kind = kind.and_then(|(_, kind)| HeaderValue::from_str(kind).ok());
    let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    Ok((status, [(CONTENT_TYPE, kind)], Body::from(answer.body)).into_response())
}
