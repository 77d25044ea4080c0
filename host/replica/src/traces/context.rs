//! The trace that a run belongs to, which is the same on every replica: the caller's if the request has the header
//! `traceparent` (<https://www.w3.org/TR/trace-context/>), otherwise one that is derived from the run's id.

use super::propagated::{Propagated, TRACEPARENT};
use super::settings::{Caller, TraceSampler};
use faas_flow_core::run::WaitId;
use faas_flow_core::{NodePath, RunId};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
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
    pub(crate) fn of(run: &RunId, caller: &Propagated, sampler: TraceSampler) -> Self {
        let (own, root) = own(run);
        let (trace, caller) = match caller.parent() {
            Some((trace, span, sampled)) => (trace, Some(Caller { span, sampled })),
            None => (own, None),
        };
        Self { trace, root, caller: caller.map(|caller| caller.span), sampled: sampler.samples(trace, caller) }
    }

    /// A span of this trace, to link to.
    pub(crate) fn span(&self, span: SpanId) -> SpanContext {
        SpanContext::new(self.trace, span, TraceFlags::default().with_sampled(self.sampled), true, TraceState::NONE)
    }

    /// The span of another run, which called this one and so has the same trace, unless it has passed on another one.
    pub(crate) fn of_parent(&self, parent: &RunId) -> SpanContext {
        let (own, root) = own(parent);
        let trace = if self.caller.is_some() { self.trace } else { own };
        SpanContext::new(trace, root, TraceFlags::default().with_sampled(self.sampled), true, TraceState::NONE)
    }

    /// The header by which a callee makes its own spans children of this one.
    pub(crate) fn traceparent(&self, span: SpanId) -> (String, String) {
        let flags = u8::from(self.sampled);
        (TRACEPARENT.to_owned(), format!("00-{}-{span}-{flags:02x}", self.trace))
    }
}

/// The trace of a run whose caller has none, and the run's span.
fn own(run: &RunId) -> (TraceId, SpanId) {
    let hash: [u8; 32] = Sha256::digest(run.as_str()).into();
    let trace = TraceId::from_bytes(hash.first_chunk().copied().unwrap_or_default());
    (trace, SpanId::from_bytes(hash.last_chunk().copied().unwrap_or_default()))
}

/// The span of a try of a call, which is known to whatever replica gets the answer.
pub(crate) fn span_of_call(run: &RunId, node: &NodePath, id: WaitId, tries: u32) -> SpanId {
    let WaitId { claim, operation } = id;
    let hash: [u8; 32] = Sha256::digest(format!("{run}/{node}/{claim}/{operation}/{tries}")).into();
    SpanId::from_bytes(hash.first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::propagated::parse;
    use crate::traces::{Propagators, Sampled};

    fn of(header: &str) -> TraceContext {
        let headers = vec![("Traceparent".to_owned(), header.to_owned())];
        let sampler = TraceSampler::ParentBased(Sampled::All);
        TraceContext::of(&RunId::new("r").unwrap(), &Propagated::of(&headers, Propagators::default()), sampler)
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
