//! Failures that are caught, and items that may fail, as callers, functions and operators see them.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use faas_flow_e2e::command::{run, script};
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// A server whose function `step` answers with this status and body.
async fn with(status: u16, body: &'static str) -> Server {
    let answer = any(move || async move { (StatusCode::from_u16(status).unwrap(), body) });
    let url = double::serve(Router::new().fallback_service(answer)).await;
    Serve::flows(&["fixture"]).function("step", url).start()
}

async fn gives(server: &Server, case: &str, input: &str, result: &str) -> String {
    let answer = server.result(&format!("fixture?case={case}"), input.to_owned()).await;
    let id = answer.id.clone().unwrap();
    assert_eq!(answer.ok(), result, "{case}");
    id
}

fn node<'a>(shown: &'a Value, path: &str) -> &'a Value {
    let nodes = shown["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["path"] == path).unwrap_or_else(|| panic!("no {path} in {shown}"))
}

/// CATCH-1, CATCH-4.
#[tokio::test]
async fn the_handler_of_a_node_or_call_gets_all_that_is_known_and_the_run_goes_on() {
    let server = with(402, "card declined").await;
    let known = "FF0207 Answered Some(402) at n after 1: `step` answered with status 402: card declined; in";
    let body = "body Some(\"card declined\")";
    let id = gives(&server, "caught-node", "in", &format!("{known} in order; {body} and on")).await;
    let shown = server.shown(&id);
    assert_eq!((&shown["status"], &node(&shown, "n")["caught"]["code"]), (&"succeeded".into(), &"FF0207".into()));
    let text = run(server.folder(), ["requests", "show", &id, "--to", &server.url("/function/fixture")]).ok();
    assert!(text.contains("caught FF0207 at n: `step` answered with status 402"), "{text}");
    let page = server.get(&format!("/dashboard/runs/{id}")).await.ok();
    assert!(page.contains("caught FF0207 at n"), "{page}");
    assert!(page.contains("class=\"node operations done caught\" id=\"node:n\""), "{page}");

    gives(&server, "caught-call", "in", &format!("{known} in; {body}")).await;
    let busy = with(503, "busy").await;
    let known =
        "FF0207 Answered Some(503) at n after 2: `step` answered with status 503: busy; in in; body Some(\"busy\")";
    gives(&busy, "caught-call", "in", known).await;
    // What the handler of the call makes of it is caught as any other failure of the node.
    let known = "FF0012 Rejected None at n after 1: even worse; in in order; body None";
    gives(&server, "caught-after-its-call", "in", known).await;
}

/// CATCH-1, CATCH-2, CATCH-3.
#[tokio::test]
async fn what_the_code_of_a_flow_rejects_and_what_crashes_is_caught() {
    let server = Serve::flows(&["fixture"]).function("step", "echo").start();
    let known = "FF0012 Rejected None at n after 1: it is bad; in in; body None";
    gives(&server, "caught-rejection", "in", known).await;
    gives(&server, "caught-run", "in", known).await;
    let crash = server.result("fixture?case=caught-crash", "in").await.ok();
    assert!(
        crash.starts_with("FF0006 Crashed None at n after 1: the flow's code crashed: ")
            && crash.ends_with("; in in; body None"),
        "{crash}"
    );
    let worse = server.result("fixture?case=caught-elsewhere", "in").await;
    assert!(worse.failed(500, "FF0012").contains("even worse"));
}

/// CATCH-1: a condition behind the handler takes another way.
#[tokio::test]
async fn a_declined_payment_takes_another_way() {
    gives(&with(402, "no").await, "caught-and-chosen", "in", "402 declined").await;
    gives(&with(200, "yes").await, "caught-and-chosen", "in", "yes paid").await;
}

