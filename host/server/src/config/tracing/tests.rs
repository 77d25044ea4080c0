use super::*;
use std::time::Duration;

fn settings(variables: &[(&str, &str)]) -> Result<Option<TraceSettings>, Error> {
    let on = [("enable_tracing", "true")];
    trace_settings_of(&Values::of(&[&on, variables].concat()).unwrap(), "flow")
}

fn traced(variables: &[(&str, &str)]) -> TraceSettings {
    settings(variables).unwrap().expect("runs are traced")
}

/// The protocol and the endpoint of OTLP.
fn sent(variables: &[(&str, &str)]) -> (OtlpProtocol, String) {
    match traced(variables).exporter {
        TraceExporter::Otlp(otlp) => (otlp.protocol, otlp.endpoint),
        agent => panic!("spans are sent to {agent:?}"),
    }
}

fn agent_of(variables: &[(&str, &str)]) -> String {
    match traced(variables).exporter {
        TraceExporter::JaegerAgent { host, port } => format!("{host}:{port}"),
        otlp => panic!("spans are sent to {otlp:?}"),
    }
}

const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";

#[test]
fn spans_go_where_otlp_over_http_is() {
    for (variables, url) in [
        (&[][..], "http://127.0.0.1:4318/v1/traces"),
        (&[("trace_server", "collector:4318")], "http://collector:4318/v1/traces"),
        (&[("trace_server", "https://traces.example.com")], "https://traces.example.com/v1/traces"),
        (&[("trace_server", "https://traces.example.com/otlp/v1/traces")], "https://traces.example.com/otlp/v1/traces"),
        (&[("trace_server", "jaeger:14268")], "http://jaeger:4318/v1/traces"),
        (&[("trace_server", "a:4318"), (TRACES, "http://b"), (BASE, "http://c")], "http://a:4318/v1/traces"),
        (&[(TRACES, "http://b"), (BASE, "http://c")], "http://b/"),
        (&[(TRACES, "http://b:4318/x")], "http://b:4318/x"),
        (&[(BASE, "http://c:4318/")], "http://c:4318/v1/traces"),
        (&[(BASE, "https://c/otlp/")], "https://c/otlp/v1/traces"),
        (&[(BASE, "http://c:4317"), (PROTOCOL, "http/protobuf")], "http://c:4317/v1/traces"),
        // For a Jaeger that takes OTLP and no longer has an agent.
        (&[("trace_server", "jaeger:5775"), (EXPORTER, "otlp")], "http://jaeger:4318/v1/traces"),
        (&[("trace_server", "jaeger-agent://jaeger:6831"), (EXPORTER, "OTLP")], "http://jaeger:4318/v1/traces"),
    ] {
        assert_eq!(sent(variables), (OtlpProtocol::HttpProtobuf, url.to_owned()), "{variables:?}");
    }
    assert_eq!(sent(&[(PROTOCOL, "HTTP/JSON")]).0, OtlpProtocol::HttpJson);
}

#[test]
fn spans_go_where_otlp_over_grpc_is() {
    for (variables, url) in [
        (&[(PROTOCOL, "grpc")][..], "http://127.0.0.1:4317/"),
        (&[("trace_server", "jaeger:4317")], "http://jaeger:4317/"),
        (&[(BASE, "http://c:4317/x")], "http://c:4317/"),
        (&[("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"), (PROTOCOL, "http/json"), (BASE, "http://c")], "http://c/"),
        (&[(PROTOCOL, "grpc"), (BASE, "c:4317")], "https://c:4317/"),
        (&[(PROTOCOL, "grpc"), (BASE, "c:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")], "http://c:4317/"),
        (&[(PROTOCOL, "grpc"), (TRACES, "https://c:443")], "https://c/"),
    ] {
        assert_eq!(sent(variables), (OtlpProtocol::Grpc, url.to_owned()), "{variables:?}");
    }
}

