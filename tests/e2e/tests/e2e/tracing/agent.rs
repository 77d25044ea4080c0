//! Spans that are sent to Jaeger's agent.

use super::thrift::{Span, spans};
use super::*;
use tokio::net::UdpSocket;

/// An agent of Jaeger's that keeps what it gets.
struct Agent {
    port: u16,
    datagrams: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Agent {
    async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let datagrams: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let got = datagrams.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            loop {
                let length = socket.recv(&mut buffer).await.unwrap();
                got.lock().unwrap().push(buffer[..length].to_vec());
            }
        });
        Self { port, datagrams }
    }

    fn spans(&self) -> Vec<Span> {
        self.datagrams.lock().unwrap().iter().flat_map(|datagram| spans(datagram)).collect()
    }

    async fn until(&self, count: usize) -> Vec<Span> {
        until("the spans come", async || self.spans().len() >= count).await;
        self.spans()
    }
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} in {spans:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn jaegers_agent_gets_a_run_in_compact_thrift() {
    let (_, functions, _) = world().await;
    let agent = Agent::start().await;
    let address = format!("jaeger-agent://127.0.0.1:{}", agent.port);
    let server = traced("async-chain", &functions, &address).start();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = server.request("/function/async-chain", "secret data").header("traceparent", parent);
    let answer = server.send(request.header("X-Faas-Flow-Wait", "60s")).await;
    let id = answer.id.clone().unwrap();
    answer.ok();
    let spans = agent.until(10).await;
    assert!(spans.iter().all(|span| span.service == "async-chain" && span.trace == "0af7651916cd43dd8448eb211c80319c"));
    let root = named(&spans, &id);
    assert_eq!(format!("{:016x}", root.parent), "b7ad6b7169203331");
    assert_eq!((&*root.tags["span.kind"], &*root.tags["faasflow.status"]), ("server", "succeeded"));
    assert_eq!((&*root.tags["otel.library.name"], root.tags.contains_key("error")), ("faas-flow", false));
    for (node, call) in [("n1", "apply func1"), ("n2", "apply func2"), ("n3", "apply fake-storage")] {
        let (node, call) = (named(&spans, node), named(&spans, call));
        assert_eq!((node.parent, call.parent), (root.id, node.id));
        assert_eq!((&*call.tags["span.kind"], &*call.tags["http.response.status_code"]), ("client", "200"));
    }
    assert!(!format!("{spans:?}").contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_marked_for_jaegers_agent_too() {
    let (_, functions, _) = world().await;
    let agent = Agent::start().await;
    let serve = traced("async-chain", &functions, &format!("jaeger-agent://127.0.0.1:{}", agent.port));
    let server = serve.function("func2", format!("{functions}/fails")).start();
    let request = server.request("/function/async-chain", "data").header("X-Faas-Flow-Wait", "60s");
    server.send(request).await.failed(502, "FF0207");
    let spans = agent.until(7).await;
    let tags = &named(&spans, "apply func2").tags;
    assert_eq!((&*tags["error"], &*tags["otel.status_description"]), ("true", "FF0207"));
}

/// With attributes of this size, a few spans fill a datagram.
#[tokio::test(flavor = "multi_thread")]
async fn spans_that_do_not_fit_into_a_datagram_are_spread_over_several() {
    let (_, functions, _) = world().await;
    let agent = Agent::start().await;
    let port = agent.port.to_string();
    let attributes = format!("filling={}", "x".repeat(63_500));
    let server = with_variables(
        "sync-chain",
        &functions,
        &[
            ("OTEL_TRACES_EXPORTER", "jaeger"),
            ("OTEL_EXPORTER_JAEGER_AGENT_HOST", "127.0.0.1"),
            ("OTEL_EXPORTER_JAEGER_AGENT_PORT", &port),
            ("OTEL_RESOURCE_ATTRIBUTES", &attributes),
            ("OTEL_BSP_SCHEDULE_DELAY", "500"),
        ],
    );
    server.post("/", "hi").await.ok();
    agent.until(5).await;
    let sizes: Vec<usize> = agent.datagrams.lock().unwrap().iter().map(Vec::len).collect();
    assert!(sizes.len() > 1 && sizes.iter().all(|size| *size <= 65_000), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_are_larger_than_a_datagram_are_counted_and_harm_no_run() {
    let (_, functions, _) = world().await;
    let agent = Agent::start().await;
    let address = format!("jaeger-agent://127.0.0.1:{}", agent.port);
    let attributes = format!("filling={}", "x".repeat(65_000));
    let variables =
        [("trace_server", &*address), ("OTEL_RESOURCE_ATTRIBUTES", &attributes), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let server = with_variables("sync-chain", &functions, &variables);
    server.post("/", "hi").await.ok();
    let line = "faas_flow_spans_dropped_total{reason=\"too_large\"} 5";
    until(line, async || server.get("/_/metrics").await.ok().contains(line)).await;
    assert!(server.log().contains("a span is larger than a datagram may be"), "{}", server.log());
    assert!(agent.spans().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn jaegers_agent_gets_links_as_references() {
    let (_, functions, _) = world().await;
    let agent = Agent::start().await;
    let address = format!("jaeger-agent://127.0.0.1:{}", agent.port);
    let serve = Serve::flows(&["fixture", "sync-chain"]).flag("--enable-tracing").with("--trace-server", &address);
    let serve =
        ["func1", "func2"].iter().fold(serve, |serve, name| serve.function(name, format!("{functions}/{name}")));
    let server = serve.start();
    let parent = server.result("fixture?case=calls&target=sync-chain", "hi").await.id.unwrap();
    until("the spans come", async || {
        let spans = agent.spans();
        ["answer sync-chain", "apply sync-chain", &parent]
            .iter()
            .all(|name| spans.iter().any(|span| span.name == *name))
    })
    .await;
    let spans = agent.spans();
    let call = named(&spans, "apply sync-chain");
    assert_eq!(named(&spans, "answer sync-chain").references, [call.id]);
    assert_eq!(named(&spans, &call.tags["faasflow.called.request.id"]).references, [named(&spans, &parent).id]);
}
