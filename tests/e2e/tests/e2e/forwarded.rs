//! Events about runs, which replicas send each other.

use super::http::{CHAIN, SECRET, begun, gated, open_gate, secrets, with_id};
use faas_flow_e2e::events;
use faas_flow_e2e::server::{Answer, Server, metric};
use faas_flow_e2e::wait::until;
use reqwest::RequestBuilder;
use serde_json::Value;
use tempfile::TempDir;

/// An event that is sent to `run`, is about `about`, and was signed so many milliseconds ago.
struct Sent<'a> {
    flow: &'a str,
    secret: &'a str,
    run: &'a str,
    about: &'a str,
    path: &'a str,
    age: u64,
}

/// An event about a node of the run `r`, as a replica would send it.
fn event(path: &str) -> Sent<'_> {
    Sent { flow: "async-chain", secret: SECRET, run: "r", about: "r", path, age: 0 }
}

impl Sent<'_> {
    fn to(self, server: &Server) -> RequestBuilder {
        let target = events::target(self.flow, self.run);
        let body = events::body(self.about, self.path);
        let request = server.request(&target, body.clone());
        events::signed(request, self.secret, &target, self.run, &body, events::now() - self.age)
    }
}

#[tokio::test]
async fn events_that_are_not_right_change_nothing_and_are_counted() {
    let secrets = secrets(&[("faasflow-hmac-secret", SECRET)]);
    let folder = TempDir::new().unwrap();
    let server = gated(folder.path()).with("--secrets", secrets.path().to_str().unwrap()).start();
    server.send(with_id(&server, CHAIN, "r", "hi")).await;
    begun(folder.path()).await;
    let before = server.shown("r");
    let ignored = |reason: &'static str| {
        let server = &server;
        async move { metric(server, &format!("faas_flow_events_ignored_total{{reason=\"{reason}\"}}")).await }
    };
    let forward = format!("{CHAIN}/flow/r/forward");
    let send = |request: RequestBuilder| server.send(request);

    server.post(&forward, r#"{"run":"r","path":"n3"}"#).await.failed(401, "FF0501");
    assert_eq!(ignored("unsigned").await, 1);
    send(Sent { secret: "another secret, as long", ..event("n3") }.to(&server)).await.failed(401, "FF0502");
    // The body, the run or the flow is not the one that was signed.
    send(event("n3").to(&server).body(r#"{"run":"r","path":"n2"}"#)).await.failed(401, "FF0502");
    let moved = event("n3").to(&server).build().unwrap();
    for path in [format!("{CHAIN}/flow/other/forward"), format!("{CHAIN}/flow/r-/forward")] {
        let mut request = server.request(&path, moved.body().unwrap().as_bytes().unwrap().to_vec());
        request = request.headers(moved.headers().clone());
        send(request).await.failed(401, "FF0502");
    }
    assert_eq!(ignored("bad-signature").await, 4);
    send(Sent { age: 2 * 3600 * 1000, ..event("n3") }.to(&server)).await.failed(401, "FF0503");
    assert_eq!(ignored("too-old").await, 1);
    send(Sent { about: "other", ..event("n3") }.to(&server)).await.failed(400, "FF0504");
    assert_eq!(ignored("foreign-flow").await, 1);
    // The signature fits the flow that the event is sent to, but the run is one of another flow.
    send(Sent { flow: "sync-chain", ..event("n3") }.to(&server)).await.failed(404, "FF0212");
    assert_eq!(ignored("foreign-flow").await, 2);
    for path in ["", "a//b", "\0", &"x".repeat(10 * 1024), &"x/".repeat(10 * 1024)] {
        send(event(path).to(&server)).await.failed(400, "FF0504");
    }
    assert_eq!(ignored("malformed").await, 5);
    send(Sent { run: "nothing", about: "nothing", ..event("n3") }.to(&server)).await.failed(404, "FF0212");
    assert_eq!(ignored("unknown-run").await, 1);
    // Nodes that are done, running, not ready, or do not exist, and the first two once more.
    for path in ["n1", "n2", "n3", "n9", "C[c]/n1", "n1", "n2"] {
        let Answer { status, body, .. } = send(event(path).to(&server)).await;
        assert!(status == 200 && body.starts_with("ignored: "), "{path}: {status} {body}");
    }
    assert_eq!(ignored("stale").await, 7);

    let after = server.shown("r");
    let nodes = |shown: &Value| -> Vec<(Value, usize)> {
        let nodes = shown["nodes"].as_array().unwrap().iter();
        nodes.map(|node| (node["progress"].clone(), node["attempts"].as_array().unwrap().len())).collect()
    };
    assert_eq!(nodes(&after), nodes(&before));
    assert_eq!(metric(&server, "faas_flow_events_accepted_total").await, 0);
    open_gate(folder.path());
    assert_eq!(server.result_of("async-chain", "r").await.ok(), "you said \"hi\"");
    send(event("n3").to(&server)).await.ok();
}

#[tokio::test]
async fn an_event_that_was_signed_in_the_future_says_that_the_clocks_disagree() {
    let secrets = secrets(&[("faasflow-hmac-secret", SECRET)]);
    let folder = TempDir::new().unwrap();
    let server = gated(folder.path()).with("--secrets", secrets.path().to_str().unwrap()).start();
    server.send(with_id(&server, CHAIN, "r", "hi")).await;
    begun(folder.path()).await;
    server.send(event("n3").to(&server)).await.ok();
    assert!(!server.log().contains("FF0229"), "{}", server.log());
    let (target, body) = (events::target("async-chain", "r"), events::body("r", "n3"));
    let early =
        events::signed(server.request(&target, body.clone()), SECRET, &target, "r", &body, events::now() + 12_000);
    server.send(early).await.ok();
    until("the warning is logged", async || server.log().contains("the clocks of replicas disagree")).await;
    let log = server.log();
    let ahead = |text: &str, name: &str| -> f64 {
        let value = text.split(name).nth(1).unwrap().split_whitespace().next().unwrap();
        value.parse().unwrap()
    };
    assert!(log.contains("FF0229"), "{log}");
    // However long the event was on its way.
    let seconds = ahead(&log, "skew_seconds=");
    assert!(seconds > 1.0 && seconds <= 12.0, "{log}");
    let metrics = server.get("/_/metrics").await.ok();
    assert!(ahead(&metrics, "\nfaas_flow_clock_skew_seconds ") > 1.0, "{metrics}");
    let refused =
        events::signed(server.request(&target, body.clone()), SECRET, &target, "r", &body, events::now() + 3_600_000);
    server.send(refused).await.failed(401, "FF0503");
    let metrics = server.get("/_/metrics").await.ok();
    assert!(ahead(&metrics, "\nfaas_flow_clock_skew_seconds ") > 60.0, "{metrics}");
    open_gate(folder.path());
    assert_eq!(server.result_of("async-chain", "r").await.ok(), "you said \"hi\"");
}
