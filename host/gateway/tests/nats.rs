//! Tests of the queue in a real NATS server. Some kill and restart the server or the gateway.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
mod program;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Recorder, send, serve};
use faas_flow_gateway::{Config, Error, Faults, Gateway, Profile, QueueConfig, Retry};
use faas_flow_test_support::servers::{Server, nats};
use http::{HeaderMap, HeaderValue};
use program::Program;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

fn config(server: &Server, profile: Profile) -> Config {
    let queue = QueueConfig::Nats { url: server.url("nats"), stream: "faas-request".into() };
    let retry = Config::new(profile).retry.map(|retry| Retry { initial: Duration::from_millis(20), ..retry });
    Config { queue, retry, ack_wait: Duration::from_secs(2), ..Config::new(profile) }
}

fn gateway(config: Config, function: &Arc<Recorder>) -> Arc<Gateway> {
    let gateway = Gateway::new(config);
    gateway.set("f", function.clone());
    gateway
}

async fn idle(gateway: &Gateway) {
    timeout(LIMIT, gateway.idle()).await.expect("the queue becomes empty in time");
}

/// The bodies of the calls that were completed.
fn done(function: &Recorder) -> BTreeSet<String> {
    function.done.lock().unwrap().clone()
}

#[tokio::test]
async fn calls_keep_all_their_parts_in_the_server() {
    let server = nats();
    let (function, callbacks) = (Recorder::new(), Recorder::new());
    let gateway = gateway(Config { callbacks: callbacks.clone(), ..config(&server, Profile::Ce) }, &function);
    gateway.connect().await.unwrap();
    gateway.start();
    let mut headers = HeaderMap::new();
    headers.insert("x-own", HeaderValue::from_static("1"));
    headers.insert("x-callback-url", HeaderValue::from_static("http://h:81/p?x=1"));
    gateway.enqueue("f", "/a%20b?c=1", headers, Bytes::from_static(b"\xff\x00")).await.unwrap();
    idle(&gateway).await;
    let asked = function.last();
    assert_eq!((asked.uri().to_string().as_str(), asked.body().as_ref()), ("/a%20b?c=1", &b"\xff\x00"[..]));
    assert_eq!(asked.headers()["x-own"], "1");
    assert_eq!(callbacks.last().uri(), "http://h:81/p?x=1");
}

#[tokio::test]
async fn ce_is_serial_and_tries_once() {
    let server = nats();
    let function = Recorder::answering(&[500, 500]);
    let gateway = gateway(config(&server, Profile::Ce), &function);
    gateway.start();
    for body in ["0", "1", "2"] {
        send(&gateway, body).await;
    }
    idle(&gateway).await;
    assert_eq!(function.bodies(), ["0", "1", "2"]);
    assert_eq!(gateway.counters().await.failed, 2);
}

#[tokio::test]
async fn pro_retries_up_to_the_limit() {
    let server = nats();
    let function = Recorder::answering(&[500; 20]);
    let mut config = config(&server, Profile::Pro);
    config.retry = config.retry.map(|retry| Retry { attempts: 3, ..retry });
    let gateway = gateway(config, &function);
    gateway.start();
    send(&gateway, "0").await;
    idle(&gateway).await;
    let counters = gateway.counters().await;
    assert_eq!((counters.delivered, counters.retried, counters.failed), (4, 3, 1));
}

#[tokio::test]
async fn a_call_beyond_the_ack_wait_is_delivered_again() {
    let server = nats();
    let function = Recorder::taking(Duration::from_millis(700));
    let config = Config { ack_wait: Duration::from_millis(500), ..config(&server, Profile::Ce) };
    let gateway = gateway(config, &function);
    gateway.start();
    send(&gateway, "0").await;
    idle(&gateway).await;
    let counters = gateway.counters().await;
    assert!(counters.delivered > 1 && counters.expired > 0, "{counters:?}");
}

#[tokio::test]
async fn a_message_that_is_too_large_for_the_server_is_rejected() {
    let server = nats();
    let gateway = Gateway::new(Config { body_limit: usize::MAX, ..config(&server, Profile::Pro) });
    gateway.enqueue("f", "", HeaderMap::new(), vec![0; 780_000].into()).await.unwrap();
    let refused = gateway.enqueue("f", "", HeaderMap::new(), vec![0; 800_000].into()).await;
    assert!(matches!(refused, Err(Error::Queue(_))), "{refused:?}");
    assert_eq!(gateway.stop(LIMIT).await.queued, 1);
}

