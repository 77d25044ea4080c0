//! `faas-flow serve`, for callers and operators.

use faas_flow_e2e::command::{run, script};
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::versions::files_below;
use faas_flow_e2e::wait::until;
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

fn chain() -> Server {
    echoes(Serve::flows(&["async-chain"])).start()
}

fn echoes(serve: Serve) -> Serve {
    ["func1", "func2", "fake-storage"].iter().fold(serve, |serve, name| serve.function(name, "echo"))
}

const CHAIN: &str = "/function/async-chain";

#[tokio::test]
async fn a_run_goes_on_without_its_caller_and_keeps_its_result() {
    let server = chain();
    let accepted = server.post(CHAIN, "hi").await;
    assert_eq!((accepted.status, accepted.body.as_str()), (202, ""));
    let id = accepted.id.expect("a request id");
    assert_eq!(server.result_of("async-chain", &id).await.ok(), "you said \"hi\"");
    assert_eq!(server.get(&format!("{CHAIN}/flow/{id}/state")).await.ok(), "FINISHED");
}

#[tokio::test]
async fn a_flow_of_one_node_answers_with_its_result() {
    let server = echoes(Serve::flows(&["sync-chain"])).start();
    let answer = server.post("/function/sync-chain", "hi").await;
    assert!(answer.id.is_some());
    assert_eq!(answer.ok(), "you said \"hi\"");
}

#[tokio::test]
async fn an_asynchronous_call_is_accepted_even_of_a_flow_of_one_node() {
    let server = echoes(Serve::flows(&["sync-chain"])).start();
    let accepted = server.post("/async-function/sync-chain", "hi").await;
    assert_eq!(accepted.status, 202);
    let id = accepted.id.expect("a request id");
    assert_eq!(server.result_of("sync-chain", &id).await.ok(), "you said \"hi\"");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let server = chain();
    for bad in ["a b", "../x", &"x".repeat(65)] {
        let answer = server.send(server.request(CHAIN, "hi").header("X-Faas-Flow-Reqid", bad)).await;
        assert!(answer.failed(400, "FF0213").contains("1 to 64 characters"));
    }
    assert!(server.post("/function/nobody", "hi").await.failed(404, "FF0214").contains("nobody"));
    let wait = server.send(server.request(CHAIN, "hi").header("X-Faas-Flow-Wait", "soon")).await;
    assert!(wait.failed(400, "FF0217").contains("soon"));
    server.get(&format!("{CHAIN}/flow/unknown/state")).await.failed(404, "FF0212");
    server.get(&format!("{CHAIN}/flow/unknown/result")).await.failed(404, "FF0212");
    server.get(&format!("{CHAIN}/else/where")).await.failed(404, "FF0508");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let server = echoes(Serve::flows(&["sync-chain"])).with("--body-limit", "1MiB").start();
    let body = |size: usize| "x".repeat(size);
    assert_eq!(server.post("/function/sync-chain", body(1 << 20)).await.ok().len(), (1 << 20) + 11);
    server.post("/function/sync-chain", body((1 << 20) + 1)).await.failed(413, "FF0204");
}

#[tokio::test]
async fn step_functions_are_served_too() {
    let folder = TempDir::new().unwrap();
    let shout = script(folder.path(), "shout.sh", "printf '%s %s: ' \"$Http_Method\" \"$Http_Query\"; tr a-z A-Z");
    let server = Serve::flows(&["greet"]).function("shout", shout).start();
    assert_eq!(server.post("/function/shout?a=1", "hey").await.ok(), "POST a=1: HEY");
    for path in ["/function/shout/below/it", "/function/shout/", "//function/shout", "/function/shout/flow/r/state"] {
        let request = server.client.request(reqwest::Method::PUT, server.url(path)).body("hey");
        let answer = request.send().await.unwrap();
        assert!(!answer.headers().contains_key("allow"), "{answer:?}");
        assert_eq!(answer.text().await.unwrap(), "PUT : HEY", "{path}");
    }
    let index = server.get("/").await.ok();
    assert!(index.contains("/function/greet") && index.contains("/function/shout"), "{index}");
}

#[tokio::test]
async fn the_dag_is_exported_as_the_original_does() {
    let server = chain();
    let dag: Value = serde_json::from_str(&server.get(&format!("{CHAIN}?export-dag=true")).await.ok()).unwrap();
    assert!(dag.is_object());
    for node in ["n1", "n2", "n3"] {
        assert!(dag.to_string().contains(&format!("\"{node}\"")), "{node}: {dag}");
    }
}

