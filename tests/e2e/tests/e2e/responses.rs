//! The status and headers with which flows have their callers answered.

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::{double, servers};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// The path of the fixture with this case.
fn path(case: &str) -> String {
    format!("/function/fixture?case={case}")
}

async fn call(server: &Server, case: &str) -> Answer {
    server.send(server.request(&path(case), "in").header("X-Faas-Flow-Wait", "60s")).await
}

async fn state(server: &Server, id: &str) -> Value {
    let request = server.client.get(server.url(&format!("/function/fixture/flow/{id}/state")));
    serde_json::from_str(&server.send(request.header("Accept", "application/json")).await.body).unwrap()
}

/// ANSWER-1, ANSWER-4.
#[tokio::test]
async fn a_flow_chooses_status_and_headers_of_its_result() {
    let server = Serve::flows(&["fixture"]).start();
    let answer = call(&server, "respond&status=201&name=Location&value=/orders/7").await;
    assert_eq!((answer.status, answer.header("location"), &*answer.body), (201, vec!["/orders/7"], "in"));
    assert_eq!((answer.header("x-faas-flow-state"), &answer.code), (vec!["succeeded"], &None));
    let id = answer.id.as_ref().unwrap();
    let later = server.get(&format!("/function/fixture/flow/{id}/result")).await;
    assert_eq!((later.status, later.header("location"), &*later.body), (201, vec!["/orders/7"], "in"));
    let state = state(&server, id).await;
    assert_eq!(state["response"], json!({ "status": 201, "headers": [["location", "/orders/7"]] }));
    assert_eq!(state["state"], "succeeded");
    for status in [404, 503] {
        let answer = call(&server, &format!("respond&status={status}")).await;
        assert_eq!((answer.status, &*answer.body, answer.code), (status, "in", None));
    }
    for status in [204, 304] {
        let answer = call(&server, &format!("respond&status={status}")).await;
        assert_eq!((answer.status, &*answer.body, answer.content_type), (status, "", None));
    }
}

/// ANSWER-2.
#[tokio::test]
async fn the_last_node_that_says_something_about_the_answer_counts() {
    let server = Serve::flows(&["fixture"]).function("step", "echo").start();
    let answer = call(&server, "respond-in-a-chain").await;
    assert_eq!((answer.status, answer.header("x-by")), (201, vec!["third", "third again"]));
}

/// ANSWER-3, ANSWER-4.
#[tokio::test]
async fn a_failure_handler_chooses_status_and_headers_of_what_it_returns() {
    let server = Serve::flows(&["fixture"]).start();
    let answer = call(&server, "respond-to-a-failure").await;
    assert_eq!((answer.status, answer.header("x-by"), &*answer.body), (409, vec!["failure"], "sorry"));
    assert_eq!((answer.header("x-faas-flow-state"), answer.code.as_deref()), (vec!["failed"], Some("FF0012")));
    assert_eq!(answer.content_type.as_deref(), Some("text/plain"));
    until("the log is there", async || server.log().contains("finally may not answer: true")).await;
}

/// ANSWER-5.
#[tokio::test]
async fn what_cannot_be_an_answer_is_refused_with_a_code_and_never_sent() {
    let server = Serve::flows(&["fixture"]).start();
    for (bad, why) in [
        ("status=99", "from 200 to 599"),
        ("status=202", "the run continues"),
        ("status=200&name=a%20b&value=x", "`a b` is not the name"),
        ("status=200&name=x-a&value=b%0d%0ax-c:%20d", "`x-a` contains"),
        ("status=200&name=Content-Length&value=0", "`content-length` is not one"),
        ("status=200&name=x-faas-flow-state&value=failed", "`x-faas-flow-state` is not one"),
        ("status=200&name=content-type&value=a/b", "set-content-type"),
        (&format!("status=200&name=x-a&value={}", "b".repeat(10_000)), "8192 bytes"),
    ] {
        let answer = call(&server, &format!("respond&{bad}")).await;
        assert!(answer.header("x-c").is_empty());
        let said = answer.failed(422, "FF0012");
        assert!(said.contains("FF0231: ") && said.contains(why), "{bad}: {said}");
    }
}

