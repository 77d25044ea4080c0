//! Status and headers of an answer, as a flow may set them.

use crate::{Code, text};
use serde::{Deserialize, Serialize};

/// Status and headers with which a flow has its caller answered.
///
/// [`ResponseHead::new`] checks both. What was stored is not checked again when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseHead {
    /// From 200 to 599, but not 202.
    pub status: u16,
    /// Names in lower case, and values, in order. A name may occur more than once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

/// Why an answer may not have this status or these headers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResponseHead {
    /// The status is out of range.
    #[error("the status of an answer is from 200 to 599, but this one is {0}")]
    Status(u16),
    /// The status has a meaning of its own.
    #[error("the status 202 says that the run continues, so that callers would ask again: choose another one")]
    Accepted,
    /// There are too many headers.
    #[error("an answer may have {limit} headers of the flow, but these are {0}", limit = ResponseHead::MOST)]
    TooMany(usize),
    /// The headers are too long.
    #[error(
        "the headers of an answer may have {limit} bytes altogether, but these have {0}",
        limit = ResponseHead::LONGEST
    )]
    TooLong(usize),
    /// A name is no header name.
    #[error("`{0}` is not the name of a header: write letters, digits and hyphens")]
    Name(String),
    /// A value contains what no value may contain.
    #[error("the value of the header `{0}` contains something other than printable ASCII")]
    Value(String),
    /// The status of a reject is not one that blames the caller.
    #[error("the status of a reject is from 400 to 499, but this one is {0}")]
    RejectStatus(u16),
    /// The header belongs to the media type.
    #[error("the header `content-type` comes from the media type of the data: use `set-content-type`")]
    ContentType,
    /// The header belongs to the connection or to the host.
    #[error("the header `{0}` is not one that a flow may set: the host or the connection sets it")]
    Reserved(String),
}

impl BadResponseHead {
    /// The error's code.
    pub fn code(&self) -> Code {
        Code::BAD_RESPONSE
    }
}

/// Headers that say how a message is sent, that belong to requests, that a host sets itself, or that say what a browser may do
/// with an answer or with other answers of the same server.
const RESERVED: [&str; 37] = [
    "alt-svc",
    "authorization",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "content-security-policy-report-only",
    "cookie",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "public-key-pins",
    "server",
    "service-worker-allowed",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-call-id",
    "x-callback-url",
    "x-content-type-options",
    "x-duration-seconds",
    "x-frame-options",
    "x-hub-signature",
    "x-hub-signature-256",
    "x-start-time",
];
/// How the names of further such headers begin.
const RESERVED_PREFIXES: [&str; 4] = ["access-control-", "x-faas-flow-", "x-forwarded-", "x-function-"];

impl ResponseHead {
    /// How many headers a flow may set.
    pub const MOST: usize = 32;
    /// How many bytes they may have, names and values together.
    pub const LONGEST: usize = 8 * 1024;

    /// Checks what a flow wants its caller to be answered with.
    pub fn new(status: u16, headers: Vec<(String, String)>) -> Result<Self, BadResponseHead> {
        if !(200..600).contains(&status) {
            return Err(BadResponseHead::Status(status));
        }
        if status == 202 {
            return Err(BadResponseHead::Accepted);
        }
        if headers.len() > Self::MOST {
            return Err(BadResponseHead::TooMany(headers.len()));
        }
        let size = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > Self::LONGEST {
            return Err(BadResponseHead::TooLong(size));
        }
        let headers = headers.into_iter().map(|(name, value)| header(name, value)).collect::<Result<_, _>>()?;
        Ok(Self { status, headers })
    }

    /// Whether an answer with this status has no body.
    pub fn has_no_body(&self) -> bool {
        matches!(self.status, 204 | 205 | 304)
    }
}

/// Checks the status with which a caller is to be answered whose request a handler rejects.
pub fn reject_status(status: u16) -> Result<u16, BadResponseHead> {
    if (400..500).contains(&status) { Ok(status) } else { Err(BadResponseHead::RejectStatus(status)) }
}

fn header(mut name: String, value: String) -> Result<(String, String), BadResponseHead> {
    if !is_token(&name) {
        return Err(BadResponseHead::Name(text::printable(&name).to_string()));
    }
    name.make_ascii_lowercase();
    if name == "content-type" {
        return Err(BadResponseHead::ContentType);
    }
    if RESERVED.contains(&&*name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(BadResponseHead::Reserved(name));
    }
    if value.bytes().all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t') {
        Ok((name, value))
    } else {
        Err(BadResponseHead::Value(name))
    }
}

