//! Nodes that sleep.

use axum::Router;
use axum::http::StatusCode;
use faas_flow_e2e::command::run;
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

fn serve(lease: &str) -> Serve {
    Serve::flows(&["fixture"]).with("--lease", lease)
}

/// A function that is always busy, and how often it was called.
async fn busy() -> (String, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let called = calls.clone();
    let router = Router::new().fallback(move || async move {
        called.fetch_add(1, Ordering::SeqCst);
        (StatusCode::SERVICE_UNAVAILABLE, "busy")
    });
    (double::serve(router).await, calls)
}

async fn begin(server: &Server, query: &str, id: &str) {
    let request = server.request(&format!("/function/fixture?{query}"), "hi").header("X-Faas-Flow-Reqid", id);
    let accepted = server.send(request.header("X-Faas-Flow-Wait", "1ms")).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
}

fn shown(folder: &Path, id: &str) -> Value {
    run(folder, ["requests", "show", id, "--json"]).json()
}

async fn until_asleep(folder: &Path, id: &str) {
    until("the node sleeps", async || shown(folder, id)["nodes"][0]["sleeps_since"].is_u64()).await;
}

fn in_seconds(seconds: u64) -> String {
    humantime::format_rfc3339_millis(SystemTime::now() + Duration::from_secs(seconds)).to_string()
}

/// SLEEP-1, SLEEP-4: the timeout of the node is shorter than its sleep.
#[tokio::test]
async fn a_node_sleeps_between_its_operations() {
    let server = serve("10s").start();
    let began = Instant::now();
    let query = "fixture?case=sleep&ms=700&timeout=400";
    let answer: Answer = server.result(query, "hi").await;
    let id = answer.id.clone().unwrap();
    assert_eq!(answer.ok(), "hi before after last");
    assert!(began.elapsed() >= Duration::from_millis(700));
    let node = server.shown(&id)["nodes"][0].clone();
    let attempt = &node["attempts"][0];
    assert_eq!((node["attempts"].as_array().unwrap().len(), &attempt["failure"]), (1, &Value::Null), "{node}");
    let took = attempt["ended"].as_u64().unwrap() - attempt["started"].as_u64().unwrap();
    assert!(took >= 700, "the sleep is part of the attempt, which took {took} ms");
}

/// SLEEP-3: longer than leases, so that nobody has the run in memory, and its replica is lost meanwhile.
#[tokio::test]
async fn a_sleep_outlives_the_server_and_is_shown_meanwhile() {
    let folder = TempDir::new().unwrap();
    let server = serve("500ms").with("--longest-sleep", "0").start_in(folder.path());
    begin(&server, "case=sleep&ms=4000", "sleeper").await;
    until_asleep(folder.path(), "sleeper").await;
    let text = run(folder.path(), ["requests", "show", "sleeper"]).ok();
    assert!(text.contains("    sleeps until 20"), "{text}");
    let page = server.get("/dashboard/runs/sleeper").await.ok();
    assert!(page.contains("sleeps until"), "{page}");
    let asked =
        server.client.get(server.url("/function/fixture/flow/sleeper/state")).header("Accept", "application/json");
    let state: Value = serde_json::from_str(&server.send(asked).await.ok()).unwrap();
    let before = shown(folder.path(), "sleeper");
    let node = &before["nodes"][0];
    let sleeping = json!([{ "node": "n", "since": node["sleeps_since"], "until": node["waits_until"] }]);
    assert_eq!(state["sleeping"], sleeping, "{state}");
    server.kill();
    let server = serve("500ms").start_in(folder.path());
    assert_eq!(server.result_of("fixture", "sleeper").await.ok(), "hi before after last");
    let (moment, after) = (before["nodes"][0]["waits_until"].as_u64().unwrap(), shown(folder.path(), "sleeper"));
    let late = after["ended"].as_u64().unwrap().saturating_sub(moment);
    assert!(after["ended"].as_u64().unwrap() >= moment && late < 10_000, "it went on {late} ms after its moment");
}

