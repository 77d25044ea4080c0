//! How spans are made and sent: what the configuration says of it, in types.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
use std::path::PathBuf;
use std::time::Duration;

/// How runs are traced.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The service that the spans belong to.
    pub service: String,
    /// What is said of the service besides its name.
    pub resource: Vec<(String, String)>,
    /// Where spans are sent.
    pub exporter: TraceExporter,
    /// Which runs are traced.
    pub sampler: TraceSampler,
    /// How spans wait to be sent.
    pub batches: SpanBatches,
    /// What a span may hold.
    pub limits: SpanLimits,
}

/// Where spans are sent, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceExporter {
    /// With OTLP.
    Otlp(Otlp),
    /// To Jaeger's agent, in datagrams of compact Thrift.
    JaegerAgent {
        /// The agent's host.
        host: String,
        /// Its port: 6831, or the older 5775.
        port: u16,
    },
}

/// A receiver of OTLP (<https://opentelemetry.io/docs/specs/otlp/>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otlp {
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// The URL: with HTTP that of the traces, with gRPC that of the server.
    pub endpoint: String,
    /// Headers of each request, which may be secret.
    pub headers: Vec<(String, String)>,
    /// How long a request may take, with its repetitions; `None` for any time.
    pub timeout: Option<Duration>,
    /// How requests are compressed.
    pub compression: OtlpCompression,
    /// Files for TLS.
    pub tls: TlsFiles,
}

/// The protocols of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP.
    HttpProtobuf,
    /// JSON over HTTP.
    HttpJson,
}

/// How requests of OTLP are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpCompression {
    /// They are not.
    None,
    /// With gzip.
    Gzip,
}

/// Files in PEM form that connections with TLS use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates that are trusted instead of the system's.
    pub trusted: Option<PathBuf>,
    /// The client's own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Which runs are traced. A decision depends on the trace's id and on nothing else, so that all replicas decide alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TraceSampler {
    /// As this says, whatever the caller does.
    Always(Sampled),
    /// As the run's caller says; if it says nothing, as this does.
    ParentBased(Sampled),
}

/// Which traces are sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampled {
    /// All.
    All,
    /// None.
    None,
    /// This part of them, from 0 to 1.
    Ratio(f64),
}

/// How spans wait to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanBatches {
    /// The most spans that wait; those that come then are dropped.
    pub queue: usize,
    /// The most spans that are sent at once.
    pub size: usize,
    /// How long the first of them waits for more.
    pub delay: Duration,
    /// How long sending them may take; `None` for any time.
    pub timeout: Option<Duration>,
}

/// What a span may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanLimits {
    /// The most attributes.
    pub attributes: usize,
    /// The most characters of an attribute's value.
    pub value_length: Option<usize>,
    /// The most links to other spans.
    pub links: usize,
}

/// Which headers about traces are read and passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Propagators {
    /// `traceparent` and `tracestate`.
    pub trace_context: bool,
    /// `baggage`.
    pub baggage: bool,
}

impl Propagators {
    /// None of them.
    pub const NONE: Propagators = Propagators { trace_context: false, baggage: false };
}

impl Default for Propagators {
    /// As OpenTelemetry's specification says: all.
    fn default() -> Self {
        Self { trace_context: true, baggage: true }
    }
}

impl Default for SpanBatches {
    /// As OpenTelemetry's specification says.
    fn default() -> Self {
        let timeout = Some(Duration::from_secs(30));
        Self { queue: 2048, size: 512, delay: Duration::from_secs(5), timeout }
    }
}

impl Default for SpanLimits {
    /// As OpenTelemetry's specification says.
    fn default() -> Self {
        Self { attributes: 128, value_length: None, links: 128 }
    }
}

impl TraceSampler {
    /// Whether a trace is sampled. `caller` says whether the run's caller samples it, if there is one that is traced.
    pub(crate) fn samples(self, trace: TraceId, caller: Option<Caller>) -> bool {
        let plain = |sampled| match sampled {
            Sampled::All => Sampler::AlwaysOn,
            Sampled::None => Sampler::AlwaysOff,
            Sampled::Ratio(ratio) => Sampler::TraceIdRatioBased(ratio),
        };
        let sampler = match self {
            TraceSampler::Always(sampled) => plain(sampled),
            TraceSampler::ParentBased(sampled) => Sampler::ParentBased(Box::new(plain(sampled))),
        };
        let parent = caller.map(|Caller { span, sampled }| {
            let flags = TraceFlags::default().with_sampled(sampled);
            Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, TraceState::NONE))
        });
        let result = sampler.should_sample(parent.as_ref(), trace, "", &SpanKind::Server, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }
}

/// The span of a run's caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) span: opentelemetry::trace::SpanId,
    /// Whether the caller samples the trace.
    pub(crate) sampled: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::SpanId;

    #[test]
    fn a_sampler_follows_the_caller_if_it_is_to() {
        let trace = TraceId::from_bytes([1; 16]);
        let caller = |sampled| Some(Caller { span: SpanId::from_bytes([1; 8]), sampled });
        for (sampler, without, unsampled, sampled) in [
            (TraceSampler::ParentBased(Sampled::All), true, false, true),
            (TraceSampler::ParentBased(Sampled::None), false, false, true),
            (TraceSampler::Always(Sampled::All), true, true, true),
            (TraceSampler::Always(Sampled::None), false, false, false),
            (TraceSampler::Always(Sampled::Ratio(0.0)), false, false, false),
            (TraceSampler::ParentBased(Sampled::Ratio(1.0)), true, false, true),
        ] {
            let found = [None, caller(false), caller(true)].map(|caller| sampler.samples(trace, caller));
            assert_eq!(found, [without, unsampled, sampled], "{sampler:?}");
        }
    }

    #[test]
    fn a_ratio_takes_about_that_part_of_the_traces() {
        let sampler = TraceSampler::Always(Sampled::Ratio(0.25));
        // Spread evenly, as the ids of traces are.
        let trace = |at: u128| TraceId::from(at.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let taken = (1..=10_000).filter(|at| sampler.samples(trace(*at), None)).count();
        assert!((2_300..2_700).contains(&taken), "{taken}");
    }
}