/// Says when it is dropped.
struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// CATCH-6.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_beside_a_caught_failure_is_cut_off() {
    let (begun, cut_off): (Arc<Notify>, Arc<AtomicBool>) = Default::default();
    let (begins, drops) = (begun.clone(), cut_off.clone());
    let slow = any(async move || {
        let _guard = Guard(drops);
        begins.notify_one();
        tokio::time::sleep(Duration::from_secs(600)).await;
    });
    let fails = any(async move || {
        begun.notified().await;
        StatusCode::BAD_REQUEST
    });
    let url = double::serve(Router::new().route("/slow", slow).route("/fails", fails)).await;
    let functions = Serve::flows(&["fixture"]).function("step", format!("{url}/slow"));
    let server = functions.function("fails", format!("{url}/fails")).start();
    let id = gives(&server, "caught-beside-a-call", "in", "caught at S/bad and on").await;
    until("the call is cut off", async || cut_off.load(Ordering::SeqCst)).await;
    let shown = server.shown(&id);
    let progress = ["S/start", "S/slow", "S/bad", "S/end", "S", "m"].map(|path| node(&shown, path)["progress"].clone());
    assert_eq!(progress, ["done", "cancelled", "failed", "waiting", "done", "done"].map(Value::from));
}

/// CATCH-6.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_called_beside_a_caught_failure_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    let slow = script(folder.path(), "slow", &format!("touch {}; exec sleep 600", begun.display()));
    let begins = begun.clone();
    let fails = any(async move || {
        while !begins.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        StatusCode::BAD_REQUEST
    });
    let url = double::serve(Router::new().fallback_service(fails)).await;
    let server = Serve::flows(&["fixture", "sync-chain"])
        .flow_as("child", "async-chain")
        .function("func1", &slow)
        .function("fails", url)
        .start();
    let id = gives(&server, "caught-beside-a-flow", "in", "caught at S/bad and on").await;
    let child = node(&server.shown(&id), "S/slow")["called"][0]["run"].as_str().unwrap().to_owned();
    until("the child is stopped", async || server.shown(&child)["status"] == "stopped").await;
}

/// CATCH-2, TOLERATE-1, TOLERATE-2, TOLERATE-3.
#[tokio::test]
async fn some_items_may_fail_and_a_gather_handler_sees_which() {
    let server = Serve::flows(&["fixture"]).function("step", "echo").start();
    gives(&server, "caught-item", "a\nbad\nc", "[0=a, 1=no bad, 2=c]").await;
    let one = "0=a; 1: FF0012 at F[1]/n: it is bad; 2=c";
    let id = gives(&server, "tolerant", "a\nbad\nc", one).await;
    let shown = server.shown(&id);
    assert_eq!((&node(&shown, "F")["tolerated"], &node(&shown, "F[1]/n")["progress"]), (&1.into(), &"failed".into()));
    gives(&server, "tolerant", "bad", "0: FF0012 at F[0]/n: it is bad").await;
    gives(&server, "tolerant-share", "a\nbad\nc", one).await;
    gives(&server, "tolerant-without-gather", "a\nbad\nc", "[0=a, 2=c]").await;
    let two = server.result("fixture?case=tolerant", "bad\nb\nbad").await;
    assert!(two.failed(500, "FF0012").contains("it is bad"));
    let two = server.result("fixture?case=tolerant-and-caught", "bad\nb\nbad").await.ok();
    assert!(two.contains(" at F[") && two.contains("it is bad"), "{two}");
    gives(&server, "all-fail", "2000", "2000 of 2000").await;
}

/// TOLERATE-4.
#[tokio::test]
async fn a_tolerated_item_can_be_run_again_with_other_data() {
    let server = Serve::flows(&["fixture"]).function("step", "echo").start();
    let id = gives(&server, "tolerant", "a\nbad\nc", "0=a; 1: FF0012 at F[1]/n: it is bad; 2=c").await;
    let to = server.url("/function/fixture");
    run(server.folder(), ["requests", "rerun", &id, "--node", "F[1]/n", "--data", "b", "--to", &to]).ok();
    assert_eq!(server.result_of("fixture", &id).await.ok(), "0=a; 1=b; 2=c");
}
