//! Stores that fail and come back while a function serves: it is not ready as long as commits fail, and then whole again.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double::serve;
use faas_flow_test_support::proxy::Proxy;
use faas_flow_test_support::redis::Pair;
use faas_flow_test_support::s3::{self, Fault};
use faas_flow_test_support::servers;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

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

/// What a server of Redis has sent, in bytes.
fn sent(server: &servers::Server) -> u64 {
    let mut connection = redis::Client::open(server.url("redis")).unwrap().get_connection().unwrap();
    let info: String = redis::cmd("INFO").arg("stats").query(&mut connection).unwrap();
    let line = info.lines().find_map(|line| line.trim().strip_prefix("total_net_output_bytes:"));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_at_a_wide_run_reads_none_of_its_payloads() {
    const ITEMS: usize = 60;
    let answer = "x".repeat(20 << 10);
    let steps = serve(Router::new().fallback(async move || answer.clone())).await;
    let redis = servers::redis(&[]);
    let server = Serve::flows(&["fixture"]).with("--state", &redis.url("redis"));
    let server = server.function("step", &steps).start();
    let run = server.result("fixture?case=items", "i".repeat(ITEMS)).await;
    let id = run.id.clone().unwrap();
    assert!(run.ok().len() > ITEMS * (20 << 10));
    let dashboard = format!("/dashboard/runs/{id}");
    let state = format!("/function/fixture/flow/{id}/state");
    let look = async |path: &str, most: u64| {
        let before = sent(&redis);
        server.get(path).await.ok();
        let read = sent(&redis) - before;
        assert!(read < most, "{path} reads {read} bytes of a run with {} of payloads", ITEMS * (20 << 10));
        read
    };
    look(&state, 8 << 10).await;
    let one = look(&dashboard, 200 << 10).await;
    // Those who look at the same time share what is read.
    let before = sent(&redis);
    let looks: Vec<_> = (0..30).map(|_| tokio::spawn(server.client.get(server.url(&dashboard)).send())).collect();
    for look in looks {
        assert_eq!(look.await.unwrap().unwrap().status(), 200);
    }
    let all = sent(&redis) - before;
    assert!(all < 15 * one, "one reads {one} bytes, and thirty {all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_a_wide_run_reads_none_of_its_payloads() {
    const ITEMS: usize = 60;
    let answer = "x".repeat(20 << 10);
    let begun = Arc::new(AtomicUsize::new(0));
    let steps = Router::new().fallback(async move || {
        // The first call hangs, so that the run is under way when it is stopped.
        if begun.fetch_add(1, Ordering::SeqCst) == 0 {
            std::future::pending::<()>().await;
        }
        answer.clone()
    });
    let steps = serve(steps).await;
    let redis = servers::redis(&[]);
    let server = Serve::flows(&["fixture"]).with("--state", &redis.url("redis"));
    let server = server.function("step", &steps).start();
    let run = server.post("/async-function/fixture?case=items", "i".repeat(ITEMS)).await.id.unwrap();
    let path = format!("/function/fixture/flow/{run}");
    until("all other items are done", async || {
        let shown = server.get(&path).await;
        // An asynchronous request is answered before its run is stored.
        if shown.status == 404 {
            return false;
        }
        let shown: serde_json::Value = serde_json::from_str(&shown.ok()).unwrap();
        let nodes = shown["nodes"].as_array().into_iter().flatten();
        nodes.filter(|node| node["path"].as_str().unwrap().starts_with("F[") && node["progress"] == "done").count()
            == ITEMS - 1
    })
    .await;
    let before = sent(&redis);
    server.post(&format!("{path}/stop"), "").await.ok();
    let read = sent(&redis) - before;
    assert!(read < 300 << 10, "a stop reads {read} bytes of a run with {} of payloads", ITEMS * (20 << 10));
}

/// How a data store fails, and the code with which that is reported.
const TROUBLES: [(Trouble, &str); 6] = [
    (Trouble::Down, "FF0306"),
    (Trouble::Fault(Fault::Silence), "FF0306"),
    (Trouble::Fault(Fault::Error(503, "SlowDown")), "FF0306"),
    (Trouble::Fault(Fault::Error(500, "InternalError")), "FF0306"),
    (Trouble::Fault(Fault::Error(507, "QuotaExceeded")), "FF0303"),
    // As after a key has expired, until there is a new one.
    (Trouble::Fault(Fault::Error(403, "InvalidAccessKeyId")), "FF0311"),
];

#[derive(Debug, Clone, Copy)]
enum Trouble {
    Down,
    Fault(Fault),
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_ready_while_its_s3_fails_and_its_runs_are_whole_afterwards() {
    const FLOW: &str = "async-chain";
    let large = |name: &str| format!("{name}{}", "x".repeat(100 << 10));
    let begun = Arc::new(AtomicUsize::new(0));
    let open = watch::Sender::new(true);
    let step = {
        let (begun, open) = (begun.clone(), open.clone());
        Router::new().layer(DefaultBodyLimit::disable()).fallback(async move |body: String| {
            begun.fetch_add(1, Ordering::SeqCst);
            open.subscribe().wait_for(|open| *open).await.unwrap();
            body
        })
    };
    let step = serve(step).await;
    let mut s3 = s3::Server::start().await;
    let data = s3.url("bucket", "&attempts=1&timeout_ms=500");
    let server = Serve::flows(&[FLOW]).with("--state", "sqlite:state.db").with("--data-store", &data);
    let server = server.function("func1", &step).function("func2", "echo").function("fake-storage", "echo").start();
    for (at, (trouble, code)) in TROUBLES.into_iter().enumerate() {
        open.send_replace(false);
        let before = begun.load(Ordering::SeqCst);
        let mut runs = Vec::new();
        for number in 0..2 {
            let body = large(&format!("{at}-{number}"));
            let id = server.post(&format!("/function/{FLOW}"), body.clone()).await.id.unwrap();
            runs.push((id, body));
        }
        until("both runs call", async || begun.load(Ordering::SeqCst) == before + 2).await;
        match trouble {
            Trouble::Down => s3.stop().await,
            Trouble::Fault(fault) => s3.fail_always(Some(fault)),
        }
        open.send_replace(true);
        is_unready(&server, code).await;
        server.post(&format!("/function/{FLOW}"), large("refused")).await.failed(503, code);
        match trouble {
            Trouble::Down => s3.resume().await,
            Trouble::Fault(_) => s3.fail_always(None),
        }
        is_ready(&server).await;
        for (id, body) in runs {
            let result = server.result_of(FLOW, &id).await;
            assert_eq!(result.status, 200, "{trouble:?}: {result:?}");
            assert!(result.body.contains(&body), "{trouble:?}");
        }
        assert_eq!(begun.load(Ordering::SeqCst), before + 2, "{trouble:?}: no call was made again");
    }
}
