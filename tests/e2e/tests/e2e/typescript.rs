//! Flows in TypeScript. What an author does wrong there is a failure that names the author's file and line.

use faas_flow_e2e::command::run;
use faas_flow_e2e::image::faas_cli;
use faas_flow_e2e::program::root;
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_test_support::modules::folder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const FLOW: &str = "fixture-typescript";

fn serve() -> Server {
    Serve::flows(&[FLOW]).function("echo", "echo").start()
}

/// Whether a text says this at some line and column of a file of the author's.
#[track_caller]
fn says(text: &str, message: &str, file: &str) {
    let place = text.split_once(&format!("{message} ({file}:")).map(|(_, place)| place);
    let numbers = place.and_then(|place| place.split_once(')')).map(|(numbers, _)| numbers).unwrap_or_default();
    let is_number = |number: &str| number.parse::<u32>().is_ok_and(|number| number > 0);
    assert!(
        numbers.split(':').count() == 2 && numbers.split(':').all(is_number),
        "`{text}` has no `{message} ({file}:`"
    );
}

async fn case(server: &Server, name: &str) -> Answer {
    server.result(FLOW, name.to_owned()).await
}

/// What the caller is told of a case that is rejected: with 422 by whatever gets the body of the request, and with 500 after it.
async fn rejected(server: &Server, name: &str) -> String {
    let answer = case(server, name).await;
    assert_eq!(answer.code.as_deref(), Some("FF0012"), "{answer:?}");
    answer.body
}

#[tokio::test]
async fn whatever_leaves_a_closure_is_rejected_with_its_message_file_and_line() {
    let server = serve();
    for (name, message, file) in [
        ("exception", "TypeError: cannot read property 'items' of undefined", "helper.ts"),
        ("cause", "RangeError: no such order: 7 is unknown", "flow.ts"),
        ("text", "only text", "flow.ts"),
        ("number", "must return a string, a Uint8Array or Data, not the number 5", "flow.ts"),
        ("nothing", "must return a string, a Uint8Array or Data, not undefined", "flow.ts"),
        ("promise", "Let nodes call what takes time, with `apply` or `request`", "flow.ts"),
        ("rejection", "Let nodes call what takes time, with `apply` or `request`", "flow.ts"),
        ("refused", "`application/json` or `text/plain; charset=utf-8`", "flow.ts"),
    ] {
        says(&rejected(&server, name).await, message, file);
    }
    server.until_logged("at total (helper.ts:").await;
}

#[tokio::test]
async fn every_kind_of_handler_fails_with_its_message_file_and_line() {
    let server = serve();
    let kinds = [
        "condition",
        "for-each",
        "aggregate",
        "prepare",
        "receive",
        "recover-from",
        "again",
        "moment",
        "signal-name",
        "key",
    ];
    for kind in kinds {
        says(&rejected(&server, kind).await, &format!("Error: {kind} failed"), "flow.ts");
    }
}

#[tokio::test]
async fn the_clock_of_a_flow_stands_at_the_start_of_its_run() {
    let server = serve();
    let answer = case(&server, "clock").await;
    let id = answer.id.clone().unwrap();
    assert_eq!(answer.ok(), server.shown(&id)["started"].to_string());
}

#[tokio::test]
async fn what_a_flow_does_not_have_says_what_to_do_instead() {
    let server = serve();
    for (name, message) in [
        ("fetch", "a flow has no fetch: let a node do it, with `apply` or `request`"),
        ("timer", "a flow has no setTimeout: let a node wait, with `sleep`, `sleepUntil` or `repeat`"),
        ("random", "a flow has no crypto.randomUUID: take random values from the request or from a function"),
    ] {
        says(&rejected(&server, name).await, message, "flow.ts");
    }
}

#[tokio::test]
async fn an_authors_own_failures_are_what_the_author_has_written() {
    let server = serve();
    let own = case(&server, "own").await.failed(404, "FF0012");
    assert!(own.contains("there is no such order") && !own.contains("flow.ts"), "{own}");
    let again = case(&server, "retry").await.failed(500, "FF0013");
    assert!(again.contains("the warehouse is closed") && !again.contains("flow.ts"), "{again}");
}

#[tokio::test]
async fn endless_recursion_ends_the_node_and_not_the_server() {
    let server = serve();
    case(&server, "endless").await.failed(500, "FF0009");
    assert_eq!(case(&server, "json").await.ok(), "{\"a\":\"ü\"}");
}

