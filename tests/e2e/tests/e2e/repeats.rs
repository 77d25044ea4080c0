//! Nodes that run a dag again on its own result.

use faas_flow_e2e::command::run;
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

fn fixture() -> Server {
    Serve::flows(&["fixture"]).function("step", "echo").start()
}

/// A server that stores every wait.
fn serve(folder: &Path) -> Server {
    let serve = Serve::flows(&["fixture"]).function("step", "echo");
    serve.with("--lease", "500ms").with("--longest-sleep", "0").start_in(folder)
}

async fn begin(server: &Server, query: &str, wait: &str) -> Answer {
    let begin = server.request(&format!("/function/fixture?{query}"), "in").header("X-Faas-Flow-Reqid", "r");
    server.send(begin.header("X-Faas-Flow-Wait", wait)).await
}

fn paths(shown: &Value) -> Vec<&str> {
    shown["nodes"].as_array().unwrap().iter().map(|node| node["path"].as_str().unwrap()).collect()
}

/// REPEAT-1, REPEAT-4, REPEAT-6.
#[tokio::test(flavor = "multi_thread")]
async fn a_dag_runs_again_on_its_own_result_and_a_run_can_go_back_to_a_round() {
    let server = fixture();
    assert_eq!(begin(&server, "case=rounds", "60s").await.ok(), "inrrr after");
    let shown = server.shown("r");
    assert_eq!(paths(&shown), ["R", "after", "R[1]/n", "R[2]/n", "R[3]/n"]);
    assert_eq!(shown["nodes"][0]["rounds"], 3);
    server.post("/function/fixture/flow/r/rerun?node=R[2]/n", "x").await.ok();
    assert_eq!(server.result_of("fixture", "r").await.ok(), "xrrr after");
    assert_eq!(paths(&server.shown("r")), ["R", "after", "R[1]/n", "R[2]/n", "R[3]/n", "R[4]/n"]);
    assert_eq!(server.result("fixture?case=rounds-of-items", "in").await.ok(), "inrrr after");
}

/// REPEAT-2.
#[tokio::test]
async fn a_repeat_that_does_not_end_fails_after_as_many_rounds_as_it_may_have() {
    let server = fixture();
    let says = begin(&server, "case=rounds&until=9&most=2", "60s").await.failed(500, "FF0262");
    assert!(says.contains("`R/again` wants another round after 2"), "{says}");
    let shown = server.shown("r");
    assert_eq!((paths(&shown), &shown["failure"]["path"]), (vec!["R", "after", "R[1]/n", "R[2]/n"], &"R".into()));
}

/// REPEAT-3.
#[tokio::test]
async fn a_wait_between_rounds_outlives_the_server() {
    let folder = TempDir::new().unwrap();
    let server = serve(folder.path());
    assert_eq!(begin(&server, "case=rounds&until=2&waits=2000", "1ms").await.status, 202);
    let shown = || run(folder.path(), ["requests", "show", "r", "--json"]).json();
    until("the node waits", async || !shown()["nodes"][0]["waits_until"].is_null()).await;
    server.kill();
    let server = serve(folder.path());
    assert_eq!(server.result_of("fixture", "r").await.ok(), "inrr after");
    let ends = |path: &str, what: &str| {
        let shown = shown();
        let node = shown["nodes"].as_array().unwrap().iter().find(|node| node["path"] == path).unwrap().clone();
        node[what].as_u64().unwrap()
    };
    assert!(ends("R[2]/n", "started") >= ends("R[1]/n", "since") + 2_000);
}
