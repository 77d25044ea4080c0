//! An asynchronous call, and its form in the queue.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{InvalidHeaderName, InvalidHeaderValue};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

/// An asynchronous call that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The name of the function.
    pub function: String,
    /// The path after the function's name in the URL, decoded: empty, or from the slash on.
    pub path: String,
    /// The query without the question mark.
    pub query: String,
    /// The caller's headers, with `X-Call-Id` and `X-Start-Time`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The value of `Host` in the caller's request.
    pub host: String,
    /// The URL to which the outcome is posted.
    pub callback: Option<Url>,
}

/// The JSON form of a queued call in OpenFaaS: `QueueRequest`, with Go's field names
/// (docs/openfaas.md#asynchronous-calls).
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueRequest {
    #[serde(default)]
    header: BTreeMap<String, Vec<String>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    host: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    body: String,
    #[serde(default)]
    method: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    path: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    query_string: String,
    function: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    callback_url: Option<GoUrl>,
}

/// Go's `url.URL` as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GoUrl {
    scheme: String,
    host: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    raw_query: String,
}

/// Why a queued message is not a call.
#[derive(Debug, thiserror::Error)]
pub enum MalformedMessage {
    /// It is not a `QueueRequest`.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A header has a malformed name.
    #[error(transparent)]
    HeaderName(#[from] InvalidHeaderName),
    /// A header has a malformed value.
    #[error(transparent)]
    HeaderValue(#[from] InvalidHeaderValue),
    /// The body is not Base64.
    #[error("the body is not Base64: {0}")]
    Body(#[from] base64::DecodeError),
    /// The callback URL is malformed.
    #[error("the callback URL is malformed: {0}")]
    CallbackUrl(#[from] url::ParseError),
}

impl Message {
    /// The form in the queue.
    pub fn to_json(&self) -> Vec<u8> {
        let mut header: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in &self.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            header.entry(canonical(name.as_str())).or_default().push(value);
        }
        let request = QueueRequest {
            header,
            host: self.host.clone(),
            body: STANDARD.encode(&self.body),
            method: "POST".into(),
            path: self.path.clone(),
            query_string: self.query.clone(),
            function: self.function.clone(),
            callback_url: self.callback.as_ref().map(|url| GoUrl {
                scheme: url.scheme().into(),
                host: authority(url),
                path: crate::path::decode(url.path()).unwrap_or_else(|| url.path().into()),
                raw_query: url.query().unwrap_or_default().into(),
            }),
        };
        // Strings and maps of strings can always be encoded.
        serde_json::to_vec(&request).unwrap_or_default()
    }

    /// Parses the form in the queue.
    pub fn from_json(json: &[u8]) -> Result<Message, MalformedMessage> {
        let request: QueueRequest = serde_json::from_slice(json)?;
        let mut headers = HeaderMap::new();
        for (name, values) in &request.header {
            let name = HeaderName::try_from(name.as_str())?;
            for value in values {
                headers.append(name.clone(), HeaderValue::from_str(value)?);
            }
        }
        let callback = request.callback_url.map(|url| {
            let path = crate::path::with_query(&crate::path::encode(&url.path), &url.raw_query);
            Url::parse(&format!("{}://{}{path}", url.scheme, url.host))
        });
        Ok(Message {
            function: request.function,
            path: request.path,
            query: request.query_string,
            headers,
            body: STANDARD.decode(&request.body)?.into(),
            host: request.host,
            callback: callback.transpose()?,
        })
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The name of a header as Go writes it: `X-Call-Id` for `x-call-id`.
fn canonical(name: &str) -> String {
    let parts = name.split('-').map(|part| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    parts.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let mut headers = HeaderMap::new();
        headers.append("x-start-time", HeaderValue::from_static("1"));
        headers.append("x-start-time", HeaderValue::from_static("2"));
        Message {
            function: "greet".into(),
            path: "/flow/a b/forward".into(),
            query: "a=1".into(),
            headers,
            body: Bytes::from_static(b"\x00\xffhi"),
            host: "gateway.openfaas:8080".into(),
            callback: Some(Url::parse("http://h:8081/p%20q?x=1").unwrap()),
        }
    }

    #[test]
    fn a_message_survives_its_json_form() {
        assert_eq!(Message::from_json(&message().to_json()).unwrap(), message());
    }

    #[test]
    fn the_json_form_is_that_of_openfaas() {
        let json: serde_json::Value = serde_json::from_slice(&message().to_json()).unwrap();
        let expected = serde_json::json!({
            "Header": {"X-Start-Time": ["1", "2"]}, "Host": "gateway.openfaas:8080", "Body": "AP9oaQ==",
            "Method": "POST", "Path": "/flow/a b/forward", "QueryString": "a=1", "Function": "greet",
            "CallbackUrl": {"Scheme": "http", "Host": "h:8081", "Path": "/p q", "RawQuery": "x=1"}
        });
        assert_eq!(json, expected);
    }
}
