//! Tests of the gateway's routes over real connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
mod program;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::{Recorder, serve};
use faas_flow_gateway::{Config, Function, Gateway, Profile, Unreachable, Upstream};
use http::{Method, Request, Response};
use program::Program;
use reqwest::redirect::Policy;
use url::Url;

/// A function behind an HTTP server, which passes requests with their headers to a recorder.
async fn replica(recorder: &Arc<Recorder>) -> Url {
    let recorder = recorder.clone();
    let answer = move |request: axum::extract::Request| async move {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        recorder.call(Request::from_parts(parts, body)).await.unwrap().map(axum::body::Body::from)
    };
    serve(axum::Router::new().fallback(answer)).await.parse().unwrap()
}

/// An address with nothing listening: its listener was closed.
async fn nobody() -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

struct Set {
    gateway: Arc<Gateway>,
    function: Arc<Recorder>,
    address: String,
    client: reqwest::Client,
}

impl Set {
    async fn new(config: Config) -> Set {
        let gateway = Gateway::new(config);
        let function = Recorder::new();
        gateway.set("f", Arc::new(Upstream::new([replica(&function).await])));
        gateway.start();
        let address = serve(gateway.router().merge(gateway.metrics_router())).await;
        let client = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Set { gateway, function, address, client }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.address))
    }

    async fn answer(&self, method: &str, path: &str) -> (u16, String) {
        let response = self.request(method, path).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

/// The program listens on a loopback address, as the servers of `faas-flow` do, and has their rules.
#[tokio::test]
async fn the_program_answers_to_its_own_names_and_no_page_of_another_site() {
    let function = format!("f={}", nobody().await);
    let program = Program::start(&["--function", &function, "--allowed-host", "flows.example"]).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = async |path: &str, headers: &[(&'static str, &'static str)]| {
        let request = client.get(format!("{}{path}", program.address));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/healthz", &[]).await, 200);
    assert_eq!(status("/healthz", &[("host", "flows.example")]).await, 200);
    assert_eq!(status("/healthz", &[("host", "attacker.example")]).await, 421);
    assert_eq!(status("/healthz", &[("origin", "http://attacker.example")]).await, 403);
    for path in ["/function/f", "/async-function/f", "/metrics"] {
        assert_eq!(status(path, &[("sec-fetch-site", "cross-site")]).await, 403, "{path}");
    }
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!(status("/system/functions", &link).await, 200);
    assert_eq!(status("/function/f", &link).await, 403);
    assert_ne!(status("/function/f", &[]).await, 403);
}

#[tokio::test]
async fn a_synchronous_call_reaches_the_function_like_one_of_openfaas() {
    let set = Set::new(Config::new(Profile::Ce)).await;
    let request = set.request("PUT", "/function/f.openfaas-fn/a%2Fb%20c?d=%20e");
    let request = request.header("authorization", "me").header("te", "trailers").header("x-own", "1").body("hi");
    let response = request.send().await.unwrap();

    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    assert_eq!(headers["x-served-by"], "openfaas-ce/0.27.14");
    assert_eq!(headers["content-type"], "text/plain");
    assert_eq!(response.text().await.unwrap(), "hi");
    let asked = set.function.last();
    assert_eq!((asked.method().as_str(), asked.uri().to_string().as_str()), ("PUT", "/a/b%20c?d=%20e"));
    assert_eq!(asked.body(), "hi");
    assert_eq!(asked.headers()["authorization"], "me");
    assert_eq!(asked.headers()["x-own"], "1");
    assert_eq!(asked.headers()["content-length"], "2");
    assert_eq!(asked.headers()["x-call-id"], headers["x-call-id"]);
    assert_eq!(asked.headers()["x-start-time"], headers["x-start-time"]);
    assert_eq!(format!("http://{}", asked.headers()["x-forwarded-host"].to_str().unwrap()), set.address);
    assert!(!asked.headers().contains_key("te") && !asked.headers().contains_key("transfer-encoding"));
    assert_eq!(headers["x-call-id"].len(), 36);
}

#[tokio::test]
async fn a_body_that_came_without_a_length_is_passed_on_without_one() {
    let set = Set::new(Config::new(Profile::Ce)).await;
    let chunks = futures_util::stream::iter(["h", "i"].map(Ok::<_, std::io::Error>));
    set.request("POST", "/function/f").body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap();
    let asked = set.function.last();
    assert_eq!(
        (asked.body().as_ref(), &asked.headers()["transfer-encoding"]),
        (&b"hi"[..], &"chunked".parse().unwrap())
    );
    assert!(!asked.headers().contains_key("content-length"));
}

#[tokio::test]
async fn the_functions_own_response_is_returned_whatever_its_status() {
    let set = Set::new(Config::new(Profile::Ce)).await;
    let answer = Response::builder().status(418).header("x-own", "1").header("content-type", "text/html");
    set.function.answer(Ok(answer.body(Bytes::from_static(b"\xff\x00")).unwrap()));
    let response = set.request("POST", "/function/f").header("x-call-id", "mine").send().await.unwrap();
    assert_eq!(response.status(), 418);
    assert_eq!(
        (&response.headers()["x-own"], &response.headers()["content-type"]),
        (&"1".parse().unwrap(), &"text/html".parse().unwrap())
    );
    assert_eq!(response.headers()["x-call-id"], "mine");
    assert_eq!(response.bytes().await.unwrap(), b"\xff\x00"[..]);
}

#[tokio::test]
async fn the_methods_of_openfaas_are_passed_on_and_no_others() {
    let set = Set::new(Config::new(Profile::Ce)).await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
        assert_eq!(set.answer(method, "/function/f/").await, (200, String::new()), "{method}");
        assert_eq!(set.function.last().method(), method);
    }
    assert_eq!(set.answer("PROPFIND", "/function/f").await.0, 405);
    assert_eq!(set.answer("GET", "/async-function/f").await.0, 405);
}

#[tokio::test]
async fn a_path_that_is_not_clean_is_redirected() {
    let set = Set::new(Config::new(Profile::Ce)).await;
    let response = set.request("POST", "/function/f/a//b?c=1").send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["location"]),
        (301, &"/function/f/a/b?c=1".parse().unwrap())
    );
    assert_eq!(set.answer("POST", "/function/f/%zz").await.0, 400);
    assert_eq!(set.answer("POST", "/function/f!").await.0, 404);
}

