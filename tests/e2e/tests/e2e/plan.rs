//! `faas-flow plan`: two versions of a flow are compared before one replaces the other.

use faas_flow_e2e::command::run;
use faas_flow_test_support::modules::module;
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

fn plan(new: &str, old: &str, more: &[&str]) -> faas_flow_e2e::command::Done {
    let new = module(new);
    let old = module(old);
    let arguments = ["plan", new.to_str().unwrap(), "--from", old.to_str().unwrap()];
    run(TempDir::new().unwrap().path(), arguments.iter().chain(more))
}

#[test]
fn added_and_removed_nodes_are_listed() {
    let text = plan("async-chain", "sync-chain", &[]).ok();
    for line in ["+ n1\n", "- sync\n", "+ n1 → n2\n", "- handler sync/2\n", "warning: handler sync/2 was removed"] {
        assert!(text.contains(line), "`{text}` has no `{line}`");
    }
    assert!(!text.contains('\x1b'), "no colours where it is piped");
    let json = plan("async-chain", "sync-chain", &["--json"]).json();
    assert_eq!(json["changed-nodes"], json!(["n1", "n2", "n3", "sync"]));
    assert_eq!(json["difference"]["nodes"][0], json!({ "path": "sync", "change": "removed" }));
    assert_eq!((&json["same-module"], &json["only-code"]), (&Value::from(false), &Value::from(false)));
    assert_eq!((&json["old"]["wit"], &json["new"]["wit"]), (&Value::from("0.2.0"), &Value::from("0.2.0")));
}

#[test]
fn the_same_graph_in_other_code_is_told_from_the_same_module() {
    let rewritten = plan("greet", "greet-typescript", &["--json"]).json();
    assert_eq!((&rewritten["same-module"], &rewritten["only-code"]), (&Value::from(false), &Value::from(true)));
    assert_eq!(rewritten["changed-nodes"], json!([]));
    assert!(plan("greet", "greet-typescript", &[]).ok().contains("only the code changed"));
    let same = plan("greet", "greet", &["--json"]).json();
    assert_eq!((&same["same-module"], &same["only-code"]), (&Value::from(true), &Value::from(false)));
}

#[test]
fn a_picture_goes_to_a_file() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("plan.svg");
    let to = ["--format", "svg", "--out", file.to_str().unwrap()];
    assert_eq!(plan("conditional-branching", "dynamic-branching", &to).ok(), "");
    let svg = fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("class=\"mark added\""), "{svg}");
    let nowhere = folder.path().join("gone/plan.svg");
    plan("greet", "greet", &["--out", nowhere.to_str().unwrap()]).failed("FF0411", &["gone/plan.svg"]);
}

#[test]
fn a_module_that_is_not_a_flow_has_no_plan() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("text.wasm"), "hello").unwrap();
    let greet = module("greet");
    let greet = greet.to_str().unwrap();
    run(folder.path(), ["plan", greet, "--from", "text.wasm"]).failed("FF0001", &[]);
    run(folder.path(), ["plan", "gone.wasm", "--from", greet]).failed("FF0014", &["gone.wasm"]);
}
