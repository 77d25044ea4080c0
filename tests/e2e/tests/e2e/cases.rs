//! Every way in which a flow can behave. The module `fixture` defines a different flow for each `?case=`.

mod branches;
mod guests;
mod retries;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::AppendHeaders;
use faas_flow_e2e::command::{Done, run, script};
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn fixture() -> Server {
    Serve::flows(&["fixture"]).function("step", "echo").start()
}

/// A server that gives guest code little time.
fn hasty() -> Server {
    Serve::flows(&["fixture"]).function("step", "echo").with("--guest-timeout", "1s").start()
}

async fn answer(server: &Server, case: &str) -> Answer {
    server.result(&format!("fixture?case={case}"), "in").await
}

async fn gives(case: &str, result: &str) {
    assert_eq!(answer(&fixture(), case).await.ok(), result, "{case}");
}

/// The run must end with this code at this node, and its caller reads all of these parts.
async fn fails(server: &Server, case: &str, (status, code): (u16, &str), node: &str, says: &[&str]) {
    let answer = answer(server, case).await;
    let id = answer.id.clone().expect("a request id");
    let body = answer.failed(status, code);
    for part in says {
        assert!(body.contains(part), "{case}: `{body}` does not say `{part}`");
    }
    let shown = server.shown(&id);
    assert_eq!((shown["status"].as_str(), shown["failure"]["code"].as_str()), (Some("failed"), Some(code)), "{case}");
    let failed = shown["nodes"].as_array().unwrap().iter().find(|node| node["progress"] == "failed");
    assert_eq!(failed.expect("a node failed")["path"], node, "{case}");
}

/// A function at a URL. Its answer depends on the number of earlier calls.
struct Step {
    url: String,
    calls: Arc<AtomicUsize>,
    /// The idempotency keys of the calls.
    seen: Arc<std::sync::Mutex<Vec<String>>>,
    /// The bodies of the calls.
    bodies: Arc<std::sync::Mutex<Vec<String>>>,
}

/// An answer that comes with `Retry-After: 2`.
const LATER: &str = "later";

