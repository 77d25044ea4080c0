//! What real compilers make: flows in Go, JavaScript and Python get clock, random numbers and output from the host.

use faas_flow_e2e::command::run;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_test_support::modules::module;
use std::path::Path;

/// The answer of a run whose id the caller has chosen.
async fn answer(server: &Server, flow: &str, id: &str, body: &'static str) -> String {
    let request = server.request(&format!("/function/{flow}"), body);
    server.send(request.header("X-Faas-Flow-Wait", "60s").header("X-Faas-Flow-Reqid", id)).await.ok()
}

#[tokio::test]
async fn a_flow_that_go_has_built_has_a_clock_random_numbers_and_a_garbage_collector() {
    let server = Serve::flows(&["wasi-go"]).start();
    let now = answer(&server, "wasi-go", "now", "now").await;
    assert_eq!(now, server.shown("now")["started"].to_string());
    assert_eq!(answer(&server, "wasi-go", "began", "began").await, "2000-01-01T00:00:00Z");
    assert_eq!(answer(&server, "wasi-go", "sleep", "sleep").await, "1h30m0s 1h30m0s");
    assert_eq!(answer(&server, "wasi-go", "collect", "collect").await, "19");
    let random = answer(&server, "wasi-go", "r", "random").await;
    assert_ne!(random, answer(&server, "wasi-go", "other", "random").await);
    let other = Serve::flows(&["wasi-go"]).start();
    assert_eq!(random, answer(&other, "wasi-go", "r", "random").await, "the same run on another machine");
    assert!(server.result("wasi-go", "read /etc/passwd").await.failed(422, "FF0012").contains("No such file"));
}

#[tokio::test]
async fn what_go_and_python_print_is_logged() {
    let server = Serve::flows(&["wasi-go", "wasi-python"]).with("--compile-timeout", "600s").start();
    for flow in ["wasi-go", "wasi-python"] {
        assert_eq!(server.result(flow, "print hello").await.ok(), "printed");
        for (level, text) in [("INFO", "hello"), ("WARN", "to stderr: hello")] {
            let is_it = |line: &str| line.contains(flow) && line.contains(&format!("{level} flow: {text} run="));
            faas_flow_e2e::wait::until(text, async || server.log().lines().any(is_it)).await;
        }
    }
}

#[tokio::test]
async fn a_crash_shows_what_the_language_says_of_it() {
    let flows = ["wasi-go", "wasi-js", "wasi-python"];
    let server = Serve::flows(&flows).with("--compile-timeout", "600s").start();
    for (flow, body, says) in [
        ("wasi-go", "panic", ["panic: runtime error: invalid memory address", "in main.price, called by main.act"]),
        ("wasi-js", "crash", ["cannot read property 'amount' of undefined", "at price (/flow.js:"]),
        ("wasi-python", "crash", ["AttributeError: 'NoneType' object has no attribute 'amount'", "in price"]),
    ] {
        let answer = server.result(flow, body).await;
        let id = answer.id.clone().unwrap();
        let failure = answer.failed(500, "FF0006");
        let shown = run(server.folder(), ["requests", "show", &id]).ok();
        let page = server.get(&format!("/dashboard/runs/{id}")).await.ok().replace("&#39;", "'");
        for text in says {
            assert!(failure.contains(text) && shown.contains(text) && page.contains(text), "{text}: {failure}");
        }
    }
    let exit = server.result("wasi-go", "exit").await.failed(500, "FF0006");
    assert!(exit.contains("it exited with status 3 in main.act") && exit.contains("no more"), "{exit}");
}

#[test]
fn check_says_what_is_virtual_and_what_is_missing() {
    let check = |name| run(Path::new("."), ["check", module(name).to_str().unwrap()]).ok();
    let go = check("wasi-go");
    assert!(go.contains("wasi_snapshot_preview1\n"), "{go}");
    assert!(
        go.contains("\nvirtual   clock, exit, random numbers, stdout and stderr\nmissing   files: calls fail\n"),
        "{go}"
    );
    assert!(check("wasi-js").contains("\nmissing   files: calls fail\n"));
    assert!(!check("greet").contains("virtual"));
}
