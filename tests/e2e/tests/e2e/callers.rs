//! What callers may do and read without the right to, and what of their requests reaches programs.

use faas_flow_e2e::command::{run, script};
use faas_flow_e2e::events;
use faas_flow_e2e::server::{Serve, Server};
use reqwest::{Method, RequestBuilder};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::TempDir;

const CHAIN: &str = "/function/async-chain";
const SECRET: &str = "the secret of these tests";
const TOKEN: &str = "the token of these tests";

/// A server with a chain, and with these secrets.
fn chain(secrets: &[(&str, &str)]) -> (Serve, TempDir) {
    let folder = TempDir::new().unwrap();
    for (name, secret) in secrets {
        fs::write(folder.path().join(name), secret).unwrap();
    }
    let serve = Serve::flows(&["async-chain"]).with("--secrets", folder.path().to_str().unwrap());
    let functions = ["func1", "func2", "fake-storage"];
    (functions.into_iter().fold(serve, |serve, name| serve.function(name, "echo")), folder)
}

/// The ways to read about a run: a method, a path, and the path that a signature is for.
fn reads(id: &str) -> [(Method, String, String); 5] {
    let signed = |what: &str| format!("{CHAIN}/flow/{id}/{what}");
    [
        (Method::GET, signed("result"), signed("result")),
        (Method::GET, signed("state"), signed("state")),
        (Method::POST, signed("state"), signed("state")),
        (Method::GET, format!("{CHAIN}?state={id}"), signed("state")),
        (Method::POST, format!("{CHAIN}?state={id}"), signed("state")),
    ]
}

fn ask(server: &Server, (method, path, _): &(Method, String, String)) -> RequestBuilder {
    server.client.request(method.clone(), server.url(path))
}

