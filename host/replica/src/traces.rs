//! Traces of runs in OpenTelemetry's model: a span for the run, below it one for each execution of a node, and below that
//! one for each call. Spans are sent in batches with OTLP over HTTP
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>). Spans that cannot be sent are lost, which does not affect runs.

mod context;
mod propagated;
mod sender;

pub(crate) use context::TraceContext;
pub(crate) use propagated::Propagated;

use crate::Error;
use crate::network::Network;
use faas_flow_core::{Code, redact};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanProcessor};
use sender::Sender;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The ports of Jaeger's agent, and OTLP's port for gRPC. They are replaced by the one for OTLP over HTTP, which the same
/// host has, too.
const OTHER_PORTS: [u16; 5] = [5775, 6831, 6832, 14268, 4317];
/// The port for OTLP over HTTP.
const PORT: u16 = 4318;
/// Maximum time to send the remaining spans when the replica stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends spans in the background.
pub struct Traces {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
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
}

impl Traces {
    /// Sends the spans of a service to `server`, a URL without a path or with the path of an OTLP receiver. Must be called
    /// in the runtime that is to send them. Fails with [`BAD_CONFIGURATION`](Code::BAD_CONFIGURATION).
    pub fn new(server: &str, service: String, network: Arc<dyn Network>) -> Result<Self, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::BadTraceServer {
            server: redact::place(server),
            reason: error.to_string(),
        };
        let endpoint = endpoint(server).map_err(|error| failed(&error))?;
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(endpoint);
        let exporter = exporter.with_http_client(Sender::new(network)).build().map_err(|error| failed(&error))?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let version = env!("CARGO_PKG_VERSION");
        processor.set_resource(&Resource::builder().with_service_name(service).build());
        Ok(Self { processor, scope: InstrumentationScope::builder("faas-flow").with_version(version).build() })
    }

    /// Takes a span, to be sent later.
    pub(crate) fn end(&self, trace: &TraceContext, span: Span) {
        if !trace.sampled {
            return;
        }
        let Span { id, parent, kind, name, start, end, attributes, failure } = span;
        let context = SpanContext::new(trace.trace, id, TraceFlags::SAMPLED, false, TraceState::NONE);
        self.processor.on_end(SpanData {
            span_context: context,
            parent_span_id: parent,
            parent_span_is_remote: trace.caller == Some(parent),
            span_kind: kind,
            name,
            start_time: start,
            end_time: end.max(start),
            attributes,
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: failure.map_or(Status::Unset, |code| Status::error(code.to_string())),
            instrumentation_scope: self.scope.clone(),
        });
    }

    /// Sends the remaining spans, and drops those that come later. Blocks the thread.
    pub fn stop(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last spans may not have been sent");
        }
    }
}

/// The id of a new span.
pub(crate) fn new_span() -> SpanId {
    SpanId::from(fastrand::u64(1..))
}

/// The URL that spans are posted to.
fn endpoint(server: &str) -> Result<String, String> {
    let mut url = url::Url::parse(server).map_err(|error| error.to_string())?;
    if url.port().is_some_and(|port| OTHER_PORTS.contains(&port)) {
        url.set_port(Some(PORT)).map_err(|()| "it has no port".to_owned())?;
    }
    if url.path() == "/" {
        url.set_path("/v1/traces");
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn spans_are_posted_where_otlp_over_http_is() {
        for (server, url) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("http://jaeger.faasflow:5775", "http://jaeger.faasflow:4318/v1/traces"),
            ("http://jaeger:4317/", "http://jaeger:4318/v1/traces"),
            ("https://traces.example.com", "https://traces.example.com/v1/traces"),
            ("https://traces.example.com/otlp/v1/traces", "https://traces.example.com/otlp/v1/traces"),
        ] {
            assert_eq!(endpoint(server).as_deref(), Ok(url), "{server}");
        }
    }
}
