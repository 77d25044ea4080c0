//! The spans of a run, where they are wanted.

use super::execute::Try;
use super::live::Live;
use crate::network::place;
use crate::traces::{Span, TRACEPARENT, TraceContext, Traces, new_span};
use faas_flow_core::definition::Call;
use faas_flow_core::run::{Outcome, Report, Run, Work};
use faas_flow_core::{Code, Failure, Millis, Status};
use faas_flow_guest::{HttpRequest, HttpResponse};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a call's span says of the request: of its address neither the user nor the query.
pub(super) struct Asked {
    operation: i64,
    name: String,
    method: String,
    url: String,
}

impl Asked {
    pub(super) fn new(index: usize, call: &Call, apply: bool, request: &HttpRequest) -> Self {
        let target = place(&call.target);
        let name = if apply { format!("apply {target}") } else { format!("request {target}") };
        let operation = i64::try_from(index).unwrap_or(i64::MAX);
        Self { operation, name, method: request.method.clone(), url: place(&request.url) }
    }
}

impl Live {
    fn tracing(&self) -> Option<(&Traces, &TraceContext)> {
        Some((self.services.traces.as_ref()?, self.trace.as_ref()?))
    }

    /// The id of a span to be, where spans are wanted.
    pub(super) fn new_span(&self) -> SpanId {
        self.trace.as_ref().map_or(SpanId::INVALID, |_| new_span())
    }

    /// The header by which a function's own spans become a part of this one. Where no spans are wanted here, it is what the
    /// run's caller sent.
    pub(super) fn traceparent(&self, span: SpanId) -> Option<(String, String)> {
        let callers = || self.request.headers.iter().find(|(name, _)| name == TRACEPARENT).cloned();
        self.trace.as_ref().map(|trace| trace.traceparent(span)).or_else(callers)
    }

    /// The span of a call, which has been answered or has failed.
    pub(super) fn trace_call(
        &self,
        node: &Try<'_>,
        span: SpanId,
        start: SystemTime,
        asked: &Asked,
        answer: &Result<HttpResponse, Failure>,
    ) {
        let Some((traces, trace)) = self.tracing() else { return };
        let mut attributes = vec![
            KeyValue::new("faasflow.node", node.work.path.to_string()),
            KeyValue::new("faasflow.operation", asked.operation),
            KeyValue::new("http.request.method", asked.method.clone()),
            KeyValue::new("url.full", asked.url.clone()),
        ];
        let failure = match answer {
            Ok(answer) => {
                attributes.push(KeyValue::new("http.response.status_code", i64::from(answer.status)));
                (answer.status >= 400).then_some(Code::CALL_STATUS)
            }
            Err(failure) => Some(failure.code),
        };
        let (kind, name, end) = (SpanKind::Client, asked.name.clone().into(), SystemTime::now());
        traces.end(trace, Span { id: span, parent: node.span, kind, name, start, end, attributes, failure });
    }

    /// The span of one execution of a node, with all its tries.
    pub(super) fn trace_node(&self, work: &Work, span: SpanId, start: SystemTime, report: &Report) {
        let Some((traces, trace)) = self.tracing() else { return };
        let attributes = vec![
            KeyValue::new("faasflow.request.id", self.id.to_string()),
            KeyValue::new("faasflow.node", work.path.to_string()),
            KeyValue::new("faasflow.attempts", i64::try_from(report.attempts.len()).unwrap_or(i64::MAX)),
        ];
        let failure = match &report.outcome {
            Outcome::Failed(failure) => Some(failure.code),
            _ => None,
        };
        let (name, end) = (work.path.to_string().into(), SystemTime::now());
        let (kind, parent) = (SpanKind::Internal, trace.root);
        traces.end(trace, Span { id: span, parent, kind, name, start, end, attributes, failure });
    }

    /// The span of the whole run, once its end is committed.
    pub(super) fn trace_run(&self, run: &Run) {
        let Some((traces, trace)) = self.tracing() else { return };
        let attributes = vec![
            KeyValue::new("faasflow.request.id", self.id.to_string()),
            KeyValue::new("faasflow.flow", run.flow.to_string()),
            KeyValue::new("faasflow.digest", run.digest.to_string()),
            KeyValue::new("faasflow.status", run.status().to_string()),
        ];
        let failure = run.failure.as_ref().filter(|_| run.status() == Status::Failed).map(|failure| failure.code);
        let (start, end) = (moment(run.started), moment(run.ended.unwrap_or(run.started)));
        let (kind, name) = (SpanKind::Server, self.id.to_string().into());
        let parent = trace.caller.unwrap_or(SpanId::INVALID);
        traces.end(trace, Span { id: trace.root, parent, kind, name, start, end, attributes, failure });
    }
}

fn moment(at: Millis) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at)
}
