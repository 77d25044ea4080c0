//! Whether a request repeats the one that began a run, or is another one with the same request id.

use super::error::OtherRun;
use faas_flow_core::FlowName;
use faas_flow_core::run::{Request, Run};
use faas_flow_replica::BODY_DIGEST;

/// Headers that may differ between two tries of one request: those that a client, a proxy, a gateway or a tracer adds to
/// each try. All other headers that a run keeps are part of what its caller asked for.
const OF_A_TRY: [&str; 42] = [
    "accept",
    "accept-encoding",
    "b3",
    "baggage",
    "cache-control",
    "cdn-loop",
    "connection",
    "content-length",
    "correlation-id",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "max-forwards",
    "pragma",
    "priority",
    "request-id",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "uber-trace-id",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-call-id",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-duration-seconds",
    // Compared as an address.
    "x-faas-flow-callback-url",
    // It is the same, or the runs would have nothing to do with each other.
    "x-faas-flow-reqid",
    "x-faas-flow-wait",
    "x-real-ip",
    "x-request-id",
    "x-served-by",
    "x-start-time",
    "x-timeout",
];

/// The beginnings of names of such headers.
const FAMILIES_OF_A_TRY: [&str; 8] =
    ["cf-", "fly-", "sec-", "x-b3-", "x-datadog-", "x-envoy-", "x-forwarded-", "x-original-"];

/// Where a request wants its result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Callbacks<'a> {
    /// The address for the end of the run.
    pub asked: Option<&'a str>,
    /// The address that the run gets if the result does not come while its caller waits.
    pub later: Option<&'a str>,
}

impl Callbacks<'_> {
    /// Whether a run that such a request began may have this callback.
    fn lead_to(&self, known: Option<&str>) -> bool {
        known == self.asked || (self.asked.is_none() && known == self.later)
    }
}

/// What distinguishes a request from the one that began this run: `None` if it is the same request again.
pub(super) fn difference(run: &Run, flow: &FlowName, request: &Request, callbacks: &Callbacks<'_>) -> Option<OtherRun> {
    let body = |request: &Request| request.headers.iter().find(|(name, _)| name == BODY_DIGEST).cloned();
    if run.flow != *flow {
        Some(OtherRun::Flow)
    } else if body(&run.request).is_none() || body(&run.request) != body(request) {
        Some(OtherRun::Body)
    } else if run.request.query != request.query {
        Some(OtherRun::Query)
    } else if !callbacks.lead_to(run.callback.as_ref().map(|callback| callback.url.as_str())) {
        Some(OtherRun::Callback)
    } else {
        other_header(&run.request, request).map(|name| OtherRun::Header { name })
    }
}

/// The name of the first header, by the alphabet, in whose values the requests differ.
fn other_header(one: &Request, other: &Request) -> Option<String> {
    let (one, other) = (own_headers(one), own_headers(other));
    let differing = one.iter().zip(&other).find(|(one, other)| one != other).map(|(one, other)| one.min(other));
    let longer = || one.get(other.len()).or_else(|| other.get(one.len()));
    differing.or_else(longer).map(|(name, _)| (*name).to_owned())
}

/// The headers that belong to the request, in the order of their names. Several values of one name keep their order.
fn own_headers(request: &Request) -> Vec<(&str, &str)> {
    let is_of_a_try =
        |name: &str| OF_A_TRY.contains(&name) || FAMILIES_OF_A_TRY.iter().any(|family| name.starts_with(family));
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut headers: Vec<_> = headers.filter(|(name, _)| !is_of_a_try(name)).collect();
    headers.sort_by_key(|(name, _)| *name);
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(headers: &[(&str, &str)]) -> Request {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request { query: Vec::new(), headers }
    }

    #[test]
    fn headers_that_each_try_has_of_its_own_make_no_other_request() {
        let first = with(&[("user-agent", "curl/8"), ("x-order", "1"), ("accept", "*/*"), ("content-type", "a/b")]);
        let again = [
            ("x-forwarded-for", "10.0.0.1"),
            ("content-type", "a/b"),
            ("traceparent", "00-1-2-01"),
            ("x-call-id", "9"),
            ("x-order", "1"),
            ("x-request-id", "another"),
        ];
        assert_eq!(other_header(&first, &with(&again)), None);
    }

    #[test]
    fn a_header_that_differs_is_named() {
        let first = with(&[("x-order", "1"), ("x-order", "2"), ("x-tenant", "a")]);
        for (headers, differs) in [
            ([("x-order", "1"), ("x-order", "2"), ("x-tenant", "b")].as_slice(), "x-tenant"),
            (&[("x-order", "2"), ("x-order", "1"), ("x-tenant", "a")], "x-order"),
            (&[("x-order", "1"), ("x-order", "2")], "x-tenant"),
            (&[("x-order", "1"), ("x-order", "2"), ("x-tenant", "a"), ("x-zone", "")], "x-zone"),
            (&[("accept-language", "de"), ("x-order", "1"), ("x-order", "2"), ("x-tenant", "a")], "accept-language"),
        ] {
            assert_eq!(other_header(&first, &with(headers)).as_deref(), Some(differs), "{headers:?}");
            assert_eq!(other_header(&with(headers), &first).as_deref(), Some(differs), "{headers:?}");
        }
    }
}