#[tokio::test]
async fn the_gateway_responds_for_functions_that_cannot() {
    let config = Config { upstream_timeout: Duration::from_millis(50), ..Config::new(Profile::Ce) };
    let set = Set::new(config).await;
    set.gateway.set("down", Arc::new(Upstream::new([nobody().await])));
    set.gateway.set("slow", Recorder::taking(Duration::from_secs(60)));
    let down = set.request("POST", "/function/down").send().await.unwrap();
    assert_eq!((down.status().as_u16(), &down.headers()["x-openfaas-internal"]), (500, &"proxy".parse().unwrap()));
    assert_eq!(down.text().await.unwrap(), "Can't reach service for: down.");
    assert_eq!(set.answer("POST", "/function/nobody").await, (503, "No endpoints available for: nobody.".into()));
    assert_eq!(set.answer("POST", "/function/slow").await.0, 502);
    let pro = Set::new(Config::new(Profile::Pro)).await;
    assert_eq!(pro.answer("POST", "/function/nobody").await.0, 404);
}

#[tokio::test]
async fn replicas_take_turns_and_one_that_is_down_is_skipped() {
    let gateway = Gateway::new(Config::new(Profile::Ce));
    let (one, two) = (Recorder::new(), Recorder::new());
    let replicas = [replica(&one).await, nobody().await, replica(&two).await];
    let upstream = Upstream::new(replicas);
    assert_eq!(upstream.replicas(), 3);
    gateway.set("f", Arc::new(upstream));
    let address = serve(gateway.router()).await;
    for _ in 0..9 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        assert_eq!(client.post(format!("{address}/function/f")).body("x").send().await.unwrap().status(), 200);
    }
    assert_eq!((one.bodies().len(), two.bodies().len()), (3, 6));
}

#[tokio::test]
async fn an_asynchronous_call_is_accepted_and_made() {
    let set = Set::new(Config::new(Profile::Ce)).await;
    let request = set.request("POST", "/async-function/f/flow/x/forward?a=1").body("hi");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 202);
    let headers = response.headers().clone();
    assert_eq!(response.bytes().await.unwrap(), "");
    set.gateway.idle().await;
    let asked = set.function.last();
    assert_eq!((asked.uri().to_string().as_str(), asked.body()), ("/flow/x/forward?a=1", &Bytes::from("hi")));
    assert_eq!(asked.headers()["x-call-id"], headers["x-call-id"]);
    let times: Vec<_> = asked.headers().get_all("x-start-time").iter().collect();
    assert_eq!((times.len(), times[0]), (2, &headers["x-start-time"]));
    assert_eq!(set.answer("POST", "/async-function/nobody").await.0, 202);
}

