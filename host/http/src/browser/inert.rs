//! Answers that come from flows and functions. They may be anything, and must not become a page with the server's rights.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

/// Who may embed an answer in a page, as an image or a script, for example.
pub(crate) const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// If a browser shows the answer, then without scripts, in an origin of its own, and with nothing from elsewhere. It is what
/// GitHub sends with files of its users.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");
const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");

/// Keeps browsers from guessing what the answer is, and from executing what is in it. Programs read it as before.
pub(crate) fn make_inert(response: &mut Response) {
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(POLICY);
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(NO_SNIFFING);
}
