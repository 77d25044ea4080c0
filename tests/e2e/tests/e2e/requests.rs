//! Where a flow's calls and a caller's callbacks may go.

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server on 127.0.0.1 that records the paths for which it is asked.
struct Recorder {
    port: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    async fn start() -> Self {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let record = async |State(seen): State<Arc<Mutex<Vec<String>>>>, uri: Uri| {
            seen.lock().unwrap().push(uri.path().to_owned());
            "fine"
        };
        let url = double::serve(Router::new().fallback(record).with_state(seen.clone())).await;
        Self { port: url.rsplit(':').next().unwrap().to_owned(), seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn at(&self, host: &str) -> String {
        format!("http://{host}:{}", self.port)
    }
}

/// A deployed function whose flow has many cases.
fn deployed() -> Serve {
    Serve::replica("fixture").with("--state", "memory").with("--dispatch", "local")
}

async fn case(server: &Server, case: &str, parameter: &str, value: &str) -> Answer {
    let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
    server.post(&format!("/?case={case}&{parameter}={value}"), "in").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_of_a_call_stays_below_its_function() {
    let gateway = Recorder::start().await;
    let server = deployed().with("--gateway", &gateway.at("127.0.0.1")).start();
    assert_eq!(case(&server, "path", "path", "a%20b/c").await.ok(), "fine");
    assert_eq!(case(&server, "prepared-path", "path", "a/./b").await.ok(), "fine");
    let climbs =
        ["../../system/functions", "%2e%2e/%2E./system", "a\\..\\..\\x", "%252e%252e%252fx", "..;/x", ".\t./x"];
    for path in climbs {
        for kind in ["path", "prepared-path"] {
            let answer = case(&server, kind, "path", path).await;
            assert_eq!(answer.code.as_deref(), Some("FF0120"), "{kind} {path}: {answer:?}");
        }
    }
    assert_eq!(gateway.seen(), ["/function/step/a%20b/c", "/function/step/a/b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_server_calls_a_step_function_only_below_its_url() {
    let step = Recorder::start().await;
    let server = Serve::flows(&["greet"]).function("step", step.at("127.0.0.1") + "/base").start();
    for (path, status) in [("a%20b", "200"), ("%2e%2e/x", "400"), ("..%5cx", "400"), ("a/%252e%252e/x", "400")] {
        // A client of HTTP would normalize the path.
        let mut socket = TcpStream::connect(&server.address).await.unwrap();
        let head =
            format!("GET /function/step/{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address);
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(status == "200" || answer.contains("FF0120"), "{path}: {answer}");
    }
    assert_eq!(step.seen(), ["/base/a%20b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_flow_requests_nothing_from_its_own_machine_unless_the_operator_lists_it() {
    let private = Recorder::start().await;
    let server = deployed().start();
    let port = &private.port;
    for host in
        ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"]
    {
        let answer = case(&server, "request-options", "url", &format!("http://{host}:{port}/x?token=hidden")).await;
        let said = answer.failed(500, "FF0512");
        assert!(said.contains("request_hosts") && said.contains("denied_addresses"), "{said}");
        assert!(!said.contains("hidden"), "{said}");
    }
    let said = case(&server, "request-options", "url", "http://169.254.169.254/latest").await.failed(500, "FF0512");
    assert!(said.contains("169.254.0.0/16"), "{said}");

    let named = deployed().with("--request-host", "localhost").start();
    case(&named, "request-options", "url", &private.at("localhost")).await.failed(500, "FF0512");
    let said = case(&named, "request-options", "url", "http://elsewhere.example/").await.failed(500, "FF0512");
    assert!(said.contains("elsewhere.example:80 is not among"), "{said}");
    assert!(private.seen().is_empty());

    let listed = deployed().with("--request-host", "localhost").with("--request-host", "127.0.0.1").start();
    for host in ["localhost", "127.0.0.1"] {
        assert!(case(&listed, "request-options", "url", &private.at(host)).await.ok().contains("fine"));
    }
    let other = deployed().with("--denied-address", "private").start();
    assert!(case(&other, "request-options", "url", &private.at("localhost")).await.ok().contains("fine"));
    assert_eq!(private.seen().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_function_calls_back_no_address_of_its_own_machine() {
    let hook = Recorder::start().await;
    let calls_back = async |server: &Server, url: String| {
        server.send(server.request("/", "hi").header("X-Faas-Flow-Callback-Url", url)).await
    };
    let any = deployed().with("--callback-host", "*").start();
    let said = calls_back(&any, hook.at("127.0.0.1")).await.failed(400, "FF0507");
    assert!(said.contains("127.0.0.0/8") && said.contains("callback_hosts"), "{said}");
    // What a name stands for is known only when it is called.
    assert_eq!(calls_back(&any, hook.at("localhost")).await.status, 200);
    until("the callback is refused", async || any.log().contains("callback failed; giving up")).await;
    assert!(any.log().contains("FF0512") && hook.seen().is_empty(), "{}", any.log());

    let listed = deployed().with("--callback-host", "localhost").with("--callback-host", "127.0.0.1").start();
    assert_eq!(calls_back(&listed, hook.at("localhost") + "/done").await.status, 200);
    until("the callback arrives", async || !hook.seen().is_empty()).await;
    assert_eq!(hook.seen(), ["/done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn query_parameters_are_sent_although_the_url_has_a_fragment() {
    let step = double::serve(Router::new().fallback(async |uri: Uri| uri.to_string())).await;
    let server = Serve::flows(&["fixture"]).start();
    let url = utf8_percent_encode(&format!("{step}/x?a=1#top"), NON_ALPHANUMERIC).to_string();
    let asked = server.post(&format!("/function/fixture?case=request-options&url={url}"), "in").await.ok();
    assert!(asked.ends_with("/x?a=1&q=a%20b%26c"), "{asked}");
}
