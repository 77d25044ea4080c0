//! `faas-flow modules gc` removes the versions that nothing needs, and no others.

use axum::Router;
use axum::http::StatusCode;
use faas_flow_e2e::versions::{World, begin, digest, ended, listed, push, result, state, tell};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

const GC: [&str; 6] = ["modules", "gc", "--keep", "1", "--recent", "0s"];

async fn would_go(server: &faas_flow_e2e::server::Server, version: &Path) -> Value {
    let version = digest(version);
    let mut dry = Value::Null;
    // Whatever the options say, a version stays for a few seconds after its push.
    until("nothing needs it", async || {
        dry = tell(server, &[&GC[..], &["--dry-run"]].concat(), &[]).await.json();
        dry["removed"].as_array().unwrap().iter().any(|removed| *removed == version.as_str())
    })
    .await;
    dry
}

#[tokio::test]
async fn what_nothing_needs_is_removed_and_is_not_taken_back_unasked() {
    let world = World::new().await;
    let first = world.version(1, "okay");
    let server = world.start(&first);
    let versions: Vec<PathBuf> = (2..6).map(|number| world.version(number, "okay")).collect();
    push(&server, &versions[0]).await.ok();
    let pinned = begin(&server, "in").await;
    world.begun(1).await;
    for version in &versions[1..] {
        push(&server, version).await.ok();
    }
    let dry = would_go(&server, &versions[1]).await;
    let before = listed(&server).await;
    let collected = tell(&server, &GC, &[]).await.json();
    assert_eq!(collected, dry);
    let removed = digest(&versions[1]);
    assert_eq!(collected["removed"], serde_json::json!([removed]));
    let kept = |module: &Path| collected["kept"][digest(module)].as_str().unwrap().to_owned();
    assert!(kept(&first).contains("came with it"), "{collected}");
    assert!(kept(&versions[0]).contains("pinned by 1 run in flight"), "{collected}");
    assert!(kept(&versions[2]).contains("before the active"), "{collected}");
    assert_eq!(kept(&versions[3]), "in service");
    assert_eq!(listed(&server).await["revision"], before["revision"]);
    for activate in [["modules", "activate"], ["modules", "pull"]] {
        tell(&server, &[&activate[..], &[&removed]].concat(), &[]).await.failed("FF0020", &["404"]);
    }
    push(&server, &versions[1]).await.failed("FF0023", &["409", "--again"]);
    assert_eq!(state(&server, &versions[1]).await.as_deref(), Some("removed"));
    world.open_gate();
    assert_eq!(ended(&server, &pinned).await, "in|0002|0002");
    tell(&server, &["push", "--again"], &[&versions[1]]).await.ok();
    assert_eq!(result(&server, "in").await.ok(), "in|0003|0003");
    let pulled = world.path().join("pulled.wasm");
    tell(&server, &["modules", "pull", &removed, "--out"], &[&pulled]).await.ok();
    assert_eq!(fs::read(&pulled).unwrap(), fs::read(&versions[1]).unwrap());
}

#[tokio::test]
async fn a_run_that_has_ended_calls_back_though_its_version_is_gone() {
    let world = World::open().await;
    let opened = watch::channel(false).0;
    let called = watch::channel(String::new()).0;
    let opens = opened.subscribe();
    let calls = called.clone();
    let answer = async move |body: String| {
        if !*opens.borrow() {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        calls.send_replace(body);
        StatusCode::OK
    };
    let hook = double::serve(Router::new().fallback(answer)).await;
    let [first, second] = [1, 2].map(|number| world.version(number, "okay"));
    let start = |image: &Path| {
        world.serve(image).with("--callback-host", hook.trim_start_matches("http://")).start_in(world.path())
    };
    let server = start(&first);
    push(&server, &second).await.ok();
    let request = server.request("/function/versions", "in");
    let request = request.header("X-Faas-Flow-Callback-Url", format!("{hook}/"));
    let id = server.send(request).await.id.unwrap();
    assert_eq!(ended(&server, &id).await, "in|0002|0002");
    for number in 3..5 {
        push(&server, &world.version(number, "okay")).await.ok();
    }
    would_go(&server, &second).await;
    let collected = tell(&server, &GC, &[]).await.json();
    assert_eq!(collected["removed"], serde_json::json!([digest(&second)]));
    // A new server does not have that version in memory.
    server.kill();
    let server = start(&first);
    opened.send_replace(true);
    let mut called = called.subscribe();
    let body = called.wait_for(|body| !body.is_empty()).await.unwrap().clone();
    assert_eq!(body, "in|0002|0002");
    assert_eq!(result(&server, "in").await.ok(), "in|0004|0004");
}
