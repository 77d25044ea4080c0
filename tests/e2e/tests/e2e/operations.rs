//! What the operations of nodes got and yielded, as operators see it.

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use faas_flow_e2e::command::{faas_flow, run};
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// Starts a run of the fixture with this id, and waits for its end.
async fn run_as(server: &Server, id: &str, query: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = server.request(&format!("/function/fixture?{query}"), body).header("X-Faas-Flow-Reqid", id);
    server.send(request.header("X-Faas-Flow-Wait", "60s")).await
}

fn path(id: &str, node: &str) -> String {
    format!("/function/fixture/flow/{id}/operations?node={node}")
}

/// What is kept of a node.
async fn kept(server: &Server, id: &str, node: &str) -> Value {
    serde_json::from_str(&server.get(&path(id, node)).await.ok()).unwrap()
}

/// The same, a line for each piece of data, such as `1 apply try 2 output 503: busy`.
async fn lines(server: &Server, id: &str, node: &str) -> Vec<String> {
    let kept = kept(server, id, node).await;
    let line = |one: &Value| {
        let mut words = Vec::new();
        for (before, name) in [
            ("", "operation"),
            ("", "kind"),
            ("try ", "try"),
            ("", "side"),
            ("", "from"),
            ("of ", "of"),
            ("", "status"),
        ] {
            match &one[name] {
                Value::Null => {}
                Value::String(text) => words.push(format!("{before}{text}")),
                other => words.push(format!("{before}{other}")),
            }
        }
        format!("{}: {}", words.join(" "), one["text"].as_str().unwrap())
    };
    kept["operations"].as_array().unwrap().iter().map(line).collect()
}

/// A function that fails once and then says in JSON what it got.
async fn busy_once() -> String {
    let calls = Arc::new(AtomicUsize::new(0));
    let answer = move |body: String| {
        let is_first = calls.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if is_first {
                return (StatusCode::SERVICE_UNAVAILABLE, "busy").into_response();
            }
            axum::Json(serde_json::json!({ "got": body })).into_response()
        }
    };
    double::serve(Router::new().fallback(answer)).await
}

