//! Traces of runs in OpenTelemetry's model: a span for the run, below it one for each execution of a node, and below that
//! one for each call. Spans are sent in batches with OTLP (<https://opentelemetry.io/docs/specs/otlp/>), or to Jaeger's agent.
//! Spans that cannot be sent are lost and counted, which does not affect runs.

mod context;
mod counts;
mod exporter;
mod health;
#[cfg(feature = "jaeger")]
mod jaeger;
mod propagated;
mod queue;
mod sender;
mod settings;
pub(crate) mod tls;

pub(crate) use context::{TraceContext, span_of_call};
pub(crate) use counts::{DropReason, SpanCounts};
pub(crate) use propagated::Propagated;
pub use settings::{
    Otlp, OtlpCompression, OtlpProtocol, Propagators, Sampled, SpanBatches, SpanLimits, TlsFiles, TraceExporter,
    TraceSampler, TraceSettings,
};

use crate::network::Network;
use crate::{Counters, Error};
use exporter::Exporter;
use faas_flow_core::{Code, RunId, redact};
use health::Health;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanLinks};
use queue::Queue;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;

/// Maximum time to send the remaining spans when the replica stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends spans in the background.
pub struct Traces {
    queue: Queue,
    scope: InstrumentationScope,
    sampler: TraceSampler,
    limits: SpanLimits,
}

/// A span that has ended.
pub(crate) struct Span {
    pub(crate) id: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) kind: SpanKind,
    pub(crate) name: Cow<'static, str>,
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    pub(crate) attributes: Vec<KeyValue>,
    /// Only the code, since a message may contain data.
    pub(crate) failure: Option<Code>,
    /// The spans that it belongs to besides its parent.
    pub(crate) links: Vec<SpanContext>,
}

impl Traces {
    /// Sends spans as the settings say, and counts them. Requests over HTTP go through `network`. Must be called in the
    /// runtime of its other requests. Fails with [`BAD_CONFIGURATION`](Code::BAD_CONFIGURATION).
    pub fn new(settings: TraceSettings, network: Arc<dyn Network>, counters: &Counters) -> Result<Self, Error> {
        let server = match &settings.exporter {
            TraceExporter::Otlp(otlp) => redact::place(&otlp.endpoint),
            TraceExporter::JaegerAgent { host, port } => format!("{host}:{port}"),
        };
        let TraceSettings { sampler, batches, limits, .. } = settings;
        let health = Health::of(server.clone());
        let (runtime, of_exporter) = (Handle::current(), health.clone());
        let make = move || Exporter::new(&settings, network, runtime, &of_exporter);
        let queue = Queue::start(batches, counters.spans.clone(), health, make);
        let queue = queue.map_err(|reason| Error::BadTraceServer { server, reason })?;
        let version = env!("CARGO_PKG_VERSION");
        let scope = InstrumentationScope::builder("faas-flow").with_version(version).build();
        Ok(Self { queue, scope, sampler, limits })
    }

    /// The trace of a run, whose caller says this of its own.
    pub(crate) fn context(&self, run: &RunId, caller: &Propagated) -> TraceContext {
        TraceContext::of(run, caller, self.sampler)
    }

    /// Takes a span, to be sent later.
    pub(crate) fn end(&self, trace: &TraceContext, span: Span) {
        if !trace.sampled {
            return;
        }
        let Span { id, parent, kind, name, start, end, mut attributes, failure, links } = span;
        let context = SpanContext::new(trace.trace, id, TraceFlags::SAMPLED, false, TraceState::NONE);
        let dropped = self.limits.cut(&mut attributes);
        let mut kept = SpanLinks::default();
        kept.dropped_count = u32::try_from(links.len().saturating_sub(self.limits.links)).unwrap_or(u32::MAX);
        kept.links = links.into_iter().take(self.limits.links).map(|span| Link::new(span, Vec::new(), 0)).collect();
        self.queue.push(SpanData {
            span_context: context,
            parent_span_id: parent,
            parent_span_is_remote: trace.caller == Some(parent),
            span_kind: kind,
            name,
            start_time: start,
            end_time: end.max(start),
            attributes,
            dropped_attributes_count: dropped,
            events: Default::default(),
            links: kept,
            status: failure.map_or(Status::Unset, |code| Status::error(code.to_string())),
            instrumentation_scope: self.scope.clone(),
        });
    }

    /// Sends the remaining spans, and drops those that come later. Blocks the thread.
    pub fn stop(&self) {
        if !self.queue.stop(FLUSH_TIMEOUT) {
            tracing::warn!("the last spans may not have been sent");
        }
    }
}

impl SpanLimits {
    /// Leaves out the attributes that are too many, and shortens values; answers with how many were left out.
    fn cut(&self, attributes: &mut Vec<KeyValue>) -> u32 {
        let dropped = attributes.len().saturating_sub(self.attributes);
        attributes.truncate(self.attributes);
        if let Some(most) = self.value_length {
            for attribute in attributes {
                if let Value::String(text) = &attribute.value
                    && let Some((at, _)) = text.as_str().char_indices().nth(most)
                    && let Some(short) = text.as_str().get(..at)
                {
                    attribute.value = Value::String(StringValue::from(short.to_owned()));
                }
            }
        }
        u32::try_from(dropped).unwrap_or(u32::MAX)
    }
}

/// The id of a new span.
pub(crate) fn new_span() -> SpanId {
    SpanId::from(fastrand::u64(1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_for_a_span_is_left_out() {
        let limits = SpanLimits { attributes: 2, value_length: Some(3), links: 0 };
        let mut attributes = vec![KeyValue::new("a", "äöüß"), KeyValue::new("b", 12345), KeyValue::new("c", "x")];
        assert_eq!(limits.cut(&mut attributes), 1);
        assert_eq!(attributes, [KeyValue::new("a", "äöü"), KeyValue::new("b", 12345)]);
        let mut all = vec![KeyValue::new("a", "x".repeat(1000))];
        assert_eq!(SpanLimits::default().cut(&mut all), 0);
        assert_eq!(all, [KeyValue::new("a", "x".repeat(1000))]);
    }
}
