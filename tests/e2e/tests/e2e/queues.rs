//! The queue of a local server: it behaves like that of either OpenFaaS edition, and NATS can hold it for several
//! servers.

use axum::Router;
use axum::http::StatusCode;
use faas_flow_e2e::server::{Serve, Server, metric};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use faas_flow_test_support::servers::{self, nats};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// A step function: it answers once the gate is open, to the first calls with 503 if a test wants that.
#[derive(Default)]
struct Step {
    gate: watch::Sender<bool>,
    busy: AtomicUsize,
    calls: AtomicUsize,
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Step {
    async fn serve() -> (Arc<Self>, String) {
        let step = Arc::new(Self::default());
        let called = step.clone();
        let router = Router::new().fallback(move |body: String| async move {
            called.calls.fetch_add(1, Ordering::SeqCst);
            let inside = called.inside.fetch_add(1, Ordering::SeqCst) + 1;
            called.most.fetch_max(inside, Ordering::SeqCst);
            called.gate.subscribe().wait_for(|open| *open).await.unwrap();
            called.inside.fetch_sub(1, Ordering::SeqCst);
            let less = |busy: usize| busy.checked_sub(1);
            match called.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
                Ok(_) => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
                Err(_) => (StatusCode::OK, body),
            }
        });
        let url = double::serve(router).await;
        (step, url)
    }

    async fn called(&self, times: usize) {
        until("the step function is called", async || self.calls.load(Ordering::SeqCst) >= times).await;
    }
}

fn chain(queue: &str, nats: Option<&servers::Server>, step: &str) -> Serve {
    let serve = Serve::flows(&["async-chain"]).with("--queue", queue);
    let serve = serve.function("func1", "echo").function("func2", step).function("fake-storage", "echo");
    match nats {
        Some(nats) => serve.with("--nats", &format!("nats://127.0.0.1:{}", nats.port())),
        None => serve,
    }
}

async fn call(server: &Server, name: &str) -> Option<String> {
    let answer = server.post(&format!("/async-function/{name}"), "hi").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_community_editions_makes_one_call_at_a_time_and_never_again() {
    let nats = nats();
    for nats in [None, Some(&nats)] {
        let (step, url) = Step::serve().await;
        let server = chain("ce", nats, &url).start();
        step.busy.store(1, Ordering::SeqCst);
        for _ in 0..4 {
            call(&server, "func2").await;
        }
        step.called(1).await;
        step.gate.send_replace(true);
        step.called(4).await;
        let id = call(&server, "async-chain").await.unwrap();
        assert_eq!(server.result_of("async-chain", &id).await.ok(), "you said \"hi\"");
        // Four calls, and the one that the run made after them.
        assert_eq!(step.calls.load(Ordering::SeqCst), 5, "what failed was called again");
        assert_eq!(step.most.load(Ordering::SeqCst), 1);
        let large = server.post("/async-function/async-chain", vec![b'x'; 256_001]).await;
        assert!(large.body.contains("256000"), "{large:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pros_makes_several_calls_at_a_time_and_again_what_failed() {
    let nats = nats();
    for nats in [None, Some(&nats)] {
        let (step, url) = Step::serve().await;
        let server = chain("pro", nats, &url).start();
        step.busy.store(1, Ordering::SeqCst);
        for _ in 0..4 {
            call(&server, "func2").await;
        }
        until("all are called", async || step.inside.load(Ordering::SeqCst) == 4).await;
        step.gate.send_replace(true);
        step.called(5).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_share_a_queue_and_the_runs_in_it_survive_each_of_them() {
    let nats = nats();
    let redis = servers::redis(&[]);
    for queue in ["ce", "pro"] {
        let (step, url) = Step::serve().await;
        let state = format!("redis://127.0.0.1:{}?prefix={queue}:", redis.port());
        let start = || chain(queue, Some(&nats), &url).with("--state", &state).with("--lease", "1s").start();
        let first = start();
        let second = start();
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(call(&first, "async-chain").await.unwrap());
        }
        let begun = async |server: &Server| metric(server, "faas_flow_runs_started_total").await;
        until("all begin", async || begun(&first).await + begun(&second).await == 20).await;
        assert!(begun(&second).await > 0, "{queue}: all were taken by the first");
        first.kill();
        step.gate.send_replace(true);
        for id in &ids {
            assert_eq!(second.result_of("async-chain", id).await.ok(), "you said \"hi\"", "{queue}: {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_nats_outlives_the_server() {
    let nats = nats();
    let folder = tempfile::tempdir().unwrap();
    let (step, url) = Step::serve().await;
    let serve = || chain("ce", Some(&nats), &url);
    let mut server = serve().start_in(folder.path());
    // The first call holds up the others.
    call(&server, "func2").await;
    step.called(1).await;
    let id = call(&server, "async-chain").await.unwrap();
    server.terminate();
    assert_eq!(server.end().await, Some(0));
    let server = serve().start_in(folder.path());
    step.gate.send_replace(true);
    assert_eq!(server.result_of("async-chain", &id).await.ok(), "you said \"hi\"");
}
