//! The routes of a flow, over HTTP.

use faas_flow_e2e::command::script;
use faas_flow_e2e::server::{Serve, Server, metric};
use faas_flow_e2e::wait::until;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

pub(super) const CHAIN: &str = "/function/async-chain";
pub(super) const SECRET: &str = "the secret of these tests";
const TOKEN: &str = "the token of these tests";

fn chain() -> Serve {
    let serve = Serve::flows(&["async-chain", "sync-chain"]).function("func1", "echo").function("func2", "echo");
    serve.function("fake-storage", "echo")
}

/// A server with a chain whose second function waits for the file `gate`.
pub(super) fn gated(folder: &Path) -> Serve {
    let body = "cat > input; touch begun; until [ -e gate ]; do [ -e input ] || exit 1; sleep 0.02; done; cat input";
    let slow = script(folder, "slow.sh", &format!("cd '{}'; {body}", folder.display()));
    let serve = Serve::flows(&["async-chain", "sync-chain"]).function("func1", "echo").function("func2", slow);
    serve.function("fake-storage", "echo")
}

pub(super) async fn begun(folder: &Path) {
    until("the second function begins", async || folder.join("begun").exists()).await;
}

pub(super) fn open_gate(folder: &Path) {
    fs::write(folder.join("gate"), "").unwrap();
}

/// A folder of secrets, each with a name and a value.
pub(super) fn secrets(names: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, secret) in names {
        fs::write(folder.path().join(name), secret).unwrap();
    }
    folder
}

pub(super) fn with_id(server: &Server, path: &str, id: &str, body: &str) -> RequestBuilder {
    server.request(path, body.to_owned()).header("X-Faas-Flow-Reqid", id)
}

async fn state(server: &Server, id: &str) -> Value {
    let request = server.client.get(server.url(&format!("{CHAIN}/flow/{id}/state")));
    serde_json::from_str(&server.send(request.header("Accept", "application/json")).await.ok()).unwrap()
}

#[tokio::test]
async fn the_same_request_id_twice_is_the_same_run() {
    let server = chain().start();
    let first = server.send(with_id(&server, CHAIN, "my_run-1", "hi")).await;
    assert_eq!((first.status, first.id.as_deref()), (202, Some("my_run-1")));
    let second = server.send(with_id(&server, CHAIN, "my_run-1", "hi")).await;
    assert_eq!((second.status, second.id.as_deref()), (202, Some("my_run-1")));
    let waited = server.send(with_id(&server, CHAIN, "my_run-1", "hi").header("X-Faas-Flow-Wait", "60s")).await;
    assert_eq!(waited.ok(), "you said \"hi\"");
    let attempts = server.shown("my_run-1")["nodes"][0]["attempts"].as_array().unwrap().len();
    assert_eq!(attempts, 1);

    let other_body = server.send(with_id(&server, CHAIN, "my_run-1", "ho")).await;
    assert!(other_body.failed(409, "FF0215").contains("another body"));
    let other_flow = server.send(with_id(&server, "/function/sync-chain", "my_run-1", "hi")).await;
    assert!(other_flow.failed(409, "FF0215").contains("another flow"));
}

#[tokio::test]
async fn what_the_caller_has_already_is_not_sent_again() {
    let server = chain().start();
    let wait = ("X-Faas-Flow-Wait", "60s");
    server.send(with_id(&server, CHAIN, "r", "hi").header(wait.0, wait.1)).await.ok();
    let reads = [
        (format!("{CHAIN}/flow/r/state"), "text/plain"),
        (format!("{CHAIN}/flow/r/state"), "application/json"),
        (format!("{CHAIN}/?state=r"), "application/json"),
        (format!("{CHAIN}/flow/r"), "application/json"),
        ("/dashboard/runs/r".to_owned(), "text/html"),
        ("/dashboard/runs/r".to_owned(), "application/json"),
    ];
    let tag = |response: &reqwest::Response| response.headers()["etag"].to_str().unwrap().to_owned();
    let mut tags = Vec::new();
    for (path, accept) in &reads {
        let read = || server.client.get(server.url(path)).header("Accept", *accept);
        let first = read().send().await.unwrap();
        assert_eq!(first.status(), 200, "{path}");
        let known = tag(&first);
        let again = read().header("If-None-Match", &known).send().await.unwrap();
        assert_eq!((again.status().as_u16(), tag(&again)), (304, known.clone()), "{path}");
        assert_eq!(again.bytes().await.unwrap(), "");
        let other = read().header("If-None-Match", "\"other\"").send().await.unwrap();
        assert_eq!((other.status().as_u16(), tag(&other)), (200, known.clone()), "{path}");
        tags.push(known);
    }
    // Once the run has changed, all is sent.
    let rerun = server.client.post(server.url(&format!("{CHAIN}/flow/r/rerun?node=n1"))).send().await.unwrap();
    assert_eq!(rerun.status(), 200);
    server.client.get(server.url(&format!("{CHAIN}/flow/r/result"))).header(wait.0, wait.1).send().await.unwrap();
    for ((path, accept), known) in reads.iter().zip(&tags).skip(1) {
        let read = server.client.get(server.url(path)).header("Accept", *accept).header("If-None-Match", known);
        let response = read.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_ne!(tag(&response), *known);
    }
}