#[tokio::test]
async fn text_dates_json_and_the_console_work_as_everywhere() {
    let server = serve();
    assert_eq!(case(&server, "characters").await.ok(), "aü€\u{1f600}\u{fffd}");
    assert_eq!(case(&server, "date").await.ok(), "2026-12-24T17:00:00.000Z 17 true 1798070400000");
    assert_eq!(case(&server, "json").await.content_type.as_deref(), Some("application/json"));
    assert_eq!(case(&server, "console").await.ok(), "console");
    for line in ["a line {\"of\":\"several\"} 3", "that went wrong", "defined"] {
        server.until_logged(line).await;
    }
}

#[tokio::test]
async fn values_labels_and_answers_reach_the_run() {
    let server = serve();
    let request = server.request(&format!("/function/{FLOW}?page=7"), "values").header("X-Team", "blue");
    let answer = server.send(request.header("X-Faas-Flow-Wait", "60s")).await;
    assert_eq!((answer.status, answer.header("location")), (201, vec!["/values/1"]));
    assert_eq!(answer.body, "case[values]/set 2 undefined blue 7 running");
    assert_eq!(server.shown(&answer.id.unwrap())["labels"], json!({ "case": "values" }));
}

#[tokio::test]
async fn a_webhook_is_handed_on_to_three_services() {
    let program = |name: &str| root().join("examples/webhook-typescript/functions").join(name).display().to_string();
    let server = Serve::flows(&["webhook-typescript"]).function("ledger", program("ledger.sh"));
    let server = server.function("customer-file", format!("headers:{}", program("customer-file.sh")));
    let server = server.function("chat", format!("headers:{}", program("chat.sh"))).start();
    let event = |customer: &str, amount: u64| {
        let payment = json!({ "id": "evt-1", "type": "payment.failed", "customer": customer, "amount": amount, "currency": "EUR" });
        payment.to_string()
    };
    let answer = server.result("webhook-typescript", event("Ada", 1250)).await;
    assert_eq!((answer.status, answer.content_type.as_deref()), (201, Some("application/json")), "{answer:?}");
    let told =
        json!({ "ledger": "booked evt-1", "file": "noted for Ada", "chat": "told: Ada could not pay 12.50 EUR" });
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), told);
    assert_eq!(server.shown(&answer.id.unwrap())["labels"], json!({ "payment": "evt-1" }));
    let unknown = server.result("webhook-typescript", event("Mallory", 10_000_000)).await;
    let unknown: Value = serde_json::from_str(&unknown.body).unwrap();
    assert_eq!(unknown["file"], "no such customer");
    assert!(unknown["chat"].as_str().unwrap().starts_with("nobody was told: "), "{unknown}");
    let refusal = server.result("webhook-typescript", "{}").await.failed(422, "FF0012");
    assert!(refusal.contains("a payment needs an id"), "{refusal}");
}

/// The folder in which `cargo xtask modules` has built the SDK and the examples.
fn built() -> PathBuf {
    folder().join("typescript")
}

/// Runs the tool of the SDK.
fn tool(folder: &Path, arguments: &[&str]) -> Output {
    let tool = built().join("guest-sdk/js/bin/faas-flow-typescript.mjs");
    assert!(tool.is_file(), "{} is missing: run `cargo xtask modules`", tool.display());
    Command::new("node").arg(tool).args(arguments).current_dir(folder).output().unwrap()
}

#[track_caller]
fn passes(folder: &str) {
    let output = tool(&built().join(folder), &["test"]);
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{folder}: {text}");
    assert!(!text.contains("# tests 0"), "{folder}: {text}");
}

#[test]
fn the_tests_of_the_sdk_pass() {
    passes("guest-sdk/js");
    // Most of what the types are for is to refuse something.
    let npm = Command::new("npm")
        .args(["run", "--silent", "check"])
        .current_dir(built().join("guest-sdk/js"))
        .output()
        .unwrap();
    assert!(npm.status.success(), "{}", String::from_utf8_lossy(&npm.stdout));
}

#[test]
fn the_tests_of_the_examples_pass() {
    for example in ["greet-typescript", "dynamic-branching-typescript", "webhook-typescript"] {
        passes(&format!("examples/{example}"));
    }
}

#[test]
fn the_tests_of_the_conformance_flow_pass() {
    let folder = "tests/conformance";
    let definitions = fs::read(root().join(folder).join("definitions.json")).unwrap();
    fs::write(built().join(folder).join("definitions.json"), definitions).unwrap();
    passes(&format!("{folder}/typescript"));
}