/// ANSWER-4.
#[tokio::test]
async fn a_callback_carries_status_and_headers_of_the_flow() {
    let calls: Arc<Mutex<Vec<(HeaderMap, String)>>> = Arc::default();
    let noted = calls.clone();
    let hook = double::serve(Router::new().fallback(move |headers: HeaderMap, body: String| async move {
        noted.lock().unwrap().push((headers, body));
    }))
    .await;
    let server = Serve::flows(&["fixture"]).with("--callback-host", "127.0.0.1").start();
    for (case, status, name, value, body) in [
        ("respond&status=404&name=x-order&value=7", "404", "x-order", "7", "in"),
        ("respond-to-a-failure", "409", "x-by", "failure", "sorry"),
    ] {
        let request = server.request(&path(case), "in").header("X-Faas-Flow-Callback-Url", &hook);
        server.send(request).await;
        until("the callback comes", async || !calls.lock().unwrap().is_empty()).await;
        let (headers, sent) = calls.lock().unwrap().pop().unwrap();
        let header = |name: &str| headers[name].to_str().unwrap();
        let said = (header("x-faas-flow-response-status"), header(name), &*sent);
        assert_eq!(said, (status, value, body));
    }
    server.send(server.request(&path("typed-json"), "[1]").header("X-Faas-Flow-Callback-Url", &hook)).await;
    until("the callback comes", async || !calls.lock().unwrap().is_empty()).await;
    assert!(!calls.lock().unwrap()[0].0.contains_key("x-faas-flow-response-status"));
}

/// ANSWER-4. As deployed: the answer is asked of another replica than the one on which the run ended, and after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn every_replica_gives_the_answer_of_the_flow_also_after_a_restart() {
    let redis = servers::redis(&[]);
    let state = format!("redis://127.0.0.1:{}", redis.port());
    let replica = || Serve::replica("fixture").with("--state", &state).start();
    let (one, other) = (replica(), replica());
    for (case, status, by) in
        [("respond&status=201&name=x-by&value=n", 201, "n"), ("respond-to-a-failure", 409, "failure")]
    {
        let begun = one.post(&format!("/?case={case}"), "in").await;
        let id = begun.id.unwrap();
        for replica in [&other, &one, &self::replica_again(&state)] {
            let result = format!("/flow/{id}/result");
            let waiting = replica.client.get(replica.url(&result)).header("X-Faas-Flow-Wait", "60s");
            let answer = replica.send(waiting).await;
            assert_eq!((answer.status, answer.header("x-by")), (status, vec![by]));
        }
    }
}

fn replica_again(state: &str) -> Server {
    Serve::replica("fixture").with("--state", state).start()
}

/// ANSWER-6.
#[tokio::test]
async fn a_reject_of_the_request_is_the_caller_s_fault_unless_the_flow_says_otherwise() {
    let server = Serve::flows(&["fixture"]).function("step", "echo").start();
    for (case, status) in [
        ("reject", 422),
        ("reject-in-sub-dag", 422),
        ("reject-in-prepare", 422),
        ("reject-later", 500),
        ("reject-after-call", 500),
        ("reject-in-receive", 500),
        ("reject-with-status&status=404", 404),
        ("reject-with-status&status=409", 409),
    ] {
        let answer = call(&server, case).await;
        let id = answer.id.clone().unwrap();
        assert!(answer.failed(status, "FF0012").contains("not this"), "{case}");
        let later = server.get(&format!("/function/fixture/flow/{id}/result")).await;
        assert!(later.failed(status, "FF0012").contains("not this"), "{case}");
        let said = state(&server, &id).await["failure"]["status"].clone();
        assert_eq!(said, if status == 500 { Value::Null } else { json!(status) }, "{case}");
    }
    for status in [0, 200, 500, 60_000] {
        let said = call(&server, &format!("reject-with-status&status={status}")).await.failed(500, "FF0012");
        assert!(said.contains("not this (FF0231: the status of a reject is from 400 to 499"), "{said}");
    }
    assert_eq!(call(&server, "call").await.status, StatusCode::OK.as_u16());
}
