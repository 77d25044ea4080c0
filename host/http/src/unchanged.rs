//! Reads of what the caller has already: an `ETag` stands for what an answer says, and a caller who names it gets 304 without the
//! body ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2)).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use faas_flow_core::Digest;
use std::convert::Infallible;

/// Stands for what an answer says: the same tag means the same text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag(String);

impl Tag {
    /// The tag of a text.
    pub fn of(text: &str) -> Self {
        Self::of_digest(&Digest::of(text.as_bytes()))
    }

    /// The tag of a text with this digest.
    pub fn of_digest(digest: &Digest) -> Self {
        Self(format!("\"{}\"", digest.short()))
    }

    /// An answer with its tag.
    pub fn on(&self, mut answer: Response) -> Response {
        if let Ok(tag) = HeaderValue::from_str(&self.0) {
            answer.headers_mut().insert(header::ETAG, tag);
        }
        answer
    }

    /// What a caller gets who has the answer already.
    pub fn unchanged(&self) -> Response {
        self.on(StatusCode::NOT_MODIFIED.into_response())
    }
}

/// The answers that a caller has, by the header `If-None-Match`. A request that is no read has none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Vec<HeaderValue>);

impl Known {
    /// What a request says.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let known = headers.get_all(header::IF_NONE_MATCH).iter().filter(|_| reads);
        Self(known.cloned().collect())
    }

    /// Whether the caller has the answer with this tag.
    pub fn has(&self, Tag(tag): &Tag) -> bool {
        let tags = self.0.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        tags.map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
    }

    /// The answer with its tag, or 304 if the caller has it.
    pub fn or(&self, tag: &Tag, answer: impl FnOnce() -> Response) -> Response {
        if self.has(tag) { tag.unchanged() } else { tag.on(answer()) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Known {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.method, &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, known: &[&str]) -> u16 {
        let values = known.iter().map(|value| (header::IF_NONE_MATCH, value.parse().unwrap()));
        let headers = values.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        });
        let response = Known::of(&method, &headers).or(&Tag::of("text"), || "text".into_response());
        assert_eq!(response.headers()[header::ETAG], Tag::of("text").0);
        response.status().as_u16()
    }

    #[test]
    fn a_caller_who_names_the_tag_gets_no_body() {
        let Tag(tag) = &Tag::of("text");
        let (weak, last) = (format!("W/{tag}"), format!("\"a\", {tag}"));
        for known in [&[tag.as_str()][..], &[&weak], &[&last], &["\"a\"", tag], &["*"]] {
            assert_eq!((status(Method::GET, known), status(Method::HEAD, known)), (304, 304), "{known:?}");
            assert_eq!(status(Method::POST, known), 200, "only reads are conditional");
        }
        for other in [&[][..], &[""], &["\"a\""], &[tag.trim_matches('"')], &["\u{fc}"]] {
            assert_eq!(status(Method::GET, other), 200, "{other:?}");
        }
        assert_ne!(Tag::of("text"), Tag::of("other"));
    }
}