#[tokio::test]
async fn an_outcome_is_posted_over_http() {
    let set = Set::new(Config::new(Profile::Ce)).await;
    let called_back = Recorder::new();
    let url = replica(&called_back).await.join("done?x=1").unwrap();
    let request = set.request("POST", "/async-function/f").header("x-callback-url", url.as_str()).body("hi");
    assert_eq!(request.send().await.unwrap().status(), 202);
    set.gateway.idle().await;
    let posted = called_back.last();
    assert_eq!((posted.uri().to_string().as_str(), posted.body()), ("/done?x=1", &Bytes::from("hi")));
    assert_eq!(posted.headers()["x-function-status"], "200");
}

#[tokio::test]
async fn asynchronous_calls_that_cannot_be_queued_are_rejected() {
    let set = Set::new(Config::new(Profile::Ce)).await;
    let large = set.request("POST", "/async-function/f").body(vec![0; 256_001]).send().await.unwrap();
    let text = "Error queuing request: request body too large for OpenFaaS CE (256001 bytes), maximum: 256000 bytes";
    assert_eq!((large.status().as_u16(), large.text().await.unwrap().as_str()), (500, text));
    let malformed = set.request("POST", "/async-function/f").header("x-callback-url", "::").send().await.unwrap();
    assert_eq!(malformed.status(), 400);
}

#[tokio::test]
async fn functions_health_and_metrics_can_be_read() {
    let set = Set::new(Config::new(Profile::Ce)).await;
    set.answer("POST", "/function/f").await;
    assert_eq!(set.answer("GET", "/healthz").await, (200, "OK".into()));
    let (_, functions) = set.answer("GET", "/system/functions").await;
    let functions: serde_json::Value = serde_json::from_str(&functions).unwrap();
    assert_eq!((&functions[0]["name"], &functions[0]["invocationCount"]), (&"f".into(), &1.into()));
    let (_, metrics) = set.answer("GET", "/metrics").await;
    for line in [
        "gateway_function_invocation_total{function_name=\"f\",code=\"200\"} 1",
        "gateway_function_invocation_started{function_name=\"f\"} 1",
        "gateway_service_count{function_name=\"f\"} 1",
        "# TYPE faas_flow_gateway_accepted_total counter",
        "faas_flow_gateway_queued 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no `{line}` in:\n{metrics}");
    }
}

#[tokio::test]
async fn faas_cli_is_told_of_functions_and_deploys_none() {
    let set = Set::new(Config::new(Profile::Ce)).await;
    for path in ["/function/f.openfaas-fn", "/function/f"] {
        assert_eq!(set.answer("POST", path).await.0, 200);
    }
    let json = async |path: &str| -> serde_json::Value {
        let (status, text) = set.answer("GET", path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    };
    let function = json("/system/function/f?usage=1").await;
    assert_eq!((&function["name"], &function["availableReplicas"]), (&"f".into(), &1.into()));
    assert_eq!(function["invocationCount"], 2, "calls by both names are counted");
    assert_eq!(json("/system/functions?namespace=openfaas-fn").await[0], function);
    assert_eq!(json("/system/functions?namespace=other").await, serde_json::json!([]));
    assert_eq!(json("/system/namespaces").await, serde_json::json!(["openfaas-fn"]));
    assert_eq!(json("/system/info").await["provider"]["provider"], "faas-flow");
    for path in ["/system/function/g", "/system/function/f?namespace=other", "/system/logs?name=g&follow=true"] {
        assert_eq!(set.answer("GET", path).await.0, 404, "{path}");
    }
    assert!(set.answer("GET", "/system/logs?name=f&follow=false").await.1.contains("has no logs"));
    for (method, path) in [("POST", "/system/functions"), ("DELETE", "/system/functions"), ("GET", "/system/secrets")] {
        assert_eq!(set.answer(method, path).await.0, 501, "{method} {path}");
    }
}

/// A function that ignores its request.
struct Deaf;

#[async_trait]
impl Function for Deaf {
    async fn call(&self, _: Request<Bytes>) -> Result<Response<Bytes>, Unreachable> {
        Ok(Response::new(Bytes::new()))
    }
}

#[tokio::test]
async fn the_body_of_a_synchronous_call_has_no_limit() {
    let set = Set::new(Config::new(Profile::Ce)).await;
    set.gateway.set("deaf", Arc::new(Deaf));
    let response = set.request("POST", "/function/deaf").body(vec![0; 8 << 20]).send().await.unwrap();
    assert_eq!(response.status(), 200);
}
