//! Redirects, as Go's client of HTTP follows them.

use super::{CallError, ChosenBy, Outgoing, Refused};
use bytes::Bytes;
use faas_flow_core::{Code, header_bytes};
use faas_flow_guest::HttpResponse;
use hyper::Method;
use hyper::header::{HOST, HeaderName};
use percent_encoding::{CONTROLS, percent_encode};
use std::borrow::Cow;
use url::Url;

/// How many redirects are followed in a row.
const MOST: usize = 10;
/// Headers that let their owner in somewhere. They do not go to another server.
const CREDENTIALS: [&str; 7] =
    ["authorization", "cookie", "cookie2", "host", "proxy-authorization", "proxy-authenticate", "www-authenticate"];
/// Headers that describe a body.
const OF_BODIES: [&str; 8] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-type",
    "digest",
    "content-digest",
    "last-modified",
];

/// Why a redirect is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RedirectFault {
    /// The answers lead on and on.
    #[error("it is one after {MOST} others")]
    TooMany,
    /// The address cannot be read.
    #[error("the address is malformed: {0}")]
    Malformed(String),
    /// The scheme is not one of HTTP.
    #[error("its scheme is neither http nor https")]
    Scheme,
    /// A function leads away from where the operator has put it.
    #[error("a function may lead only to its own server, and behind the gateway only to functions")]
    LeavesServer,
    /// What the host sends would arrive without its body.
    #[error("the body would be lost: use that address instead")]
    LosesBody,
    /// The configuration does not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl RedirectFault {
    pub(super) fn code(&self) -> Code {
        match self {
            RedirectFault::Refused(_) => Code::DESTINATION_REFUSED,
            _ => Code::REDIRECT,
        }
    }
}

/// Where an answer leads, if it is a redirect that says so.
///
/// Bytes beyond ASCII, which do not belong there, are written as `%C3%A9`.
pub(super) fn location(answer: &HttpResponse) -> Option<Cow<'_, str>> {
    if !matches!(answer.status, 301..=303 | 307 | 308) {
        return None;
    }
    let location = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
    let (_, location) = location.filter(|(_, location)| !location.is_empty())?;
    if location.is_ascii() {
        return Some(location.into());
    }
    Some(percent_encode(&header_bytes(location), CONTROLS).to_string().into())
}

impl Outgoing {
    /// The request that follows an answer, of `followed` before it. The sender checks whether the
    /// configuration allows its host.
    pub(super) fn redirected(self, status: u16, to: &str, by: ChosenBy, followed: usize) -> Result<Self, CallError> {
        let callee = by.shown(self.url.as_str());
        let target = self.url.join(to);
        let shown = target.as_ref().map_or_else(|_| by.shown(to), |target| by.shown(target.as_str()));
        let fail = |fault| CallError::Redirect { callee, status, location: cut(&shown), fault: Box::new(fault) };
        let url = match target {
            Ok(url) => url,
            Err(error) => return Err(fail(RedirectFault::Malformed(error.to_string()))),
        };
        if followed >= MOST {
            return Err(fail(RedirectFault::TooMany));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(fail(RedirectFault::Scheme));
        }
        let keeps_server = keeps_server(&self.url, &url);
        match by {
            ChosenBy::Operator | ChosenBy::Gateway | ChosenBy::Function if !keeps_server => {
                return Err(fail(RedirectFault::LeavesServer));
            }
            ChosenBy::Gateway if functions_of(url.path()) != functions_of(self.url.path()) => {
                return Err(fail(RedirectFault::LeavesServer));
            }
            _ => {}
        }
        let keeps_method = matches!(status, 307 | 308) || matches!(self.method, Method::GET | Method::HEAD);
        // A result that arrives as a GET is no result.
        if !keeps_method && matches!(by, ChosenBy::Operator | ChosenBy::Caller) {
            return Err(fail(RedirectFault::LosesBody));
        }
        let mut next = Self { url, ..self };
        if !keeps_method {
            (next.method, next.body) = (Method::GET, Bytes::new());
            next.headers.retain(|(name, _)| !is_one_of(name, &OF_BODIES));
        }
        if !keeps_server {
            next.headers.retain(|(name, _)| !is_one_of(name, &CREDENTIALS));
        }
        Ok(next)
    }
}

/// Whether a redirect stays on its server: the same host and port, or the same host with TLS from now on.
fn keeps_server(from: &Url, to: &Url) -> bool {
    let places = |url: &Url| (url.scheme().to_owned(), url.port_or_known_default());
    let same_place = match (places(from), places(to)) {
        ((http, Some(80)), (https, Some(443))) if http == "http" && https == "https" => true,
        (from, to) => from == to,
    };
    from.host() == to.host() && same_place
}

/// The part of a gateway's path up to the names of functions.
fn functions_of(path: &str) -> Option<&str> {
    const FUNCTION: &str = "/function/";
    path.find(FUNCTION).and_then(|at| path.get(..at + FUNCTION.len()))
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a header lets its owner in somewhere.
pub(super) fn is_credential(name: &HeaderName) -> bool {
    *name != HOST && is_one_of(name.as_str(), &CREDENTIALS)
}

/// At most the first characters of an address, which is part of a message.
fn cut(address: &str) -> String {
    address.chars().take(300).flat_map(char::escape_debug).collect()
}
