//! Paths as treated by Go's URL and router packages, with which OpenFaaS's gateway is built
//! (docs/openfaas.md#the-path-of-a-request and docs/openfaas.md#asynchronous-calls).

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// The characters that Go escapes in a path.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'\'')
    .add(b'(')
    .add(b')')
    .add(b'*')
    .add(b'!')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Decodes a path. `None` if an escape is malformed or the result is not UTF-8.
pub fn decode(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let whole = (0..bytes.len()).all(|at| bytes.get(at) != Some(&b'%') || (hex(at + 1) && hex(at + 2)));
    if !whole {
        return None;
    }
    percent_decode_str(path).decode_utf8().ok().map(|text| text.into_owned())
}

/// Encodes a path as Go does. A slash that arrived as `%2F` stays a slash; a space becomes `%20` again.
pub fn encode(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED).to_string()
}

/// Removes empty, `.` and `..` parts from a path. If the result differs, the gateway redirects to it.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let slash = if path.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    format!("/{}{slash}", parts.join("/"))
}

/// Splits `/NAME/rest` into the name and `/rest` (or `""`). `None` if the name is not valid for a function.
pub fn split_name(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    let (name, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    (valid && !name.is_empty()).then_some((name, rest))
}

/// The path and query of the request that a queue-worker sends for a message. The queue-worker joins path and query without
/// escaping them, so a `?` or `#` in the path ends the path. `None` if Go would not accept the result as a URL.
pub fn rejoin(path: &str, query: &str) -> Option<String> {
    let joined = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    if joined.bytes().any(|byte| byte.is_ascii_control()) {
        return None;
    }
    let joined = joined.split('#').next().unwrap_or_default();
    let (path, query) = joined.split_once('?').unwrap_or((joined, ""));
    let path = decode(path)?;
    Some(with_query(&encode(if path.is_empty() { "/" } else { &path }), query))
}

/// `path?query`, or only the path if the query is empty.
pub fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_again_as_go_does() {
        assert_eq!(encode(&decode("/a%2Fb%20c:d@e").unwrap()), "/a/b%20c:d@e");
        assert_eq!(decode("/a%2"), None);
        assert_eq!(decode("/%zz"), None);
    }

    #[test]
    fn paths_are_cleaned_as_gorilla_mux_does() {
        assert_eq!(clean("/function/a//b/../c/"), "/function/a/c/");
        assert_eq!(clean("/../.."), "/");
        assert_eq!(clean("/function/a"), "/function/a");
    }

    #[test]
    fn a_queue_workers_url_ends_where_go_would_end_it() {
        assert_eq!(rejoin("/a b", "x=1").as_deref(), Some("/a%20b?x=1"));
        assert_eq!(rejoin("/a?b", "x=1").as_deref(), Some("/a?b?x=1"));
        assert_eq!(rejoin("/a#b", "x=1").as_deref(), Some("/a"));
        assert_eq!(rejoin("", "").as_deref(), Some("/"));
        assert_eq!(rejoin("/100%", ""), None);
        assert_eq!(rejoin("/a\nb", ""), None);
    }

    #[test]
    fn names_are_letters_digits_dashes_and_dots() {
        assert_eq!(split_name("/greet.openfaas-fn/a/b"), Some(("greet.openfaas-fn", "/a/b")));
        assert_eq!(split_name("/greet"), Some(("greet", "")));
        assert_eq!(split_name("/"), None);
        assert_eq!(split_name("/gr~eet"), None);
    }
}
