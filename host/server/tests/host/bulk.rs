//! One action for many runs: how many of them one request changes, and how long it takes where the store is slow.

use crate::slow::Slow;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use faas_flow_core::{Digest, FlowName, Labels, Partition, RunId, Status};
use faas_flow_guest::{Guests, Limits};
use faas_flow_http::{Guards, function_router};
use faas_flow_replica::{Functions, Host, Http, Parts, Settings};
use faas_flow_store::{Change, RunEntry, StateStore as _, open_data};
use faas_flow_test_support::modules::module;
use faas_flow_versions::load_flow;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tower::ServiceExt as _;

/// The routes of a function whose store takes this long to delete a run, and has so many that have ended.
async fn function(takes: Duration, runs: u64) -> Router {
    let guests = Arc::new(Guests::new(Limits { tick: Duration::from_secs(3600), ..Limits::default() }, None).unwrap());
    let name = FlowName::new("greet").unwrap();
    let flow = load_flow(guests, &module("greet"), Some(name.clone())).await.unwrap();
    let settings = Settings::default();
    let slow = Slow::deletes(takes).await;
    for number in 0..runs {
        let run = RunId::new(format!("run{number:04}")).unwrap();
        let entry = RunEntry {
            run: run.clone(),
            flow: name.clone(),
            digest: Digest::of(b"greet"),
            status: Status::Succeeded,
            labels: Labels::new(),
            failure: None,
            started: 1 + number,
            ended: Some(2 + number),
            due: None,
        };
        let change = Change { entry: Some(entry), ..Change::default() };
        slow.commit(&Partition::of_run(&run), change).await.unwrap();
    }
    let functions = Functions::new([], None, &settings, Arc::new(Http::new(&settings).unwrap()));
    let host = Host::new(Parts::new(settings, slow, open_data("memory").await.unwrap(), functions));
    host.versions().deploy(flow);
    function_router(host, name, Guards::default())
}

/// What one request has done: the runs that it has deleted, and where the next one goes on.
async fn delete(function: &Router, after: &str) -> (BTreeSet<String>, Option<String>) {
    let request = Request::post(format!("/flow?action=delete&all=true&after={after}")).body(Body::empty()).unwrap();
    let answer = function.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    assert_eq!(status, 200, "{}", body.escape_ascii());
    let done: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(done["failed"], Value::Array(Vec::new()));
    let changed = done["changed"].as_array().unwrap().iter().map(|run| run.as_str().unwrap().to_owned());
    (changed.collect(), done["next"].as_str().map(str::to_owned))
}

/// All requests until nothing is left to do: how many runs each has deleted, and how long it took.
async fn delete_all(function: &Router, runs: usize) -> Vec<(usize, Duration)> {
    let (mut all, mut requests, mut next) = (BTreeSet::new(), Vec::new(), Some(String::new()));
    while let Some(after) = next {
        let began = Instant::now();
        let (deleted, then) = delete(function, &after).await;
        requests.push((deleted.len(), began.elapsed()));
        let before = all.len();
        all.extend(deleted.iter().cloned());
        assert_eq!(all.len(), before + deleted.len(), "no run is deleted twice");
        next = then;
    }
    assert_eq!(all.len(), runs, "no run is left out");
    // A state that no run has takes a request, too.
    requests.retain(|(deleted, _)| *deleted > 0);
    requests
}

#[tokio::test(start_paused = true)]
async fn where_the_store_is_slow_a_request_ends_after_about_ten_seconds_and_the_next_one_goes_on() {
    let function = function(Duration::from_secs(3), 100).await;
    let requests = delete_all(&function, 100).await;
    // Eight runs at a time: those that have begun when the ten seconds are over still end.
    let each: Vec<(usize, u64)> = requests.iter().map(|(deleted, took)| (*deleted, took.as_secs())).collect();
    assert_eq!(each, [(32, 12), (32, 12), (32, 12), (4, 3)]);
}

#[tokio::test(start_paused = true)]
async fn one_request_changes_at_most_a_hundred_runs() {
    let function = function(Duration::ZERO, 250).await;
    let requests = delete_all(&function, 250).await;
    assert_eq!(requests.iter().map(|(deleted, _)| *deleted).collect::<Vec<_>>(), [100, 100, 50]);
}
