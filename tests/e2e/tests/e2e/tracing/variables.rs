//! OpenTelemetry's variables: docs/tracing.md says which of them hold.

use super::*;
use async_compression::tokio::bufread::GzipDecoder;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use faas_flow_test_support::tls::Front;
use serde_json::Value as Json;
use std::future::pending;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

/// The requests that a collector got.
#[derive(Clone, Default)]
struct Requests(Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>);

impl Requests {
    /// A collector that answers with this status.
    async fn collector(status: StatusCode) -> (Self, String) {
        let requests = Self::default();
        let got = requests.clone();
        let collect = async move |uri: Uri, headers: HeaderMap, body: Bytes| -> Response {
            got.0.lock().unwrap().push((uri.path().to_owned(), headers, body));
            (status, [("content-type", "application/x-protobuf")], Bytes::new()).into_response()
        };
        let url = serve(Router::new().fallback(post(collect))).await;
        (requests, url)
    }

    /// The first request.
    async fn first(&self) -> (String, HeaderMap, Bytes) {
        until("spans come", async || !self.0.lock().unwrap().is_empty()).await;
        self.0.lock().unwrap()[0].clone()
    }
}

const SOON: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "50");

/// The value of a metric.
async fn metric(server: &Server, name: &str) -> u64 {
    let metrics = server.get("/_/metrics").await.ok();
    let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {metrics}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetrys_variables_say_where_and_how_spans_are_sent() {
    let (_, functions, _) = world().await;
    let (requests, collector) = Requests::collector(StatusCode::OK).await;
    let server = with_variables(
        "sync-chain",
        &functions,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("{collector}/otlp")),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=base"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=abc%20d,team=a"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_SERVICE_NAME", "orders"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=x%20y,service.name=other"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4"),
            SOON,
        ],
    );
    server.post("/", "hi").await.ok();
    let (path, headers, body) = requests.first().await;
    assert_eq!(path, "/otlp/v1/traces");
    let header = |name: &str| headers[name].to_str().unwrap();
    assert_eq!((header("api-key"), header("team"), header("content-encoding")), ("abc d", "a", "gzip"));
    let mut plain = Vec::new();
    GzipDecoder::new(&body[..]).read_to_end(&mut plain).await.unwrap();
    let spans = ExportTraceServiceRequest::decode(&plain[..]).unwrap().resource_spans.remove(0);
    let resource = attributes(&spans.resource.unwrap().attributes);
    assert_eq!((&*resource["service.name"], &*resource["deployment.environment.name"]), ("orders", "x y"));
    assert_eq!(resource["telemetry.sdk.language"], "rust");
    let span = &spans.scope_spans[0].spans[0];
    assert!(attributes(&span.attributes).values().all(|value| value.len() <= 4), "{span:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_sent_as_json() {
    let (_, functions, _) = world().await;
    let (requests, collector) = Requests::collector(StatusCode::OK).await;
    let endpoint = format!("{collector}/as/is");
    let variables =
        [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), SOON];
    let server = with_variables("sync-chain", &functions, &variables);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    server.send(server.request("/", "hi").header("traceparent", parent)).await.ok();
    let (path, headers, body) = requests.first().await;
    assert_eq!((&*path, headers["content-type"].to_str().unwrap()), ("/as/is", "application/json"));
    let sent: Json = serde_json::from_slice(&body).unwrap();
    let span = &sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c", "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_sent_to_a_server_with_a_certificate_of_its_own() {
    let (world, functions, collector) = world().await;
    let front = Front::before(collector.trim_start_matches("http://").parse().unwrap()).await;
    let server = format!("https://127.0.0.1:{}", front.port);
    let authority = front.authority();
    let variables = [("trace_server", &*server), ("OTEL_EXPORTER_OTLP_CERTIFICATE", &authority), SOON];
    let server = with_variables("sync-chain", &functions, &variables);
    server.post("/", "hi").await.ok();
    world.spans(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sampler_decides_which_runs_are_traced() {
    let (world, functions, collector) = world().await;
    let variables = [("trace_server", &*collector), ("OTEL_TRACES_SAMPLER", "parentbased_always_off"), SOON];
    let mut server = with_variables("sync-chain", &functions, &variables);
    server.post("/", "hi").await.ok();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    server.send(server.request("/", "hi").header("traceparent", parent)).await.ok();
    server.terminate();
    assert_eq!(server.end().await, Some(0));
    // Those of the second run, which its caller traces.
    assert_eq!(world.spans.lock().unwrap().len(), 5);
    let calls = world.calls.lock().unwrap();
    assert_eq!(calls.iter().map(|(_, parent)| parent.ends_with("-01")).collect::<Vec<_>>(), [false, false, true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_costs_no_run_anything_and_its_spans_are_counted() {
    let (_, functions, _) = world().await;
    let silent = serve(Router::new().fallback(async || pending::<()>().await)).await;
    let server = with_variables(
        "sync-chain",
        &functions,
        &[
            ("trace_server", &silent),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "60000"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "5"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2"),
            SOON,
        ],
    );
    let begin = Instant::now();
    for _ in 0..10 {
        server.post("/", "hi").await.ok();
    }
    assert!(begin.elapsed() < Duration::from_secs(50), "runs wait for their spans");
    // Of 50 spans, one or two are being sent and five wait.
    let dropped = "faas_flow_spans_dropped_total{reason=\"queue_full\"}";
    until("the spans are counted", async || (43..=44).contains(&metric(&server, dropped).await)).await;
    assert_eq!(metric(&server, "faas_flow_spans_sent_total").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_the_server_refuses_or_does_not_take_in_time_are_counted() {
    let (_, functions, _) = world().await;
    let silent = serve(Router::new().fallback(async || pending::<()>().await)).await;
    let (_, refusing) = Requests::collector(StatusCode::FORBIDDEN).await;
    for (address, reason) in [(silent, "it did not answer within 100 ms"), (refusing, "it answered with status 403")] {
        let variables = [("trace_server", &*address), ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"), SOON];
        let server = with_variables("sync-chain", &functions, &variables);
        server.post("/", "hi").await.ok();
        let dropped = "faas_flow_spans_dropped_total{reason=\"export_failed\"}";
        until("the spans are counted", async || metric(&server, dropped).await == 5).await;
        assert!(server.log().contains(reason), "{}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_values_are_ignored_with_a_warning_where_the_specification_says_so() {
    let (world, functions, collector) = world().await;
    let wrong = [
        ("OTEL_TRACES_EXPORTER", "console", "OTEL_TRACES_EXPORTER must be one of otlp"),
        ("OTEL_TRACES_SAMPLER", "xray", "OTEL_TRACES_SAMPLER must be one of always_on"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many", "OTEL_BSP_MAX_QUEUE_SIZE must be a whole number"),
        ("OTEL_RESOURCE_ATTRIBUTES", "nonsense", "OTEL_RESOURCE_ATTRIBUTES must be attributes"),
        ("OTEL_PROPAGATORS", "b3", "OTEL_PROPAGATORS must list"),
    ];
    let variables = wrong.map(|(name, value, _)| (name, value));
    let server =
        with_variables("sync-chain", &functions, &[&variables[..], &[("trace_server", &collector), SOON]].concat());
    server.post("/", "hi").await.ok();
    world.spans(5).await;
    for (_, _, warning) in wrong {
        assert!(server.log().contains(&format!("warning: {warning}")), "{warning} in {}", server.log());
    }
}

#[test]
fn malformed_addresses_and_headers_are_refused() {
    let folder = tempfile::TempDir::new().unwrap();
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://s3cret@host"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
        ("trace_server", "jaeger-agent://s3cret@host/x"),
    ] {
        let mut command = faas_flow(folder.path());
        command.args(["config"]).env(name, value);
        let done = command.output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.contains(name) && said.contains("FF0409") && !said.contains("s3cret"), "{said}");
    }
    // Headers may be secret.
    let mut command = faas_flow(folder.path());
    command.args(["config"]).env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret");
    let shown = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(shown.contains("OTEL_EXPORTER_OTLP_HEADERS") && !shown.contains("s3cret"), "{shown}");
}
