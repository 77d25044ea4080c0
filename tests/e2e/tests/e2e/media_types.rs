//! What data is: `Content-Type` from the caller through nodes, calls and stores to the result.

use axum::Router;
use axum::http::{HeaderMap, header};
use faas_flow_e2e::command::{run, script};
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use faas_flow_test_support::modules::module;
use std::sync::{Arc, Mutex};

const BYTES: &str = "application/octet-stream";
const JSON: &str = "application/json";

/// What a message says of its body.
fn content_type(headers: &HeaderMap) -> String {
    headers.get(header::CONTENT_TYPE).map_or("none", |value| value.to_str().unwrap()).to_owned()
}

/// A function that reads bodies as Express' parsers do: what is not said to be JSON is an empty object. It answers with JSON.
async fn parser() -> String {
    let router = Router::new().fallback(|headers: HeaderMap, body: String| async move {
        let parsed = if content_type(&headers) == JSON { body } else { "{}".to_owned() };
        ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], parsed)
    });
    double::serve(router).await
}

/// Calls the fixture with a body of this media type, and waits for the result.
async fn call(server: &Server, case: &str, body: &str, media_type: &str) -> Answer {
    let request = server.request(&format!("/function/fixture?case={case}"), body.to_owned());
    server.send(request.header("X-Faas-Flow-Wait", "60s").header("Content-Type", media_type)).await
}

fn typed(answer: &Answer) -> (u16, &str, &str) {
    (answer.status, answer.content_type.as_deref().unwrap_or("none"), &answer.body)
}

/// TYPE-2, TYPE-3, TYPE-4, TYPE-7.
#[tokio::test]
async fn a_function_that_parses_by_content_type_gets_what_the_caller_sent() {
    let server = Serve::flows(&["fixture"]).function("step", parser().await).start();
    let answer = call(&server, "call", "{\"a\":1}", JSON).await;
    assert_eq!(typed(&answer), (200, "application/json; charset=utf-8", "{\"a\":1}"));
    let later = server.get(&format!("/function/fixture/flow/{}/result", answer.id.as_ref().unwrap())).await;
    assert_eq!(typed(&later), typed(&answer), "the stored result is the same");
    assert_eq!(call(&server, "call", "{\"a\":1}", "text/plain").await.body, "{}");
}

/// TYPE-3.
#[tokio::test]
async fn a_program_that_serves_as_a_function_is_told_the_media_type() {
    let folder = tempfile::TempDir::new().unwrap();
    let program = script(folder.path(), "step", "cat >/dev/null; printf '%s' \"$Http_Content_Type\"");
    let server = Serve::flows(&["fixture"]).function("step", program).start();
    let answer = call(&server, "call", "a;b", "text/csv; header=absent").await;
    assert_eq!(typed(&answer), (200, BYTES, "text/csv; header=absent"));
}

/// TYPE-5: what a handler returns is not what it got, unless it says so.
#[tokio::test]
async fn what_the_flow_s_code_returns_is_bytes_unless_it_says_otherwise() {
    let server = Serve::flows(&["fixture"]).start();
    assert_eq!(typed(&call(&server, "forwarder", "{}", JSON).await), (200, BYTES, "{} a forwarded b"));
}

/// TYPE-5.
#[tokio::test]
async fn a_handler_says_what_it_returns_and_so_do_the_helpers_for_json() {
    let server = Serve::flows(&["fixture"]).start();
    assert_eq!(typed(&call(&server, "typed-json", "[1, 2]", "text/plain").await), (200, JSON, "3"));
    assert_eq!(typed(&call(&server, "typed&type=text/html", "<p>", JSON).await), (200, "text/html", "<p>"));
    let joined = call(&server, "typed-join", "x", JSON).await;
    let types = "application/octet-stream of text/csv, application/octet-stream, application/json";
    assert_eq!(typed(&joined), (200, "text/plain", types));
}

/// TYPE-8.
#[tokio::test]
async fn a_handler_that_names_no_media_type_learns_what_is_wrong() {
    let server = Serve::flows(&["fixture"]).start();
    let long = format!("text/{}", "a".repeat(10 * 1024));
    for (bad, why) in
        [("json", "`json` is not a media type"), ("a/b%0d%0ax: y", r"`a/b\r\nx: y` is not"), (&long, "10245")]
    {
        let answer = call(&server, &format!("typed&type={bad}"), "x", JSON).await;
        assert_eq!(answer.code.as_deref(), Some("FF0012"), "{}", answer.body);
        assert!(answer.body.contains("FF0230: ") && answer.body.contains(why), "{}", answer.body);
    }
}

/// TYPE-2, TYPE-8.
#[test]
fn a_content_type_with_a_line_end_on_the_command_line_is_bytes() {
    let folder = tempfile::TempDir::new().unwrap();
    let module = module("fixture");
    let said = |media_type: &str| {
        let header = format!("Content-Type={media_type}");
        let arguments = ["run", module.to_str().unwrap(), "--query", "case=typed-join", "--header", &header];
        run(folder.path(), arguments).ok()
    };
    assert!(said("a/b").ends_with("application/octet-stream, a/b"));
    assert!(said("a/b\r\nx-c: d").ends_with("application/octet-stream, application/octet-stream"));
}

/// TYPE-2, TYPE-8.
#[tokio::test]
async fn a_request_that_does_not_say_what_its_body_is_carries_bytes() {
    let server = Serve::flows(&["fixture"]).function("step", "echo").start();
    assert_eq!(typed(&call(&server, "call", "x", "text/x-y; a=b").await), (200, "text/x-y; a=b", "x"));
    let long = format!("text/{}", "a".repeat(10 * 1024));
    for unclear in ["", "json", "text/plain; charset", &long] {
        assert_eq!(typed(&call(&server, "call", "x", unclear).await), (200, BYTES, "x"), "{unclear:?}");
    }
    let two = server.request("/function/fixture?case=call", "x").header("X-Faas-Flow-Wait", "60s");
    let two = two.header("Content-Type", "text/plain").header("Content-Type", "text/html");
    assert_eq!(typed(&server.send(two).await), (200, BYTES, "x"));
    let latin = server.request("/function/fixture?case=call", "x").header("X-Faas-Flow-Wait", "60s");
    let latin = latin.header("Content-Type", axum::http::HeaderValue::from_bytes(b"text/pl\xe4in").unwrap());
    assert_eq!(typed(&server.send(latin).await), (200, BYTES, "x"));
}

/// TYPE-7.
#[tokio::test]
async fn a_callback_says_what_the_result_or_the_failure_is() {
    let said: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let noted = said.clone();
    let hook = Router::new().fallback(move |headers: HeaderMap, body: String| async move {
        noted.lock().unwrap().push((content_type(&headers), body));
    });
    let hook = double::serve(hook).await;
    let server = Serve::flows(&["fixture"]).function("step", "echo").with("--callback-host", "127.0.0.1").start();
    for (case, said_is) in [("call", JSON), ("failure-not-answered", "text/plain; charset=utf-8")] {
        let request = server.request(&format!("/function/fixture?case={case}"), "{}").header("Content-Type", JSON);
        server.send(request.header("X-Faas-Flow-Callback-Url", &hook)).await;
        until("the callback comes", async || !said.lock().unwrap().is_empty()).await;
        let (media_type, body) = said.lock().unwrap().pop().unwrap();
        assert_eq!(media_type, said_is, "{body}");
    }
}
