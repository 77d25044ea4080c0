//! The headers of runs and errors, and how headers are read and set.

use super::error::Error;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The request id of a run.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-faas-flow-reqid");
/// The code of an error.
pub(crate) const ERROR: HeaderName = HeaderName::from_static("x-faas-flow-error");
/// The state of a run.
pub(crate) const STATE: HeaderName = HeaderName::from_static("x-faas-flow-state");

/// A header as text. What is not UTF-8 becomes text that no rule lets through.
pub(super) fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// A header that may be there only once, since only one value of it can count. The same value twice is no contradiction: some
/// proxies repeat headers.
pub(super) fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<String>, Error> {
    let mut values = headers.get_all(&name).iter();
    let first = values.next();
    if values.any(|value| Some(value) != first) {
        return Err(Error::ContradictoryHeader { name });
    }
    Ok(header(headers, name))
}

/// Sets a header, unless the value cannot be one.
pub(super) fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
