//! Stores that fail and come back while a function serves: it is not ready as long as commits fail, and then whole again.

use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::proxy::Proxy;
use faas_flow_test_support::redis::Pair;

const FLOW: &str = "sync-chain";
const RESULT: &str = "you said \"hi\"";

fn function(state: &str) -> Server {
    Serve::replica(FLOW).with("--state", state).function("func1", "echo").function("func2", "echo").start()
}

/// Waits until the function says that it is not ready, for a reason with this code.
async fn is_unready(server: &Server, code: &str) {
    until("it is not ready", async || server.get("/_/ready").await.status == 503).await;
    let said = server.get("/_/ready").await.failed(503, code);
    assert!(said.contains("not ready: "), "{said}");
    assert_eq!(server.get("/_/health").await.ok(), "OK", "a restart would not help");
}

async fn is_ready(server: &Server) {
    until("it is ready again", async || server.get("/_/ready").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_ready_while_its_redis_takes_only_reads_and_whole_after_the_failover() {
    let pair = Pair::new();
    let proxy = Proxy::before(pair.servers[0].port()).await;
    let server = function(&format!("redis://127.0.0.1:{}?timeout_ms=500", proxy.port));
    is_ready(&server).await;
    pair.promote(1);
    is_unready(&server, "FF0302").await;
    proxy.lead_to(pair.servers[1].port());
    is_ready(&server).await;
    assert_eq!(server.post("/", "hi").await.ok(), RESULT);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_ready_while_its_redis_hangs() {
    let pair = Pair::new();
    let server = function(&format!("redis://127.0.0.1:{}?timeout_ms=60000", pair.servers[0].port()));
    is_ready(&server).await;
    pair.servers[0].suspend();
    is_unready(&server, "FF0306").await;
    pair.servers[0].resume();
    is_ready(&server).await;
    assert_eq!(server.post("/", "hi").await.ok(), RESULT);
}
