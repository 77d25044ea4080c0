//! Asynchronous calls: through the queue of a gateway, whose callback is the answer.

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use faas_flow_e2e::command::run;
use faas_flow_e2e::server::{Answer, Serve, Server, metric};
use faas_flow_e2e::wait::until;
use faas_flow_gateway::{Config, Gateway, Profile, Upstream};
use faas_flow_test_support::double;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

const TOKEN: &str = "the token of operators";

/// A function behind the gateway, which answers with its input and this status once the gate is open.
struct Slow {
    gate: watch::Sender<bool>,
    /// Where its answers are sent.
    callbacks: Mutex<Vec<String>>,
    status: StatusCode,
}

async fn slow(status: u16) -> (Arc<Slow>, String) {
    let gate = watch::channel(false).0;
    let slow = Arc::new(Slow { gate, callbacks: Mutex::default(), status: StatusCode::from_u16(status).unwrap() });
    let called = slow.clone();
    let router = Router::new().fallback(move |headers: HeaderMap, body: String| async move {
        let callback = headers["x-callback-url"].to_str().unwrap().to_owned();
        called.callbacks.lock().unwrap().push(callback);
        called.gate.subscribe().wait_for(|open| *open).await.unwrap();
        (called.status, [("content-type", "application/json")], body)
    });
    (slow, double::serve(router).await)
}

/// A deployed flow, the function `slow`, and the gateway before both.
struct World {
    gateway: Arc<Gateway>,
    gateway_url: String,
    slow: Arc<Slow>,
    folder: TempDir,
}

impl World {
    async fn new(status: u16) -> Self {
        let (slow, url) = slow(status).await;
        let gateway = Gateway::new(Config::new(Profile::Ce));
        let gateway_url = double::serve(gateway.router()).await;
        gateway.set("slow", Arc::new(Upstream::new([url.parse().unwrap()])));
        gateway.start();
        let folder = TempDir::new().unwrap();
        std::fs::create_dir_all(folder.path().join("secrets")).unwrap();
        std::fs::write(folder.path().join("secrets/faasflow-hmac-secret"), "the secret of this flow").unwrap();
        std::fs::write(folder.path().join("secrets/faasflow-admin-token"), TOKEN).unwrap();
        Self { gateway, gateway_url, slow, folder }
    }

    /// Starts the flow, in the place of the replica before it.
    fn deploy(&self) -> Server {
        let serve = Serve::replica("fixture").with("--gateway", &self.gateway_url).with("--lease", "1s");
        let serve = serve.with("--state", "sqlite:state.db").with("--data-store", "files:data");
        let serve = serve.with("--secrets", "secrets").with("--response-limit", "1MiB");
        let server = serve.start_in(self.folder.path());
        self.gateway.set("fixture", Arc::new(Upstream::new([server.url("/").parse().unwrap()])));
        server
    }

    /// Begins a run, and waits until its function is called; answers with its id, and where its answer is sent.
    async fn begin(&self, server: &Server, query: &str) -> (String, String) {
        let path = format!("/?case=calls&target=slow&asynchronously=yes&{query}");
        let answer = server.post(&path, "hi").await;
        assert_eq!(answer.status, 202, "{answer:?}");
        until("the function is called", async || !self.callbacks().is_empty()).await;
        (answer.id.unwrap(), self.callbacks()[0].clone())
    }

    fn callbacks(&self) -> Vec<String> {
        self.slow.callbacks.lock().unwrap().clone()
    }

    fn shown(&self, id: &str) -> Value {
        run(self.folder.path(), ["requests", "show", id, "--json", "--state", "sqlite:state.db"]).json()
    }
}

/// Sends an answer to where a function's is sent.
async fn reply(server: &Server, callback: &str, status: u16, body: impl Into<reqwest::Body>) -> Answer {
    let request = server.client.post(callback).header("X-Function-Status", status.to_string());
    server.send(request.body(body)).await
}

/// ASYNC-1, WAIT-2, WAIT-3: nothing holds the node meanwhile, so that it outlives its replica.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_called_asynchronously_answers_whenever_it_is_done() {
    let world = World::new(200).await;
    let server = world.deploy();
    let (id, _) = world.begin(&server, "").await;
    let waits = |shown: &Value| shown["nodes"][0]["waits_for"]["function"]["name"] == "slow";
    until("the node waits", async || waits(&world.shown(&id))).await;
    assert_eq!(world.shown(&id)["nodes"][0]["progress"], "ready");
    server.kill();
    let server = world.deploy();
    world.slow.gate.send_replace(true);
    let answer = server.result_of("fixture", &id).await;
    assert_eq!(answer.ok(), "hi after");
    assert_eq!(metric(&server, "faas_flow_answers_total{end=\"taken\"}").await, 1);
    assert_eq!(world.callbacks().len(), 1, "it is called once");
}

/// ASYNC-1, CALL-1: the status of the function is that of the answer.
#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_the_function_decides_and_a_failure_is_tried_again() {
    let world = World::new(503).await;
    let server = world.deploy();
    world.slow.gate.send_replace(true);
    let (id, _) = world.begin(&server, "tries=2").await;
    let failure = server.result_of("fixture", &id).await.failed(502, "FF0207");
    assert!(failure.contains("`slow` answered with status 503"), "{failure}");
    assert_eq!(world.callbacks().len(), 2);
}