#[tokio::test]
async fn the_history_is_read_while_the_server_runs() {
    let server = chain();
    let id = server.result("async-chain", "hi").await.id.expect("a request id");
    let list = run(server.folder(), ["requests", "list", "--flow", "async-chain", "--status", "succeeded", "--json"]);
    let list = list.json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!((&list[0]["request_id"], &list[0]["status"]), (&Value::from(id.as_str()), &Value::from("succeeded")));

    let shown = server.shown(&id);
    assert_eq!(shown["status"], "succeeded");
    assert_eq!(shown["result_size"], "you said \"hi\"".len());
    let nodes = shown["nodes"].as_array().unwrap();
    let paths: Vec<&str> = nodes.iter().map(|node| node["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["n1", "n2", "n3", "(finally)"]);
    let sizes: Vec<(u64, u64)> = nodes
        .iter()
        .take(3)
        .map(|node| (node["input_size"].as_u64().unwrap(), node["output_size"].as_u64().unwrap()))
        .collect();
    assert_eq!(sizes, [(2, 2), (2, 13), (13, 13)]);
    for node in nodes {
        assert_eq!(node["progress"], "done");
        assert_eq!(node["attempts"].as_array().unwrap().len(), 1);
        let attempt = &node["attempts"][0];
        let times = ["started", "ended"].map(|time| attempt[time].as_u64().unwrap());
        assert!(shown["started"].as_u64().unwrap() <= times[0] && times[0] <= times[1], "{node}");
        assert!(attempt.get("failure").is_none());
    }
    let text = run(server.folder(), ["requests", "show", &id]).ok();
    assert!(text.contains("succeeded") && text.contains("n2"), "{text}");
}

#[tokio::test]
async fn large_payloads_travel_through_files_unchanged() {
    let server = chain();
    let body: String = (0..100 * 1024).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
    assert_eq!(server.result("async-chain", body.clone()).await.ok(), format!("you said \"{body}\""));
    let files = files_below(&server.folder().join(".faas-flow/data"));
    let sizes: Vec<u64> = files.iter().map(|file| fs::metadata(file).unwrap().len()).collect();
    assert!(sizes.iter().any(|size| *size >= body.len() as u64), "{sizes:?}");
}

#[tokio::test]
async fn a_payload_that_somebody_deleted_is_named() {
    let server = chain();
    let id = server.post(CHAIN, "x".repeat(100 * 1024)).await.id.expect("a request id");
    server.result_of("async-chain", &id).await.ok();
    for file in files_below(&server.folder().join(".faas-flow/data")) {
        fs::remove_file(file).unwrap();
    }
    let failure = server.result_of("async-chain", &id).await.failed(500, "FF0307");
    assert!(failure.contains(&id), "{failure}");
}

#[tokio::test]
async fn a_failure_is_kept_as_a_result_is() {
    let server = Serve::flows(&["async-chain"]).function("func1", "echo").start();
    let id = server.post(CHAIN, "hi").await.id.expect("a request id");
    let failure = server.result_of("async-chain", &id).await.failed(502, "FF0205");
    assert!(failure.contains("`func2`") && failure.contains("n2"), "{failure}");
    assert_eq!(server.shown(&id)["status"], "failed");
}

#[tokio::test]
async fn the_branches_of_a_run_survive_the_death_of_its_server() {
    let folder = TempDir::new().unwrap();
    // It writes down every item, and from the tenth on it waits for the gate.
    let body = format!(
        "cd '{}'; item=$(cat); echo \"$item\" >> begun; case $item in [a-i]) ;; *) until [ -e gate ]; do [ -e begun ] || exit 1; sleep 0.02; done ;; esac; printf '%s!' \"$item\"",
        folder.path().display()
    );
    let step = script(folder.path(), "step.sh", &body);
    let serve = || Serve::flows(&["fixture"]).with("--lease", "500ms").function("step", &step).start_in(folder.path());
    let items: String = ('a'..='t').collect();
    let server = serve();
    let request = server.request("/function/fixture?case=items-two-at-a-time", items.clone());
    server.send(request.header("X-Faas-Flow-Reqid", "branches")).await;
    let begun = || fs::read_to_string(folder.path().join("begun")).unwrap_or_default();
    until("the tenth item began", async || begun().contains('j')).await;
    server.kill();

    fs::write(folder.path().join("gate"), "").unwrap();
    let server = serve();
    let expected: Vec<String> = items.chars().enumerate().map(|(index, item)| format!("{index}={item}!")).collect();
    let result = server.result_of("fixture", "branches").await.ok();
    assert_eq!(result, format!("[{}] after", expected.join(", ")));
    // Only the nodes that ran at that moment are executed again, none that was committed before.
    let begun = begun();
    let twice = items.chars().filter(|item| begun.matches(*item).count() > 1).count();
    assert!((1..=2).contains(&twice), "{begun}");
}

#[tokio::test]
async fn a_run_survives_the_death_of_its_server() {
    let folder = TempDir::new().unwrap();
    let gate = "cat > input; until [ -e gate ]; do [ -e input ] || exit 1; sleep 0.02; done; cat input";
    let slow = script(folder.path(), "slow.sh", &format!("cd '{}'; touch begun; {gate}", folder.path().display()));
    let serve = || {
        let serve = Serve::flows(&["async-chain"]).with("--lease", "500ms");
        serve.function("func1", "echo").function("func2", &slow).function("fake-storage", "echo")
    };
    let server = serve().start_in(folder.path());
    server.send(server.request(CHAIN, "hi").header("X-Faas-Flow-Reqid", "survivor")).await;
    let begun = folder.path().join("begun");
    until("the second node began", async || begun.exists()).await;
    server.kill();

    let shown = || run(folder.path(), ["requests", "show", "survivor", "--json"]).json();
    assert_eq!(shown()["status"], "running");
    let server = serve().start_in(folder.path());
    fs::write(folder.path().join("gate"), "").unwrap();
    assert_eq!(server.result_of("async-chain", "survivor").await.ok(), "you said \"hi\"");
    let shown = shown();
    let nodes = shown["nodes"].as_array().unwrap();
    let attempts = |index: usize| -> Vec<Value> {
        let attempts = nodes[index]["attempts"].as_array().unwrap();
        attempts.iter().map(|attempt| attempt["failure"]["code"].clone()).collect()
    };
    assert_eq!(attempts(0), [Value::Null], "the first node ran once");
    assert_eq!(attempts(1), [Value::from("FF0218"), Value::Null], "the second was lost, and ran again");
    assert_eq!(attempts(2), [Value::Null]);
}
