//! Step functions, where the local server stands for the whole of OpenFaaS.

use super::{invoke::kept, read_body};
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use faas_flow_replica::{Error, Host};

/// Headers that belong to one connection.
const HOP: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

pub(super) async fn answer(host: &Host, name: &str, request: Request) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    let uri = parts.uri.path_and_query().map_or("", |uri| uri.as_str());
    let tail = uri.split_once("function/").map_or("", |(_, tail)| tail);
    let headers = kept(&parts.headers).into_iter().filter(|(name, _)| !HOP.contains(&name.as_str()));
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