#[cfg(feature = "jaeger")]
#[test]
fn spans_go_to_jaegers_agent_if_its_port_or_scheme_is_given() {
    const HOST: &str = "OTEL_EXPORTER_JAEGER_AGENT_HOST";
    const PORT: &str = "OTEL_EXPORTER_JAEGER_AGENT_PORT";
    for (variables, agent) in [
        (&[("trace_server", "jaeger.faasflow:5775")][..], "jaeger.faasflow:5775"),
        (&[("trace_server", "http://jaeger:6831")], "jaeger:6831"),
        (&[("trace_server", "jaeger:6832")], "jaeger:6831"),
        (&[("trace_server", "jaeger-agent://jaeger")], "jaeger:6831"),
        (&[("trace_server", "jaeger-agent://[::1]:7000")], "[::1]:7000"),
        (&[("trace_server", "jaeger:4318"), (EXPORTER, "jaeger")], "jaeger:6831"),
        (&[(EXPORTER, "Jaeger")], "127.0.0.1:6831"),
        (&[(EXPORTER, "jaeger"), (HOST, "a")], "a:6831"),
        (&[("trace_server", "jaeger:6831"), (PORT, "7000")], "127.0.0.1:7000"),
        (&[("trace_server", "jaeger:6831"), (PORT, "7000"), (HOST, "a")], "a:7000"),
    ] {
        assert_eq!(agent_of(variables), agent, "{variables:?}");
    }
}

#[test]
fn runs_are_not_traced_unless_everything_says_so() {
    for variables in [&[("enable_tracing", "false")][..], &[("OTEL_SDK_DISABLED", "True")], &[(EXPORTER, "none")]] {
        assert!(settings(variables).unwrap().is_none(), "{variables:?}");
    }
    assert!(settings(&[("OTEL_SDK_DISABLED", "yes")]).unwrap().is_some());
    assert!(settings(&[(EXPORTER, "console")]).unwrap().is_some());
}

#[test]
fn a_service_has_the_name_and_the_attributes_that_are_given() {
    let of = |variables: &[(&str, &str)]| (traced(variables).service, traced(variables).resource);
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
    assert_eq!(of(&[]), ("flow".to_owned(), vec![]));
    let given = (ATTRIBUTES, "service.name=a,team=x%20y");
    assert_eq!(of(&[given]), ("a".to_owned(), vec![pair("team", "x y")]));
    assert_eq!(of(&[given, ("OTEL_SERVICE_NAME", "b")]).0, "b");
    // What is malformed is left out as a whole.
    assert_eq!(of(&[(ATTRIBUTES, "team=x,nonsense")]), ("flow".to_owned(), vec![]));
}

#[test]
fn samplers_batches_and_limits_are_as_given() {
    const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
    const RATIO: (&str, &str) = ("OTEL_TRACES_SAMPLER_ARG", "0.5");
    for (variables, sampler) in [
        (&[][..], TraceSampler::ParentBased(Sampled::All)),
        (&[(SAMPLER, "always_off")], TraceSampler::Always(Sampled::None)),
        (&[(SAMPLER, "TraceIdRatio"), RATIO], TraceSampler::Always(Sampled::Ratio(0.5))),
        (&[(SAMPLER, "parentbased_traceidratio"), RATIO], TraceSampler::ParentBased(Sampled::Ratio(0.5))),
        (&[(SAMPLER, "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")], TraceSampler::Always(Sampled::Ratio(1.0))),
        (&[(SAMPLER, "xray"), RATIO], TraceSampler::ParentBased(Sampled::All)),
    ] {
        assert_eq!(traced(variables).sampler, sampler, "{variables:?}");
    }
    let defaults = traced(&[]);
    assert_eq!((defaults.batches, defaults.limits), (SpanBatches::default(), SpanLimits::default()));
    let all = traced(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "250"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "9"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "7"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "20"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "3"),
    ]);
    // No more are sent at once than may wait.
    let batches = SpanBatches { queue: 100, size: 100, delay: Duration::from_millis(250), timeout: None };
    let limits = SpanLimits { attributes: 7, value_length: Some(20), links: 3 };
    assert_eq!((all.batches, all.limits), (batches, limits));
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    for name in ["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"] {
        let refused = settings(&[(name, "file.pem")]).unwrap_err();
        assert!(refused.to_string().starts_with(&format!("{name} is of no use without")), "{refused}");
        assert_eq!(refused.code(), faas_flow_core::Code::BAD_CONFIGURATION);
    }
}
