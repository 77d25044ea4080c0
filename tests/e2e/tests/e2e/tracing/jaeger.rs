//! A run in Jaeger itself. Its test counts as ignored, since Jaeger takes some minutes to build: `cargo xtask setup --jaeger`.

use super::*;
use faas_flow_test_support::modules::cache;
use serde_json::Value as Json;
use std::process::{Child, Command, Stdio};

/// Jaeger with its agent, in one process that ends with its value.
struct Jaeger {
    child: Child,
    client: reqwest::Client,
    query: String,
    /// Its ports: the agent's, that of the older protocol of its agent, and those for OTLP over HTTP and gRPC.
    compact: u16,
    old_compact: u16,
    http: u16,
    grpc: u16,
}

/// The program that `cargo xtask setup --jaeger` has built.
fn program() -> std::path::PathBuf {
    let tools = include_str!("../../../../../xtask/src/tool.rs");
    let version = tools.split("cmd/all-in-one\", \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let folder = format!("tools/github.com-jaegertracing-jaeger-cmd-all-in-one-{version}");
    let program = cache().join(folder).join("bin/all-in-one");
    assert!(program.exists(), "{} is missing: cargo xtask setup --jaeger", program.display());
    program
}

/// A port that is free for TCP and UDP.
fn free() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::net::UdpSocket::bind(("127.0.0.1", port)).map_or_else(|_| free(), |_| port)
}

impl Jaeger {
    async fn start() -> Self {
        let [query, compact, old_compact, http, grpc] = std::array::from_fn(|_| free());
        let mut command = Command::new(program());
        let at = |port: u16| format!("127.0.0.1:{port}");
        for (option, port) in [
            ("query.http-server.host-port", query),
            ("processor.jaeger-compact.server-host-port", compact),
            ("processor.zipkin-compact.server-host-port", old_compact),
            ("collector.otlp.http.host-port", http),
            ("collector.otlp.grpc.host-port", grpc),
            ("processor.jaeger-binary.server-host-port", free()),
            ("query.grpc-server.host-port", free()),
            ("collector.grpc-server.host-port", free()),
            ("collector.http-server.host-port", free()),
            ("admin.http.host-port", free()),
            ("http-server.host-port", free()),
        ] {
            command.arg(format!("--{option}={}", at(port)));
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let jaeger = Self { child, client, query: format!("http://{}", at(query)), compact, old_compact, http, grpc };
        until("Jaeger starts", async || jaeger.get("/api/services").await.is_some()).await;
        jaeger
    }

    async fn get(&self, path: &str) -> Option<Json> {
        let answer = self.client.get(format!("{}{path}", self.query)).send().await.ok()?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    /// The spans of a trace, once there are as many.
    async fn spans(&self, trace: &str, count: usize) -> Vec<Json> {
        let mut spans = Vec::new();
        until("Jaeger has the spans", async || {
            let found = self.get(&format!("/api/traces/{trace}")).await.unwrap_or_default();
            spans = found["data"][0]["spans"].as_array().cloned().unwrap_or_default();
            spans.len() >= count
        })
        .await;
        spans
    }
}

impl Drop for Jaeger {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tag(span: &Json, key: &str) -> Json {
    let tags = span["tags"].as_array().unwrap();
    tags.iter().find(|tag| tag["key"] == key).map(|tag| tag["value"].clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "Jaeger takes minutes to build: cargo xtask setup --jaeger (CONTRIBUTING.md)"]
async fn jaeger_itself_shows_a_run_whatever_protocol_it_came_with() {
    let (_, functions, _) = world().await;
    let jaeger = Jaeger::start().await;
    for (at, (server, protocol)) in [
        (format!("jaeger-agent://127.0.0.1:{}", jaeger.compact), "http/protobuf"),
        (format!("jaeger-agent://127.0.0.1:{}", jaeger.old_compact), "http/protobuf"),
        (format!("127.0.0.1:{}", jaeger.http), "http/protobuf"),
        (format!("127.0.0.1:{}", jaeger.http), "http/json"),
        (format!("127.0.0.1:{}", jaeger.grpc), "grpc"),
    ]
    .iter()
    .enumerate()
    {
        let trace = format!("0af7651916cd43dd8448eb211c80319{at}");
        let variables =
            [("trace_server", &**server), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
        let host = with_variables("async-chain", &functions, &variables);
        let request = host.request("/function/async-chain", "hi").header("X-Faas-Flow-Wait", "60s");
        let request = request.header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"));
        let answer = host.send(request).await;
        let id = answer.id.clone().unwrap();
        answer.ok();
        let spans = jaeger.spans(&trace, 10).await;
        let named = |name: &str| {
            spans.iter().find(|span| span["operationName"] == name).unwrap_or_else(|| panic!("{name} in {spans:?}"))
        };
        let parent = |span: &Json| span["references"][0]["spanID"].clone();
        let root = named(&id);
        assert_eq!(parent(root), "b7ad6b7169203331", "{server}");
        assert_eq!(tag(root, "faasflow.status"), "succeeded", "{server}");
        for (node, call) in [("n1", "apply func1"), ("n2", "apply func2")] {
            assert_eq!(parent(named(node)), root["spanID"], "{server}");
            assert_eq!(parent(named(call)), named(node)["spanID"], "{server}");
            assert_eq!(tag(named(call), "http.response.status_code"), 200, "{server}");
        }
    }
    assert_eq!(jaeger.get("/api/services").await.unwrap()["data"], serde_json::json!(["async-chain"]));
}