/// Whether a text is a token as RFC 9110 (section 5.6.2) defines it: the name of a header or a method.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Result<ResponseHead, BadResponseHead> {
        ResponseHead::new(200, vec![(name.to_owned(), value.to_owned())])
    }

    /// ANSWER-5.
    #[test]
    fn an_answer_has_a_status_that_ends_the_call() {
        for status in [200, 201, 204, 302, 404, 422, 503, 599] {
            assert_eq!(ResponseHead::new(status, Vec::new()).unwrap().status, status);
        }
        for status in [0, 100, 101, 199, 600, u16::MAX] {
            assert_eq!(ResponseHead::new(status, Vec::new()), Err(BadResponseHead::Status(status)));
        }
        assert_eq!(ResponseHead::new(202, Vec::new()), Err(BadResponseHead::Accepted));
        assert_eq!(BadResponseHead::Accepted.code(), Code::BAD_RESPONSE);
    }

    #[test]
    fn a_reject_has_a_status_that_blames_the_caller() {
        for status in [400, 404, 422, 429, 499] {
            assert_eq!(reject_status(status), Ok(status));
        }
        for status in [0, 200, 399, 500, 503, u16::MAX] {
            assert_eq!(reject_status(status), Err(BadResponseHead::RejectStatus(status)));
        }
    }

    #[test]
    fn the_names_of_reserved_headers_are_sorted_and_in_lower_case() {
        assert!(RESERVED.is_sorted());
        assert!(
            RESERVED.iter().chain(&RESERVED_PREFIXES).all(|name| is_token(name) && *name == name.to_ascii_lowercase())
        );
    }

    proptest::proptest! {
        /// ANSWER-5. Whatever a flow names, what is accepted can be sent, and is accepted again.
        #[test]
        fn what_is_accepted_has_headers_that_can_be_sent(
            status in proptest::prelude::any::<u16>(),
            headers in proptest::collection::vec(("[ -~\\r\\n\\x00é]{0,12}", "[ -~\\r\\n\\t\\x00é]{0,24}"), 0..4),
        ) {
            let Ok(head) = ResponseHead::new(status, headers) else { return Ok(()) };
            for (name, value) in &head.headers {
                proptest::prop_assert!(is_token(name) && *name == name.to_ascii_lowercase());
                proptest::prop_assert!(!value.contains(['\r', '\n', '\0']));
            }
            proptest::prop_assert_eq!(ResponseHead::new(head.status, head.headers.clone()), Ok(head));
        }
    }

    /// ANSWER-5.
    #[test]
    fn headers_are_those_that_belong_to_the_flow() {
        for (name, value) in
            [("Location", "/orders/7"), ("X-Total", ""), ("cache-control", "no-store"), ("ETag", "\"a\"")]
        {
            assert_eq!(with(name, value).unwrap().headers, [(name.to_ascii_lowercase(), value.to_owned())]);
        }
        for name in [
            "Connection",
            "Transfer-Encoding",
            "X-Faas-Flow-Reqid",
            "Content-Length",
            "Access-Control-Allow-Origin",
            "X-Content-Type-Options",
        ] {
            assert_eq!(with(name, "x"), Err(BadResponseHead::Reserved(name.to_ascii_lowercase())));
        }
        assert_eq!(with("Content-Type", "text/html"), Err(BadResponseHead::ContentType));
    }

    #[test]
    fn malformed_headers_are_refused() {
        for name in ["", "a b", "a:", "a\r\nb", "é"] {
            assert!(matches!(with(name, "x"), Err(BadResponseHead::Name(_))), "{name:?}");
        }
        for value in ["a\r\nx-b: c", "a\nb", "\0", "é", "\u{7f}"] {
            assert_eq!(with("X-A", value), Err(BadResponseHead::Value("x-a".to_owned())), "{value:?}");
        }
    }

    #[test]
    fn headers_are_bounded() {
        let many = |count: usize| vec![("a".to_owned(), String::new()); count];
        assert!(ResponseHead::new(200, many(ResponseHead::MOST)).is_ok());
        assert_eq!(ResponseHead::new(200, many(33)), Err(BadResponseHead::TooMany(33)));
        assert!(with("a", &"x".repeat(ResponseHead::LONGEST - 1)).is_ok());
        assert_eq!(with("a", &"x".repeat(ResponseHead::LONGEST)), Err(BadResponseHead::TooLong(8193)));
    }
}