/// SLEEP-2.
#[tokio::test]
async fn a_node_sleeps_until_the_moment_that_it_finds_in_its_data() {
    let server = serve("10s").start();
    let sleeps = async |data: &str| {
        let began = Instant::now();
        let end = server.result("fixture?case=sleep-until", data.to_owned()).await.ok();
        assert_eq!(end, format!("{data} after"));
        began.elapsed()
    };
    assert!(sleeps(&in_seconds(2)).await > Duration::from_millis(900));
    for past in ["1969-07-20T20:17:40Z", "2026-01-01T00:00:00.5+14:00"] {
        sleeps(past).await;
    }
    let began = Instant::now();
    assert_eq!(server.result("fixture?case=sleep-as-the-data-says", "300").await.ok(), "300 after");
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(server.result("fixture?case=sleep-as-the-data-says", "0").await.ok(), "0 after");
}

/// SLEEP-6.
#[tokio::test]
async fn a_moment_that_is_none_fails_the_node() {
    let server = serve("10s").start();
    for (moment, says) in
        [("tomorrow", "`tomorrow` is not a moment"), ("9999-01-01T00:00:00Z", "366 days"), ("", "RFC 3339")]
    {
        let failure = server.result("fixture?case=sleep-until", moment).await.failed(500, "FF0232");
        assert!(failure.contains(says), "{failure}");
    }
    let failure = server.result("fixture?case=sleep-as-the-data-says", "long").await.failed(422, "FF0012");
    assert!(failure.contains("invalid digit"), "{failure}");
    let long = server.result("fixture?case=sleep-as-the-data-says", u64::MAX.to_string()).await;
    assert!(long.failed(500, "FF0232").contains("366 days"));
}

/// SLEEP-4, FAIL-9.
#[tokio::test]
async fn the_deadline_of_a_run_passes_while_it_sleeps() {
    let server = serve("500ms").with("--longest-sleep", "0").start();
    let answer = server.result("fixture?case=sleep&ms=60000&deadline=1500", "hi").await;
    assert_eq!(answer.code.as_deref(), Some("FF0210"), "{answer:?}");
}

/// SLEEP-5.
#[tokio::test]
async fn a_sleep_goes_on_while_the_run_is_paused_and_ends_when_it_is_stopped() {
    let folder = TempDir::new().unwrap();
    let server = serve("500ms").start_in(folder.path());
    let requests = |arguments: &[&str]| run(folder.path(), [&["requests"], arguments].concat());
    begin(&server, "case=sleep&ms=2500", "paused").await;
    until_asleep(folder.path(), "paused").await;
    let moment = shown(folder.path(), "paused")["nodes"][0]["waits_until"].as_u64().unwrap();
    requests(&["pause", "paused", "--to", &server.url("")]).ok();
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    until("the moment has passed", async || now() > moment).await;
    assert_eq!(shown(folder.path(), "paused")["nodes"][0]["progress"], "ready");
    requests(&["resume", "paused", "--to", &server.url("")]).ok();
    assert_eq!(server.result_of("fixture", "paused").await.ok(), "hi before after last");

    begin(&server, "case=sleep&ms=600000", "stopped").await;
    until_asleep(folder.path(), "stopped").await;
    requests(&["stop", "stopped", "--to", &server.url("")]).ok();
    let stopped = shown(folder.path(), "stopped");
    assert_eq!((&stopped["status"], &stopped["nodes"][0]["progress"]), (&json!("stopped"), &json!("cancelled")));
}

/// SLEEP-5, FAIL-3: the attempts of a node count across its sleeps, whether their waits are stored or not.
#[tokio::test]
async fn a_node_that_is_attempted_again_sleeps_anew_and_as_often_as_its_policy_says() {
    for longest in ["5s", "0"] {
        let (url, calls) = busy().await;
        let server = serve("10s").function("job", &url).with("--longest-sleep", longest).start();
        let began = Instant::now();
        let answer = server.result("fixture?case=sleep-and-call&ms=200&attempts=3", "hi").await;
        let id = answer.id.clone().unwrap();
        assert!(began.elapsed() >= Duration::from_millis(600), "three sleeps");
        assert_eq!(calls.load(Ordering::SeqCst), 3, "{answer:?}");
        let shown = server.shown(&id);
        assert_eq!((&shown["status"], &shown["failure"]["code"]), (&json!("failed"), &json!("FF0207")));
        assert_eq!(shown["nodes"][0]["attempts"].as_array().unwrap().len(), 3);
    }
}
