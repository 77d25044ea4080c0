//! What sends batches of spans: with OTLP, or to Jaeger's agent.

use super::counts::DropReason;
use super::health::Health;
#[cfg(feature = "jaeger")]
use super::jaeger::Agent;
use super::sender::Sender;
use super::settings::{Otlp, OtlpCompression, OtlpProtocol, TlsFiles, TraceExporter, TraceSettings};
use super::tls;
use crate::network::Network;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::KeyValue;
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{Compression, Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Stands for any time, where a library wants a number.
const ANY_TIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// Sends batches of spans.
#[derive(Debug)]
pub(super) enum Exporter {
    Otlp(SpanExporter),
    #[cfg(feature = "jaeger")]
    JaegerAgent(Agent),
}

/// Spans that were not sent.
pub(super) struct Unsent {
    /// How many of the batch.
    pub(super) spans: u64,
    pub(super) why: DropReason,
    pub(super) error: String,
}

impl Exporter {
    /// An exporter that is used in the current runtime. Requests over HTTP go through `network`, in `runtime`.
    pub(super) fn new(
        settings: &TraceSettings,
        network: Arc<dyn Network>,
        runtime: Handle,
        health: &Health,
    ) -> Result<Self, String> {
        let resource = resource(settings);
        match &settings.exporter {
            TraceExporter::Otlp(otlp) => {
                let mut exporter = match otlp.protocol {
                    OtlpProtocol::Grpc => grpc(otlp)?,
                    OtlpProtocol::HttpProtobuf => {
                        http(otlp, Protocol::HttpBinary, Sender::new(network, runtime, health.clone(), otlp.timeout))?
                    }
                    OtlpProtocol::HttpJson => {
                        http(otlp, Protocol::HttpJson, Sender::new(network, runtime, health.clone(), otlp.timeout))?
                    }
                };
                exporter.set_resource(&resource);
                Ok(Self::Otlp(exporter))
            }
            #[cfg(feature = "jaeger")]
            TraceExporter::JaegerAgent { host, port } => Ok(Self::JaegerAgent(Agent::new(host, *port, &resource))),
            #[cfg(not(feature = "jaeger"))]
            TraceExporter::JaegerAgent { .. } => Err("this program was built without the feature `jaeger`".to_owned()),
        }
    }

    /// Sends spans.
    pub(super) async fn export(&self, batch: Vec<SpanData>) -> Result<(), Unsent> {
        match self {
            Self::Otlp(exporter) => {
                let spans = batch.len() as u64;
                let sent = exporter.export(batch).await;
                sent.map_err(|error| Unsent { spans, why: DropReason::ExportFailed, error: error.to_string() })
            }
            #[cfg(feature = "jaeger")]
            Self::JaegerAgent(agent) => agent.export(batch).await,
        }
    }
}

/// What is said of the service that the spans belong to.
fn resource(settings: &TraceSettings) -> Resource {
    let said = settings.resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(said)
        .with_service_name(settings.service.clone())
        .build()
}

fn http(otlp: &Otlp, protocol: Protocol, sender: Sender) -> Result<SpanExporter, String> {
    let exporter = SpanExporter::builder().with_http().with_protocol(protocol).with_endpoint(otlp.endpoint.clone());
    let exporter = exporter.with_timeout(otlp.timeout.unwrap_or(ANY_TIME));
    let exporter = exporter.with_headers(otlp.headers.iter().cloned().collect()).with_http_client(sender);
    let exporter = match otlp.compression {
        OtlpCompression::None => exporter,
        OtlpCompression::Gzip => exporter.with_compression(Compression::Gzip),
    };
    exporter.build().map_err(|error| error.to_string())
}

fn grpc(otlp: &Otlp) -> Result<SpanExporter, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &otlp.headers {
        let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is not the name of a header"))?;
        let value: HeaderValue = value.parse().map_err(|_| format!("the value of the header `{name}` is malformed"))?;
        headers.insert(name, value);
    }
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(otlp.endpoint.clone());
    let exporter = exporter.with_timeout(otlp.timeout.unwrap_or(ANY_TIME));
    let exporter = exporter.with_metadata(MetadataMap::from_headers(headers));
    let exporter = match otlp.compression {
        OtlpCompression::None => exporter,
        OtlpCompression::Gzip => exporter.with_compression(Compression::Gzip),
    };
    let exporter =
        if otlp.endpoint.starts_with("https://") { exporter.with_tls_config(grpc_tls(&otlp.tls)?) } else { exporter };
    exporter.build().map_err(|error| error.to_string())
}

fn grpc_tls(files: &TlsFiles) -> Result<ClientTlsConfig, String> {
    let tls = match &files.trusted {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(tls::read(path)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    Ok(match &files.identity {
        Some((certificate, key)) => tls.identity(Identity::from_pem(tls::read(certificate)?, tls::read(key)?)),
        None => tls,
    })
}
