//! How runs are traced, as our own keys and OpenTelemetry's variables say. What our keys say wins.

use super::error::Error;
use super::format::Words;
use super::table::Values;
use faas_flow_replica::traces::{
    Otlp, OtlpCompression, OtlpProtocol, Sampled, SpanBatches, SpanLimits, TlsFiles, TraceExporter, TraceSampler,
    TraceSettings,
};

/// The ports of OTLP over HTTP and over gRPC.
const HTTP: u16 = 4318;
const GRPC: u16 = 4317;
/// The ports of Jaeger's agent for datagrams of compact Thrift: the one of today, and the older one.
const AGENT: u16 = 6831;
const OLD_AGENT: u16 = 5775;
/// The agent's port for binary Thrift. The same agent takes compact Thrift at the other port.
const BINARY_AGENT: u16 = 6832;
/// The port of Jaeger's collector for Thrift over HTTP.
const COLLECTOR: u16 = 14268;
/// Where an agent is if nothing is said.
const LOCAL: &str = "127.0.0.1";
/// The path of traces at a receiver of OTLP over HTTP.
const PATH: &str = "/v1/traces";

/// Whether the program speaks the protocol of Jaeger's agent.
const HAS_JAEGER: bool = cfg!(feature = "jaeger");

/// The server that receives spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TraceServer {
    /// A URL of HTTP, whose port says what is spoken.
    Url(String),
    /// Jaeger's agent.
    JaegerAgent { host: String, port: Option<u16> },
}

/// How spans are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exporter {
    Otlp,
    Jaeger,
    None,
}

/// Which runs are traced, without the ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TracesSampler {
    AlwaysOn,
    AlwaysOff,
    Ratio,
    ParentBasedAlwaysOn,
    ParentBasedAlwaysOff,
    ParentBasedRatio,
}

pub(super) const TRUE_FALSE: Words<bool> = Words::new("true|false", &[("true", true), ("false", false)]);
pub(super) const EXPORTERS: Words<Exporter> = Words::new(
    "EXPORTER",
    if HAS_JAEGER {
        &[("otlp", Exporter::Otlp), ("jaeger", Exporter::Jaeger), ("none", Exporter::None)]
    } else {
        &[("otlp", Exporter::Otlp), ("none", Exporter::None)]
    },
);
pub(super) const PROTOCOLS: Words<OtlpProtocol> = Words::new(
    "PROTOCOL",
    &[
        ("grpc", OtlpProtocol::Grpc),
        ("http/protobuf", OtlpProtocol::HttpProtobuf),
        ("http/json", OtlpProtocol::HttpJson),
    ],
);
pub(super) const COMPRESSIONS: Words<OtlpCompression> =
    Words::new("COMPRESSION", &[("none", OtlpCompression::None), ("gzip", OtlpCompression::Gzip)]);
pub(super) const SAMPLERS: Words<TracesSampler> = Words::new(
    "SAMPLER",
    &[
        ("always_on", TracesSampler::AlwaysOn),
        ("always_off", TracesSampler::AlwaysOff),
        ("traceidratio", TracesSampler::Ratio),
        ("parentbased_always_on", TracesSampler::ParentBasedAlwaysOn),
        ("parentbased_always_off", TracesSampler::ParentBasedAlwaysOff),
        ("parentbased_traceidratio", TracesSampler::ParentBasedRatio),
    ],
);

/// How runs are traced, as those of this service; `None` if they are not.
pub(crate) fn trace_settings_of(values: &Values, service: &str) -> Result<Option<TraceSettings>, Error> {
    if !values.enable_tracing.value || values.otel_sdk_disabled.value {
        return Ok(None);
    }
    let exporter = match (values.otel_traces_exporter.value, agent_meant(values)) {
        (Some(Exporter::None), _) => return Ok(None),
        (Some(Exporter::Jaeger), _) | (None, true) => agent(values),
        (Some(Exporter::Otlp), _) | (None, false) => TraceExporter::Otlp(otlp(values)?),
    };
    let named = |(key, _): &&(String, String)| key == "service.name";
    let said = &values.otel_resource_attributes.value;
    let name = values.otel_service_name.value.as_ref().or(said.iter().find(named).map(|(_, value)| value));
    let queue = values.otel_bsp_max_queue_size.value;
    Ok(Some(TraceSettings {
        service: name.cloned().unwrap_or_else(|| service.to_owned()),
        resource: said.iter().filter(|pair| !named(pair)).cloned().collect(),
        exporter,
        sampler: sampler(values),
        batches: SpanBatches {
            queue,
            size: values.otel_bsp_max_export_batch_size.value.min(queue),
            delay: values.otel_bsp_schedule_delay.value,
            timeout: values.otel_bsp_export_timeout.value,
        },
        limits: SpanLimits {
            attributes: values.otel_attribute_count_limit.value,
            value_length: values.otel_attribute_value_length_limit.value,
            links: values.otel_span_link_count_limit.value,
        },
    }))
}

fn sampler(values: &Values) -> TraceSampler {
    let ratio = Sampled::Ratio(values.otel_traces_sampler_arg.value.unwrap_or(1.0));
    match values.otel_traces_sampler.value {
        TracesSampler::AlwaysOn => TraceSampler::Always(Sampled::All),
        TracesSampler::AlwaysOff => TraceSampler::Always(Sampled::None),
        TracesSampler::Ratio => TraceSampler::Always(ratio),
        TracesSampler::ParentBasedAlwaysOn => TraceSampler::ParentBased(Sampled::All),
        TracesSampler::ParentBasedAlwaysOff => TraceSampler::ParentBased(Sampled::None),
        TracesSampler::ParentBasedRatio => TraceSampler::ParentBased(ratio),
    }
}

