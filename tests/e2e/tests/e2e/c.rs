//! Flows in C and C++: all of the contract, and what the code of a flow should not do.

use faas_flow_e2e::program::root;
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use std::process::Command;
use tempfile::TempDir;

async fn kind(server: &Server, input: &str) -> Answer {
    server.result("c-kinds?q=1&q=2", input.to_owned()).await
}

#[tokio::test]
async fn handlers_of_every_kind_are_called() {
    let server = Serve::flows(&["c-kinds"]).function("echo", "echo").start();
    for (input, result) in [
        ("calls", "which[calls]/caught unreachable 1 recovered no body"),
        ("gather a b c", "gather=<gather>;a=<a>;b!FF0012 no b;c=<c>;"),
        ("repeat", "repeat..."),
        ("waits", "nobody came"),
        ("limited", "limited."),
    ] {
        assert_eq!(kind(&server, input).await.ok(), result, "{input}");
    }
    server.until_logged("the run ended with success").await;
}

#[tokio::test]
async fn every_function_of_the_context_answers() {
    let server = Serve::flows(&["c-kinds"]).with("--public-url", "https://flows.example").start();
    let request = server.request("/function/c-kinds?q=1&q=2", "facts").header("X-Team", "blue");
    let request = request.header("Content-Type", "text/plain").header("X-Faas-Flow-Wait", "60s");
    let facts = "c-kinds|which[facts]/facts|0|1|2|blue|(null)|text/plain";
    assert_eq!(server.send(request).await.ok(), facts);

    let request = server.request("/function/c-kinds", "values \"it\"").header("X-Faas-Flow-Reqid", "r1");
    let answer = server.send(request.header("X-Faas-Flow-Wait", "60s")).await;
    assert_eq!((answer.status, answer.header("location")), (201, vec!["/orders/7"]), "{answer:?}");
    assert_eq!(answer.content_type.as_deref(), Some("application/json"));
    assert_eq!(answer.body, r#"{"value":"values \"it\"","url":1,"inputs":1,"types":1}"#);
    assert_eq!(server.shown("r1")["labels"]["word"], "blue");
    until("the address is logged", async || server.log().contains("signals go to https://flows.example/")).await;
}

#[tokio::test]
async fn a_mistake_is_told_with_its_place_in_the_failure_itself() {
    let server = Serve::flows(&["c-kinds"]).start();
    for (mistake, code, says) in [
        ("null", "FF0012", "(handler.c:160) returned NULL; a handler of the kind `modify` returns data"),
        ("keys", "FF0012", "returned keys (handler.c:119)"),
        (
            "assert",
            "FF0006",
            "panicked at handler.c:120: assertion failed: data.len == 0, in mistake, in handler `which[mistake]/mistake/0`",
        ),
        ("abort", "FF0006", "panicked at handler.c:121: abort() was called in mistake"),
        ("exit", "FF0006", "panicked at handler `which[mistake]/mistake/0` (handler.c:160): exit(3) was called"),
        ("builder", "FF0012", "ff_dag_node: its first argument is NULL (handler.c:123)"),
        ("utf8", "FF0012", "bad \u{fffd} byte"),
        ("type", "FF0012", "`nonsense` is not a media type"),
    ] {
        let answer = kind(&server, &format!("mistake {mistake}")).await;
        assert_eq!(answer.code.as_deref(), Some(code), "{mistake}: {answer:?}");
        assert!(answer.body.contains(says), "{mistake}: {answer:?}");
    }
    assert_eq!(kind(&server, "mistake status").await.status, 404);
    assert_eq!(kind(&server, "mistake none").await.ok(), "mistake none");
}

#[tokio::test]
async fn an_exception_in_c_plus_plus_is_reported_with_its_type_and_text() {
    let server = Serve::flows(&["c-throws"]).start();
    for (how, says) in [
        (
            "throw",
            "panicked at handler `sync/0` (handler.cpp:20): uncaught exception std::runtime_error: row 7 has no date",
        ),
        ("at", "uncaught exception std::out_of_range: vector"),
        ("number", "stoi: no conversion"),
        ("text", "uncaught exception: row 8 has no date"),
        ("assert", "panicked at handler.cpp:14: assertion failed: how.empty()"),
        ("abort", "abort() was called"),
    ] {
        let failure = server.result("c-throws", how).await.failed(500, "FF0006");
        assert!(failure.contains(says), "{how}: {failure}");
    }
    let answer = server.result("c-throws", "nothing").await;
    assert_eq!((answer.content_type.as_deref(), answer.body.as_str()), (Some("application/json"), "{}"));
}

#[tokio::test]
async fn the_access_log_is_judged_client_by_client() {
    let example = root().join("examples/access-log-c");
    let judge = example.join("functions/judge.sh").display().to_string();
    let server = Serve::flows(&["access-log-c"]).function("judge", judge).start();
    let log = std::fs::read_to_string(example.join("access.log")).unwrap();
    let report = server.result("access-log-c", log).await;
    assert_eq!(report.content_type.as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(report.ok(), "192.0.2.7: 2 of 3 requests failed\n3 clients\n");
    let refusal = server.result("access-log-c", "\nnonsense").await.failed(422, "FF0012");
    assert!(refusal.contains("line 2 is not in the common log format: nonsense"), "{refusal}");
}

/// The tests that authors run, of all flows in C and C++: natively, with the sanitizers of the compiler.
#[test]
fn the_native_tests_of_flows_in_c_pass() {
    let folder = TempDir::new().unwrap();
    let examples = ["greet-c", "greet-cpp", "dynamic-branching-c", "dynamic-branching-cpp", "access-log-c"];
    let of_sdk = ["everything", "kinds", "lambdas", "throws"].map(|name| format!("guest-sdk/c/tests/{name}"));
    for flow in examples.map(|name| format!("examples/{name}")).into_iter().chain(of_sdk) {
        let mut make = Command::new("make");
        make.args(["--silent", "--jobs=2", "test", "SANITIZE=-fsanitize=address,undefined", "--directory"]);
        make.arg(root().join(&flow)).arg(format!("BUILD={}", folder.path().join(flow.replace('/', "-")).display()));
        let done = make.output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.contains(" 0 failed"), "{flow}: {said}");
        assert!(!said.contains("warning"), "{flow}: {said}");
    }
}

/// Compiles the code of the documentation that is whole, without warnings.
#[test]
fn the_code_in_the_documentation_of_c_compiles() {
    let folder = TempDir::new().unwrap();
    let mut compiled = 0;
    for page in ["docs/languages/c.md", "guest-sdk/c/README.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for block in text.split("\n```").filter(|block| block.contains("\n#include ")) {
            let (language, code) = block.split_once('\n').unwrap();
            let file = folder.path().join(format!("{compiled}.{language}"));
            std::fs::write(&file, code).unwrap();
            let (compiler, standard) = if language == "cpp" { ("c++", "-std=c++17") } else { ("cc", "-std=c2x") };
            let mut command = Command::new(compiler);
            command.args([standard, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"]);
            let done = command.arg(root().join("guest-sdk/c/include")).arg(&file).output().unwrap();
            assert!(done.status.success(), "{page}:\n{code}\n{}", String::from_utf8_lossy(&done.stderr));
            compiled += 1;
        }
    }
    assert_eq!(compiled, 4);
}