#[tokio::test]
async fn another_request_with_the_same_id_does_not_get_the_answer_of_the_first() {
    let server = chain().with("--callback-host", "hooks.example").start();
    let first = |path: &str| with_id(&server, path, "order", "hi").header("X-Tenant", "a");
    let path = format!("{CHAIN}?size=1&size=2");
    let wait = |request: RequestBuilder| request.header("X-Faas-Flow-Wait", "60s");
    assert_eq!(server.send(wait(first(&path))).await.ok(), "you said \"hi\"");

    for other in [format!("{CHAIN}?size=2&size=1"), CHAIN.to_owned(), format!("{path}&more")] {
        assert!(server.send(wait(first(&other))).await.failed(409, "FF0215").contains("another query"), "{other}");
    }
    let other = with_id(&server, &path, "order", "hi").header("X-Tenant", "b");
    let said = server.send(wait(other)).await.failed(409, "FF0215");
    assert!(said.contains("another header `x-tenant`"), "{said}");
    let called_back = first(&path).header("X-Faas-Flow-Callback-Url", "http://hooks.example/");
    assert!(server.send(wait(called_back)).await.failed(409, "FF0215").contains("another callback address"));

    let through_a_proxy = first(&path)
        .header("X-Forwarded-For", "10.0.0.1")
        .header("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("Accept", "text/plain");
    assert_eq!(server.send(wait(through_a_proxy)).await.ok(), "you said \"hi\"");
    assert_eq!(server.shown("order")["nodes"][0]["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn of_many_requests_with_one_id_one_run_comes() {
    let server = chain().start();
    let sent = (0..8).map(|_| server.send(with_id(&server, CHAIN, "twins", "hi").header("X-Faas-Flow-Wait", "60s")));
    let mut answers = Vec::new();
    let mut sent: Vec<_> = sent.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        sent.retain_mut(|answer| match answer.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => {
                answers.push(answer);
                false
            }
            std::task::Poll::Pending => true,
        });
        if sent.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    for answer in answers {
        assert_eq!(answer.ok(), "you said \"hi\"");
    }
}

#[tokio::test]
async fn a_run_is_paused_resumed_and_stopped_by_path_and_by_query() {
    let folder = TempDir::new().unwrap();
    let server = gated(folder.path()).start();
    server.send(with_id(&server, CHAIN, "r", "hi")).await;
    begun(folder.path()).await;
    assert_eq!(state(&server, "r").await["state"], "running");
    assert_eq!(server.get(&format!("{CHAIN}?state=r")).await.ok(), "RUNNING");

    assert_eq!(server.post(&format!("{CHAIN}/flow/r/pause"), "").await.ok(), "Successfully paused request r");
    assert_eq!(server.get(&format!("{CHAIN}/flow/r/state")).await.ok(), "PAUSED");
    open_gate(folder.path());
    assert_eq!(server.get(&format!("{CHAIN}/flow/r/result")).await.status, 202);
    assert_eq!(server.post(&format!("{CHAIN}?resume-flow=r"), "").await.ok(), "Successfully resumed request r");
    assert_eq!(server.result_of("async-chain", "r").await.ok(), "you said \"hi\"");
    assert_eq!(server.get(&format!("{CHAIN}?state=r")).await.ok(), "FINISHED");
    server.post(&format!("{CHAIN}/flow/r/pause"), "").await.failed(409, "FF0222");

    let folder = TempDir::new().unwrap();
    let server = gated(folder.path()).start();
    server.send(with_id(&server, CHAIN, "s", "hi")).await;
    begun(folder.path()).await;
    assert_eq!(server.post(&format!("{CHAIN}?stop-flow=s"), "").await.ok(), "Successfully stopped request s");
    server.result_of("async-chain", "s").await.failed(409, "FF0211");
    assert_eq!(state(&server, "s").await["state"], "stopped");
}

#[tokio::test]
async fn a_wait_that_is_over_leads_to_the_result() {
    let folder = TempDir::new().unwrap();
    let server = gated(folder.path()).start();
    let request = with_id(&server, CHAIN, "r", "hi").header("X-Faas-Flow-Wait", "50ms");
    let accepted = request.send().await.unwrap();
    assert_eq!(accepted.status(), 202);
    let location = accepted.headers()["location"].to_str().unwrap().to_owned();
    open_gate(folder.path());
    let result = server.client.get(server.url_from(CHAIN, &location)).header("X-Faas-Flow-Wait", "60s");
    let result = result.send().await.unwrap();
    assert_eq!(result.headers()["x-faas-flow-state"], "succeeded");
    assert_eq!(result.text().await.unwrap(), "you said \"hi\"");
}

#[tokio::test]
async fn what_is_wrong_is_said_as_the_caller_reads_it() {
    let server = chain().start();
    let request = |path: &str| server.client.get(server.url(path));
    let answer =
        request("/function/nobody").header("Accept", "text/html, application/json;q=0.9").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(problem["code"], "FF0214");
    assert!(problem["message"].as_str().unwrap().contains("nobody"));
    let text = server.get("/function/nobody").await.failed(404, "FF0214");
    assert!(text.starts_with("FF0214: ") && text.ends_with('\n') && text.lines().count() == 1, "{text}");
}

#[tokio::test]
async fn each_route_takes_its_methods_only() {
    let server = chain().start();
    for (path, method, allow) in [
        (CHAIN.to_owned(), Method::DELETE, "POST,GET,HEAD"),
        (CHAIN.to_owned(), Method::PUT, "POST,GET,HEAD"),
        (CHAIN.to_owned(), Method::OPTIONS, "POST,GET,HEAD"),
        // Without a token, runs are controlled by POST alone.
        (format!("{CHAIN}/flow/r/stop"), Method::GET, "POST"),
        (format!("{CHAIN}/flow/r/stop"), Method::HEAD, "POST"),
        (format!("{CHAIN}/flow/r/stop"), Method::DELETE, "POST"),
        (format!("{CHAIN}?stop-flow=r"), Method::HEAD, "POST"),
        (format!("{CHAIN}/flow/r/state"), Method::DELETE, "GET,HEAD,POST"),
        (format!("{CHAIN}/flow/r/forward"), Method::GET, "POST"),
        (format!("{CHAIN}/flow/r/rerun"), Method::GET, "POST"),
        (format!("{CHAIN}/flow/r/result"), Method::POST, "GET,HEAD"),
        (format!("{CHAIN}/modules/rollback"), Method::GET, "POST"),
        (format!("{CHAIN}/modules/{}", "0".repeat(64)), Method::DELETE, "GET,HEAD,PUT"),
        ("/_/health".to_owned(), Method::POST, "GET,HEAD"),
        ("/".to_owned(), Method::POST, "GET,HEAD"),
    ] {
        let answer = server.client.request(method.clone(), server.url(&path)).send().await.unwrap();
        assert_eq!(answer.status(), 405, "{method} {path}");
        assert_eq!(answer.headers()["allow"], allow, "{method} {path}");
        assert_eq!(answer.headers()["x-faas-flow-error"], "FF0509");
    }
}

#[tokio::test]
async fn with_a_token_runs_are_controlled_by_get_too_but_never_by_head() {
    let secrets = secrets(&[("faasflow-admin-token", TOKEN)]);
    let server = chain().with("--secrets", secrets.path().to_str().unwrap()).start();
    for method in [Method::HEAD, Method::DELETE] {
        let path = server.url(&format!("{CHAIN}/flow/r/stop"));
        let answer = server.client.request(method.clone(), path).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["allow"]),
            (405, &"GET,POST".parse().unwrap()),
            "{method}"
        );
    }
}

