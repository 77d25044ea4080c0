//! Where a run's result will be, as callers see it: through gateways, and through proxies that change the path.

use axum::http::{HeaderMap, HeaderName};
use faas_flow_core::{FlowName, RunId};

/// The path that a proxy has removed from the front of a request's.
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
/// The header with which OpenFaaS' gateway marks a call.
const CALL_ID: HeaderName = HeaderName::from_static("x-call-id");
/// The longest prefix that is believed, in bytes.
const LONGEST_PREFIX: usize = 256;

/// The path of a run's result, relative to that of the request that began the run.
///
/// A server knows the path of a request only as the last gateway or proxy has passed it on, so the reference must be right
/// whatever they have removed. OpenFaaS' gateway passes `/function/greet` and `/function/greet/` on as `/`. The reference
/// `greet/flow/ID/result` is right for the former; for the latter, and where a proxy maps the flow to `/`, it leads to
/// `greet/flow/ID/result` below the flow, which is answered too ([`named_twice`]).
pub(super) fn of_result(path: &str, headers: &HeaderMap, flow: &FlowName, run: &RunId) -> String {
    let result = format!("flow/{run}/result");
    let below = path.trim_start_matches('/');
    let is_async = below.starts_with("async-function/");
    match (below.is_empty(), is_async, path.ends_with('/')) {
        // A proxy without a gateway behind it says what it has removed, which is the path of the flow.
        (true, ..) if let Some(prefix) = forwarded_prefix(headers).filter(|_| !headers.contains_key(CALL_ID)) => {
            format!("{prefix}/{result}")
        }
        (true, ..) | (false, false, false) => format!("{flow}/{result}"),
        (false, false, true) => result,
        (false, true, false) => format!("../function/{flow}/{result}"),
        (false, true, true) => format!("../../function/{flow}/{result}"),
    }
}

/// The run in `NAME/flow/ID/result`, a path below the flow of that name, where the name stands once too often: as a caller
/// asks who has resolved [`of_result`] against a path that ends in a slash.
pub(super) fn named_twice<'p>(below: &'p str, flow: &FlowName) -> Option<&'p str> {
    below.strip_prefix(flow.as_str())?.strip_prefix("/flow/")?.strip_suffix("/result")
}

/// The path that a proxy says that it has removed, without a slash at its end: empty for `/`. What is no plain absolute path
/// is ignored, since it would lead elsewhere.
pub(crate) fn forwarded_prefix(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(PREFIX).iter();
    let (Some(prefix), None) = (values.next(), values.next()) else { return None };
    let prefix = prefix.to_str().ok()?.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+=:@".contains(&byte);
    let path = prefix.starts_with('/') && !prefix.starts_with("//") && prefix.bytes().all(plain);
    (path && prefix.len() <= LONGEST_PREFIX).then(|| prefix.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::Url;

    fn flow() -> FlowName {
        FlowName::new("greet").unwrap()
    }

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    /// Where a caller looks for the result who sent a request to `outside`, which arrived as `inside`.
    fn looks(outside: &str, inside: &str, given: &[(&'static str, &str)]) -> String {
        let run = RunId::new("r").unwrap();
        let location = of_result(inside, &headers(given), &flow(), &run);
        let outside = Url::parse("http://host").unwrap().join(outside).unwrap();
        outside.join(&location).unwrap().path().to_owned()
    }

    #[test]
    fn the_result_is_found_behind_any_prefix() {
        for prefix in ["", "/faas", "/a/b"] {
            let behind = |outside: &str, inside: &str| {
                let found = looks(&format!("{prefix}{outside}"), inside, &[]);
                found.strip_prefix(prefix).unwrap().to_owned()
            };
            assert_eq!(behind("/function/greet", "/function/greet"), "/function/greet/flow/r/result");
            assert_eq!(behind("/function/greet/", "/function/greet/"), "/function/greet/flow/r/result");
            assert_eq!(behind("/async-function/greet", "/async-function/greet"), "/function/greet/flow/r/result");
            assert_eq!(behind("/async-function/greet/", "/async-function/greet/"), "/function/greet/flow/r/result");
            // A gateway passes only what follows the name on.
            assert_eq!(behind("/function/greet", "/"), "/function/greet/flow/r/result");
            assert_eq!(behind("/function/greet/", "/"), "/function/greet/greet/flow/r/result");
        }
        // Proxies that map the flow to `/`.
        assert_eq!(looks("/", "/function/greet/", &[]), "/flow/r/result");
        assert_eq!(looks("/", "/function/greet", &[]), "/greet/flow/r/result");
        assert_eq!(looks("/", "/", &[]), "/greet/flow/r/result");
        assert_eq!(looks("/orders", "/", &[("x-forwarded-prefix", "/orders")]), "/orders/flow/r/result");
        assert_eq!(looks("/orders/", "/", &[("x-forwarded-prefix", "/orders/")]), "/orders/flow/r/result");
        let through = [("x-forwarded-prefix", "/faas"), ("x-call-id", "1")];
        assert_eq!(looks("/faas/function/greet", "/", &through), "/faas/function/greet/flow/r/result");
        assert_eq!(named_twice("greet/flow/r/result", &flow()), Some("r"));
        for other in ["flow/r/result", "greetings/flow/r/result", "greet/flow/r/state", "greet", ""] {
            assert_eq!(named_twice(other, &flow()), None, "{other}");
        }
    }

    #[test]
    fn a_prefix_leads_nowhere_else() {
        let prefix = |value: &str| forwarded_prefix(&headers(&[("x-forwarded-prefix", value)])).map(str::to_owned);
        assert_eq!(prefix("/flows/").as_deref(), Some("/flows"));
        assert_eq!(prefix("/").as_deref(), Some(""));
        for bad in [
            "",
            "flows",
            "//evil.example",
            "/\\evil.example",
            "/a\"b",
            "/a b",
            "/<",
            "/a,/b",
            "/a?b",
            &"/x".repeat(200),
        ] {
            assert_eq!(prefix(bad), None, "{bad}");
        }
    }
}
