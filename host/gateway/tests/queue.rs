//! Tests of the queue-worker in each profile, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Recorder, send};
use faas_flow_gateway::{Config, Counters, Error, Faults, Gateway, Profile, Retry, Stopped, Unreachable};
use http::{HeaderMap, HeaderValue, Request, Response};

fn gateway(config: Config, function: &Arc<Recorder>) -> Arc<Gateway> {
    let gateway = Gateway::new(config);
    gateway.set("f", function.clone());
    gateway
}

async fn run(config: Config, function: &Arc<Recorder>, messages: u32) -> Counters {
    let gateway = gateway(config, function);
    gateway.start();
    for message in 0..messages {
        send(&gateway, &message.to_string()).await;
    }
    gateway.idle().await;
    gateway.counters().await
}

#[tokio::test(start_paused = true)]
async fn ce_makes_one_call_at_a_time_in_order() {
    let function = Recorder::taking(Duration::from_secs(5));
    let counters = run(Config::new(Profile::Ce), &function, 3).await;
    assert_eq!(function.times(), [0, 5, 10]);
    assert_eq!(function.bodies(), ["0", "1", "2"]);
    assert_eq!(counters, Counters { accepted: 3, delivered: 3, ..Default::default() });
}

#[tokio::test(start_paused = true)]
async fn ce_makes_each_call_once_whatever_the_outcome() {
    let function = Recorder::answering(&[500, 429]);
    function.answer(Err(Unreachable("it is down".into())));
    let counters = run(Config::new(Profile::Ce), &function, 3).await;
    assert_eq!(function.bodies(), ["0", "1", "2"]);
    assert_eq!(counters, Counters { accepted: 3, delivered: 3, failed: 3, ..Default::default() });
}

