//! Headers of requests and answers: what reaches functions and the flow's code.

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use faas_flow_e2e::command::script;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_test_support::double;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// The headers of the calls that a function got. It answers with the header `x-answer` in ISO-8859-1.
type Seen = Arc<Mutex<Vec<HeaderMap>>>;

async fn function() -> (Seen, String) {
    let seen = Seen::default();
    let noted = seen.clone();
    let router = Router::new().fallback(async move |headers: HeaderMap| {
        noted.lock().unwrap().push(headers);
        let answer = HeaderValue::from_bytes(b"J\xfcrgen").unwrap();
        ([(HeaderName::from_static("x-answer"), answer)], "fine")
    });
    let url = double::serve(router).await;
    (seen, url)
}

fn bytes(value: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(value).unwrap()
}

/// CALL-9.
#[tokio::test]
async fn no_byte_of_a_header_is_lost() {
    let (seen, url) = function().await;
    let server = Serve::flows(&["fixture"]).function("step", url).start();
    for (sent, read) in [
        (&b"J\xfcrgen"[..], "J\u{fc}rgen"),
        ("J\u{fc}rgen \u{2014} \u{1f642}".as_bytes(), "J\u{fc}rgen \u{2014} \u{1f642}"),
    ] {
        let request = server.request("/function/fixture?case=pass-headers", "").header("X-Name", bytes(sent));
        let answer = server.send(request.header("X-Faas-Flow-Wait", "60s")).await;
        assert_eq!(answer.ok(), format!("{read} J\u{fc}rgen"));
        let called = seen.lock().unwrap().pop().unwrap();
        assert_eq!((called["x-name"].as_bytes(), called["x-own"].as_bytes()), (sent, "caf\u{e9}".as_bytes()));
        // A function that is called directly.
        let request = server.request("/function/step", "").header("X-Name", bytes(sent));
        let answer = reqwest_answer(request).await;
        assert_eq!(answer["x-answer"].as_bytes(), b"J\xfcrgen");
        assert_eq!(seen.lock().unwrap().pop().unwrap()["x-name"].as_bytes(), sent);
    }
}

async fn reqwest_answer(request: reqwest::RequestBuilder) -> HeaderMap {
    request.send().await.unwrap().headers().clone()
}

#[tokio::test]
async fn a_function_that_is_called_directly_gets_the_headers_that_a_gateway_would_pass_on() {
    let (seen, url) = function().await;
    let folder = TempDir::new().unwrap();
    let program = script(folder.path(), "told.sh", "echo \"$Http_Authorization $Http_Cookie $Http_Baggage\"");
    let server = Serve::flows(&["fixture"]).function("step", url).function("program", program).start();
    let with_secrets = |path: &str| {
        let request = server.request(path, "").header("Authorization", "Bearer me").header("Cookie", "a=b");
        request.header("X-Hub-Signature-256", "sha256=00").header("Baggage", "c=d").header("TE", "trailers")
    };
    server.send(with_secrets("/function/step")).await.ok();
    let called = seen.lock().unwrap().pop().unwrap();
    let names = ["authorization", "cookie", "x-hub-signature-256", "baggage", "te"];
    let values = names.map(|name| called.get(name).map(|value| value.to_str().unwrap()));
    assert_eq!(values, [Some("Bearer me"), Some("a=b"), Some("sha256=00"), Some("c=d"), None]);
    let host = server.url("").trim_start_matches("http://").trim_end_matches('/').to_owned();
    assert_eq!(called["x-forwarded-host"], host);
    assert_eq!(server.send(with_secrets("/function/program")).await.ok(), "Bearer me a=b c=d\n");
}

/// A run with credentials of its caller.
async fn run_with_secrets(server: &Server, id: &str) -> String {
    let request = server.request("/function/fixture?case=pass-headers", "").header("X-Faas-Flow-Reqid", id);
    let request = request.header("Authorization", "Bearer dont-tell").header("Cookie", "a=dont-tell");
    server.send(request.header("X-Faas-Flow-Wait", "60s")).await.ok()
}

#[tokio::test]
async fn credentials_reach_the_flow_only_if_the_operator_says_so_and_are_shown_nowhere() {
    let (seen, url) = function().await;
    let called =
        |name: &str| seen.lock().unwrap().last().unwrap().get(name).map(|value| value.to_str().unwrap().to_owned());
    let serve = || Serve::flows(&["fixture"]).function("step", &url).with("--state", "memory");
    let server = serve().start();
    run_with_secrets(&server, "r").await;
    assert_eq!((called("authorization").as_deref(), called("cookie").as_deref()), (Some(""), Some("")));
    drop(server);

    let folder = TempDir::new().unwrap();
    let mut command =
        serve().with("--keep-header", "Authorization").with("--keep-header", "cookie").command_in(folder.path());
    command.env("RUST_LOG", "trace");
    let server = Server::start(command);
    run_with_secrets(&server, "r").await;
    let kept = (called("authorization"), called("cookie"));
    assert_eq!(kept, (Some("Bearer dont-tell".to_owned()), Some("a=dont-tell".to_owned())));
    for path in ["/function/fixture/flow/r/state", "/dashboard/requests/r", "/function/fixture/flow/r/result"] {
        let shown = server.send(server.request(path, "").header("Accept", "application/json")).await;
        assert!(!shown.body.contains("dont-tell"), "{shown:?}");
    }
    // Another caller with that id does not get the answer.
    let other = server.request("/function/fixture?case=pass-headers", "").header("X-Faas-Flow-Reqid", "r");
    let said = server.send(other.header("Authorization", "Bearer other")).await.failed(409, "FF0215");
    assert!(said.contains("authorization") && !said.contains("dont-tell"), "{said}");
    server.until_logged("TRACE").await;
    let told: Vec<String> = server.log().lines().filter(|line| line.contains("dont-tell")).map(str::to_owned).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}
