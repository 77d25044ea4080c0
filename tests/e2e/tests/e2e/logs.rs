//! What the code of flows logs: kept with their runs, and in the program's own log.

use faas_flow_e2e::command::run;
use faas_flow_e2e::server::Serve;
use faas_flow_e2e::wait::until;
use serde_json::Value;

/// Each line of JSON.
fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// HIST-11: a run of a single node, whose history is written after its answer.
#[tokio::test]
async fn a_run_keeps_the_latest_lines_of_its_code_for_people_and_programs() {
    let server = Serve::flows(&["fixture"]).start();
    let answer = server.result("fixture?case=log-input", "low\non \u{1b}[2Jpaper").await;
    let id = answer.id.clone().unwrap();
    answer.ok();
    let text = server.get(&format!("/function/fixture/flow/{id}/logs")).await.ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 201, "{text}");
    assert!(
        lines[0].ends_with("WARN  n: 4800 lines of this node were not kept, since they exceed run_logs"),
        "{}",
        lines[0]
    );
    assert!(lines[200].ends_with(r"INFO  n: low\non \u{1b}[2Jpaper"), "{}", lines[200]);
    let stored = run(server.folder(), ["logs", &id]).ok();
    assert_eq!(stored, text);
    let url = server.url("");
    let asked = run(server.folder(), ["logs", &id, "--json", "--follow", "--to", &url]).ok();
    let objects = objects(&asked);
    assert_eq!(objects.len(), 201);
    assert_eq!((&objects[0]["dropped"], &objects[0]["attempt"]), (&Value::from(4800), &Value::Null));
    let last = &objects[200];
    assert_eq!(
        (last["path"].as_str(), last["attempt"].as_u64(), last["run"].as_str()),
        (Some("n"), Some(1), Some(&*id))
    );
    assert_eq!((last["message"].as_str(), last["level"].as_str()), (Some("low\non \u{1b}[2Jpaper"), Some("info")));
    assert_eq!(last["digest"], server.shown(&id)["digest"]);
    assert_eq!(server.shown(&id)["nodes"][0]["log_lines"], 200);
    assert_eq!(run(server.folder(), ["logs", &id, "--node", "m"]).ok(), "");
    let page = server.get(&format!("/dashboard/runs/{id}/node?node=n")).await.ok();
    assert!(
        page.contains("<section id=\"log\">\n<h2>Log</h2>") && page.contains(r"INFO  n: low\non \u{1b}[2Jpaper"),
        "{page}"
    );
    assert!(run(server.folder(), ["logs", "nobody"]).stderr.contains("FF0212"), "{text}");
    server.get(&format!("/function/fixture/flow/{id}/logs?from=x")).await.failed(400, "FF0217");
}

/// HIST-11.
#[tokio::test]
async fn a_run_that_keeps_no_log_has_none_and_the_programs_log_is_json_if_that_is_asked_for() {
    let server = Serve::flows(&["fixture"]).with("--run-logs", "0").with("--log-format", "json").start();
    let answer = server.result("fixture?case=logs", "").await;
    let id = answer.id.clone().unwrap();
    answer.ok();
    assert_eq!(run(server.folder(), ["logs", &id]).ok(), "");
    until("it is logged", async || server.log().contains("hello")).await;
    let log = server.log();
    let line = log.lines().find(|line| line.contains("hello")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["digest"], server.shown(&id)["digest"]);
    let fields = ["level", "target", "message", "flow", "path", "run"].map(|name| line[name].as_str().unwrap());
    assert_eq!(fields, ["info", "flow", "hello", "fixture", "n", &id]);
    assert_eq!(line["attempt"], 1);
}

/// HIST-11: a run that is stored as it goes on, whose last handler logs once its answer is settled.
#[tokio::test]
async fn a_stored_run_keeps_what_its_handlers_log() {
    let server = Serve::flows(&["fixture"]).start();
    let call = server.request("/function/fixture?case=finally-after-success", "in");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let call =
        call.header("X-Faas-Flow-Reqid", "mine").header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"));
    server.send(call.header("X-Faas-Flow-Wait", "60s")).await.ok();
    let asked = run(server.folder(), ["logs", "mine", "--follow", "--json"]).ok();
    let lines = objects(&asked);
    let said: Vec<_> = lines.iter().map(|line| ["path", "message", "trace"].map(|name| line[name].as_str())).collect();
    assert_eq!(said, [[Some("(finally)"), Some("finally success"), Some(trace)]]);
}
