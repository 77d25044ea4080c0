//! Step functions, which a local server answers itself, in place of OpenFaaS.

use super::browser::Visit;
use super::error::Error;
use super::surface::Surface;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use faas_flow_core::{header_bytes, header_text, leaves_function, split_target};
use faas_flow_gateway::{pass_on, strip_hop};
use faas_flow_guest::HttpRequest;

/// Calls a function with whatever follows its name in the path, and with the query and the headers. Its answer is passed on as
/// by OpenFaaS's gateway.
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
    let mut headers = parts.headers;
    pass_on(&mut headers);
    let headers = headers.iter().map(|(name, value)| (name.to_string(), header_text(value.as_bytes())));
    let request = HttpRequest {
        method: parts.method.to_string(),
        url: format!("http://function/{tail}"),
        headers: headers.collect(),
        body: surface.read_body(body).await?,
    };
    let answer = surface.host.functions().apply(name, request).await?;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut headers = answered(&answer.headers);
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
    Ok((status, headers, Body::from(answer.body)).into_response())
}

/// The headers of a function's answer that its caller gets.
fn answered(headers: &[(String, String)]) -> HeaderMap {
    let header = |(name, value): &(String, String)| {
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::from_bytes(&header_bytes(value)).ok()?))
    };
    let mut passed_on = HeaderMap::new();
    for (name, value) in headers.iter().filter_map(header) {
        if !is_for_pages(name.as_str()) {
            passed_on.append(name, value);
        }
    }
    strip_hop(&mut passed_on);
    passed_on
}

/// Whether a header says what pages may do. That is up to the host, since they would be pages of its own address.
fn is_for_pages(name: &str) -> bool {
    const NAMES: [&str; 4] =
        ["clear-site-data", "service-worker-allowed", "strict-transport-security", "x-content-type-options"];
    const FAMILIES: [&str; 3] = ["access-control-", "content-security-policy", "cross-origin-"];
    NAMES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_says_what_its_answer_is_and_not_what_pages_may_do() {
        let given = [
            ("content-type", "text/html"),
            ("x-own", "1"),
            ("x-own", "2"),
            ("set-cookie", "a=b"),
            ("transfer-encoding", "chunked"),
            ("content-length", "7"),
            ("access-control-allow-origin", "*"),
            ("content-security-policy", "script-src *"),
            ("content-security-policy-report-only", "script-src *"),
            ("x-content-type-options", "off"),
            ("bad name", "1"),
            ("x-bad", "a\r\nb: c"),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let passed_on = answered(&given);
        let passed_on: Vec<_> =
            passed_on.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(passed_on, [("content-type", "text/html"), ("x-own", "1"), ("x-own", "2"), ("set-cookie", "a=b")]);
    }
}
