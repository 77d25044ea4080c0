//! The spans of a run, if tracing is on.

mod handlers;
mod waits;

use super::asked::Sent;
use super::attempt::NodeAttempt;
use super::call::{CallKind, NodeCall};
use super::live::Live;
use crate::traces::{Span, TraceContext, Traces, new_span};
use faas_flow_core::run::{Awaited, Outcome, Report, Run, Work};
use faas_flow_core::{Code, Failure, Millis, Status, redact};
use faas_flow_guest::HttpRequest;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When a call began, and what its span says of the request. Addresses have neither their user nor their query.
pub(super) struct CallSpan {
    start: SystemTime,
    operation: i64,
    name: String,
    method: String,
    url: String,
}

impl CallSpan {
    /// The span of a call that begins now.
    pub(super) fn new(NodeCall { index, kind, call }: NodeCall<'_>, request: &HttpRequest) -> Self {
        let target = redact::place(&call.target);
        let name = match kind {
            CallKind::Function => format!("apply {target}"),
            CallKind::Url => format!("request {target}"),
        };
        let operation = i64::try_from(index).unwrap_or(i64::MAX);
        let start = SystemTime::now();
        Self { start, operation, name, method: request.method.clone(), url: redact::place(&request.url) }
    }
}

impl Live {
    fn tracing(&self) -> Option<(&Traces, &TraceContext)> {
        Some((self.services.traces.as_ref()?, self.trace.as_ref()?))
    }

    /// Whether tracing is on.
    pub(super) fn is_traced(&self) -> bool {
        self.tracing().is_some()
    }

    /// The id of a new span, which is invalid if tracing is off.
    pub(super) fn new_span(&self) -> SpanId {
        self.trace.as_ref().map_or(SpanId::INVALID, |_| new_span())
    }

    /// The headers with which the receiver of a request makes its own spans children of this one, besides those that the request
    /// has. If tracing is off, they are the ones that the run's caller sent.
    pub(super) fn trace_headers(&self, span: SpanId, set: &[(String, String)]) -> Vec<(String, String)> {
        self.propagated.headers(set, self.trace.as_ref().map(|trace| trace.traceparent(span)))
    }

    /// [`Self::trace_headers`] of what is sent for the run as a whole.
    pub(super) fn run_trace_headers(&self) -> Vec<(String, String)> {
        self.trace_headers(self.trace.as_ref().map_or(SpanId::INVALID, |trace| trace.root), &[])
    }

    /// Ends the span of a call that was answered or has failed.
    pub(super) fn trace_call(
        &self,
        node: &NodeAttempt<'_>,
        span: SpanId,
        call: CallSpan,
        sent: &Result<Sent, Failure>,
    ) {
        let Some((traces, trace)) = self.tracing() else { return };
        let mut attributes = vec![
            KeyValue::new("faasflow.node", node.work.path.to_string()),
            KeyValue::new("faasflow.operation", call.operation),
            KeyValue::new("http.request.method", call.method),
            KeyValue::new("url.full", call.url),
        ];
        let failure = match sent {
            Ok(Sent::Asked(of, _)) => {
                if let Awaited::Run { run, .. } = of {
                    attributes.push(KeyValue::new("faasflow.called.request.id", run.to_string()));
                }
                None
            }
            Ok(Sent::Response(answer)) => {
                attributes.push(KeyValue::new("http.response.status_code", i64::from(answer.status)));
                (answer.status >= 400).then_some(Code::CALL_STATUS)
            }
            Err(failure) => Some(failure.code),
        };
        let span = Span {
            id: span,
            parent: node.span,
            kind: SpanKind::Client,
            name: call.name.into(),
            start: call.start,
            end: SystemTime::now(),
            attributes,
            failure,
            links: Vec::new(),
        };
        traces.end(trace, span);
    }

    /// Ends the span of one execution of a node, with all its attempts. `start` is known if tracing is on.
    pub(super) fn trace_node(
        &self,
        work: &Work,
        span: SpanId,
        (start, attempts): (Option<SystemTime>, i64),
        report: &Report,
    ) {
        let (Some((traces, trace)), Some(start)) = (self.tracing(), start) else { return };
        let attributes = vec![
            KeyValue::new("faasflow.request.id", self.id.to_string()),
            KeyValue::new("faasflow.node", work.path.to_string()),
            KeyValue::new("faasflow.attempts", attempts),
        ];
        let failure = match &report.outcome {
            Outcome::Failed(failure) => Some(failure.code),
            _ => None,
        };
        let span = Span {
            id: span,
            parent: trace.root,
            kind: SpanKind::Internal,
            name: work.path.to_string().into(),
            start,
            end: SystemTime::now(),
            attributes,
            failure,
            links: Vec::new(),
        };
        traces.end(trace, span);
    }

    /// Ends the span of the whole run, once its end is committed.
    pub(super) fn trace_run(&self, run: &Run) {
        let Some((traces, trace)) = self.tracing() else { return };
        let mut attributes = vec![
            KeyValue::new("faasflow.request.id", self.id.to_string()),
            KeyValue::new("faasflow.flow", run.flow.to_string()),
            KeyValue::new("faasflow.digest", run.digest.to_string()),
            KeyValue::new("faasflow.status", run.status().to_string()),
        ];
        attributes.extend(
            run.parent.iter().map(|parent| KeyValue::new("faasflow.parent.request.id", parent.run.to_string())),
        );
        // A run has at most 16 labels, each of bounded length.
        let label = |(key, value): (&str, &str)| KeyValue::new(format!("faasflow.label.{key}"), value.to_owned());
        attributes.extend(run.labels.iter().map(label));
        let failure = run.failure.as_ref().filter(|_| run.status() == Status::Failed).map(|failure| failure.code);
        let span = Span {
            id: trace.root,
            parent: trace.caller.unwrap_or(SpanId::INVALID),
            kind: SpanKind::Server,
            name: self.id.to_string().into(),
            start: moment(run.started),
            end: moment(run.ended.unwrap_or(run.started)),
            attributes,
            failure,
            links: run.parent.iter().map(|parent| trace.of_parent(&parent.run)).collect(),
        };
        traces.end(trace, span);
    }
}

fn moment(at: Millis) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at)
}
