//! Runs that start at a moment that their caller names.

use faas_flow_e2e::command::run;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::servers;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const FLOW: &str = "/function/async-chain";

fn serve() -> Serve {
    ["func1", "func2", "fake-storage"]
        .iter()
        .fold(Serve::flows(&["async-chain", "greet"]), |serve, name| serve.function(name, "echo"))
}

fn shown(folder: &Path, id: &str) -> Value {
    run(folder, ["requests", "show", id, "--json"]).json()
}

fn in_seconds(seconds: u64) -> String {
    humantime::format_rfc3339_millis(SystemTime::now() + Duration::from_secs(seconds)).to_string()
}

async fn begin(server: &Server, path: &str, id: &str, start_at: &str) -> u16 {
    let request = server.request(path, "hi").header("X-Faas-Flow-Reqid", id);
    server.send(request.header("X-Faas-Flow-Start-At", start_at)).await.status
}

/// START-1, START-2: the server is killed before the run starts.
#[tokio::test]
async fn a_run_starts_at_its_moment_though_the_server_is_lost_meanwhile() {
    let folder = TempDir::new().unwrap();
    let server = serve().start_in(folder.path());
    for (id, path, start_at) in [("after", FLOW, "4s".to_owned()), ("at", "/function/greet", in_seconds(4))] {
        assert_eq!(begin(&server, path, id, &start_at).await, 202);
        // The same request again is the same run.
        assert_eq!(begin(&server, path, id, &start_at).await, 202);
    }
    let before = shown(folder.path(), "after");
    assert_eq!((&before["status"], &before["started"]), (&"running".into(), &before["start_at"]));
    let text = run(folder.path(), ["requests", "show", "after"]).ok();
    assert!(text.contains("\nstarts      20"), "{text}");
    let list = run(folder.path(), ["requests", "list", "--json"]).json();
    assert!(list.as_array().unwrap().iter().any(|run| run["started"] == before["start_at"]), "{list}");
    for page in ["/dashboard/runs/after", "/dashboard/flows/async-chain"] {
        let page = server.get(page).await.ok();
        assert!(page.contains("starts "), "{page}");
    }
    let asked = server.client.get(server.url(&format!("{FLOW}/flow/after/state"))).header("Accept", "application/json");
    let state: Value = serde_json::from_str(&server.send(asked).await.ok()).unwrap();
    assert_eq!((&state["start-at"], &state["started"]), (&before["start_at"], &before["start_at"]));
    server.kill();
    let server = serve().start_in(folder.path());
    assert_eq!(server.result_of("async-chain", "after").await.ok(), "you said \"hi\"");
    server.result_of("greet", "at").await.ok();
    let (moment, after) = (before["start_at"].as_u64().unwrap(), shown(folder.path(), "after"));
    let began = after["nodes"][0]["started"].as_u64().unwrap();
    assert!(began >= moment && began < moment + 10_000, "it began {began}, and was to start {moment}");
}

/// START-2: once, with two replicas that both look for it.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_replicas_starts_a_run() {
    let redis = servers::redis(&[]);
    let state = format!("redis://127.0.0.1:{}", redis.port());
    let folder = TempDir::new().unwrap();
    let [first, second] = ["one", "two"].map(|_| {
        let replica = Serve::replica("greet").with("--state", &state).with("--dispatch", "local");
        replica.start_in(folder.path())
    });
    for number in 0..20 {
        let taken = if number % 2 == 0 { &first } else { &second };
        assert_eq!(begin(taken, "/", &format!("r{number}"), "1s").await, 202);
    }
    drop(first);
    for number in 0..20 {
        let id = format!("r{number}");
        second.result_of("greet", &id).await.ok();
        let run = run(folder.path(), ["requests", "show", &id, "--json", "--state", &state]).json();
        assert_eq!(run["nodes"][0]["attempts"].as_array().unwrap().len(), 1, "{run}");
        assert!(run["nodes"][0]["started"].as_u64() >= run["start_at"].as_u64(), "{run}");
    }
}

/// START-1: who waits for longer than that gets the result; a moment in the past is now.
#[tokio::test]
async fn who_waits_for_long_enough_gets_the_result() {
    let server = serve().start();
    let request = |start_at: &str| server.request("/function/greet", "Ada").header("X-Faas-Flow-Start-At", start_at);
    let in_time = server.send(request("700ms").header("X-Faas-Flow-Wait", "60s")).await.ok();
    let at_once = server.send(request("2020-02-02T02:02:02Z")).await.ok();
    assert_eq!(in_time, at_once);
    let later = server.send(request("1h").header("X-Faas-Flow-Wait", "60s")).await;
    assert_eq!(later.status, 202);
    assert!(later.headers["x-faas-flow-start-at"].to_str().unwrap().starts_with("20"));
}

/// START-4.
#[tokio::test]
async fn a_run_is_paused_resumed_stopped_and_run_again_before_its_moment() {
    let folder = TempDir::new().unwrap();
    let server = serve().start_in(folder.path());
    assert_eq!(begin(&server, "/function/greet", "later", "2h").await, 202);
    let to = server.url("/function/greet");
    for (command, status) in [("pause", "paused"), ("resume", "running"), ("stop", "stopped")] {
        run(folder.path(), ["requests", command, "later", "--to", &to]).ok();
        assert_eq!(shown(folder.path(), "later")["status"], status);
    }
    run(folder.path(), ["requests", "rerun", "later", "--to", &to]).ok();
    until("it has run", async || shown(folder.path(), "later")["status"] == "succeeded").await;
}

/// START-5.
#[tokio::test]
async fn a_start_time_that_is_none_is_refused_and_nothing_begins() {
    let server = serve().start();
    for start_at in ["", "soon", "-5s", "2026-12-24", "8785h", "9999-12-31T23:59:59Z"] {
        let request = server.request("/function/greet", "Ada").header("X-Faas-Flow-Start-At", start_at);
        let refused = server.send(request).await.failed(400, "FF0242");
        assert!(refused.contains("start"), "{refused}");
    }
    let list = run(server.folder(), ["requests", "list", "--json"]).json();
    assert_eq!(list, Value::Array(Vec::new()));
}

/// START-5.
#[tokio::test]
async fn two_start_times_are_refused_and_the_same_one_twice_is_one() {
    let folder = TempDir::new().unwrap();
    let server = serve().start_in(folder.path());
    let with = |header: &'static str, values: [&'static str; 2]| {
        values.iter().fold(server.request(FLOW, "hi"), |request, value| request.header(header, *value))
    };
    for (header, values) in [
        ("X-Faas-Flow-Start-At", ["1h", "2h"]),
        ("X-Faas-Flow-Reqid", ["a", "b"]),
        ("X-Faas-Flow-Wait", ["1s", "2s"]),
        ("X-Callback-Url", ["http://a/", "http://b/"]),
    ] {
        let message = server.send(with(header, values)).await.failed(400, "FF0217");
        assert!(message.contains(&format!("`{}`", header.to_ascii_lowercase())), "{message}");
    }
    assert_eq!(server.send(with("X-Faas-Flow-Start-At", ["1h", "1h"])).await.status, 202);
}
