//! The spans of calls into the flow's code.

use crate::live::Live;
use crate::traces::{Span, new_span};
use faas_flow_core::NodePath;
use faas_flow_guest::{HandlerCall, Observer};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Makes spans of the calls of handlers for one execution of a node.
struct HandlerSpans {
    live: Arc<Live>,
    path: NodePath,
    /// The node's span.
    node: SpanId,
}

impl fmt::Debug for HandlerSpans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerSpans").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Observer for HandlerSpans {
    fn called(&self, call: HandlerCall<'_>) {
        let Some((traces, trace)) = self.live.tracing() else { return };
        let HandlerCall { kind, handler, start, failure } = call;
        let attributes = vec![
            KeyValue::new("faasflow.node", self.path.to_string()),
            KeyValue::new("faasflow.handler", handler.to_owned()),
            KeyValue::new("faasflow.handler.kind", kind.to_string()),
        ];
        let span = Span {
            id: new_span(),
            parent: self.node,
            kind: SpanKind::Internal,
            name: format!("{kind} {handler}").into(),
            start,
            end: SystemTime::now(),
            attributes,
            failure,
            links: Vec::new(),
        };
        traces.end(trace, span);
    }
}

impl Live {
    /// Who makes spans of the calls of handlers for an execution of a node; nobody if its run is not traced.
    pub(in super::super) fn observer(self: &Arc<Self>, path: &NodePath, node: SpanId) -> Option<Arc<dyn Observer>> {
        self.tracing().filter(|(_, trace)| trace.sampled)?;
        Some(Arc::new(HandlerSpans { live: self.clone(), path: path.clone(), node }))
    }
}
