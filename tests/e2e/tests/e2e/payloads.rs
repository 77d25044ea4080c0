//! What nodes got and yielded, as operators see it.

use faas_flow_e2e::command::faas_flow;
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::servers;
use serde_json::{Value, json};
use std::process::Output;
use tempfile::TempDir;

const TOKEN: &str = "a token of more than sixteen";
/// What a browser or a terminal must not take for more than data.
const NASTY: &str = "<script>alert(1)</script>\u{202e}\u{1b}[2J";

/// Starts a run of the fixture with this id, and waits for its end.
async fn run_as(server: &Server, id: &str, query: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = server.request(&format!("/function/fixture?{query}"), body).header("X-Faas-Flow-Reqid", id);
    server.send(request.header("X-Faas-Flow-Wait", "60s")).await
}

fn path(id: &str, of: &str) -> String {
    format!("/function/fixture/flow/{id}/{of}")
}

/// `faas-flow requests show …` of a server, to a pipe.
async fn show(server: &Server, arguments: &[&str]) -> Output {
    let mut command = faas_flow(server.folder());
    command.args(["requests", "show", "--to", &server.url("/function/fixture")]).args(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_node_shows_what_it_got_and_what_it_yielded() {
    let server = Serve::flows(&["fixture"]).start();
    run_as(&server, "r", "case=inputs", "x").await.ok();
    let first = server.get(&path("r", "input?node=first")).await;
    assert_eq!(first.header("x-faas-flow-from"), Vec::<&str>::new());
    assert_eq!(first.ok(), "x");
    assert_eq!(server.get(&path("r", "output?node=first")).await.ok(), "x!");
    let left = server.get(&path("r", "input?node=left")).await;
    assert_eq!(left.header("x-faas-flow-from"), ["first"]);
    assert_eq!(left.ok(), "x!");
    let said = server.get(&path("r", "input?node=last")).await.failed(400, "FF0217");
    assert!(said.contains("choose one with `from`: left, right"), "{said}");
    assert_eq!(server.get(&path("r", "input?node=last&from=right")).await.ok(), "x!right");
    server.get(&path("r", "input?node=last&from=first")).await.failed(404, "FF0517");
}

#[tokio::test]
async fn an_input_is_shown_as_it_was_before_its_forwarder() {
    let server = Serve::flows(&["fixture"]).start();
    run_as(&server, "r", "case=forwarder", "x").await.ok();
    let input = server.get(&path("r", "input?node=b")).await;
    assert_eq!(input.header("x-faas-flow-forwarded"), ["true"]);
    assert_eq!(input.ok(), "x a");
    assert_eq!(server.get(&path("r", "output?node=b")).await.ok(), "x a forwarded b");
}

#[tokio::test]
async fn a_payload_never_becomes_a_page() {
    let server = Serve::flows(&["fixture"]).start();
    run_as(&server, "r", "case=typed&type=text/html", NASTY).await.ok();
    let output = server.get(&path("r", "output?node=n")).await;
    assert_eq!(output.content_type.as_deref(), Some("text/html"));
    assert_eq!(output.header("x-content-type-options"), ["nosniff"]);
    assert_eq!(output.header("content-disposition"), ["attachment; filename=\"output\""]);
    assert_eq!(output.header("cache-control"), ["no-store"]);
    let policy = output.header("content-security-policy").concat();
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    assert_eq!(output.ok(), NASTY);
}

#[tokio::test]
async fn a_large_binary_payload_comes_whole_or_as_a_preview() {
    let server = Serve::flows(&["fixture"]).start();
    let body: Vec<u8> = (0..16_u32 << 20).map(|at| (at % 251) as u8).collect();
    run_as(&server, "r", "case=typed&type=image/png", body.clone()).await;
    let url = server.url(&path("r", "output?node=n"));
    let whole = server.client.get(&url).send().await.unwrap().bytes().await.unwrap();
    assert!(whole == body, "{} bytes", whole.len());
    let preview = server.client.get(format!("{url}&preview=100")).send().await.unwrap();
    assert_eq!(preview.headers()["x-faas-flow-size"], "16777216");
    assert_eq!(preview.bytes().await.unwrap(), body[..100]);
    for bad in ["0", "1048577", "-1", "x"] {
        server.get(&path("r", &format!("output?node=n&preview={bad}"))).await.failed(400, "FF0217");
    }
    let piped = show(&server, &["r", "--node", "n", "--output"]).await;
    assert!(piped.status.success() && piped.stdout == body, "{}", String::from_utf8_lossy(&piped.stderr));
}

#[tokio::test]
async fn the_command_prints_bytes_as_they_are_or_an_object() {
    let server = Serve::flows(&["fixture"]).start();
    run_as(&server, "r", "case=typed&type=text/html", NASTY).await.ok();
    assert_eq!(show(&server, &["r", "--node", "n", "--input"]).await.stdout, NASTY.as_bytes());
    let shown: Value =
        serde_json::from_slice(&show(&server, &["r", "--node", "n", "--output", "--json"]).await.stdout).unwrap();
    assert_eq!(shown, json!({ "media_type": "text/html", "size": NASTY.len(), "text": NASTY }));
    let refused = show(&server, &["r", "--node", "n"]).await;
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--input"));
    let unknown = show(&server, &["r", "--node", "other", "--output"]).await;
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("FF0517"));
}

#[tokio::test]
async fn what_is_not_there_is_refused_with_the_reason() {
    let server = Serve::flows(&["fixture"]).function("step", "http://127.0.0.1:1/").start();
    run_as(&server, "r", "case=call-in-a-chain", "x").await;
    assert_eq!(server.get(&path("r", "input?node=n")).await.ok(), "x first");
    let said = server.get(&path("r", "output?node=n")).await.failed(404, "FF0517");
    assert!(said.contains("node n has no output"), "{said}");
    server.get(&path("r", "output?node=other")).await.failed(404, "FF0517");
    server.get(&path("r", "output?node=F%5Bx%5D%2Fn")).await.failed(404, "FF0517");
    server.get(&path("none", "output?node=n")).await.failed(404, "FF0212");
    for bad in ["output", "output?node=", "output?node=F["] {
        server.get(&path("r", bad)).await.failed(400, "FF0217");
    }
}

#[tokio::test]
async fn show_payloads_says_of_which_runs() {
    let serve = || Serve::flows(&["fixture"]).function("step", "http://127.0.0.1:1/");
    let server = serve().with("--show-payloads", "failed").start();
    run_as(&server, "good", "case=forwarder", "x").await.ok();
    run_as(&server, "bad", "case=call-in-a-chain", "x").await;
    assert_eq!(server.get(&path("bad", "output?node=first")).await.ok(), "x first");
    let said = server.get(&path("good", "output?node=a")).await.failed(403, "FF0516");
    assert!(said.contains("show_payloads is failed"), "{said}");
    let server = serve().with("--show-payloads", "never").start();
    run_as(&server, "good", "case=forwarder", "x").await.ok();
    let known = server.get(&path("good", "output?node=a")).await.failed(403, "FF0516");
    let unknown = server.get(&path("none", "output?node=a")).await.failed(403, "FF0516");
    assert_eq!(known, unknown, "whether there is the run makes no difference");
}

#[tokio::test]
async fn a_deployed_function_shows_none_unless_it_is_told_to() {
    let server = Serve::replica("greet").with("--state", "memory").start();
    let request = server.request("/", "Ada").header("X-Faas-Flow-Reqid", "r");
    server.send(request).await.ok();
    let said = server.get("/flow/r/output?node=greet").await.failed(403, "FF0516");
    assert!(said.contains("show_payloads is never"), "{said}");
}

#[tokio::test]
async fn without_the_token_nobody_learns_which_runs_and_nodes_there_are() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    std::fs::write(folder.path().join("secrets/faasflow-admin-token"), TOKEN).unwrap();
    let server = Serve::flows(&["fixture"]).with("--secrets", "secrets").start_in(folder.path());
    run_as(&server, "r", "case=forwarder", "x").await.ok();
    let mut answers = Vec::new();
    for asked in
        ["r/output?node=a", "r/output?node=other", "none/output?node=a", "r/input?node=b", "r/output", "%20/output"]
    {
        answers.push(server.get(&format!("/function/fixture/flow/{asked}")).await.failed(401, "FF0506"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let asked = server.client.get(server.url(&path("r", "output?node=a"))).bearer_auth(TOKEN);
    assert_eq!(server.send(asked).await.ok(), "x a");
}

#[tokio::test]
async fn what_the_rules_name_is_hidden_wherever_data_is_shown() {
    let server = Serve::flows(&["fixture"]).with("--redact", "/**/password").with("--redact", "/cards/*/number");
    let server = server.start();
    let body = "{\"user\": \"Ada\", \"password\": \"s3cret\", \"cards\": [{\"number\": 4711}, {\"number\": 4712, \"id\": 1.0}]}";
    let shown = "{\"user\": \"Ada\", \"password\": \"***\", \"cards\": [{\"number\": \"***\"}, {\"number\": \"***\", \"id\": 1.0}]}";
    run_as(&server, "r", "case=typed&type=application/json", body).await.ok();
    for of in ["input?node=n", "output?node=n"] {
        let answer = server.get(&path("r", of)).await;
        assert_eq!(answer.header("x-faas-flow-redacted"), ["true"]);
        assert_eq!(answer.header("x-faas-flow-size"), [shown.len().to_string()]);
        assert_eq!(answer.ok(), shown);
        // A preview begins with what is shown, not with what is stored.
        assert_eq!(server.get(&path("r", &format!("{of}&preview=32"))).await.ok(), shown[..32]);
    }
    assert_eq!(show(&server, &["r", "--node", "n", "--output"]).await.stdout, shown.as_bytes());
    let page = server.get("/dashboard/runs/r/node?node=n").await.ok();
    assert!(page.contains("parts of it are hidden") && !page.contains("s3cret") && !page.contains("471"), "{page}");
    assert_eq!(server.get("/dashboard/runs/r/node/output?node=n").await.ok(), shown);
    assert_eq!(server.get(&path("r", "result")).await.ok(), body, "callers get what they asked for");
}

#[tokio::test]
async fn what_should_be_json_but_is_not_is_not_shown_where_there_are_rules() {
    let server = Serve::flows(&["fixture"]).with("--redact", "/password").start();
    let broken = "{\"password\": \"s3cret\"";
    for (id, media_type, body) in
        [("r", "application/json", broken), ("s", "text/plain", broken), ("t", "a/b%2Bjson", "s3cret")]
    {
        run_as(&server, id, &format!("case=typed&type={media_type}"), body).await.ok();
        let said = server.get(&path(id, "output?node=n&preview=4")).await.failed(403, "FF0516");
        assert!(said.contains("the output of node n is not shown here") && !said.contains("s3cret"), "{said}");
        let page = server.get(&format!("/dashboard/runs/{id}/node?node=n")).await.ok();
        let (_, output) = page.split_once("<section id=\"output\">").unwrap();
        let (output, _) = output.split_once("</section>").unwrap();
        assert!(output.contains("FF0516") && !output.contains("s3cret"), "{page}");
        server.get(&format!("/dashboard/runs/{id}/node/output?node=n")).await.failed(403, "FF0516");
    }
    run_as(&server, "text", "case=typed&type=text/plain", "password=1").await.ok();
    assert_eq!(server.get(&path("text", "output?node=n")).await.ok(), "password=1", "the rules are for JSON");
}

#[tokio::test]
async fn a_re_run_shows_the_data_of_the_latest_execution() {
    let server = Serve::flows(&["fixture"]).function("step", "echo").start();
    run_as(&server, "r", "case=items", "ab").await.ok();
    let (n, output) =
        ("node=F%5B1%5D%2Fn", async |node: &str| server.get(&path("r", &format!("output?{node}"))).await.body);
    assert_eq!(server.get(&path("r", &format!("input?{n}"))).await.ok(), "b");
    assert_eq!(output(n).await, "b");
    let gathered = output("node=after").await;

    server.post(&path("r", "rerun?node=F[1]/n"), "C").await.ok();
    until("the item has run again", async || output(n).await == "C").await;
    let replaced = server.get(&path("r", &format!("input?{n}"))).await;
    assert_eq!(replaced.header("x-faas-flow-from"), Vec::<&str>::new());
    assert_eq!(replaced.ok(), "C");
    until("what follows has run again", async || {
        let now = output("node=after").await;
        now.contains('C') && now != gathered
    })
    .await;

    server.post(&path("r", "rerun?node=F"), "z").await.ok();
    until("the branches are others", async || output("node=F%5B0%5D%2Fn").await == "z").await;
    server.get(&path("r", &format!("output?{n}"))).await.failed(404, "FF0517");
}

#[tokio::test]
async fn data_that_was_deleted_is_missed_with_a_code() {
    let folder = TempDir::new().unwrap();
    let server = Serve::flows(&["fixture"]).start_in(folder.path());
    run_as(&server, "r", "case=typed&type=text/plain", "x".repeat(100 << 10)).await.ok();
    let page = server.get("/dashboard/runs/r/node?node=n").await;
    let tag = page.header("etag").concat();
    assert!(page.ok().contains("xxx"));
    let data = folder.path().join(".faas-flow/data");
    std::fs::rename(&data, folder.path().join("elsewhere")).unwrap();
    std::fs::create_dir(&data).unwrap();
    let answer = server.get(&path("r", "output?node=n")).await;
    assert!(answer.status >= 500 && answer.code.is_some(), "{answer:?}");
    let code = answer.code.unwrap();
    let page = server.get("/dashboard/runs/r/node?node=n").await.ok();
    assert!(page.contains("class=\"badge done\"") && page.contains(&format!("card error\">{code}:")), "{page}");
    // Whoever has the page already does not make the server read the data, and a page without it is not taken for the page.
    let known = server.client.get(server.url("/dashboard/runs/r/node?node=n")).header("If-None-Match", &tag);
    assert_eq!(server.send(known).await.status, 304);
    assert!(server.get("/dashboard/runs/r/node?node=n").await.header("etag").is_empty());
}

#[tokio::test]
async fn after_the_history_of_a_run_there_is_no_data() {
    let server = Serve::flows(&["fixture"]).with("--history-ttl", "1ms").start();
    run_as(&server, "r", "case=forwarder", "x").await;
    until("the run is forgotten", async || {
        server.get(&path("r", "output?node=a")).await.code.as_deref() == Some("FF0212")
    })
    .await;
    server.get("/dashboard/runs/r/node/output?node=a").await.failed(404, "FF0212");
}

#[tokio::test]
async fn every_store_shows_the_same() {
    let redis = servers::redis(&[]);
    let redis = redis.url("redis");
    for (state, data) in [("sqlite:state.db", "files:data"), (&*redis, &*redis), ("memory", "memory")] {
        let serve = Serve::flows(&["fixture"]).function("step", "echo");
        let server = serve.with("--state", state).with("--data-store", data).start();
        let large = "x".repeat(100 << 10);
        run_as(&server, "r", "case=call-in-a-chain", large.clone()).await.ok();
        let asked = async |of: &str| server.get(&path("r", of)).await.ok();
        assert!(asked("input?node=first").await == large, "{state}");
        assert!(asked("output?node=first").await == format!("{large} first"), "{state}");
        assert!(asked("input?node=n").await == format!("{large} first"), "{state}");
        assert!(asked("output?node=n").await == format!("{large} first n"), "{state}");
    }
}