/// Builds a flow of one file, which must fail, and returns what the tool says.
fn refused(file: &str, text: &str) -> String {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(file), text).unwrap();
    let output = tool(folder.path(), &["build", file]);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(!folder.path().join("flow.wasm").exists());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_flow_that_cannot_be_built_says_why_and_where() {
    let throws =
        "import { flow } from \"faas-flow\";\nexport default flow(({ dag }) => {\n  dag.node(undefined.id);\n});\n";
    says(&refused("flow.ts", throws), "TypeError: cannot read property 'id' of undefined", "flow.ts");
    let misspelt = throws.replace("dag.node(undefined.id)", "dag.condition(\"C\", [\"a\"], () => \"a\").branch(\"b\")");
    says(&refused("flow.ts", &misspelt), "condition `C` has no branch `b`: it lists `a`", "flow.ts");
    let waits = throws.replace("dag.node(undefined.id)", "dag.node(\"n\").modify(async (data) => data)");
    says(&refused("flow.js", &waits), "Let nodes call what takes time, with `apply` or `request`", "flow.js");
    let early = refused("flow.ts", "null.a;\nexport default 5;\n");
    assert!(early.contains("cannot read property 'a' of null") && early.contains("at flow.ts:1:"), "{early}");
    let none = refused("flow.ts", "export const flow = 5;\n");
    assert!(none.contains("export default flow("), "{none}");
    let syntax = refused("flow.ts", "const a = ;\n");
    assert!(syntax.contains("flow.ts:1:10"), "{syntax}");
    let import = refused("flow.ts", "import { readFileSync } from \"node:fs\";\nexport default readFileSync;\n");
    assert!(import.contains("node:fs") && import.contains("flow.ts:1:"), "{import}");
}

#[test]
fn types_that_do_not_fit_end_the_build() {
    let folder = built().join("tests/wrong-types");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(root().join("examples/greet-typescript/tsconfig.json"), folder.join("tsconfig.json")).unwrap();
    let text = "import { flow } from \"faas-flow\";\n\nexport default flow(({ dag }) => {\n  dag.condition(\"C\", [\"a\"], () => \"b\").branch(\"a\").node(\"n\");\n});\n";
    fs::write(folder.join("flow.ts"), text).unwrap();
    let output = tool(&folder, &["build"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("flow.ts(4,") && text.contains("the types do not fit"), "{text}");
}

/// The files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn the_template_has_the_sdk_of_this_repository() {
    let copy = root().join("template/faas-flow-typescript/sdk/js");
    for part in ["bin", "dist", "wit"] {
        let (found, expected) = (files(&copy.join(part)), files(&built().join("guest-sdk/js").join(part)));
        assert!(found.keys().eq(expected.keys()), "{part} is outdated: run `cargo xtask template`");
        for (path, bytes) in expected {
            assert!(found[&path] == bytes, "{part}/{} is outdated: run `cargo xtask template`", path.display());
        }
    }
    let manifest = |path: PathBuf| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let (found, mut expected) =
        (manifest(copy.join("package.json")), manifest(built().join("guest-sdk/js/package.json")));
    expected.as_object_mut().unwrap().retain(|key, _| key != "scripts" && key != "devDependencies");
    assert_eq!(found, expected, "run `cargo xtask template`");
}

/// The commands of the template's Dockerfile, in the folders that `faas-cli` makes. What npm installs is in its cache, since the
/// SDK was built with the same versions.
#[test]
fn a_new_flow_of_the_template_is_tested_and_built() {
    let folder = TempDir::new().unwrap();
    faas_cli::template_pull(&root(), folder.path());
    faas_cli::new(folder.path(), "greet", "faas-flow-typescript");
    let text = fs::read_to_string(root().join("template/faas-flow-typescript/Dockerfile")).unwrap();
    for command in
        ["npm ci --ignore-scripts --no-audit --no-fund", "npm test", "npm run build -- --output ../app/flow.wasm"]
    {
        assert!(text.contains(command), "the Dockerfile has no `{command}`");
        fs::create_dir_all(folder.path().join("app")).unwrap();
        let offline = command.replace("npm ci", "npm ci --prefer-offline");
        let shell =
            Command::new("sh").arg("-c").arg(offline).current_dir(folder.path().join("greet")).output().unwrap();
        assert!(shell.status.success(), "{command}: {}", String::from_utf8_lossy(&shell.stderr));
    }
    assert!(run(folder.path(), ["run", "app/flow.wasm", "--data", "Adam"]).ok().contains("Hello, Adam!"));
}