#[tokio::test]
async fn without_a_server_calls_and_the_start_fail() {
    let mut server = nats();
    let gateway = Gateway::new(config(&server, Profile::Pro));
    server.kill();
    assert!(matches!(gateway.connect().await, Err(Error::Queue(_))));
    let refused = gateway.enqueue("f", "", HeaderMap::new(), Bytes::new()).await;
    assert_eq!(refused.unwrap_err().code(), faas_flow_core::Code::CALL_UNREACHABLE);
}

#[tokio::test]
async fn messages_are_picked_out_of_order_from_the_server_too() {
    let server = nats();
    let function = Recorder::new();
    let faults = Faults { seed: Some(1), reorder: 5, ..Default::default() };
    let gateway = gateway(Config { faults, inflight: 1, ..config(&server, Profile::Pro) }, &function);
    for body in 0..20 {
        send(&gateway, &body.to_string()).await;
    }
    gateway.start();
    idle(&gateway).await;
    let in_order: Vec<String> = (0..20).map(|body| body.to_string()).collect();
    assert_ne!(function.bodies(), in_order);
    assert_eq!(done(&function), in_order.into_iter().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_call_is_lost_when_the_server_is_killed() {
    let mut server = nats();
    let function = Recorder::taking(Duration::from_millis(5));
    let gateway = gateway(config(&server, Profile::Pro), &function);
    gateway.start();
    let mut accepted = BTreeSet::new();
    for round in 0..3 {
        let calls = (0..100).map(|call| {
            let (gateway, body) = (gateway.clone(), format!("{round}-{call}"));
            tokio::spawn(async move {
                let taken = gateway.enqueue("f", "", HeaderMap::new(), Bytes::from(body.clone())).await;
                taken.is_ok().then_some(body)
            })
        });
        let calls: Vec<_> = calls.collect();
        // Some deliveries, and perhaps confirmations, are in flight at this moment.
        let some = async {
            while done(&function).len() < round * 100 + 20 {
                tokio::task::yield_now().await
            }
        };
        timeout(LIMIT, some).await.unwrap();
        server.kill();
        server.run();
        for call in calls {
            accepted.extend(call.await.unwrap());
        }
    }
    idle(&gateway).await;
    assert!(accepted.len() >= 60, "{}", accepted.len());
    assert_eq!(accepted.difference(&done(&function)).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test]
async fn no_accepted_call_is_lost_when_the_gateway_ends() {
    let server = nats();
    let function = Recorder::taking(Duration::from_millis(100));
    let config = Config { ack_wait: Duration::from_millis(500), ..config(&server, Profile::Pro) };
    let first = gateway(config.clone(), &function);
    first.start();
    for body in 0..40 {
        send(&first, &body.to_string()).await;
    }
    timeout(LIMIT, async {
        while first.counters().await.in_flight == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    first.abort().await;
    drop(first);
    let second = gateway(config, &function);
    second.start();
    idle(&second).await;
    assert_eq!(done(&function).len(), 40);
}

#[tokio::test]
async fn the_program_loses_no_call_when_it_is_killed() {
    let server = nats();
    let function = Recorder::taking(Duration::from_millis(50));
    let local = gateway(Config::new(Profile::Ce), &function);
    let url = format!("f={}/function/f", serve(local.router()).await);
    let nats = server.url("nats");
    let options = ["--profile", "pro", "--nats", &nats, "--ack-wait", "500ms", "--function", &url];
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut program = Program::start(&options).await;
    for body in 0..40 {
        let call = client.post(format!("{}/async-function/f", program.address)).body(body.to_string());
        assert_eq!(call.send().await.unwrap().status(), 202);
    }
    program.kill();
    let program = Program::start(&options).await;
    let empty = async {
        loop {
            let metrics =
                client.get(format!("{}/metrics", program.address)).send().await.unwrap().text().await.unwrap();
            let zero = |name: &str| metrics.lines().any(|line| line == format!("faas_flow_gateway_{name} 0"));
            if zero("queued") && zero("in_flight") && done(&function).len() == 40 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, empty).await.expect("not all calls were made");
    assert!(program.terminate().await.success());
}