#[tokio::test(start_paused = true)]
async fn a_call_of_an_unknown_function_is_accepted_and_lost() {
    for profile in [Profile::Ce, Profile::Pro] {
        let gateway = Gateway::new(Config { retry: None, ..Config::new(profile) });
        gateway.start();
        gateway.enqueue("nobody", "", HeaderMap::new(), Bytes::new()).await.unwrap();
        gateway.idle().await;
        let expected = Counters { accepted: 1, delivered: 1, failed: 1, ..Default::default() };
        assert_eq!(gateway.counters().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn pro_makes_ten_calls_at_a_time() {
    let function = Recorder::taking(Duration::from_secs(5));
    run(Config::new(Profile::Pro), &function, 11).await;
    assert_eq!(function.times(), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
}

#[tokio::test(start_paused = true)]
async fn pro_retries_with_doubling_delays_up_to_the_longest() {
    let function = Recorder::answering(&[500, 502, 503, 504, 408, 429]);
    let counters = run(Config::new(Profile::Pro), &function, 1).await;
    assert_eq!(function.times(), [0, 10, 30, 70, 150, 270, 390]);
    assert_eq!(counters, Counters { accepted: 1, delivered: 7, retried: 6, ..Default::default() });
}

#[tokio::test(start_paused = true)]
async fn pro_gives_up_a_call_after_ten_retries() {
    let function = Recorder::answering(&[500; 20]);
    let counters = run(Config::new(Profile::Pro), &function, 1).await;
    assert_eq!(counters, Counters { accepted: 1, delivered: 11, retried: 10, failed: 1, ..Default::default() });
}

#[tokio::test(start_paused = true)]
async fn pro_retries_an_unreachable_function_but_not_a_client_error() {
    let function = Recorder::answering(&[400]);
    function.answer(Err(Unreachable("it is down".into())));
    let counters = run(Config::new(Profile::Pro), &function, 1).await;
    assert_eq!(function.times(), [0, 10]);
    assert_eq!(counters, Counters { accepted: 1, delivered: 2, retried: 1, failed: 1, ..Default::default() });
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_for_its_retry_blocks_no_other() {
    let function = Recorder::answering(&[500]);
    run(Config { inflight: 1, ..Config::new(Profile::Pro) }, &function, 3).await;
    assert_eq!(function.bodies(), ["0", "1", "2", "0"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_ack_wait_is_delivered_again_beside_the_first() {
    for profile in [Profile::Ce, Profile::Pro] {
        let function = Recorder::taking(Duration::from_secs(50));
        let config = Config { ack_wait: Duration::from_secs(20), ..Config::new(profile) };
        let counters = run(config, &function, 1).await;
        assert_eq!(function.times(), [0, 20, 40], "{profile:?}");
        assert_eq!(counters, Counters { accepted: 1, delivered: 3, expired: 3, ..Default::default() });
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_that_takes_too_long_counts_as_failed() {
    let function = Recorder::taking(Duration::from_secs(61));
    let config = Config { ack_wait: Duration::from_secs(300), ..Config::new(Profile::Ce) };
    let counters = run(config, &function, 1).await;
    assert_eq!(counters, Counters { accepted: 1, delivered: 1, failed: 1, ..Default::default() });
}

#[tokio::test(start_paused = true)]
async fn the_outcome_is_posted_to_the_callback_url_once() {
    for (profile, retries) in [(Profile::Ce, 0), (Profile::Pro, 1)] {
        let (function, callbacks) = (Recorder::answering(&[]), Recorder::new());
        let answer = Response::builder().status(500).header("x-own", "1").body(Bytes::from("sorry")).unwrap();
        function.answer(Ok(answer.clone()));
        function.answer(Ok(answer));
        let retry = Some(Retry { attempts: 1, ..Default::default() }).filter(|_| profile == Profile::Pro);
        let config = Config { callbacks: callbacks.clone(), retry, ..Config::new(profile) };
        let gateway = gateway(config, &function);
        gateway.start();
        let mut headers = HeaderMap::new();
        headers.insert("x-callback-url", HeaderValue::from_static("http://h:81/p?x=1"));
        let accepted = gateway.enqueue("f", "", headers, Bytes::new()).await.unwrap();
        gateway.idle().await;

        assert_eq!(callbacks.bodies(), ["sorry"]);
        let posted = callbacks.last();
        assert_eq!((posted.method().as_str(), posted.uri().to_string().as_str()), ("POST", "http://h:81/p?x=1"));
        assert_eq!(posted.headers()["x-call-id"], accepted.call_id);
        assert_eq!(posted.headers()["x-function-name"], "f");
        assert_eq!(posted.headers()["x-function-status"], "500");
        assert_eq!(posted.headers()["x-duration-seconds"], "0.000000");
        assert_eq!(posted.headers()["x-own"], "1");
        // The function sees it too.
        assert_eq!(function.last().headers()["x-callback-url"], "http://h:81/p?x=1");
        let counters = gateway.counters().await;
        assert_eq!((counters.callbacks, counters.callback_failures, counters.retried), (1, 0, retries));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_callback_is_not_retried() {
    let callbacks = Recorder::answering(&[503]);
    callbacks.answer(Err(Unreachable("it is down".into())));
    let gateway = gateway(Config { callbacks: callbacks.clone(), ..Config::new(Profile::Pro) }, &Recorder::new());
    gateway.start();
    for _ in 0..2 {
        let mut headers = HeaderMap::new();
        headers.insert("x-callback-url", HeaderValue::from_static("http://h/"));
        gateway.enqueue("f", "", headers, Bytes::new()).await.unwrap();
    }
    gateway.idle().await;
    let counters = gateway.counters().await;
    assert_eq!((counters.callbacks, counters.callback_failures, counters.failed), (0, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_path_is_not_escaped_again_and_a_malformed_one_is_lost() {
    let function = Recorder::new();
    let gateway = gateway(Config::new(Profile::Ce), &function);
    gateway.start();
    for rest in ["/a%20b%3Fc?d=1", "/100%25", ""] {
        gateway.enqueue("f", rest, HeaderMap::new(), Bytes::new()).await.unwrap();
    }
    gateway.idle().await;
    let asked: Vec<String> = function.asked.lock().unwrap().iter().map(|(_, asked)| asked.uri().to_string()).collect();
    assert_eq!(asked, ["/a%20b?c?d=1", "/"]);
    assert_eq!(gateway.counters().await.failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_queued_call_looks_like_one_of_the_queue_worker() {
    let function = Recorder::new();
    let gateway = gateway(Config::new(Profile::Ce), &function);
    gateway.start();
    let mut headers = HeaderMap::new();
    for (name, value) in [("x-call-id", "mine"), ("user-agent", "curl"), ("host", "me:1"), ("content-length", "2")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    gateway.enqueue("f.openfaas-fn", "/x?y", headers, Bytes::from("hi")).await.unwrap();
    gateway.idle().await;
    let asked = function.last();
    assert_eq!((asked.method().as_str(), asked.uri().to_string().as_str()), ("POST", "/x?y"));
    assert_eq!(asked.headers()["x-call-id"], "mine");
    assert_eq!(asked.headers()["user-agent"], "openfaas-ce/nats-queue-worker");
    assert_eq!(asked.headers()["x-forwarded-host"], "gateway.openfaas:8080");
    assert_eq!(asked.headers().get_all("x-start-time").iter().count(), 2);
    assert!(!asked.headers().contains_key("host") && !asked.headers().contains_key("content-length"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_queued_is_rejected_with_a_reason() {
    let gateway = Gateway::new(Config::new(Profile::Ce));
    gateway.enqueue("f", "", HeaderMap::new(), vec![0; 256_000].into()).await.unwrap();
    let large = gateway.enqueue("f", "", HeaderMap::new(), vec![0; 256_001].into()).await;
    assert_eq!(large, Err(Error::BodyTooLarge { function: "f".into(), size: 256_001, limit: 256_000 }));
    let mut headers = HeaderMap::new();
    headers.insert("x-callback-url", HeaderValue::from_static("://nowhere"));
    let malformed = gateway.enqueue("f", "", headers, Bytes::new()).await.unwrap_err();
    assert_eq!(malformed.code(), faas_flow_core::Code::BAD_REQUEST);
    let counters = gateway.counters().await;
    assert_eq!((counters.accepted, counters.refused, counters.queued), (1, 2, 1));
}

/// The result of a run with these faults: the bodies with their times, and the counters.
async fn faulty(faults: Faults) -> (Vec<(u64, String)>, Counters) {
    let function = Recorder::taking(Duration::from_millis(700));
    let config = Config { faults, ack_wait: Duration::from_secs(20), ..Config::new(Profile::Pro) };
    let counters = run(config, &function, 300).await;
    (function.times().into_iter().zip(function.bodies()).collect(), counters)
}

fn all_faults(seed: u64) -> Faults {
    Faults { seed: Some(seed), drop: 0.1, duplicate: 0.1, delay: (0.1, Duration::from_secs(30)), reorder: 5 }
}

#[tokio::test(start_paused = true)]
async fn faults_are_reproducible_by_their_seed() {
    let (first, counters) = faulty(all_faults(7)).await;
    assert_eq!(faulty(all_faults(7)).await, (first.clone(), counters));
    assert_ne!(faulty(all_faults(8)).await.0, first);
    // About a tenth each. A delayed message is delivered again and may have another fault then.
    for struck in [counters.dropped, counters.duplicated, counters.delayed, counters.expired] {
        assert!((15..60).contains(&struck), "{counters:?}");
    }
    let delivered = 300 + counters.duplicated + counters.expired - counters.dropped;
    assert!(counters.delivered <= delivered && counters.delivered > delivered - 10, "{counters:?}");
}

#[tokio::test(start_paused = true)]
async fn dropped_messages_are_lost_and_nothing_else_is() {
    let (asked, counters) = faulty(Faults { seed: Some(1), drop: 0.5, ..Default::default() }).await;
    assert_eq!(counters.dropped + asked.len() as u64, 300);
    assert!((100..200).contains(&counters.dropped));
}

#[tokio::test(start_paused = true)]
async fn duplicates_are_delivered_twice() {
    let (asked, counters) = faulty(Faults { seed: Some(1), duplicate: 1.0, ..Default::default() }).await;
    assert_eq!((asked.len(), counters.duplicated), (600, 300));
}

#[tokio::test(start_paused = true)]
async fn reordering_stays_within_its_window_at_each_step() {
    let (asked, _) = faulty(Faults { seed: Some(1), reorder: 4, ..Default::default() }).await;
    let order: Vec<usize> = asked.into_iter().map(|(_, body)| body.parse().unwrap()).collect();
    assert_ne!(order, (0..300).collect::<Vec<_>>());
    assert!(order.iter().enumerate().all(|(at, message)| *message < at + 4), "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_calls_in_flight_and_returns_what_is_left() {
    let function = Recorder::taking(Duration::from_secs(5));
    let gateway = gateway(Config::new(Profile::Ce), &function);
    gateway.start();
    for body in ["0", "1", "2"] {
        send(&gateway, body).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(gateway.stop(Duration::from_secs(10)).await, Stopped { cut_off: 0, queued: 2 });
    gateway.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(gateway.stop(Duration::from_secs(1)).await, Stopped { cut_off: 1, queued: 2 });
    gateway.start();
    gateway.idle().await;
    assert_eq!(function.bodies(), ["0", "1", "1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn deliveries_of_an_aborted_worker_are_repeated_by_the_next() {
    let function = Recorder::taking(Duration::from_secs(5));
    let gateway = gateway(Config::new(Profile::Pro), &function);
    gateway.start();
    send(&gateway, "0").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    gateway.abort().await;
    assert_eq!(gateway.counters().await.in_flight, 0);
    gateway.start();
    gateway.idle().await;
    assert_eq!(function.times(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_synchronous_call_needs_no_connection() {
    let function = Recorder::new();
    let gateway = gateway(Config::new(Profile::Ce), &function);
    let request = || Request::put("/x?y=1").body(Bytes::from("hi")).unwrap();
    let response = gateway.call("f", request()).await;
    assert_eq!((response.status().as_u16(), response.body()), (200, &Bytes::from("hi")));
    assert_eq!(function.last().uri(), "/x?y=1");
    assert_eq!(gateway.call("nobody", request()).await.status(), 503);
}

#[tokio::test(start_paused = true)]
async fn functions_can_be_replaced_and_removed() {
    let (old, new) = (Recorder::new(), Recorder::new());
    let gateway = gateway(Config::new(Profile::Ce), &old);
    gateway.set("f", new.clone());
    gateway.start();
    send(&gateway, "0").await;
    gateway.idle().await;
    assert_eq!((old.bodies().len(), new.bodies().len()), (0, 1));
    assert!(gateway.remove("f").is_some_and(|function| function.replicas() == 1));
    assert!(gateway.functions().is_empty());
}
