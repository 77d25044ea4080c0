//! The spans of waits: for a moment, an answer, a signal, a permit of a limit, or another try. No replica holds a node that
//! waits, so the one that goes on with it makes the span, from what is stored of the wait.

use super::moment;
use crate::live::Live;
use crate::traces::{Span, new_span, span_of_call};
use faas_flow_core::run::{Awaited, Outcome, Report, Suspended, Wait, WaitId, Work};
use faas_flow_core::{Millis, NodePath};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind};
use std::time::SystemTime;

/// What is said of a wait.
struct Waited {
    name: String,
    kind: SpanKind,
    since: Millis,
    attributes: Vec<KeyValue>,
    links: Vec<SpanContext>,
}

impl Live {
    /// The span of a try of a call, which whatever replica gets the answer can tell.
    pub(in super::super) fn span_of_call(&self, node: &NodePath, id: WaitId, tries: u32) -> SpanId {
        self.trace.as_ref().map_or(SpanId::INVALID, |_| span_of_call(&self.id, node, id, tries))
    }

    /// Ends the span of a wait between two tries, which began and ends at these moments. That of a long wait, which is stored, is
    /// made when it begins.
    pub(in super::super) fn trace_retry(&self, path: &NodePath, node: SpanId, since: Millis, until: Millis) {
        let Some((traces, trace)) = self.tracing() else { return };
        let span = Span {
            id: new_span(),
            parent: node,
            kind: SpanKind::Internal,
            name: "wait for the next try".into(),
            start: moment(since),
            end: moment(until),
            attributes: vec![KeyValue::new("faasflow.node", path.to_string())],
            failure: None,
            links: Vec::new(),
        };
        traces.end(trace, span);
    }

    /// Ends the span of what a node has waited for before this execution began, unless it waits on.
    pub(in super::super) fn trace_wait(&self, work: &Work, begun: Option<SystemTime>, report: &Report) {
        let (Some((traces, trace)), Some(begun), Some(suspended)) = (self.tracing(), begun, &work.suspended) else {
            return;
        };
        if waits_on(suspended, &report.outcome) {
            return;
        }
        let Some(Waited { name, kind, since, mut attributes, links }) = self.waited(work, suspended) else { return };
        attributes.push(KeyValue::new("faasflow.node", work.path.to_string()));
        let answered = suspended.wait.as_ref().zip(work.answer.as_ref()).filter(|(wait, answer)| answer.to == wait.id);
        let end = answered.map_or(begun, |(_, answer)| moment(answer.at));
        let (id, start) = (new_span(), moment(since));
        let span =
            Span { id, parent: trace.root, kind, name: name.into(), start, end, attributes, failure: None, links };
        traces.end(trace, span);
    }

    fn waited(&self, work: &Work, suspended: &Suspended) -> Option<Waited> {
        let plain = |name, since| Waited { name, kind: SpanKind::Internal, since, attributes: vec![], links: vec![] };
        let Some(Wait { id, of, since, .. }) = suspended.wait.as_deref() else {
            return suspended.asleep.map(|since| plain("sleep".to_owned(), since));
        };
        let call =
            || self.trace.iter().map(|trace| trace.span(self.span_of_call(&work.path, *id, suspended.tries))).collect();
        Some(match of {
            Awaited::Signal { signal } => plain(format!("wait for signal {signal}"), *since),
            Awaited::Limit { name, .. } => plain(format!("wait for limit {name}"), *since),
            Awaited::Function { name } => {
                Waited { kind: SpanKind::Consumer, links: call(), ..plain(format!("answer {name}"), *since) }
            }
            Awaited::Run { flow, run } => Waited {
                kind: SpanKind::Consumer,
                links: call(),
                attributes: vec![KeyValue::new("faasflow.called.request.id", run.to_string())],
                ..plain(format!("answer {flow}"), *since)
            },
        })
    }
}

/// Whether a node has only looked for what it waits for, and goes on waiting for it.
fn waits_on(before: &Suspended, outcome: &Outcome) -> bool {
    let Outcome::Suspended(after) = outcome else { return false };
    let since = |suspended: &Suspended| suspended.wait.as_ref().map(|wait| wait.since);
    after.operation == before.operation && since(before).is_some() && since(after) == since(before)
}