#[tokio::test]
async fn head_reads_what_get_reads_and_begins_nothing() {
    let server = chain().start();
    server.send(with_id(&server, CHAIN, "r", "hi").header("X-Faas-Flow-Wait", "60s")).await.ok();
    for (path, status, state) in [
        (CHAIN.to_owned(), 200, None),
        (format!("{CHAIN}/"), 200, None),
        ("/function/nobody".to_owned(), 404, None),
        (format!("{CHAIN}?export-dag=true"), 200, None),
        (format!("{CHAIN}?state=r"), 200, Some("succeeded")),
        (format!("{CHAIN}/flow/r/state"), 200, Some("succeeded")),
        (format!("{CHAIN}/flow/r/result"), 200, Some("succeeded")),
        (format!("{CHAIN}/flow/none/result"), 404, None),
        ("/".to_owned(), 200, None),
        ("/dashboard/".to_owned(), 200, None),
        ("/_/openapi.json".to_owned(), 200, None),
    ] {
        let answer = server.client.head(server.url(&path)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let is = answer.headers().get("x-faas-flow-state").map(|state| state.to_str().unwrap());
        assert_eq!(is, state, "{path}");
        assert_eq!(answer.text().await.unwrap(), "", "{path}");
    }
    assert_eq!(metric(&server, "faas_flow_runs_started_total").await, 1);
}

#[tokio::test]
async fn the_result_is_found_from_wherever_the_run_was_begun() {
    let server = chain().start();
    for path in [CHAIN.to_owned(), format!("{CHAIN}/"), format!("/{CHAIN}")] {
        let accepted = server.request(&path, "hi").send().await.unwrap();
        assert_eq!(accepted.status(), 202, "{path}");
        let location = accepted.headers()["location"].to_str().unwrap();
        let result = server.client.get(server.url_from(&path, location)).header("X-Faas-Flow-Wait", "60s");
        assert_eq!(server.send(result).await.ok(), "you said \"hi\"", "{path}: {location}");
    }
    let id = server.post(CHAIN, "hi").await.id.unwrap();
    // A proxy has mapped the flow to `/`, and its caller has resolved `async-chain/flow/ID/result` against that.
    let result = server.client.get(server.url(&format!("{CHAIN}/async-chain/flow/{id}/result")));
    assert_eq!(server.send(result.header("X-Faas-Flow-Wait", "60s")).await.ok(), "you said \"hi\"");
    server.get(&format!("{CHAIN}/sync-chain/flow/{id}/result")).await.failed(404, "FF0508");
    server.post(&format!("{CHAIN}/async-chain/flow/{id}/result"), "").await.failed(404, "FF0508");

    let deployed = Serve::replica("async-chain").with("--state", "memory").function("func1", "echo");
    let deployed = deployed.function("func2", "echo").function("fake-storage", "echo").start();
    for (path, headers, expected) in [
        ("/", &[][..], "/async-chain/flow/ID/result"),
        ("/", &[("X-Call-Id", "1"), ("X-Forwarded-Prefix", "/faas")], "/async-chain/flow/ID/result"),
        (CHAIN, &[], "/function/async-chain/flow/ID/result"),
    ] {
        let request =
            headers.iter().fold(deployed.request(path, "hi"), |request, (name, value)| request.header(*name, *value));
        let accepted = request.send().await.unwrap();
        let id = accepted.headers()["x-faas-flow-reqid"].to_str().unwrap();
        let at = deployed.url_from(path, accepted.headers()["location"].to_str().unwrap());
        assert_eq!(at.path(), expected.replace("ID", id), "{path} {headers:?}");
        let result = deployed.client.get(at).header("X-Faas-Flow-Wait", "60s");
        assert_eq!(deployed.send(result).await.ok(), "you said \"hi\"");
    }
    let mapped = deployed.request("/", "hi").header("X-Forwarded-Prefix", "/orders/").send().await.unwrap();
    let location = mapped.headers()["location"].to_str().unwrap();
    assert!(location.starts_with("/orders/flow/") && location.ends_with("/result"), "{location}");
}

#[tokio::test]
async fn a_path_means_the_same_however_a_gateway_writes_it() {
    let server = chain().start();
    server.send(with_id(&server, CHAIN, "r", "hi").header("X-Faas-Flow-Wait", "60s")).await.ok();
    for path in ["/function/async-chain/flow/r/state", "//function/async-chain/flow/r/state?a=b"] {
        assert_eq!(server.get(path).await.ok(), "FINISHED", "{path}");
    }
    for path in ["/function/async%2Dchain/flow/%72/state", "///function/async-chain/?state=r"] {
        assert_eq!(server.get(path).await.ok(), "FINISHED", "{path}");
    }
    for path in ["/function/async-chain", "/function/async-chain/", "//function/async-chain"] {
        assert_eq!(server.post(path, "hi").await.status, 202, "{path}");
    }
    assert_eq!(server.get("/_/health/").await.ok(), "OK");
    assert_eq!(server.get("//_/ready").await.ok(), "OK");
    for path in ["/nothing", "/function", "/_", "/_/", "//", "/function/async-chain//", "/dashboards"] {
        let expected = if path == "//" { 200 } else { 404 };
        assert_eq!(server.get(path).await.status, expected, "{path}");
    }
}

#[tokio::test]
async fn every_request_to_a_missing_flow_names_the_flow() {
    let server = chain().start();
    for (path, method) in [
        ("/function/nobody", Method::POST),
        ("/function/nobody", Method::DELETE),
        ("/function/nobody/", Method::HEAD),
        ("/function/nobody/flow/r/state", Method::GET),
        ("/function/nobody/flow/r/result", Method::PUT),
        ("/function/nobody/else/where", Method::GET),
    ] {
        let answer = server.client.request(method.clone(), server.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{method} {path}");
        assert_eq!(answer.headers()["x-faas-flow-error"], "FF0214", "{method} {path}");
    }
    for name in ["Nobody", "a%2Fb", "%FF", "%00"] {
        server.get(&format!("/function/{name}/flow/r/state")).await.failed(400, "FF0406");
    }
}

#[tokio::test]
async fn impossible_ids_are_refused_wherever_they_come() {
    let server = chain().start();
    let long = "x".repeat(10 * 1024);
    for id in ["a%2Fb", "a.b", "%00", "a%0Ab", "%FF", "a%20b", &long] {
        for what in ["state", "result", "pause", "resume", "stop", "forward", "rerun"] {
            let method = if what == "result" { Method::GET } else { Method::POST };
            let request = server.client.request(method, server.url(&format!("{CHAIN}/flow/{id}/{what}?node=n1")));
            server.send(request).await.failed(400, "FF0213");
        }
        for query in ["state", "pause-flow", "resume-flow", "stop-flow"] {
            server.get(&format!("{CHAIN}?{query}={id}")).await.failed(400, "FF0213");
        }
        server.send(with_id(&server, CHAIN, id, "hi")).await.failed(400, "FF0213");
    }
    for path in ["flow/a/b/state", "flow/r/dance", "flow/", "else/where", "flow/r/state/"] {
        server.get(&format!("{CHAIN}/{path}")).await.failed(404, "FF0508");
    }
    for what in ["", "/state", "/result"] {
        server.get(&format!("{CHAIN}/flow/nothing{what}")).await.failed(404, "FF0212");
    }
    for what in ["pause", "resume", "stop", "rerun", "rerun?node=n1"] {
        server.post(&format!("{CHAIN}/flow/nothing/{what}"), "").await.failed(404, "FF0212");
    }
    for node in ["", "a//b", "a[", "%00"] {
        server.post(&format!("{CHAIN}/flow/nothing/rerun?node={node}"), "").await.failed(400, "FF0217");
    }
}

#[tokio::test]
async fn the_runs_of_one_flow_are_not_those_of_another() {
    let server = chain().start();
    server.send(with_id(&server, CHAIN, "mine", "hi").header("X-Faas-Flow-Wait", "60s")).await.ok();
    let other = "/function/sync-chain";
    for what in ["state", "result"] {
        server.get(&format!("{other}/flow/mine/{what}")).await.failed(404, "FF0212");
    }
    server.post(&format!("{other}/flow/mine/stop"), "").await.failed(404, "FF0212");
}

#[tokio::test]
async fn a_run_is_run_again_from_a_node() {
    let folder = TempDir::new().unwrap();
    let counted = |name: &str| {
        let body =
            format!("cd '{}'; echo \"$Http_X_Faas_Flow_Idempotency_Key\" >> {name}; cat", folder.path().display());
        script(folder.path(), &format!("{name}.sh"), &body)
    };
    let serve = Serve::flows(&["async-chain"]).function("func1", counted("func1"));
    let server = serve.function("func2", counted("func2")).function("fake-storage", counted("fake-storage")).start();
    let again = format!("{CHAIN}/flow/r/rerun?node=n2");
    server.post(&again, "").await.failed(404, "FF0212");
    server.send(with_id(&server, CHAIN, "r", "hi").header("X-Faas-Flow-Wait", "60s")).await.ok();
    for times in 2..4 {
        assert_eq!(server.post(&again, "").await.ok(), "Successfully restarted request r");
        assert_eq!(server.result_of("async-chain", "r").await.ok(), "you said \"hi\"");
        let calls = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(calls("func1"), "r/n1/0\n", "what comes before is as it was");
        assert_eq!(calls("func2"), "r/n2/0\n".repeat(times), "it gets what it got before");
        let anew = ["r/n3/0\n", "r/n3/0~2\n", "r/n3/0~3\n"];
        assert_eq!(calls("fake-storage"), anew[..times].concat(), "what comes before it was done anew");
    }
    let nowhere = server.post(&format!("{CHAIN}/flow/r/rerun?node=n9"), "").await;
    assert!(nowhere.failed(409, "FF0222").contains("there is no node `n9`; the nodes are n1, n2, n3"));
    server.post(&format!("{CHAIN}/flow/r/rerun"), "").await.failed(409, "FF0222");
    server.post(&format!("{CHAIN}/flow/r/rerun"), "data for no node").await.failed(400, "FF0217");
}

#[tokio::test]
async fn a_host_with_as_many_runs_as_it_may_have_takes_no_more() {
    let folder = TempDir::new().unwrap();
    let server = gated(folder.path()).with("--max-runs", "1").start();
    server.send(with_id(&server, CHAIN, "first", "hi")).await;
    begun(folder.path()).await;
    let refused = with_id(&server, CHAIN, "second", "hi").send().await.unwrap();
    let header = |name: &str| refused.headers()[name].to_str().unwrap();
    assert_eq!((refused.status().as_u16(), header("x-faas-flow-error"), header("retry-after")), (429, "FF0220", "1"));
    server.get(&format!("{CHAIN}/flow/second/state")).await.failed(404, "FF0212");
    open_gate(folder.path());
    assert_eq!(server.result_of("async-chain", "first").await.ok(), "you said \"hi\"");
    let second = with_id(&server, CHAIN, "second", "hi").header("X-Faas-Flow-Wait", "60s");
    assert_eq!(server.send(second).await.ok(), "you said \"hi\"");
}

#[tokio::test]
async fn changing_runs_needs_the_token_where_there_is_one() {
    let secrets = secrets(&[("faasflow-admin-token", TOKEN)]);
    let server = chain().with("--secrets", secrets.path().to_str().unwrap()).start();
    server.send(with_id(&server, CHAIN, "r", "hi").header("X-Faas-Flow-Wait", "60s")).await.ok();
    for path in ["flow/r/pause", "flow/r/resume", "flow/r/stop", "flow/r/rerun?node=n1", "?stop-flow=r"] {
        let post = || server.request(&format!("{CHAIN}/{path}"), "");
        server.send(post()).await.failed(401, "FF0506");
        server.send(post().bearer_auth("another token of that length")).await.failed(401, "FF0506");
        assert_ne!(server.send(post().bearer_auth(TOKEN)).await.status, 401, "{path}");
    }
    server.get(&format!("{CHAIN}/flow/r/state")).await.ok();
}

#[tokio::test]
async fn requests_are_authenticated_where_that_is_asked_for() {
    let secrets = secrets(&[("faasflow-hmac-secret", "It's a Secret to Everybody")]);
    let server = chain().with("--secrets", secrets.path().to_str().unwrap());
    let server = server.flag("--authenticate-requests").start();
    let body = "Hello, World!";
    server.post(CHAIN, body).await.failed(401, "FF0501");
    let signed = |value: &str| server.request(CHAIN, body).header("X-Hub-Signature-256", value);
    server.send(signed("sha256=00")).await.failed(401, "FF0502");
    // The example in GitHub's documentation.
    let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(server.send(signed(right).header("X-Faas-Flow-Wait", "60s")).await.ok(), format!("you said \"{body}\""));
}

#[tokio::test]
async fn the_host_says_how_it_is() {
    let server = chain().start();
    assert_eq!(server.get("/_/health").await.ok(), "OK");
    assert_eq!(server.get("/_/ready").await.ok(), "OK");
    server.get("/_/nothing").await.failed(404, "FF0508");
    let openapi: Value = serde_json::from_str(&server.get("/_/openapi.json").await.ok()).unwrap();
    assert_eq!(openapi["openapi"], "3.1.0");
    assert!(metric(&server, "faas_flow_requests_total{status=\"2xx\"}").await >= 3);
    assert_eq!(metric(&server, "faas_flow_requests_total{status=\"4xx\"}").await, 1);
}
