//! What programs read: the JSON of commands, routes and errors. Snapshots in `snapshots/` show all of it, so that a
//! change of one is seen. `INSTA_UPDATE=always cargo xtask test --test e2e shapes::` accepts what has changed.

use faas_flow_e2e::command::{faas_flow, run};
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::versions::{World, result, tell};
use faas_flow_test_support::modules::module;
use insta::assert_snapshot;
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

/// JSON as text, with a name in the place of everything that differs from one run of the tests or one compiler to the
/// next, and of the sentences of errors.
fn shape(value: &Value) -> String {
    let mut value = value.clone();
    name(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

fn name(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(name),
        Value::Object(fields) => {
            if fields.contains_key("code") {
                fields.insert("message".to_owned(), "[sentence]".into());
            }
            if let Some(size) = fields.get_mut("size") {
                *size = "[bytes]".into();
            }
            fields.values_mut().for_each(name);
        }
        Value::Number(number) if number.as_u64().is_some_and(|number| number > 1_600_000_000_000) => {
            *value = "[milliseconds]".into();
        }
        Value::String(text) if is_digest(text) => *value = "[digest]".into(),
        _ => {}
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a command prints with `--json`, whether it succeeds or not.
fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = faas_flow(folder).args(arguments).arg("--json").output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"))
}

fn chain() -> Server {
    let serve = Serve::flows(&["async-chain", "sync-chain"]);
    ["func1", "func2", "fake-storage"].iter().fold(serve, |serve, name| serve.function(name, "echo")).start()
}

async fn fetch(server: &Server, path: &str) -> Value {
    let answer = server.send(server.client.get(server.url(path)).header("Accept", "application/json")).await;
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {answer:?}"))
}

#[test]
fn check_describes_a_flow_and_its_problems() {
    let folder = TempDir::new().unwrap();
    let checked = json(folder.path(), &["check", module("conditional-branching").to_str().unwrap()]);
    assert_snapshot!("check", shape(&checked));
    std::fs::write(folder.path().join("text.wasm"), "hello").unwrap();
    assert_snapshot!("check_of_no_flow", shape(&json(folder.path(), &["check", "text.wasm"])));
}

#[test]
fn run_tells_the_result_and_the_history() {
    let folder = TempDir::new().unwrap();
    let greet = module("greet");
    let run = |data| json(folder.path(), &["run", greet.to_str().unwrap(), "--data", data, "--request-id", "mine"]);
    assert_snapshot!("run", shape(&run("Ada")));
    assert_snapshot!("run_that_fails", shape(&run(" ")));
}

#[tokio::test]
async fn requests_lists_runs_and_shows_one() {
    let server = chain();
    let request = server.request("/function/async-chain", "hi").header("X-Faas-Flow-Reqid", "mine");
    server.send(request.header("X-Faas-Flow-Wait", "60s")).await.ok();
    assert_snapshot!("requests_list", shape(&run(server.folder(), ["requests", "list", "--json"]).json()));
    assert_snapshot!("requests_show", shape(&server.shown("mine")));
}

#[tokio::test]
async fn routes_answer_in_json_too() {
    let server = chain();
    let request = server.request("/function/async-chain", "hi").header("X-Faas-Flow-Reqid", "mine");
    server.send(request.header("X-Faas-Flow-Wait", "60s")).await.ok();
    assert_snapshot!("route_state", shape(&fetch(&server, "/function/async-chain/flow/mine/state").await));
    assert_snapshot!(
        "route_of_a_run_that_is_unknown",
        shape(&fetch(&server, "/function/async-chain/flow/x/state").await)
    );
    assert_snapshot!("dashboard_flows", shape(&fetch(&server, "/dashboard/").await));
    assert_snapshot!("dashboard_run", shape(&fetch(&server, "/dashboard/runs/mine").await));
}

#[tokio::test]
async fn modules_are_listed_planned_and_pushed() {
    let world = World::open().await;
    let server = world.start(&world.version(1, "okay"));
    let second = world.version(2, "more");
    assert_snapshot!("plan", shape(&tell(&server, &["plan"], &[&second]).await.json()));
    assert_snapshot!("push", shape(&tell(&server, &["push", "--who", "ann"], &[&second]).await.json()));
    assert_eq!(result(&server, "in").await.ok(), "in|0002|0002|0002");
    assert_snapshot!("modules_list", shape(&tell(&server, &["modules", "list"], &[]).await.json()));
    assert_snapshot!(
        "modules_rollback",
        shape(&tell(&server, &["modules", "rollback", "--who", "ann"], &[]).await.json())
    );
}