/// Begins a run with this id by a signed request, and waits for its end.
async fn begin(server: &Server, id: &str) {
    let request = server.request(CHAIN, "hi").header("X-Hub-Signature-256", events::hub_signature(SECRET, "hi"));
    server.send(request.header("X-Faas-Flow-Reqid", id).header("X-Faas-Flow-Wait", "60s")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_requests_are_authenticated_so_are_results_and_states() {
    let (serve, _secrets) = chain(&[("faasflow-hmac-secret", SECRET), ("faasflow-admin-token", TOKEN)]);
    let server = serve.flag("--authenticate-requests").start();
    begin(&server, "r").await;
    for (known, unknown) in reads("r").iter().zip(&reads("another")) {
        // Whether there is such a run makes no difference, however long one waits for it.
        let wait = |request: RequestBuilder| request.header("X-Faas-Flow-Wait", "60s");
        let refused = server.send(wait(ask(&server, known))).await.failed(401, "FF0510");
        assert_eq!(server.send(wait(ask(&server, unknown))).await.failed(401, "FF0510"), refused);
        // The signature of a new request without a body would be the same for all runs and for ever.
        let hub = ask(&server, known).header("X-Hub-Signature-256", events::hub_signature(SECRET, ""));
        server.send(hub).await.failed(401, "FF0510");
        let now = events::now();
        let sign = |secret, path: &str, time| events::signed_read(ask(&server, known), secret, path, time);
        server.send(sign("another secret of that length", &known.2, now)).await.failed(401, "FF0510");
        server.send(sign(SECRET, &unknown.2, now)).await.failed(401, "FF0510");
        server.send(sign(SECRET, &known.2, now - 600_000)).await.failed(401, "FF0510");
        server.send(sign(SECRET, &known.2, now)).await.ok();
        server.send(ask(&server, known).bearer_auth("another token of that length")).await.failed(401, "FF0510");
        server.send(ask(&server, known).bearer_auth(TOKEN)).await.ok();
        let unknown = events::signed_read(ask(&server, unknown), SECRET, &unknown.2, events::now());
        server.send(unknown).await.failed(404, "FF0212");
    }
    let head = server.client.head(server.url(&reads("r")[0].1)).send().await.unwrap();
    assert_eq!(head.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_everybody_is_an_operator_of_a_local_server_but_nobody_reads_unsigned() {
    let (serve, _secrets) = chain(&[("faasflow-hmac-secret", SECRET)]);
    let server = serve.with("--result-access", "signed").start();
    begin(&server, "r").await;
    for read in &reads("r") {
        server.send(ask(&server, read).bearer_auth(TOKEN)).await.failed(401, "FF0510");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_says_who_reads_results() {
    for (access, dashboard) in [("with-id", 401), ("open", 200)] {
        let (serve, _secrets) = chain(&[("faasflow-hmac-secret", SECRET), ("faasflow-admin-token", TOKEN)]);
        let server = serve.flag("--authenticate-requests").with("--result-access", access).start();
        begin(&server, "r").await;
        for read in &reads("r") {
            server.send(ask(&server, read)).await.ok();
        }
        assert_eq!(server.get("/dashboard/").await.status, dashboard, "{access}");
        assert_eq!(server.post("/dashboard/runs/r/stop", "").await.status, 401, "{access}");
    }
    let folder = TempDir::new().unwrap();
    let greet = faas_flow_test_support::modules::module("greet");
    let serve = ["serve", greet.to_str().unwrap(), "--listen", "127.0.0.1:0", "--result-access", "signed"];
    run(folder.path(), serve).failed("FF0505", &["result_access is signed", "faasflow-hmac-secret"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ids_of_two_runs_have_only_the_time_in_common() {
    let server = Serve::flows(&["greet"]).start();
    let mut ids = Vec::new();
    for path in ["/function/greet", "/function/greet", "/async-function/greet", "/async-function/greet"] {
        ids.push(server.post(path, "Ada").await.id.unwrap());
    }
    for pair in ids.windows(2) {
        assert!(pair.iter().all(|id| id.len() == 33), "{ids:?}");
        // After the nine characters of the time. By chance, every 32nd character is the same in both.
        let same = pair[0].bytes().zip(pair[1].bytes()).skip(9).filter(|(one, other)| one == other).count();
        assert!(same < 12, "{ids:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_an_older_release_are_accepted_during_the_migration_only() {
    for (mode, refused) in [("refuse", "FF0511"), ("accept", "FF0502")] {
        let (serve, _secrets) = chain(&[("faasflow-hmac-secret", SECRET)]);
        let server = serve.with("--hmac-migration", mode).start();
        let event = server.request(&events::target("async-chain", "r"), events::body("r", "n1"));
        let event = event.header("X-Faas-Flow-Time", events::now()).header("X-Faas-Flow-Signature", "sha256=00");
        server.send(event).await.failed(401, refused);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_reaches_a_program_as_a_variable_that_programs_obey() {
    let folder = TempDir::new().unwrap();
    let env = script(folder.path(), "env.sh", "env");
    let serve = Serve::flows(&["greet"]).function("env", env).with("--program-header", "Order-Id");
    // The proxy in the environment of the server's user is not used for the request.
    let mut command = serve.command_in(folder.path());
    for variable in ["HTTP_PROXY", "http_proxy"] {
        command.env_remove(variable);
    }
    let server = Server::start(command);
    let request = server.request("/function/env/below?a=1", "hi").header("Content-Type", "text/plain");
    let evil = ["Proxy", "Home", "X-Proxy", "Query", "Path"];
    let request = evil.into_iter().fold(request, |request, name| request.header(name, "http://evil.example"));
    let seen = server.send(request.header("Order-Id", "4711").header("X-Own", "mine")).await.ok();
    assert!(!seen.contains("evil.example"), "{seen}");
    assert!(seen.lines().all(|line| !line.to_ascii_lowercase().starts_with("http_proxy=")), "{seen}");
    for line in [
        "Http_Method=POST",
        "Http_Path=/below",
        "Http_Query=a=1",
        "Http_Content_Type=text/plain",
        "Http_Order_Id=4711",
        "Http_X_Own=mine",
    ] {
        assert!(seen.lines().any(|seen| seen == line), "{line} is not in {seen}");
    }
}

/// What the server says that is started with these secrets and this function.
fn refused(folder: &Path, function: &str, code: &str, says: &[&str]) {
    let greet = faas_flow_test_support::modules::module("greet");
    let serve = ["serve", greet.to_str().unwrap(), "--listen", "127.0.0.1:0", "--secrets", "."];
    run(folder, serve.into_iter().chain(["--function", function])).failed(code, says);
}

#[test]
fn a_secret_that_is_not_one_line_of_text_is_refused_at_the_start() {
    let folder = TempDir::new().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    for name in ["faasflow-hmac-secret", "faasflow-admin-token", "faasflow-state-store", "faasflow-data-store"] {
        for (bytes, says) in [
            (&b""[..], "is empty"),
            (b"\r\n", "is empty"),
            (b"one line, long enough\nand another", "more than one line"),
            (b"with a \0 in it, and long enough", "control character"),
            (b"\xff\xfeu\0t\0f\0-\x001\x006\0", "UTF-8"),
        ] {
            put(name, bytes);
            refused(folder.path(), "f=echo", "FF0505", &[name, says]);
        }
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    put("faasflow-hmac-secret", b"fifteen bytes..");
    refused(folder.path(), "f=echo", "FF0505", &["16"]);
}

#[test]
fn a_script_with_ends_of_lines_of_windows_is_refused_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("crlf.sh");
    fs::write(&path, "#!/bin/sh\r\ncat\r\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    refused(folder.path(), "f=./crlf.sh", "FF0402", &["crlf.sh", "CRLF", "save the script with LF"]);
}

#[test]
fn one_name_for_a_flow_and_a_function_is_refused_at_the_start() {
    let folder = TempDir::new().unwrap();
    refused(folder.path(), "greet=echo", "FF0405", &["`greet` is the name of a flow and of a function"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_told_with_its_message_and_its_place() {
    let server = Serve::flows(&["fixture"]).start();
    let said = server.post("/function/fixture?case=trap", "in").await.failed(500, "FF0006");
    assert!(said.contains("crashed: panicked at tests/fixture/src/failures.rs:"), "{said}");
    assert!(said.contains(": on purpose"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_code_name_the_first_function_of_its_author() {
    let server = Serve::flows(&["fixture"]).start();
    for (way, code, says) in [
        ("traps", "FF0006", ": on purpose in fixture_flow::wild::trap"),
        ("grows", "FF0008", "268435456 bytes (guest_memory) in fixture_flow::wild::grow"),
        (
            "sets-too-much",
            "FF0010",
            "33554432 bytes (guest_output) in fixture_flow::wild::set_too_much; pass it on in parts",
        ),
        // Nothing of its author runs any more when it is read what a handler returned.
        ("returns-too-much", "FF0010", "33554432 bytes (guest_output) in handler `n/0`; pass it on in parts"),
    ] {
        let said = server.post(&format!("/function/fixture?case=modify-that-{way}"), "in").await.failed(500, code);
        assert!(said.contains(says), "{said}");
    }
}

/// As docs/languages.md says.
#[tokio::test(flavor = "multi_thread")]
async fn a_flow_in_rust_has_no_clock_and_what_it_prints_is_written_nowhere() {
    let server = Serve::flows(&["fixture"]).start();
    let said = server.post("/function/fixture?case=modify-that-asks-the-time", "in").await.failed(500, "FF0006");
    assert!(said.contains("time not implemented on this platform"), "{said}");
    assert_eq!(server.post("/function/fixture?case=modify-that-prints", "in").await.ok(), "in");
    assert!(!server.log().contains("printed by the flow"), "{}", server.log());
}
