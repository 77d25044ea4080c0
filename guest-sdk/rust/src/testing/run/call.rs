//! Calls that a run makes, and what functions of the test answer.

use super::moment;
use crate::http::{Request, Response};
use std::time::Duration;

/// One try of a call that a run has made, as its function gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub(super) request: Request,
    pub(super) function: String,
    pub(super) node: String,
    pub(super) tries: u32,
    pub(super) at: Duration,
}

impl Call {
    /// The function as it is called, `wc` or `wc/lines`, or the URL without its query.
    pub fn function(&self) -> &str {
        &self.function
    }

    /// The path of the node that calls: `F[f2]/charge`.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// How many tries of the call there were, with this one.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// The virtual time of the call, counted from the beginning of the run.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// What is sent, with the headers that the host adds: `Content-Type`, `X-Faas-Flow-Reqid` and
    /// `X-Faas-Flow-Idempotency-Key`.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The method, in upper case: `POST`.
    pub fn method(&self) -> &str {
        self.request.method()
    }

    /// The path of the request, decoded: of a function, what follows its name, such as `/lines` or nothing.
    pub fn path(&self) -> String {
        let (path, _) = path_and_query(self.request.url());
        decoded(if self.function.contains("://") { path } else { tail(path) })
    }

    /// All values of a query parameter of the request, decoded, in order.
    pub fn query(&self, name: &str) -> Vec<String> {
        let (_, query) = path_and_query(self.request.url());
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let text = |encoded: &str| decoded(&encoded.replace('+', " "));
        pairs.filter(|(key, _)| text(key) == name).map(|(_, value)| text(value)).collect()
    }

    /// The value of the first header with this name. Upper and lower case are the same.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.header(name)
    }

    /// The whole body.
    pub fn body(&self) -> &[u8] {
        self.request.body()
    }
}

/// What a function of a test answers. Text and bytes become an answer with status 200; a [`Response`] will do as well.
///
/// ```
/// use faas_flow::testing::Answer;
/// use std::time::Duration;
///
/// let paid = Answer::from("paid");
/// let busy = Answer::new(503).with_header("Retry-After", "30");
/// let slow = paid.clone().with_delay(Duration::from_secs(90));
/// let away = Answer::unreachable("connection refused");
/// assert!(paid != busy && slow != away);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an answer does nothing until a run gets it"]
pub struct Answer {
    pub(super) response: Response,
    pub(super) delay: Duration,
    pub(super) error: Option<String>,
}

impl Answer {
    /// An answer with this status, without headers, and with an empty body.
    pub fn new(status: u16) -> Self {
        Response::new(status).into()
    }

    /// There is no answer, for this reason: the call fails as one that cannot be made.
    pub fn unreachable(reason: impl Into<String>) -> Self {
        Self { error: Some(reason.into()), ..Self::new(200) }
    }

    /// Adds a header.
    pub fn with_header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { response: self.response.with_header(name, value), ..self }
    }

    /// Replaces the body.
    pub fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { response: self.response.with_body(body), ..self }
    }

    /// Sets the virtual time that the answer takes. If it is longer than the timeout of the call, which is a minute unless
    /// the flow says otherwise, the call fails.
    pub fn with_delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self { response, delay: Duration::ZERO, error: None }
    }
}

impl From<&str> for Answer {
    fn from(body: &str) -> Self {
        Response::new(200).with_body(body).into()
    }
}

impl From<String> for Answer {
    fn from(body: String) -> Self {
        Response::new(200).with_body(body).into()
    }
}

impl From<&[u8]> for Answer {
    fn from(body: &[u8]) -> Self {
        Response::new(200).with_body(body).into()
    }
}

impl From<Vec<u8>> for Answer {
    fn from(body: Vec<u8>) -> Self {
        Response::new(200).with_body(body).into()
    }
}

/// The name by which a call is answered: the function with the path of the request, or the URL without its query.
pub(super) fn subject(target: &str, url: &str, is_url: bool) -> String {
    if is_url {
        return before(url, &['?', '#']).trim_end_matches('/').to_owned();
    }
    let (path, _) = path_and_query(url);
    [before(target, &['/', '?', '#']), tail(path).trim_end_matches('/')].concat()
}

/// Percent-encodes a name or value of a query parameter, as the host does.
pub(super) fn encoded(text: &str) -> String {
    let byte = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let code = behind.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn before<'t>(text: &'t str, marks: &[char]) -> &'t str {
    text.split(marks).next().unwrap_or_default()
}

/// The path of an absolute URL, and its query.
fn path_and_query(url: &str) -> (&str, &str) {
    let url = before(url, &['#']);
    let behind = url.split_once("://").map_or(url, |(_, rest)| {
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        rest.get(at..).unwrap_or_default()
    });
    behind.split_once('?').unwrap_or((behind, ""))
}

/// What follows the first segment of a path: `/lines` of `/wc/lines`.
fn tail(path: &str) -> &str {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.find('/').and_then(|at| path.get(at..)).unwrap_or_default()
}

/// The wait that a response asks for, in milliseconds: a day at most. `now` is a moment in milliseconds since 1970.
pub(super) fn retry_after(response: &Response, now: i64) -> u64 {
    const MOST_MS: u64 = 24 * 3600 * 1000;
    let value = response.header("retry-after").unwrap_or_default().trim();
    let ms = match value.parse::<u64>() {
        Ok(seconds) => seconds.saturating_mul(1000),
        Err(_) => moment::of_http(value).map_or(0, |until| u64::try_from(until - now).unwrap_or_default()),
    };
    ms.min(MOST_MS)
}
