//! The trace that a run belongs to, which is the same on every replica: the caller's if the request has the header
//! `traceparent` (<https://www.w3.org/TR/trace-context/>), otherwise one that is derived from the run's id.

use super::propagated::{TRACEPARENT, parse};
use faas_flow_core::RunId;
use faas_flow_core::run::Request;
use opentelemetry::trace::{SpanId, TraceId};
use sha2::{Digest, Sha256};

/// The trace of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace: TraceId,
    /// The span of the run.
    pub(crate) root: SpanId,
    /// The caller's span, if the caller is traced.
    pub(crate) caller: Option<SpanId>,
    /// Whether the spans are to be sent.
    pub(crate) sampled: bool,
}

impl TraceContext {
    pub(crate) fn of(run: &RunId, request: &Request) -> Self {
        let hash: [u8; 32] = Sha256::digest(run.as_str()).into();
        let trace = TraceId::from_bytes(hash.first_chunk().copied().unwrap_or_default());
        let root = SpanId::from_bytes(hash.last_chunk().copied().unwrap_or_default());
        match said_by_caller(request) {
            Some((trace, caller, sampled)) => Self { trace, root, caller: Some(caller), sampled },
            None => Self { trace, root, caller: None, sampled: true },
        }
    }

    /// The id of the trace that a run belongs to because its caller says so.
    pub(crate) fn caller_of(request: &Request) -> Option<String> {
        said_by_caller(request).map(|(trace, _, _)| trace.to_string())
    }

    /// The header by which a callee makes its own spans children of this one.
    pub(crate) fn traceparent(&self, span: SpanId) -> (String, String) {
        let flags = u8::from(self.sampled);
        (TRACEPARENT.to_owned(), format!("00-{}-{span}-{flags:02x}", self.trace))
    }
}

/// The trace and the span of the caller, and whether it is sampled, if the request names them.
fn said_by_caller(request: &Request) -> Option<(TraceId, SpanId, bool)> {
    let header = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT));
    header.and_then(|(_, value)| parse(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> TraceContext {
        let headers = vec![("Traceparent".to_owned(), header.to_owned())];
        TraceContext::of(&RunId::new("r").unwrap(), &Request { query: Vec::new(), headers })
    }

    #[test]
    fn a_run_is_a_part_of_its_callers_trace() {
        let context = of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        assert_eq!(context.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.caller.map(|caller| caller.to_string()).as_deref(), Some("b7ad6b7169203331"));
        assert!(context.sampled);
        let (_, sent) = context.traceparent(context.root);
        assert_eq!(parse(&sent), Some((context.trace, context.root, true)));
        assert!(!of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").sampled);
        assert!(of("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more").caller.is_some());
    }

    #[test]
    fn without_a_callers_trace_a_run_has_its_own_on_every_replica() {
        let own = of("");
        assert_eq!((own.caller, own.sampled), (None, true));
        for bad in [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ü",
        ] {
            assert_eq!(of(bad), own, "{bad}");
        }
    }
}
