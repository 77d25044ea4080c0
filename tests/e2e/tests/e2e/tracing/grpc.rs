//! Spans that are sent with OTLP over gRPC.

use super::*;
use faas_flow_test_support::tls::Front;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use std::net::SocketAddr;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::{Request, Response, Status as GrpcStatus};

/// A collector that speaks gRPC, and the headers that it got.
#[derive(Clone)]
struct Collector {
    world: Arc<World>,
    keys: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, GrpcStatus> {
        let header = |name| request.metadata().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
        let key = format!("{} {}", header("api-key"), header("grpc-encoding"));
        self.keys.lock().unwrap().push(key);
        self.world.take(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start(world: &Arc<World>) -> (Self, SocketAddr) {
        let collector = Collector { world: world.clone(), keys: Arc::default() };
        let service = TraceServiceServer::new(collector.clone()).accept_compressed(CompressionEncoding::Gzip);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Routes::new(service).into_axum_router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, address)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_sent_over_grpc() {
    let (world, functions, _) = world().await;
    let (collector, address) = Collector::start(&world).await;
    let server = with_variables(
        "sync-chain",
        &functions,
        &[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &address.to_string()),
            ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=abc%20d"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ],
    );
    let answer = server.post("/", "hi").await;
    let id = answer.id.clone().unwrap();
    answer.ok();
    world.spans(5).await;
    let root = world.span(&id);
    assert_eq!(world.span("apply func1").trace_id, root.trace_id);
    assert_eq!(collector.keys.lock().unwrap()[0], "abc d gzip");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_sent_over_grpc_to_a_server_with_a_certificate_of_its_own() {
    let (world, functions, _) = world().await;
    let (_, address) = Collector::start(&world).await;
    let front = Front::before_http2(address).await;
    let server = with_variables(
        "sync-chain",
        &functions,
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("https://127.0.0.1:{}", front.port)),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &front.authority()),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ],
    );
    server.post("/", "hi").await.ok();
    world.spans(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_server_that_is_away_harms_no_run_and_is_used_when_it_is_back() {
    let (world, functions, _) = world().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let variables = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("trace_server", &*address.to_string()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let server = with_variables("sync-chain", &functions, &variables);
    server.post("/", "hi").await.ok();
    server.until_logged("spans are lost until trace_server accepts them").await;
    let service = TraceServiceServer::new(Collector { world: world.clone(), keys: Arc::default() });
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, Routes::new(service).into_axum_router()).await });
    until("spans come", async || {
        server.post("/", "hi").await.ok();
        !world.spans.lock().unwrap().is_empty()
    })
    .await;
    // The sender counts them when it has the collector's answer, which is after the collector has them.
    until("the spans are counted", async || {
        !server.get("/_/metrics").await.ok().contains("faas_flow_spans_sent_total 0\n")
    })
    .await;
}