/// ASYNC-1, WAIT-3: what is forged is refused, what comes twice is ignored.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_answer_with_the_right_signature_counts() {
    let world = World::new(200).await;
    let server = world.deploy();
    let (id, callback) = world.begin(&server, "").await;
    let (unsigned, signature) = callback.rsplit_once("&signature=").unwrap();
    reply(&server, unsigned, 200, "forged").await.failed(401, "FF0501");
    for forged in [
        format!("{unsigned}&signature=v2%3D{}", "0".repeat(64)),
        callback.replace("operation=0", "operation=1"),
        callback.replace("node=call", "node=after"),
        format!("{unsigned}&signature={}", signature.replace("v2", "sha256")),
    ] {
        reply(&server, &forged, 200, "forged").await.failed(401, "FF0502");
    }
    reply(&server, &callback, 99, "no status").await.failed(400, "FF0217");
    assert_eq!(reply(&server, &callback, 200, "first").await.status, 202);
    let second = reply(&server, &callback, 200, "second").await;
    assert!(second.ok().starts_with("ignored: "));
    assert_eq!(server.result_of("fixture", &id).await.ok(), "first after");
    world.slow.gate.send_replace(true);
    // That of the function itself comes late.
    until("it is ignored", async || metric(&server, "faas_flow_answers_total{end=\"ignored\"}").await == 2).await;
    assert_eq!(metric(&server, "faas_flow_answers_total{end=\"refused\"}").await, 5);
}

/// WAIT-5.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_after_the_stop_changes_nothing() {
    let world = World::new(200).await;
    let server = world.deploy();
    let (id, callback) = world.begin(&server, "").await;
    let stop = server.request(&format!("/flow/{id}/stop"), "").bearer_auth(TOKEN);
    assert_eq!(server.send(stop).await.status, 200);
    assert!(reply(&server, &callback, 200, "late").await.ok().starts_with("ignored: "));
    server.result_of("fixture", &id).await.failed(409, "FF0211");
    let unknown = callback.replace(&id, "another");
    assert_eq!(reply(&server, &unknown, 200, "").await.status, 401, "the address is signed for its run");
}

/// ASYNC-1: an answer over the limit is not kept, and its node does not wait for it any longer.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_over_the_limit_is_refused_and_fails_its_node() {
    let world = World::new(200).await;
    let server = world.deploy();
    let (id, callback) = world.begin(&server, "").await;
    reply(&server, &callback, 200, vec![b'x'; (1 << 20) + 1]).await.failed(413, "FF0219");
    let failure = server.result_of("fixture", &id).await.failed(502, "FF0219");
    assert!(failure.contains("response_limit"), "{failure}");
}

/// The beginning of what is answered to a request with a body of 1 GiB, and how much of the body was sent by then.
async fn flooded(server: &Server, path: &str, framing: &str, piece: &[u8]) -> (String, usize) {
    let address = server.url("");
    let address = address.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = socket.split();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\n{framing}\r\n\r\n");
    write.write_all(head.as_bytes()).await.unwrap();
    let (mut answer, mut sent) = (Vec::new(), 0);
    while sent < 1 << 30 {
        tokio::select! {
            biased;
            _ = read.read_buf(&mut answer) => break,
            written = write.write_all(piece) => match written {
                Ok(()) => sent += piece.len(),
                Err(_) => {
                    let _ = read.read_buf(&mut answer).await;
                    break;
                }
            },
        }
    }
    (String::from_utf8_lossy(&answer).into_owned(), sent)
}

/// ASYNC-1: what is far too much is refused while it arrives, and takes no memory.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_gib_is_refused_before_it_has_come() {
    const MIB: u64 = 1 << 20;
    let world = World::new(200).await;
    let server = world.deploy();
    let (id, callback) = world.begin(&server, "").await;
    let path = callback.replace(&format!("{}/function/fixture", world.gateway_url), "");
    let peak = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.process())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    };
    let before = peak();
    let text = "x".repeat(64 * 1024);
    let chunk = format!("10000\r\n{text}\r\n");
    for (framing, piece) in [("content-length: 1073741824", &text), ("transfer-encoding: chunked", &chunk)] {
        let (answer, sent) = flooded(&server, &path, framing, piece.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{framing}: {answer}");
        assert!(sent < 64 << 20, "{framing}: {sent} bytes");
    }
    assert!(peak() < before + 64 * MIB, "{} MiB", (peak() - before) / MIB);
    server.result_of("fixture", &id).await.failed(502, "FF0219");
}

/// ASYNC-2, WAIT-4.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_never_answers_fails_its_node_at_its_timeout() {
    let world = World::new(200).await;
    let server = world.deploy();
    let (id, _) = world.begin(&server, "timeout=300").await;
    let failure = server.result_of("fixture", &id).await.failed(504, "FF0253");
    assert!(failure.contains("`slow` did not answer within 300 ms"), "{failure}");
}

#[tokio::test]
async fn without_a_gateway_the_function_is_called_at_once() {
    let server = Serve::flows(&["fixture"]).function("slow", "echo").start();
    let answer = server.result("fixture?case=calls&target=slow&asynchronously=yes", "hi").await;
    assert_eq!(answer.ok(), "hi after");
}
