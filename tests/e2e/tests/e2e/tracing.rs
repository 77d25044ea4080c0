//! Traces of runs, as a collector receives them.

mod agent;
mod grpc;
mod jaeger;
mod thrift;
mod variables;
mod waits;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use faas_flow_e2e::command::faas_flow;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double::serve;
use faas_flow_test_support::modules::module;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode as Status};
use prost::Message;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// The calls that functions got, and the spans that a collector got.
#[derive(Default)]
struct World {
    calls: Mutex<Vec<(String, String)>>,
    spans: Mutex<Vec<(String, Span)>>,
}

impl World {
    fn span(&self, name: &str) -> Span {
        self.spans.lock().unwrap().iter().find(|(_, span)| span.name == name).expect(name).1.clone()
    }

    fn take(&self, request: ExportTraceServiceRequest) {
        for spans in request.resource_spans {
            let resource = attributes(&spans.resource.unwrap().attributes);
            for span in spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.spans.lock().unwrap().push((resource["service.name"].clone(), span));
            }
        }
    }

    async fn spans(&self, count: usize) {
        until("the spans come", async || self.spans.lock().unwrap().len() >= count).await;
    }
}

/// A function that answers with its input, and one that also fails.
async fn function(State(world): State<Arc<World>>, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, Bytes) {
    let traceparent = headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    world.calls.lock().unwrap().push((uri.path().to_owned(), traceparent));
    let status = if uri.path() == "/fails" { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    (status, body)
}

async fn collect(State(world): State<Arc<World>>, uri: Uri, headers: HeaderMap, body: Bytes) {
    assert_eq!((uri.path(), &headers["content-type"].to_str().unwrap()), ("/v1/traces", &"application/x-protobuf"));
    world.take(ExportTraceServiceRequest::decode(body).unwrap());
}

fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.clone().and_then(|v| v.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    of.iter().map(|pair| (pair.key.clone(), text(&pair.value))).collect()
}

async fn world() -> (Arc<World>, String, String) {
    let world = Arc::new(World::default());
    let functions = serve(Router::new().fallback(function).with_state(world.clone())).await;
    let collector = serve(Router::new().fallback(collect).with_state(world.clone())).await;
    (world, functions, collector)
}

fn traced(flow: &str, functions: &str, collector: &str) -> Serve {
    let serve = Serve::replica(flow).with("--state", "memory").with("--dispatch", "local").flag("--enable-tracing");
    let serve = serve.with("--trace-server", collector).with("--healthcheck-interval", "0");
    ["func1", "func2", "fake-storage"]
        .iter()
        .fold(serve, |serve, name| serve.function(name, format!("{functions}/{name}")))
}

/// The same flow with its functions, and these variables.
fn with_variables(flow: &str, functions: &str, variables: &[(&str, &str)]) -> Server {
    let serve = Serve::replica(flow).with("--state", "memory").with("--dispatch", "local").flag("--enable-tracing");
    let serve = serve.with("--healthcheck-interval", "0");
    let serve = ["func1", "func2", "fake-storage"]
        .iter()
        .fold(serve, |serve, name| serve.function(name, format!("{functions}/{name}")));
    let folder = tempfile::TempDir::new().unwrap();
    let mut command = serve.command_in(folder.path());
    command.envs(variables.iter().copied());
    let mut server = Server::start(command);
    server.own(folder);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_a_trace_of_its_nodes_and_calls() {
    let (world, functions, collector) = world().await;
    let server = traced("async-chain", &functions, &collector).start();
    let request = server.request("/function/async-chain", "secret data").header("X-Faas-Flow-Label", "order=42, by=me");
    let answer = server.send(request.header("X-Faas-Flow-Wait", "60s")).await;
    let id = answer.id.clone().unwrap();
    answer.ok();
    // One span for the run, the execution of its finally handler, each of three nodes and three calls, and for two handlers.
    world.spans(10).await;
    let root = world.span(&id);
    assert!(root.parent_span_id.is_empty() && root.kind == SpanKind::Server as i32, "{root:?}");
    let said = attributes(&root.attributes);
    assert_eq!(said["faasflow.status"], "succeeded");
    assert_eq!((&*said["faasflow.label.order"], &*said["faasflow.label.by"]), ("42", "me"));
    for (node, call) in [("n1", "apply func1"), ("n2", "apply func2"), ("n3", "apply fake-storage")] {
        let node_span = world.span(node);
        let call_span = world.span(call);
        assert_eq!((&node_span.trace_id, &node_span.parent_span_id), (&root.trace_id, &root.span_id));
        assert_eq!((&call_span.trace_id, &call_span.parent_span_id), (&root.trace_id, &node_span.span_id));
        assert!(node_span.start_time_unix_nano <= call_span.start_time_unix_nano);
        assert!(call_span.start_time_unix_nano <= call_span.end_time_unix_nano);
        assert!(call_span.end_time_unix_nano <= node_span.end_time_unix_nano);
        let said = attributes(&call_span.attributes);
        assert_eq!((&*said["faasflow.node"], &*said["http.response.status_code"]), (node, "200"));
        assert_eq!(attributes(&node_span.attributes)["faasflow.request.id"], id);
    }
    let spans = world.spans.lock().unwrap();
    assert!(spans.iter().all(|(service, _)| service == "async-chain"));
    assert!(!format!("{spans:?}").contains("secret"), "{spans:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_called_in_the_trace_of_the_runs_caller() {
    const CALLERS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (world, functions, collector) = world().await;
    let server = traced("sync-chain", &functions, &collector).start();
    let answer = server.send(server.request("/", "hi").header("traceparent", CALLERS)).await;
    let id = answer.id.clone().unwrap();
    answer.ok();
    world.spans(5).await;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let root = world.span(&id);
    assert_eq!(
        (&*hex(&root.trace_id), &*hex(&root.parent_span_id)),
        ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    );
    for (function, header) in world.calls.lock().unwrap().iter() {
        let span = world.span(&format!("apply {}", function.trim_start_matches('/')));
        assert_eq!(*header, format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", hex(&span.span_id)));
    }
    // A caller that is not sampled is not traced.
    let before = world.spans.lock().unwrap().len();
    let unsampled = CALLERS.replace("-01", "-00");
    server.send(server.request("/", "hi").header("traceparent", unsampled)).await.ok();
    server.send(server.request("/", "hi").header("X-Faas-Flow-Reqid", "last")).await.ok();
    world.spans(before + 5).await;
    assert_eq!(world.spans.lock().unwrap().len(), before + 5);
    assert!(world.calls.lock().unwrap()[2].1.ends_with("-00"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_of_a_caller_is_in_a_span() {
    let (world, functions, collector) = world().await;
    let serve = traced("async-chain", &functions, &collector);
    let server = ["authorization", "cookie", "proxy-authorization"]
        .iter()
        .fold(serve, |serve, name| serve.with("--keep-header", name))
        .start();
    let request = server.request("/?token=hidden-query", "hi").header("X-Faas-Flow-Wait", "60s");
    let request = request.header("Authorization", "Bearer hidden-token").header("Cookie", "session=hidden-cookie");
    let answer = server.send(request.header("Proxy-Authorization", "Basic hidden-password")).await;
    answer.ok();
    world.spans(10).await;
    let spans = world.spans.lock().unwrap();
    assert!(!format!("{spans:?}").contains("hidden"), "{spans:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_and_the_one_that_it_calls_name_each_other() {
    let (world, functions, collector) = world().await;
    let serve = Serve::flows(&["fixture", "sync-chain"]).flag("--enable-tracing").with("--trace-server", &collector);
    let serve =
        ["func1", "func2"].iter().fold(serve, |serve, name| serve.function(name, format!("{functions}/{name}")));
    let server = serve.start();
    let answer = server.result("fixture?case=calls&target=sync-chain", "hi").await;
    let parent = answer.id.clone().unwrap();
    answer.ok();
    let named = |name: &str| world.spans.lock().unwrap().iter().any(|(_, span)| span.name == name);
    until("the call's span comes", async || named(&parent) && named("apply sync-chain")).await;
    let call = world.span("apply sync-chain");
    let child = attributes(&call.attributes)["faasflow.called.request.id"].clone();
    until("the child's span comes", async || named(&child)).await;
    let (parent_root, child_root) = (world.span(&parent), world.span(&child));
    assert_eq!(attributes(&child_root.attributes)["faasflow.parent.request.id"], parent);
    assert_eq!((&child_root.trace_id, &call.trace_id), (&parent_root.trace_id, &parent_root.trace_id));
    assert_eq!(child_root.parent_span_id, call.span_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_marked_with_its_code_and_nothing_else() {
    let (world, functions, collector) = world().await;
    let serve =
        traced("async-chain", &functions, &collector).function("func2", format!("{functions}/fails?token=secret"));
    let server = serve.start();
    let request = server.request("/function/async-chain", "secret data").header("X-Faas-Flow-Label", "order=42, by=me");
    let answer = server.send(request.header("X-Faas-Flow-Wait", "60s")).await;
    let id = answer.id.clone().unwrap();
    answer.failed(502, "FF0207");
    world.spans(7).await;
    for name in [id.as_str(), "n2", "apply func2"] {
        let status = world.span(name).status.unwrap();
        assert_eq!((status.code(), &*status.message), (Status::Error, "FF0207"), "{name}");
    }
    assert_eq!(world.span("n1").status.unwrap_or_default().code(), Status::Unset);
    assert!(!format!("{:?}", world.spans.lock().unwrap()).contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_are_sent_before_a_replica_ends() {
    let (world, functions, collector) = world().await;
    let mut server = traced("sync-chain", &functions, &collector).start();
    server.post("/", "hi").await.ok();
    server.terminate();
    assert_eq!(server.end().await, Some(0));
    assert_eq!(world.spans.lock().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_is_told_of_once_and_harms_no_run() {
    let (world, functions, _) = world().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut server = traced("sync-chain", &functions, &free.to_string()).start();
    for _ in 0..3 {
        server.post("/", "hi").await.ok();
    }
    until("the log says so", async || server.log().contains("spans are lost until trace_server")).await;
    server.terminate();
    assert_eq!(server.end().await, Some(0));
    assert_eq!(server.log().matches("spans are lost").count(), 1, "{}", server.log());
    assert!(world.calls.lock().unwrap().iter().all(|(_, traceparent)| traceparent.starts_with("00-")));
}

#[tokio::test(flavor = "multi_thread")]
async fn tracing_is_off_until_it_is_switched_on() {
    let (world, functions, collector) = world().await;
    let folder = tempfile::TempDir::new().unwrap();
    let mut command = faas_flow(folder.path());
    command.arg("function").arg(format!("sync-chain={}", module("sync-chain").display()));
    command.args(["--listen", "127.0.0.1:0", "--state", "memory", "--healthcheck-interval", "0", "--suppress-lock"]);
    command.args([
        "--function",
        &format!("func1={functions}/func1"),
        "--function",
        &format!("func2={functions}/func2"),
    ]);
    command.env("metrics_port", "0").env("trace_server", collector);
    let mut server = Server::start(command);
    server
        .send(
            server.request("/", "hi").header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        )
        .await
        .ok();
    server.terminate();
    assert_eq!(server.end().await, Some(0));
    assert!(world.spans.lock().unwrap().is_empty());
    // The caller's header is passed on unchanged.
    assert!(world.calls.lock().unwrap().iter().all(|(_, traceparent)| traceparent.ends_with("b7ad6b7169203331-01")));
}

/// CALL-10.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_says_of_its_trace_goes_along_to_calls_and_callbacks() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let seen: Arc<Mutex<Vec<(String, HeaderMap)>>> = Arc::default();
    let noted = seen.clone();
    let router = Router::new().fallback(async move |uri: Uri, headers: HeaderMap| {
        noted.lock().unwrap().push((uri.path().to_owned(), headers));
    });
    let world = serve(router).await;
    let server = Serve::replica("async-chain")
        .with("--state", "memory")
        .with("--gateway", &world)
        .with("--dispatch", "local")
        .with("--callback-host", "127.0.0.1")
        .with("--healthcheck-interval", "0")
        .start();
    let begin = async |parent: &'static str, state: &'static str| {
        seen.lock().unwrap().clear();
        let request = server.request("/", "hi").header("Traceparent", parent).header("Tracestate", state);
        let request = request.header("Baggage", "user=ann, bad key=1").header("Baggage", "tier=2");
        let request = request.header("X-Faas-Flow-Callback-Url", format!("{world}/called-back"));
        assert_eq!(server.send(request).await.status, 202);
        until("the callback comes", async || seen.lock().unwrap().iter().any(|(path, _)| path == "/called-back")).await;
        std::mem::take(&mut *seen.lock().unwrap())
    };
    let header = |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    for (path, headers) in begin(PARENT, "a=1,b=2").await {
        assert_eq!(header(&headers, "traceparent").as_deref(), Some(PARENT), "{path}");
        assert_eq!(header(&headers, "tracestate").as_deref(), Some("a=1,b=2"), "{path}");
        assert_eq!(header(&headers, "baggage").as_deref(), Some("user=ann,tier=2"), "{path}");
    }
    // A state without a parent, and one that is malformed, say nothing.
    for (parent, state) in [("00-1-2-01", "a=1"), (PARENT, "a=1,a=2")] {
        let seen = begin(parent, state).await;
        assert!(seen.len() > 1 && seen.iter().all(|(_, headers)| header(headers, "tracestate").is_none()), "{seen:?}");
    }
}

/// CALL-10.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_part_of_the_trace_of_their_run() {
    let events: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let noted = events.clone();
    let gateway = Router::new().fallback(async move |uri: Uri, headers: HeaderMap| {
        if uri.path().starts_with("/async-function/") {
            noted.lock().unwrap().push(headers);
        }
    });
    let server = Serve::replica("async-chain")
        .with("--state", "memory")
        .with("--gateway", &serve(gateway).await)
        .with("--dispatch", "gateway")
        .with("--healthcheck-interval", "0")
        .start();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = server.request("/", "hi").header("traceparent", parent).header("tracestate", "a=1");
    assert_eq!(server.send(request.header("baggage", "user=ann")).await.status, 202);
    until("an event is sent", async || !events.lock().unwrap().is_empty()).await;
    let event = &events.lock().unwrap()[0];
    let sent = ["traceparent", "tracestate", "baggage"].map(|name| event[name].to_str().unwrap());
    assert_eq!(sent, [parent, "a=1", "user=ann"]);
}
