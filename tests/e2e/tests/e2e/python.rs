//! Flows that were written with the SDK for Python: every construct, and every mistake that Python can survive.

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::any;
use faas_flow_e2e::command::run;
use faas_flow_e2e::definition::hide_values;
use faas_flow_e2e::program::root;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_test_support::double;
use faas_flow_test_support::modules::module;
use serde_json::Value;
use std::process::Command;
use tempfile::TempDir;

const FLOW: &str = "fixture-python";

async fn serve() -> Server {
    let functions = Router::new().route("/echo", any(async |body: Bytes| body));
    let url = double::serve(functions.route("/missing", any(async || StatusCode::NOT_FOUND))).await;
    let serve = Serve::flows(&[FLOW]);
    serve.function("echo", format!("{url}/echo")).function("missing", format!("{url}/missing")).start()
}

/// The message with which the run of this mistake fails.
async fn failure(server: &Server, case: &str) -> String {
    server.result(&format!("{FLOW}?case={case}"), "data").await.failed(422, "FF0012")
}

#[tokio::test]
async fn every_construct_means_on_the_host_what_it_means_in_tests() {
    let server = serve().await;
    let answer = server.result(FLOW, r#"{"id": 7}"#).await;
    let tests = std::fs::read_to_string(root().join("tests/fixture-python/test_flow.py")).unwrap();
    let expected = tests.split_once("RESULT = (").unwrap().1.split_once("\n)").unwrap().0;
    let expected: String = expected.lines().map(|line| line.trim().trim_matches(['\'', '"'])).collect();
    assert_eq!((answer.status, answer.body.as_str()), (201, expected.as_str()), "{answer:?}");
    assert_eq!(answer.header("x-order"), ["7"]);
    assert_eq!(server.shown(&answer.id.unwrap())["labels"]["order"], "7");
    server.until_logged("ended: success").await;
}

#[test]
fn the_host_gets_the_definition_that_tests_see() {
    let folder = TempDir::new().unwrap();
    let module = module(FLOW);
    let host = run(folder.path(), ["graph", "--format", "definition", module.to_str().unwrap()]).json();
    let script = "import json; from faas_flow.testing import Flow; from flow import define; \
                  print(json.dumps(Flow(define).definition))";
    let path = ["guest-sdk/python/src", "tests/fixture-python"].map(|folder| root().join(folder));
    let mut python = Command::new("python3");
    python.args(["-B", "-c", script]).env("PYTHONPATH", std::env::join_paths(path).unwrap());
    let native = python.output().unwrap();
    assert!(native.status.success(), "{}", String::from_utf8_lossy(&native.stderr));
    let mut native: Value = serde_json::from_slice(&native.stdout).unwrap();
    hide_values(&mut native);
    assert_eq!(host, native);
}

#[tokio::test]
async fn an_exception_fails_the_run_with_its_message_and_line() {
    let server = serve().await;
    for (case, says) in [
        ("raises", "KeyError: b'data' (flow.py, line "),
        ("raises", ", in raises)"),
        ("exits", "SystemExit: stop (flow.py, line "),
        ("misspells", "NameError: name 'date' is not defined"),
        ("misspells", "Did you mean: 'data'?"),
        ("recurses", "RecursionError: maximum recursion depth exceeded"),
        ("imports-late", "ModuleNotFoundError: `xml` is imported too late: import it at the top of a file"),
        ("reads", "RuntimeError: "),
        ("begins-thread", "RuntimeError: can't start new thread (flow.py, line "),
        ("is-async", " is async: a flow has no event loop, so write `def` without `async`"),
        ("returns-none", "TypeError: what `<lambda>` (flow.py, line "),
        ("returns-none", " returned is None, and must be bytes or str"),
        ("takes-nothing", "takes 0 positional arguments but 1 was given, in `<lambda>` (flow.py, line "),
        ("allocates", "MemoryError (flow.py, line "),
        ("half-a-character", "UnicodeEncodeError: 'utf-8' codec can't encode character '\\ud800'"),
        ("wraps", "ValueError: no such row (flow.py, line "),
        ("wraps", "; caused by KeyError: b'data' (flow.py, line "),
    ] {
        let message = failure(&server, case).await;
        assert!(message.contains(says), "{case}: {message}");
    }
}

/// Python's own code in C notices too late how deep it is.
#[tokio::test]
async fn what_python_cannot_catch_has_an_error_of_the_host() {
    let server = serve().await;
    server.result(&format!("{FLOW}?case=nests"), "").await.failed(500, "FF0009");
}

#[tokio::test]
async fn a_rejection_has_its_status_and_a_retry_its_own_code() {
    let server = serve().await;
    let message = server.result(&format!("{FLOW}?case=not-found"), "").await.failed(404, "FF0012");
    assert!(message.contains("no such order"), "{message}");
    let message = server.result(&format!("{FLOW}?case=never-ready"), "").await.failed(500, "FF0013");
    assert!(message.contains("not ready"), "{message}");
}

#[tokio::test]
async fn what_a_flow_prints_is_in_the_log() {
    let server = serve().await;
    assert_eq!(server.result(&format!("{FLOW}?case=prints"), "data").await.ok(), "printed");
    for line in ["printed: data", "half a line", "to standard error", "UserWarning: a warning"] {
        server.until_logged(line).await;
    }
}

#[tokio::test]
async fn an_exception_in_define_has_its_message_and_line() {
    let server = serve().await;
    for (case, says) in [
        ("in-define", "AttributeError: 'Dag' object has no attribute 'nod'. Did you mean: 'node'? (flow.py, line "),
        ("exit-in-define", "SystemExit: no definition (flow.py, line "),
    ] {
        let answer = server.result(&format!("{FLOW}?case={case}"), "").await;
        assert!(answer.status >= 400 && answer.body.contains(says), "{case}: {answer:?}");
        assert_eq!(answer.code.as_deref(), Some("FF0005"), "{case}: {answer:?}");
    }
}

#[tokio::test]
async fn a_flow_may_use_packages_in_pure_python() {
    let example = root().join("examples/data-job-python");
    let customer = example.join("functions/customer-name.sh").display().to_string();
    let server = Serve::flows(&["data-job-python"]).function("customer-name", customer).start();
    let log = std::fs::read(example.join("data/requests.csv")).unwrap();
    let report = server.result("data-job-python", log).await;
    assert_eq!(report.content_type.as_deref(), Some("text/markdown; charset=utf-8"), "{report:?}");
    let report = report.ok();
    assert!(report.contains("| Ada & Sons | 3 | 0 | 2.5 MB | 39 ms |\n"), "{report}");
    let refusal = server.result("data-job-python", "time\n").await.failed(422, "FF0012");
    assert!(refusal.contains("the log must begin with the line time,customer,path,status,bytes,ms"), "{refusal}");
}
