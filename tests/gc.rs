//! `gc` removes the versions that nothing needs, and none that somebody does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod harness;

use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use bytes::Bytes;
use faas_flow_core::{Digest, FlowName, RunId};
use faas_flow_guest::{Guests, Limits};
use faas_flow_host::versions::signature::Trusted;
use faas_flow_host::versions::{
    Artifact, By, Clock, Expected, IfRemoved, Keep, Loader, Removal, Upload, Versions, load_flow,
};
use faas_flow_store::{DataKey, DataStore, StoreError, open_data, open_state};
use harness::until;
use harness::versions::{World, begin, digest, ended, listed, push, result, standing, tell};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::watch;

const GC: [&str; 6] = ["modules", "gc", "--keep", "1", "--recent", "0s"];

async fn would_go(server: &harness::Server, version: &Path) -> Value {
    let version = digest(version);
    let mut dry = Value::Null;
    // What was pushed a moment ago stays, whatever anybody says.
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
    assert_eq!(standing(&server, &versions[1]).await.as_deref(), Some("removed"));
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
    let (world, opened, called) = (World::open().await, watch::channel(false).0, watch::channel(String::new()).0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = listener.local_addr().unwrap();
    let (opens, calls) = (opened.subscribe(), called.clone());
    let answer = async move |body: String| match *opens.borrow() {
        false => StatusCode::SERVICE_UNAVAILABLE,
        true => {
            calls.send_replace(body);
            StatusCode::OK
        }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let [first, second] = [1, 2].map(|number| world.version(number, "okay"));
    let start = |image: &Path| world.serve(image).with("--callback-host", &hook.to_string()).start_in(world.path());
    let server = start(&first);
    push(&server, &second).await.ok();
    let request = server.request("/function/versions", "in");
    let request = request.header("X-Faas-Flow-Callback-Url", format!("http://{hook}/"));
    let id = server.send(request).await.id.unwrap();
    assert_eq!(ended(&server, &id).await, "in|0002|0002");
    for number in 3..5 {
        push(&server, &world.version(number, "okay")).await.ok();
    }
    would_go(&server, &second).await;
    let collected = tell(&server, &GC, &[]).await.json();
    assert_eq!(collected["removed"], serde_json::json!([digest(&second)]));
    // Nobody has that version in memory any more.
    server.kill();
    let server = start(&first);
    opened.send_replace(true);
    let mut called = called.subscribe();
    let body = called.wait_for(|body| !body.is_empty()).await.unwrap().clone();
    assert_eq!(body, "in|0002|0002");
    assert_eq!(result(&server, "in").await.ok(), "in|0004|0004");
}

/// Data whose removal takes until somebody lets it go on.
struct Slow {
    data: Arc<dyn DataStore>,
    removing: watch::Sender<bool>,
    goes_on: watch::Sender<bool>,
}

#[async_trait]
impl DataStore for Slow {
    async fn put(&self, key: &DataKey, bytes: Bytes) -> Result<(), StoreError> {
        self.data.put(key, bytes).await
    }

    async fn get(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError> {
        self.data.get(key).await
    }

    async fn delete_run(&self, run: &RunId) -> Result<(), StoreError> {
        self.removing.send_replace(true);
        self.goes_on.subscribe().wait_for(|goes_on| *goes_on).await.unwrap();
        self.data.delete_run(run).await
    }
}

#[tokio::test]
async fn a_version_that_is_pushed_again_while_it_is_being_removed_is_there() {
    let world = World::open().await;
    let guests = Arc::new(Guests::new(Limits::default(), Some(world.path().join("code"))).unwrap());
    let (state, data) = (open_state("memory").await.unwrap(), open_data("memory").await.unwrap());
    let slow =
        Arc::new(Slow { data: data.clone(), removing: watch::channel(false).0, goes_on: watch::channel(false).0 });
    let is = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let replica = |data: Arc<dyn DataStore>, ahead: Duration| {
        let loader = Loader::new(guests.clone(), Trusted::default());
        Versions::new(state.clone(), data, Some(loader), Clock::tokio(is + ahead.as_millis() as u64))
    };
    let name = FlowName::new("versions").unwrap();
    let [first, second, third] = [1, 2, 3].map(|number| world.version(number, "okay"));
    let flow = load_flow(guests.clone(), &first, Some(name.clone())).await.unwrap();
    // One of them is where all of this was long ago; to the others it is a moment old, however long the test takes.
    let [one, another] = [data.clone(), data].map(|data| replica(data, Duration::ZERO));
    let other = Arc::new(replica(slow.clone(), Duration::from_secs(3600)));
    for versions in [&one, &another, &*other] {
        let bytes = fs::read(&first).unwrap().into();
        versions.register_image(flow.clone(), Artifact::new(bytes, None)).await.unwrap();
    }
    let upload = |module: &Path| {
        let bytes = Bytes::from(fs::read(module).unwrap());
        let (digest, by) = (Digest::of(&bytes), By::new("me", "", is + 600_000).unwrap());
        Upload { digest, bytes, by, signature: None, if_removed: IfRemoved::StoreAgain }
    };
    for module in [&second, &third] {
        let pushed = one.push(&name, upload(module)).await.unwrap();
        one.activate(&name, &pushed.version.digest, Expected::Any, pushed.version.by).await.unwrap();
    }
    let keep = Keep { predecessors: 0, recent: Duration::ZERO };
    let kept = one.collect(&name, keep, Removal::Apply).await.unwrap().kept;
    assert!(kept.values().any(|why| why.ends_with("within the last 5 s")), "whatever anybody says: {kept:?}");
    let collecting = tokio::spawn({
        let (other, name) = (other.clone(), name.clone());
        async move { other.collect(&name, keep, Removal::Apply).await.unwrap() }
    });
    slow.removing.subscribe().wait_for(|removing| *removing).await.unwrap();
    // It is removed, and its bytes are about to be. Two push it again at once.
    let (a, b) = tokio::join!(one.push(&name, upload(&second)), another.push(&name, upload(&second)));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(a.version.is_there() && b.version.is_there(), "{a:?} {b:?}");
    slow.goes_on.send_replace(true);
    let removed = collecting.await.unwrap().removed;
    let version = one.find(&name, &digest(&second)).await.unwrap();
    assert_eq!(removed, std::slice::from_ref(&version.digest));
    let bytes = one.module_bytes(&name, &version).await.unwrap();
    assert_eq!(Digest::of(&bytes), version.digest);
    one.activate(&name, &version.digest, Expected::Any, version.by).await.unwrap();
}
