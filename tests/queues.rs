//! The queue of a local server: whose it is, where it is kept, and what several servers make of one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod harness;
#[path = "../host/store/tests/servers/mod.rs"]
mod servers;

use axum::Router;
use axum::http::StatusCode;
use harness::{Serve, Server, metric, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A step function: it answers once the gate is open, and is busy for as many calls as wanted.
struct Step {
    gate: watch::Sender<bool>,
    busy: AtomicUsize,
    calls: AtomicUsize,
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Step {
    async fn serve() -> (Arc<Self>, String) {
        let (busy, calls, inside, most) = Default::default();
        let step = Arc::new(Self { gate: watch::channel(false).0, busy, calls, inside, most });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
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
        tokio::spawn(async move { axum::serve(listener, router).await });
        (step, url)
    }

    async fn called(&self, times: usize) {
        until("the step function is called", async || self.calls.load(Ordering::SeqCst) >= times).await;
    }
}

fn nats() -> servers::Server {
    servers::Server::start("nats-server", |port, directory| {
        let (port, directory) = (port.to_string(), directory.display().to_string());
        ["-a", "127.0.0.1", "-p", &port, "-js", "-sd", &directory].map(str::to_owned).to_vec()
    })
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
        // Four calls, and that of the run, which came behind them.
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
    let (nats, redis) = (nats(), servers::redis(&[]));
    for queue in ["ce", "pro"] {
        let (step, url) = Step::serve().await;
        let state = format!("redis://127.0.0.1:{}?prefix={queue}:", redis.port());
        let start = || chain(queue, Some(&nats), &url).with("--state", &state).with("--lease", "1s").start();
        let (first, second) = (start(), start());
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(call(&first, "async-chain").await.unwrap());
        }
        let begun = async |server: &Server| metric(server, "faas_flow_runs_begun_total").await;
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
    // The first call keeps the others waiting.
    call(&server, "func2").await;
    step.called(1).await;
    let id = call(&server, "async-chain").await.unwrap();
    server.signal("TERM");
    assert_eq!(server.end(Duration::from_secs(25)).await, Some(0));
    let server = serve().start_in(folder.path());
    step.gate.send_replace(true);
    assert_eq!(server.result_of("async-chain", &id).await.ok(), "you said \"hi\"");
}