async fn step(answer: fn(usize) -> (u16, &'static str)) -> Step {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let counter = calls.clone();
    let (keys, bodies) = (seen.clone(), Arc::new(std::sync::Mutex::new(Vec::new())));
    let said = bodies.clone();
    let router = Router::new().fallback(move |headers: HeaderMap, body: String| async move {
        let header = |name| headers.get(name).unwrap().to_str().unwrap().to_owned();
        let key = header("x-faas-flow-idempotency-key");
        assert!(key.starts_with(&format!("{}/", header("x-faas-flow-reqid"))), "{key}");
        keys.lock().unwrap().push(key);
        said.lock().unwrap().push(body);
        let (status, body) = answer(counter.fetch_add(1, Ordering::SeqCst));
        let later = (body == LATER).then_some(("retry-after", "2"));
        (StatusCode::from_u16(status).unwrap(), AppendHeaders(later), body)
    });
    let url = double::serve(router).await;
    Step { url, calls, seen, bodies }
}

fn with(step: &Step) -> Server {
    Serve::flows(&["fixture"]).function("step", &step.url).start()
}

/// CALL-8.
#[tokio::test]
async fn a_function_leads_to_no_other_server() {
    let elsewhere = step(|_| (200, "from elsewhere")).await;
    let url = elsewhere.url.clone();
    let moved = Router::new().fallback(move || async move { (StatusCode::FOUND, [("location", url)], "moved") });
    let server = Serve::flows(&["fixture"]).function("step", double::serve(moved).await).start();
    fails(&server, "call", (502, "FF0240"), "n", &["302", &elsewhere.url]).await;
    assert_eq!(elsewhere.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_failure_in_a_chain_ends_it() {
    let wrong = step(|_| (400, "no")).await;
    fails(&with(&wrong), "call-in-a-chain", (502, "FF0207"), "n", &["`step`"]).await;
    let none = Serve::flows(&["fixture"]).start();
    fails(&none, "call-in-a-chain", (502, "FF0205"), "n", &["`step`"]).await;
}

/// FAIL-9: the lease has no say in it, and neither has a pause.
#[tokio::test]
async fn a_run_fails_at_its_deadline_and_not_at_the_next_look() {
    let folder = TempDir::new().unwrap();
    let server = Serve::flows(&["fixture"]).with("--lease", "10m");
    let server = server
        .function("step", script(folder.path(), "long.sh", "exec sleep 30"))
        .function("slow", script(folder.path(), "slow.sh", "sleep 0.5"))
        .start();
    // Alone, in a row, and after it was paused.
    answer(&server, "deadline").await.failed(504, "FF0210");
    answer(&server, "deadline-in-a-row").await.failed(504, "FF0210");
    let path = "/function/fixture?case=deadline-in-a-row";
    server.send(server.request(path, "in").header("X-Faas-Flow-Reqid", "paused")).await;
    server.post("/function/fixture/flow/paused/pause", "").await.ok();
    server.result_of("fixture", "paused").await.failed(504, "FF0210");
    let shown = server.shown("paused");
    let (began, ended) = (shown["started"].as_u64().unwrap(), shown["ended"].as_u64().unwrap());
    assert!((1_500..11_500).contains(&(ended - began)), "it ended after {} ms", ended - began);
    server.post("/function/fixture/flow/paused/resume", "").await.failed(409, "FF0222");
}

/// CALL-4, FAIL-8, FAIL-9.
#[tokio::test]
async fn times_are_kept() {
    let folder = TempDir::new().unwrap();
    let server = Serve::flows(&["fixture"]);
    let server = server.function("step", script(folder.path(), "slow.sh", "exec sleep 30")).start();
    fails(&server, "slow-call", (504, "FF0206"), "n", &["`step`", "50 ms"]).await;
    fails(&server, "slow-node", (504, "FF0209"), "n", &["50 ms"]).await;
    answer(&server, "deadline").await.failed(504, "FF0210");
    // A call without a limit of its own has the one of the server. A node that was too slow is attempted again.
    let server = Serve::flows(&["fixture"]).with("--call-timeout", "60ms");
    let server = server.function("step", script(folder.path(), "slow.sh", "exec sleep 30")).start();
    fails(&server, "call", (504, "FF0206"), "n", &["`step`", "60 ms"]).await;
    let slow = answer(&server, "slow-node-twice").await;
    let id = slow.id.clone().unwrap();
    slow.failed(504, "FF0209");
    assert_eq!(server.shown(&id)["nodes"][0]["attempts"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_url_that_a_request_names_is_called() {
    let step = step(|_| (200, "from afar")).await;
    let server = fixture();
    assert_eq!(answer(&server, &format!("request&url={}/x", step.url)).await.ok(), "from afar");
    // A definition that depends on the request is checked for each request.
    let refused = answer(&server, "request&url=ftp://host/").await;
    assert!(refused.failed(500, "FF0115").contains("ftp://host/"));
}

#[tokio::test]
async fn a_failed_run_answers_what_its_flow_says_and_cleans_up_once() {
    let server = fixture();
    let said = answer(&server, "failure-answered").await.failed(422, "FF0012");
    assert!(said.starts_with("sorry: FF0012") && said.contains("no good"), "{said}");
    let said = answer(&server, "failure-not-answered").await.failed(422, "FF0012");
    assert!(said.starts_with("FF0012") && said.contains("no good"), "{said}");
    assert_eq!(answer(&server, "finally-after-success").await.ok(), "in");
    // The log arrives by another way than the answer, so it may come later.
    until("the last run has ended", async || server.log().contains("finally success")).await;
    let log = server.log();
    assert_eq!((log.matches("finally failure").count(), log.matches("finally success").count()), (2, 1), "{log}");
}

#[tokio::test]
async fn edges_hand_on_what_they_should() {
    gives("execution-edge", "b").await;
    gives("forwarder", "in a forwarded b").await;
    gives("inputs", "0 bytes, [left=in!left, right=in!right]").await;
}

#[tokio::test]
async fn a_dag_with_several_ends_yields_what_its_aggregator_makes_and_else_nothing() {
    gives("ends", "[b=inb, a=ina]").await;
    gives("two-ends", "").await;
}

#[tokio::test]
async fn a_sub_dag_is_a_node() {
    gives("sub-dag", "in a b after").await;
}

/// VAL-1.
#[tokio::test]
async fn values_last_as_long_as_the_run() {
    gives("values", "in true").await;
    // So do values that are too large to be stored within the state.
    let large = "x".repeat(100 * 1024);
    let result = fixture().result("fixture?case=values", large.clone()).await.ok();
    assert_eq!(result, format!("{large} true"));
}

/// VAL-2.
#[tokio::test]
async fn a_node_sees_its_own_values_at_once() {
    gives("own-values", "in called true").await;
    let server = fixture();
    // The same for a run that is stored from its beginning, since the caller chose its id.
    let request = server.request("/function/fixture?case=own-values", "in").header("X-Faas-Flow-Reqid", "stored");
    assert_eq!(server.send(request.header("X-Faas-Flow-Wait", "60s")).await.ok(), "in called true");
}

#[tokio::test]
async fn values_keep_their_types() {
    gives("typed-values", "Some((\"a\", 1.5)) None None true").await;
}

#[tokio::test]
async fn a_node_may_read_and_write_json() {
    let server = fixture();
    assert_eq!(server.result("fixture?case=json", "[1, 2, 39]").await.ok(), "42 in all");
    let refused = server.result("fixture?case=json", "[1, 2").await.failed(422, "FF0012");
    assert!(refused.contains("at n") && refused.contains("EOF"), "{refused}");
}

#[tokio::test]
async fn a_dag_takes_over_another_one() {
    gives("append", "[b=in a b]").await;
}

#[tokio::test]
async fn a_flow_sees_its_request_without_its_secrets() {
    let server = fixture();
    let request = server.request("/function/fixture?case=request-seen&x=1&x=a%20b", "in");
    let request = request.header("X-Faas-Flow-Reqid", "mine").header("x-team", "blue");
    let request = request.header("Authorization", "Bearer secret").header("X-Faas-Flow-Wait", "60s");
    let seen = server.send(request).await.ok();
    assert_eq!(seen, r#"mine fixture n ["1", "a b"] ["blue"] []"#);
}

/// A server that answers with a description of the request.
async fn mirror() -> String {
    let mirror = |method: Method, uri: Uri, headers: HeaderMap, body: String| async move {
        let header = |name| headers.get(name).map_or("none", |value| value.to_str().unwrap());
        format!("{method} {uri} {} {} {body}", header("x-team"), header("x-prepared"))
    };
    let router = Router::new().fallback(mirror);
    double::serve(router).await
}

/// CALL-3.
#[tokio::test]
async fn a_call_is_sent_as_the_flow_says() {
    let server = Serve::flows(&["fixture"]).function("step", mirror().await).start();
    assert_eq!(answer(&server, "call-options").await.ok(), "PUT /deeper?q=a%20b%26c blue yes in prepared");
}

#[tokio::test]
async fn a_request_is_sent_as_the_flow_says() {
    let url = mirror().await;
    let sent = answer(&fixture(), &format!("request-options&url={url}/there")).await.ok();
    assert_eq!(sent, "PATCH /there?q=a%20b%26c blue none in");
}

#[tokio::test]
async fn a_request_has_its_own_time() {
    // The system accepts connections, and nobody answers them.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    fails(&fixture(), &format!("slow-request&url={url}"), (504, "FF0206"), "n", &["50 ms"]).await;
}

#[tokio::test]
async fn a_definition_that_depends_on_the_request_is_checked_with_it() {
    let server = fixture();
    let cycle = answer(&server, "cycle").await.failed(500, "FF0105");
    assert!(cycle.contains("a → b → a") || cycle.contains("b → a → b"), "{cycle}");
    let bad = answer(&server, "no-nodes-in-a-branch").await.failed(500, "FF0101");
    assert!(bad.contains("C[empty]"), "{bad}");
    assert!(answer(&server, "nonsense").await.failed(500, "FF0005").contains("there is no case `nonsense`"));
    let module = faas_flow_test_support::modules::module("fixture");
    let checked = run(server.folder(), ["check", "--json", module.to_str().unwrap()]).json();
    assert_eq!(checked["per-request"], true);
}
