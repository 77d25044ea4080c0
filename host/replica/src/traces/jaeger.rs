//! Jaeger's agent, which takes spans in datagrams of compact Thrift, on port 6831 and on the older 5775. The crate that speaks
//! to it, `opentelemetry-jaeger`, is no longer developed and takes the types of an older OpenTelemetry. Only this file knows
//! them: it turns spans into those types.
#![expect(deprecated, reason = "the crate says of itself that OTLP replaces it, which an old agent does not speak")]

use super::counts::DropReason;
use super::exporter::Unsent;
use futures_util::FutureExt as _;
use opentelemetry::trace::{Link, SpanContext, SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use opentelemetry_jaeger::{Error, Exporter, new_agent_pipeline};
use opentelemetry_of_jaeger::trace as old_trace;
use opentelemetry_of_jaeger::{KeyValue as OldKeyValue, Value as OldValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use opentelemetry_sdk_of_jaeger as old_sdk;
use opentelemetry_sdk_of_jaeger::export::trace::SpanExporter as _;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most bytes of a datagram. Agents take no larger ones; macOS sends none of more than 9,216 bytes by default.
const DATAGRAM: usize = if cfg!(target_os = "macos") { 9_216 } else { 65_000 };
/// How long an address is used before the agent's name is looked up again: an agent that has moved does not say so.
const ADDRESS_TTL: Duration = Duration::from_secs(60);

/// Sends spans to an agent. Its name is looked up when there is something to send, so that it need not be there yet.
pub(super) struct Agent {
    /// `HOST:PORT`.
    address: String,
    service: String,
    resource: Vec<OldKeyValue>,
    open: Mutex<Option<Open>>,
}

/// A socket to the agent, and when it was made.
struct Open {
    exporter: Exporter,
    since: Instant,
}

/// Why spans could not be sent.
enum Failed {
    TooLarge,
    Other(String),
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Agent {
    pub(super) fn new(host: &str, port: u16, resource: &Resource) -> Self {
        let service = resource.get(&"service.name".into()).map(|name| name.to_string()).unwrap_or_default();
        let tags = resource.iter().map(|(key, value)| OldKeyValue::new(key.as_str().to_owned(), old_value(value)));
        Self { address: format!("{host}:{port}"), service, resource: tags.collect(), open: Mutex::default() }
    }

    /// Sends spans in as many datagrams as they take. What is larger than a datagram is not sent.
    pub(super) async fn export(&self, batch: Vec<SpanData>) -> Result<(), Unsent> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest: Vec<&[SpanData]> = vec![&batch];
        let (mut unsent, mut too_large) = (0, 0);
        let mut error = None;
        while let Some(spans) = rest.pop() {
            match self.send(&mut open, spans) {
                Ok(()) => {}
                Err(Failed::TooLarge) if spans.len() > 1 => {
                    let (first, second) = spans.split_at(spans.len() / 2);
                    rest.extend([second, first]);
                }
                Err(Failed::TooLarge) => too_large += 1,
                Err(Failed::Other(reason)) => {
                    *open = None;
                    unsent = spans.len() + rest.iter().map(|spans| spans.len()).sum::<usize>();
                    error = Some(reason);
                    break;
                }
            }
        }
        match (error, too_large) {
            (Some(error), _) => {
                Err(Unsent { spans: (unsent + too_large) as u64, why: DropReason::ExportFailed, error })
            }
            (None, 0) => Ok(()),
            (None, spans) => {
                let error = format!("a span is larger than a datagram may be, which is {DATAGRAM} bytes");
                Err(Unsent { spans: spans as u64, why: DropReason::TooLarge, error })
            }
        }
    }

    /// Sends spans in one datagram.
    fn send(&self, open: &mut Option<Open>, spans: &[SpanData]) -> Result<(), Failed> {
        let fresh = open.take().filter(|open| open.since.elapsed() < ADDRESS_TTL);
        let Open { exporter, .. } = match fresh {
            Some(fresh) => open.insert(fresh),
            None => open.insert(Open { exporter: self.connect()?, since: Instant::now() }),
        };
        let spans = spans.iter().map(old_span).collect();
        // The exporter blocks instead of waiting, for as long as it takes to put a datagram into the socket's buffer.
        match exporter.export(spans).now_or_never() {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(failed(&error)),
            None => Err(Failed::Other("the exporter waits for something".to_owned())),
        }
    }

    fn connect(&self) -> Result<Exporter, Failed> {
        let config = old_sdk::trace::Config::default().with_resource(old_sdk::Resource::new(self.resource.clone()));
        new_agent_pipeline()
            .with_endpoint(&self.address)
            .with_service_name(&self.service)
            .with_trace_config(config)
            .with_max_packet_size(DATAGRAM)
            .build_sync_agent_exporter()
            .map_err(|error| failed(&error))
    }
}

fn failed(error: &old_trace::TraceError) -> Failed {
    if let old_trace::TraceError::ExportFailed(inner) = error {
        let inner: &dyn std::error::Error = &**inner;
        match inner.downcast_ref() {
            Some(Error::ThriftAgentError(thrift::Error::Protocol(error)))
                if error.kind == thrift::ProtocolErrorKind::SizeLimit =>
            {
                return Failed::TooLarge;
            }
            Some(error) => return Failed::Other(error.to_string()),
            None => {}
        }
    }
    Failed::Other(error.to_string())
}

fn old_span(span: &SpanData) -> old_sdk::export::trace::SpanData {
    let mut links = old_sdk::trace::SpanLinks::default();
    links.links = span.links.iter().map(old_link).collect();
    links.dropped_count = span.links.dropped_count;
    // Our spans have no events.
    old_sdk::export::trace::SpanData {
        span_context: old_context(&span.span_context),
        parent_span_id: old_trace::SpanId::from_bytes(span.parent_span_id.to_bytes()),
        span_kind: match span.span_kind {
            SpanKind::Client => old_trace::SpanKind::Client,
            SpanKind::Server => old_trace::SpanKind::Server,
            SpanKind::Producer => old_trace::SpanKind::Producer,
            SpanKind::Consumer => old_trace::SpanKind::Consumer,
            SpanKind::Internal => old_trace::SpanKind::Internal,
        },
        name: span.name.clone(),
        start_time: span.start_time,
        end_time: span.end_time,
        attributes: span.attributes.iter().map(old_attribute).collect(),
        dropped_attributes_count: span.dropped_attributes_count,
        events: old_sdk::trace::SpanEvents::default(),
        links,
        status: match &span.status {
            Status::Unset => old_trace::Status::Unset,
            Status::Ok => old_trace::Status::Ok,
            Status::Error { description } => old_trace::Status::error(description.clone()),
        },
        resource: Default::default(),
        instrumentation_lib: old_sdk::InstrumentationLibrary::builder(span.instrumentation_scope.name().to_owned())
            .with_version(span.instrumentation_scope.version().unwrap_or_default().to_owned())
            .build(),
    }
}

fn old_context(context: &SpanContext) -> old_trace::SpanContext {
    old_trace::SpanContext::new(
        old_trace::TraceId::from_bytes(context.trace_id().to_bytes()),
        old_trace::SpanId::from_bytes(context.span_id().to_bytes()),
        old_trace::TraceFlags::new(context.trace_flags().to_u8()),
        context.is_remote(),
        old_trace::TraceState::NONE,
    )
}

fn old_link(link: &Link) -> old_trace::Link {
    let attributes = link.attributes.iter().map(old_attribute).collect();
    old_trace::Link::new(old_context(&link.span_context), attributes, link.dropped_attributes_count)
}

fn old_attribute(attribute: &KeyValue) -> OldKeyValue {
    OldKeyValue::new(attribute.key.as_str().to_owned(), old_value(&attribute.value))
}

fn old_value(value: &Value) -> OldValue {
    match value {
        Value::Bool(value) => OldValue::Bool(*value),
        Value::I64(value) => OldValue::I64(*value),
        Value::F64(value) => OldValue::F64(*value),
        Value::String(value) => OldValue::String(value.as_str().to_owned().into()),
        // Thrift's tags know no lists: they are text.
        Value::Array(array) => OldValue::String(array.to_string().into()),
        other => OldValue::String(other.to_string().into()),
    }
}
