//! Paths as Go's URL and router packages, on which the gateway is built, treat them (contract §1.4, §2.2).

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What Go escapes in a path.
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

/// A path without its escapes, `None` if one of them is malformed or it is not UTF-8.
pub fn decode(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let whole = (0..bytes.len()).all(|at| bytes.get(at) != Some(&b'%') || (hex(at + 1) && hex(at + 2)));
    if !whole {
        return None;
    }
    percent_decode_str(path).decode_utf8().ok().map(|text| text.into_owned())
}

/// A path with the escapes that Go gives it: a slash that came as `%2F` is one now, a space is `%20` again.
pub fn encode(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED).to_string()
}

/// A path without empty, `.` and `..` parts; where it differs, the gateway redirects there.
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

/// Splits `/NAME/rest` into name and `/rest` (or `""`), if the name may be a function's.
pub fn split_name(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    let (name, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    (valid && !name.is_empty()).then_some((name, rest))
}

/// The path and query that a queue-worker's request arrives with. It joins path and query without escaping them again,
/// so that a `?` or `#` in the path ends it; `None` if Go would not take the result for a URL.
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

/// `path?query`, or the path alone.
pub fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_arrive_as_go_re_escapes_them() {
        assert_eq!(encode(&decode("/a%2Fb%20c:d@e").unwrap()), "/a/b%20c:d@e");
        assert_eq!(decode("/a%2"), None);
        assert_eq!(decode("/%zz"), None);
    }

    #[test]
    fn paths_are_cleaned_as_gorilla_does() {
        assert_eq!(clean("/function/a//b/../c/"), "/function/a/c/");
        assert_eq!(clean("/../.."), "/");
        assert_eq!(clean("/function/a"), "/function/a");
    }

    #[test]
    fn a_queue_workers_url_is_cut_where_go_would_cut_it() {
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