/// HIST-13.
#[tokio::test]
async fn every_try_of_a_call_shows_what_it_sent_and_what_came_back() {
    let server = Serve::flows(&["fixture"]).function("step", busy_once().await).start();
    run_as(&server, "r", "case=retried-call-in-a-node", "x").await.ok();
    let expected = [
        "0 modify input: x",
        "0 modify output: x once",
        "1 apply try 1 input: x once",
        "1 apply try 1 output 503: busy",
        "1 apply try 2 input: x once",
        "1 apply try 2 output 200: {\"got\":\"x once\"}",
        "2 modify input: {\"got\":\"x once\"}",
        "2 modify output: {\"got\":\"x once\"} done",
    ];
    assert_eq!(lines(&server, "r", "n").await, expected);
    let kept = kept(&server, "r", "n").await;
    assert_eq!((&kept["request_id"], &kept["node"], &kept["dropped"]), (&"r".into(), &"n".into(), &0.into()));
    let yielded = &kept["operations"][5];
    assert_eq!((&yielded["media_type"], &yielded["size"]), (&"application/json".into(), &16.into()));
    assert_eq!((&yielded["target"], &yielded["attempt"]), (&"step".into(), &1.into()));
    assert_eq!(server.shown("r")["nodes"][0]["operation_data"], 8);

    let mut command = faas_flow(server.folder());
    command.args(["requests", "show", "r", "--node", "n", "--operations", "--to", &server.url("")]);
    let printed = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    for part in [
        "operation 1: apply step, try 1, output, status 503, text/plain; charset=utf-8, 4 bytes\n  busy\n",
        "operation 2: modify, input, application/json, 16 bytes\n  (the same as before)\n",
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    let page = server.get("/dashboard/runs/r/node?node=n").await.ok();
    let (_, page) = page.split_once("<h2>Operations</h2>").unwrap();
    for part in [
        "operation 1 · apply <code>step</code> · try 1 · <b>output</b> · status 503",
        "<pre class=\"payload\" tabindex=\"0\">busy</pre>",
        "<span class=\"name\">&quot;got&quot;</span>: <span class=\"text\">&quot;x once&quot;</span>",
        "the same as before",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    server.get(&path("r", "other")).await.failed(404, "FF0517");
    server.get(&path("none", "n")).await.failed(404, "FF0212");
    server.get("/function/fixture/flow/r/operations").await.failed(400, "FF0217");
}

/// HIST-13.
#[tokio::test]
async fn handlers_of_a_call_and_of_its_node_show_what_they_were_given_and_what_they_made() {
    let server = Serve::flows(&["fixture"]).function("step", busy_once().await).start();
    run_as(&server, "call", "case=received-again", "x").await.ok();
    let call = lines(&server, "call", "n").await;
    assert_eq!(call[..2], ["0 prepare try 1 input: x", "0 apply try 1 input: x prepared"]);
    assert!(call.last().unwrap().contains("receive try"), "{call:?}");
    run_as(&server, "join", "case=typed-join", "x").await.ok();
    let join = lines(&server, "join", "last").await;
    assert_eq!(join.len(), 4, "{join:?}");
    assert!(
        join[..3].iter().all(|line| line.starts_with("aggregate input ") && line.ends_with(" of 3: x")),
        "{join:?}"
    );
    assert!(join[3].starts_with("aggregate output: ") && join[3].contains("text/csv"), "{join:?}");
    run_as(&server, "condition", "case=reversed-branches", "x").await.ok();
    let condition = lines(&server, "condition", "C").await;
    assert_eq!(condition[..2], ["condition input: x", "condition output: b\na"]);
    assert_eq!(condition[2..4], ["aggregate input b of 2: x b", "aggregate input a of 2: x a"]);
    run_as(&server, "forwarder", "case=forwarder", "x").await.ok();
    let forwarded = lines(&server, "forwarder", "b").await;
    assert_eq!(forwarded[..2], ["forward input a: x a", "forward output a: x a forwarded"]);
    run_as(&server, "items", "case=items", "abcdefghij").await.ok();
    let split = lines(&server, "items", "F").await;
    assert_eq!(split[..2], ["for-each input: abcdefghij", "for-each output 0 of 10: a"]);
    assert_eq!(split[8], "for-each output 7 of 10: h");
    assert_eq!(
        split[9], "aggregate input 0 of 10: {\"got\":\"a\"}",
        "it is kept for the claim that merges the results, too"
    );
    assert!(split[17].starts_with("aggregate output: "), "{split:?}");
    let item = lines(&server, "items", "F%5B3%5D%2Fn").await;
    assert_eq!(item, ["0 apply try 1 input: d", "0 apply try 1 output 200: {\"got\":\"d\"}"]);
}

/// HIST-13: the answer comes under another claim, and what was sent is kept with the first one.
#[tokio::test]
async fn an_answer_that_comes_later_is_shown_behind_what_was_asked() {
    let url = double::serve(Router::new().fallback(async |body: String| body + " answered")).await;
    let server = Serve::flows(&["fixture"]).function("step", url).start();
    run_as(&server, "r", "case=calls&target=step&asynchronously=yes", "x").await.ok();
    let expected = ["0 apply try 1 input: x", "0 apply try 1 output 200: x answered"];
    assert_eq!(lines(&server, "r", "call").await, expected);
}

/// HIST-13.
#[tokio::test]
async fn what_the_rules_name_is_hidden_before_the_beginning_is_cut_off() {
    let folder = TempDir::new().unwrap();
    let serve = || Serve::flows(&["fixture"]).function("step", "echo");
    let mut server = serve().with("--redact", "/**/password").start_in(folder.path());
    let long = "y".repeat(20_000);
    let body = format!("{{\"password\":\"s3cret\",\"note\":\"{long}\",\"more\":{{\"password\":1}}}}");
    run_as(&server, "large", "case=retried-call", body.clone()).await.ok();
    run_as(&server, "broken", "case=retried-call", "{\"password\":\"s3cret\"").await;
    let large = kept(&server, "large", "n").await;
    for one in large["operations"].as_array().unwrap() {
        assert_eq!((&one["redacted"], &one["size"]), (&true.into(), &(body.len() - 3 + 4).into()));
        let text = one["text"].as_str().unwrap();
        assert!(text.starts_with("{\"password\":\"***\",\"note\":\"yyy") && text.len() == 16 << 10, "{}", text.len());
    }
    let broken = kept(&server, "broken", "n").await.to_string();
    assert!(broken.contains("it should be JSON") && !broken.contains("s3cret"), "{broken}");
    let page = server.get("/dashboard/runs/large/node?node=n").await.ok();
    let (_, operations) = page.split_once("<section id=\"operations\">").unwrap();
    assert!(operations.contains("&quot;password&quot;:&quot;***&quot;") || operations.contains("***"), "{operations}");
    assert!(!page.contains("s3cret"), "{page}");
    server.terminate();
    server.end().await;
    drop(server);
    // What was hidden stays so, and what another rule might hide in what is cut off is not shown.
    let server = serve().with("--redact", "/note").start_in(folder.path());
    let large = kept(&server, "large", "n").await.to_string();
    assert!(large.contains("the rules of `redact`") && !large.contains("yyy") && !large.contains("s3cret"), "{large}");
    drop(server);
    let server = serve().start_in(folder.path());
    assert!(!kept(&server, "large", "n").await.to_string().contains("s3cret"));
    assert!(kept(&server, "broken", "n").await.to_string().contains("it should be JSON"));
}

/// HIST-13.
#[tokio::test]
async fn what_nobody_may_see_is_not_kept() {
    let folder = TempDir::new().unwrap();
    let serve = || Serve::flows(&["fixture"]).function("step", "echo");
    let mut server = serve().with("--show-payloads", "never").with("--run-payloads", "1MiB").start_in(folder.path());
    server.until_logged("run_payloads keeps nothing, since show_payloads is never").await;
    run_as(&server, "r", "case=call-in-a-chain", "x").await.ok();
    let known = server.get(&path("r", "n")).await.failed(403, "FF0516");
    assert_eq!(server.get(&path("none", "n")).await.failed(403, "FF0516"), known);
    let page = server.get("/dashboard/runs/r/node?node=n").await.ok();
    assert!(!page.contains("<section id=\"operations\">"), "{page}");
    server.terminate();
    server.end().await;
    let server = serve().start_in(folder.path());
    let nothing = kept(&server, "r", "n").await;
    assert_eq!((&nothing["operations"], &nothing["dropped"]), (&Value::Array(Vec::new()), &0.into()));
    let said = run(folder.path(), ["requests", "show", "r", "--json"]).ok();
    assert!(!said.contains("operation_data"), "{said}");
}

/// HIST-13.
#[tokio::test]
async fn a_deployed_function_keeps_what_its_key_says_and_otherwise_nothing() {
    let serve = || Serve::replica("greet").with("--state", "memory").with("--show-payloads", "always");
    let asked = async |server: &Server| {
        server.send(server.request("/", "Ada").header("X-Faas-Flow-Reqid", "r")).await.ok();
        let mut kept = Value::Null;
        until("the history is written", async || {
            let answer = server.get("/flow/r/operations?node=greet").await;
            kept = serde_json::from_str(&answer.body).unwrap_or_default();
            answer.status == 200
        })
        .await;
        kept["operations"].as_array().unwrap().len()
    };
    assert_eq!(asked(&serve().start()).await, 0);
    assert!(asked(&serve().with("--run-payloads", "64KiB").start()).await > 0);
}

/// HIST-13.
#[tokio::test]
async fn what_does_not_fit_is_counted() {
    let server = Serve::flows(&["fixture"]).function("step", "echo").with("--run-payloads", "300").start();
    run_as(&server, "r", "case=call-in-a-chain", "x").await.ok();
    let kept = kept(&server, "r", "n").await;
    assert!(kept["dropped"].as_u64().unwrap() > 0, "{kept}");
    let page = server.get("/dashboard/runs/r/node?node=n").await.ok();
    assert!(!page.contains("operations\">") || page.contains("since they exceed run_payloads"), "{page}");
}