/// The server that was given, as a host and a port.
fn given(values: &Values) -> Option<(String, Option<u16>)> {
    if !values.trace_server.is_given() {
        return None;
    }
    match values.trace_server.value.as_ref()? {
        TraceServer::Url(url) => {
            let url = reqwest::Url::parse(url).ok()?;
            Some((url.host_str()?.to_owned(), url.port()))
        }
        TraceServer::JaegerAgent { host, port } => Some((host.clone(), *port)),
    }
}

/// Whether `trace_server` is an agent of Jaeger.
fn agent_meant(values: &Values) -> bool {
    match &values.trace_server.value {
        Some(TraceServer::JaegerAgent { .. }) => true,
        Some(TraceServer::Url(url)) => {
            let port = reqwest::Url::parse(url).ok().and_then(|url| url.port());
            HAS_JAEGER && port.is_some_and(|port| [AGENT, OLD_AGENT, BINARY_AGENT].contains(&port))
        }
        None => false,
    }
}

fn agent(values: &Values) -> TraceExporter {
    // The crate that speaks the protocol reads these variables itself, so that they must win here, too.
    let (host, port) = (&values.jaeger_agent_host.value, values.jaeger_agent_port.value);
    if host.is_some() || port.is_some() {
        let host = host.clone().unwrap_or_else(|| LOCAL.to_owned());
        return TraceExporter::JaegerAgent { host, port: port.unwrap_or(AGENT) };
    }
    let is_agent = matches!(values.trace_server.value, Some(TraceServer::JaegerAgent { .. }));
    let (host, port) = given(values).unwrap_or_else(|| (LOCAL.to_owned(), None));
    let port = port.filter(|port| is_agent || [AGENT, OLD_AGENT].contains(port));
    TraceExporter::JaegerAgent { host, port: port.unwrap_or(AGENT) }
}

/// Which key says where the spans go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    TraceServer,
    Endpoint,
    TracesEndpoint,
}

fn otlp(values: &Values) -> Result<Otlp, Error> {
    let chosen = values.otlp_protocol.value;
    let insecure = values.otlp_insecure.value;
    let of = |text: &str, url: &str| match url.strip_prefix("http://") {
        // With gRPC, an address without a scheme means TLS.
        Some(address) if !text.contains("://") && chosen == Some(OtlpProtocol::Grpc) && !insecure => {
            format!("https://{address}")
        }
        _ => url.to_owned(),
    };
    let (from, key, url) = if let (true, Some(server)) = (values.trace_server.is_given(), &values.trace_server.value) {
        let url = match server {
            TraceServer::Url(url) => url.clone(),
            TraceServer::JaegerAgent { host, .. } => format!("http://{host}:{HTTP}"),
        };
        (From::TraceServer, "trace_server", url)
    } else if let Some(url) = &values.otlp_traces_endpoint.value {
        let url = of(values.otlp_traces_endpoint.text(), url);
        (From::TracesEndpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url)
    } else if let Some(url) = &values.otlp_endpoint.value {
        (From::Endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT", of(values.otlp_endpoint.text(), url))
    } else {
        let port = if chosen == Some(OtlpProtocol::Grpc) { GRPC } else { HTTP };
        (From::TraceServer, "trace_server", format!("http://{LOCAL}:{port}"))
    };
    let bad = |rule: &str| Error::BadValue { name: key.to_owned(), rule: rule.to_owned() };
    let mut url = reqwest::Url::parse(&url).map_err(|_| bad("must be an http or https URL"))?;
    let protocol = match (chosen, url.port()) {
        (Some(protocol), _) => protocol,
        (None, Some(GRPC)) => OtlpProtocol::Grpc,
        (None, _) => OtlpProtocol::HttpProtobuf,
    };
    // Other ports of Jaeger, at which the same host once received spans.
    let other = [AGENT, OLD_AGENT, BINARY_AGENT, COLLECTOR];
    if from == From::TraceServer && url.port().is_some_and(|port| other.contains(&port)) {
        let port = if protocol == OtlpProtocol::Grpc { GRPC } else { HTTP };
        url.set_port(Some(port)).map_err(|()| bad("must have a host"))?;
    }
    match (protocol, from) {
        (OtlpProtocol::Grpc, _) => url.set_path(""),
        (_, From::TraceServer) if url.path() == "/" => url.set_path(PATH),
        (_, From::TraceServer | From::TracesEndpoint) => {}
        (_, From::Endpoint) => {
            let path = format!("{}{PATH}", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
    }
    Ok(Otlp {
        protocol,
        endpoint: url.into(),
        headers: values.otlp_headers.value.clone(),
        timeout: values.otlp_timeout.value,
        compression: values.otlp_compression.value,
        tls: tls(values)?,
    })
}

fn tls(values: &Values) -> Result<TlsFiles, Error> {
    let (certificate, key) = (&values.otlp_client_certificate, &values.otlp_client_key);
    let lacks = |name: &str, other: &str| Error::BadValue {
        name: name.to_owned(),
        rule: format!("is of no use without {other}: set both, or neither"),
    };
    let (of_certificate, of_key) = ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY");
    let identity = match (certificate.value.clone(), key.value.clone()) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => return Err(lacks(of_certificate, of_key)),
        (None, Some(_)) => return Err(lacks(of_key, of_certificate)),
    };
    Ok(TlsFiles { trusted: values.otlp_certificate.value.clone(), identity })
}

#[cfg(test)]
mod tests;
