//! The dashboard, in a browser and as JSON.

use axum::http::StatusCode;
use faas_flow_e2e::browser::Browser;
use faas_flow_e2e::command::{faas_flow, script};
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::{double, servers};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const TOKEN: &str = "a token of more than sixteen";

/// A function that answers with its input once a file exists; the function and the file.
fn gated(folder: &Path) -> (PathBuf, PathBuf) {
    let gate = folder.join("open");
    // It also ends when the folder is gone, so that nothing outlives the test.
    let wait = format!("while [ ! -e {} -a -e \"$0\" ]; do sleep 0.02; done; cat", gate.display());
    (script(folder, "gated.sh", &wait), gate)
}

/// A chain whose first node calls this function.
fn chain(func1: &Path) -> Serve {
    Serve::flows(&["async-chain"])
        .function("func1", func1)
        .function("func2", "echo")
        .function("fake-storage", "echo")
        .with("--call-timeout", "1h")
}

async fn begin(server: &Server) -> String {
    let run = server.post("/function/async-chain", "hi").await.id.unwrap();
    until("the first node runs", async || {
        json(server, &format!("/dashboard/runs/{run}")).await["nodes"][0]["progress"] == "running"
    })
    .await;
    run
}

async fn page(server: &Server, path: &str) -> Answer {
    server.send(server.client.get(server.url(path)).header("Accept", "text/html")).await
}

async fn json(server: &Server, path: &str) -> Value {
    let answer = server.send(server.client.get(server.url(path)).header("Accept", "application/json")).await;
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn flows_and_runs_are_shown_as_pages_and_as_json() {
    let server = Serve::flows(&["greet", "parallel-branching"]);
    let server = server.function("func1", "echo").function("func2", "echo").function("fake-storage", "echo").start();
    let run = server.result("parallel-branching", "hi").await.id.unwrap();

    let flows = page(&server, "/dashboard/").await.ok();
    assert!(flows.contains("href=\"flows/greet\"") && flows.contains("no runs yet"), "{flows}");
    assert!(flows.contains("1 succeeded") && flows.contains(&format!("href=\"runs/{run}\"")), "{flows}");
    let flows = json(&server, "/dashboard/").await;
    assert_eq!(flows["flows"][1]["flow"], "parallel-branching");
    assert_eq!(
        (&flows["flows"][1]["runs"]["succeeded"], &flows["flows"][1]["latest"]),
        (&1.into(), &run.as_str().into())
    );

    let flow = page(&server, "/dashboard/flows/parallel-branching").await.ok();
    assert!(flow.contains("data-path=\"n4\"") && flow.contains(&format!("href=\"../runs/{run}\"")), "{flow}");
    assert_eq!(json(&server, "/dashboard/flows/parallel-branching").await["runs"][0]["request_id"], run.as_str());

    let shown = page(&server, &format!("/dashboard/runs/{run}")).await.ok();
    for node in ["n1", "n2", "n3", "n4"] {
        assert!(shown.contains(&format!("class=\"node operations done\" id=\"node:{node}\"")), "{node} {shown}");
        assert!(shown.contains(&format!("<title>{node}: done,")), "the timeline has {node}: {shown}");
    }
    assert!(
        !shown.contains("class=\"stop\"") && shown.contains("class=\"rerun\""),
        "what may be done about a run that ended"
    );
    let view = json(&server, &format!("/dashboard/runs/{run}")).await;
    assert_eq!((&view["status"], view["nodes"].as_array().unwrap().len()), (&"succeeded".into(), 4));
}

/// The ticket in a page's forms.
fn ticket(page: &str) -> &str {
    page.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap()
}

#[tokio::test]
async fn a_form_begins_a_run_and_another_runs_a_node_again() {
    let folder = TempDir::new().unwrap();
    let mended = folder.path().join("mended");
    let breaks = script(folder.path(), "breaks.sh", &format!("[ -e {} ] || exit 1; cat", mended.display()));
    let server = Serve::flows(&["async-chain"]).function("func1", "echo").function("func2", &breaks);
    let server = server.function("fake-storage", "echo").start();
    let flow = page(&server, "/dashboard/flows/async-chain").await.ok();
    let post = "/dashboard/flows/async-chain/run";
    server.post(post, "body=hi").await.failed(401, "FF0502");
    let form = format!("ticket={}&body=two+%26%0D%0Alines", ticket(&flow));
    let run = server.post(post, form).await.ok();
    let id = run.split("<title>").nth(1).unwrap().split(' ').next().unwrap();
    until("it fails", async || json(&server, &format!("/dashboard/runs/{id}")).await["status"] == "failed").await;
    let failed = page(&server, "/dashboard/flows/async-chain?state=failed").await.ok();
    assert!(failed.contains(&format!("runs/{id}\"")), "{failed}");
    let succeeded = page(&server, "/dashboard/flows/async-chain?state=succeeded").await.ok();
    assert!(!succeeded.contains(&format!("runs/{id}\"")) && succeeded.contains("<svg"), "{succeeded}");
    page(&server, "/dashboard/flows/async-chain?state=odd").await.failed(400, "FF0217");

    fs::write(&mended, "").unwrap();
    let shown = page(&server, &format!("/dashboard/runs/{id}")).await.ok();
    assert_eq!(shown.matches("name=\"node\"").count(), 2, "n1 and n2 have run, and no handler runs again: {shown}");
    let form = format!("ticket={}&node=n2&reason=it+is+mended", ticket(&shown));
    let again = server.post(&format!("/dashboard/runs/{id}/rerun"), form).await.ok();
    assert!(again.contains("it is mended"), "{again}");
    until("it succeeds", async || json(&server, &format!("/dashboard/runs/{id}")).await["status"] == "succeeded").await;
    let result = server.get(&format!("/function/async-chain/flow/{id}/result")).await.ok();
    assert!(result.contains("two &\nlines"), "{result}");
}

/// BACK-7.
#[tokio::test]
async fn a_button_sends_a_callback_again_that_was_given_up() {
    let statuses = Arc::new(Mutex::new(vec![StatusCode::OK, StatusCode::BAD_REQUEST]));
    let hook = axum::Router::new().fallback(async move || statuses.lock().unwrap().pop().unwrap());
    let hook = double::serve(hook).await;
    let server = Serve::flows(&["async-chain"]).with("--callback-host", "127.0.0.1").function("func1", "echo");
    let server = server.function("func2", "echo").function("fake-storage", "echo").start();
    let request = server.request("/function/async-chain", "hi").header("X-Faas-Flow-Reqid", "r");
    server.send(request.header("X-Faas-Flow-Callback-Url", format!("{hook}/secret-path"))).await;
    let shown = async || page(&server, "/dashboard/runs/r").await.ok();
    until("it is given up", async || shown().await.contains("/…</code>: given up after 1 try")).await;
    let form = format!("ticket={}", ticket(&shown().await));
    server.post("/dashboard/runs/r/callback", "ticket=wrong").await.failed(401, "FF0502");
    let pressed = server.post("/dashboard/runs/r/callback", form).await.ok();
    assert!(!pressed.contains("secret-path"), "{pressed}");
    until("it is delivered", async || shown().await.contains("/…</code>: delivered")).await;
    assert!(shown().await.contains("after 2 tries"));
}

#[tokio::test]
async fn items_of_a_for_each_are_drawn_as_their_node() {
    let server =
        Serve::flows(&["dynamic-branching"]).function("func1", "echo").function("fake-storage", "echo").start();
    let run = server.result("dynamic-branching", "hi").await.id.unwrap();
    let shown = page(&server, &format!("/dashboard/runs/{run}")).await.ok();
    for path in ["C", "C[c1]/F", "C[c1]/F/n1", "C[c2]/n1", "n2"] {
        let drawn = shown.lines().find(|line| line.contains(&format!("data-path=\"{path}\""))).unwrap();
        assert!(drawn.contains(" done\""), "{drawn}");
    }
    assert!(shown.contains("data-node=\"C[c1]/F[f2]/n1\""), "{shown}");
}

#[tokio::test]
async fn what_others_wrote_is_text_and_no_payload_is_shown() {
    let folder = TempDir::new().unwrap();
    let fails = script(folder.path(), "fails.sh", "echo '<script>alert(1)</script>' >&2; exit 1");
    let server = Serve::flows(&["sync-chain"]).function("func1", &fails).function("func2", "echo").start();
    let run = server.result("sync-chain", "dont-tell").await.id.unwrap();
    let shown = page(&server, &format!("/dashboard/runs/{run}")).await.ok();
    assert!(shown.contains("&lt;script&gt;alert(1)") && !shown.contains("<script>alert"), "{shown}");
    assert!(!shown.contains("dont-tell"), "{shown}");
    let wrong = page(&server, "/dashboard/flows/%3Cscript%3E").await;
    assert!(!wrong.failed(400, "FF0406").contains("<script>"));
}

#[tokio::test]
async fn what_there_is_not_has_a_code() {
    let server = Serve::flows(&["greet"]).start();
    for (path, status, code) in [
        ("/dashboard/runs/nobody", 404, "FF0212"),
        ("/dashboard/runs/..%2F..%2Fetc", 400, "FF0213"),
        ("/dashboard/flows/nothing", 404, "FF0214"),
        ("/dashboard/elsewhere", 404, "FF0508"),
        ("/dashboard/runs/a/b/c/d", 404, "FF0508"),
    ] {
        let said = page(&server, path).await.failed(status, code);
        assert!(said.contains(&format!("<h1>{code}</h1>")), "{path} {said}");
        assert_eq!(json(&server, path).await["code"], code, "{path}");
    }
    server.post("/dashboard/", "").await.failed(405, "FF0509");
    server.get("/dashboard/runs/nobody/stop").await.failed(405, "FF0509");
}

#[tokio::test]
async fn only_a_form_of_the_dashboard_stops_a_run() {
    let folder = TempDir::new().unwrap();
    let (func1, _) = gated(folder.path());
    let server = chain(&func1).start();
    let run = begin(&server).await;
    let other = begin(&server).await;
    let ticket = async |run: &str| ticket(&page(&server, &format!("/dashboard/runs/{run}")).await.ok()).to_owned();
    let stop = format!("/dashboard/runs/{run}/stop");
    server.post(&stop, "").await.failed(401, "FF0502");
    server.post(&stop, format!("ticket={}", ticket(&other).await)).await.failed(401, "FF0502");
    assert_eq!(json(&server, &format!("/dashboard/runs/{run}")).await["status"], "running");
    let done = server.post(&stop, format!("ticket={}", ticket(&run).await)).await.ok();
    assert!(done.contains(&format!("<code>{run}</code>")), "the browser is led back to the run: {done}");
    // The finally handler runs before that.
    until("the run is stopped", async || json(&server, &format!("/dashboard/runs/{run}")).await["status"] == "stopped")
        .await;
    assert_eq!(json(&server, &format!("/dashboard/runs/{other}")).await["status"], "running");
}

#[tokio::test]
async fn the_dashboard_of_a_cluster_reads_the_store_and_asks_the_gateway() {
    let folder = TempDir::new().unwrap();
    let (func1, gate) = gated(folder.path());
    fs::create_dir(folder.path().join("secrets")).unwrap();
    fs::write(folder.path().join("secrets/faasflow-admin-token"), TOKEN).unwrap();
    let redis = servers::redis(&[]);
    let store = format!("redis://127.0.0.1:{}", redis.port());
    let calls = folder.path().join("calls");
    let counts = script(folder.path(), "counts.sh", &format!("echo . >> {}; cat", calls.display()));
    let flows = Serve::flows(&["async-chain"]).function("func1", &func1).function("func2", "echo");
    let serve = flows
        .function("fake-storage", &counts)
        .with("--state-store", &store)
        .with("--data-store", &store)
        .with("--secrets", "secrets");
    let server = serve.start_in(folder.path());
    let mut command = faas_flow(folder.path());
    command.args(["dashboard", "--listen", "127.0.0.1:0", "--secrets", "secrets", "--cache", "other"]);
    command.args(["--state-store", &store, "--data-store", &store, "--gateway", &server.url("")]);
    let dashboard = Server::start(command);

    assert_eq!(dashboard.get("/_/health").await.ok(), "OK");
    dashboard.get("/").await.failed(401, "FF0506");
    server.get("/dashboard/").await.failed(401, "FF0506");
    let ask = async |path: &str| {
        dashboard.send(dashboard.client.get(dashboard.url(path)).basic_auth("me", Some(TOKEN))).await.ok()
    };
    let run = server.post("/function/async-chain", "hi").await.id.unwrap();
    let shown = ask(&format!("/runs/{run}")).await;
    assert!(shown.contains("data-path=\"n3\""), "it has the picture of a flow that it does not serve: {shown}");
    assert!(ask("/").await.contains("href=\"flows/async-chain\""));
    let press = async |button: &str| {
        let shown = ask(&format!("/runs/{run}")).await;
        let request = dashboard.request(&format!("/runs/{run}/{button}"), format!("ticket={}", ticket(&shown)));
        dashboard.send(request.basic_auth("me", Some(TOKEN))).await.ok()
    };
    assert!(press("pause").await.contains(">paused</span>"));
    fs::write(&gate, "").unwrap();
    assert!(!press("resume").await.contains(">paused</span>"));
    until("the run ends", async || ask(&format!("/runs/{run}")).await.contains(">succeeded</span>")).await;

    let flow = ask("/flows/async-chain").await;
    let request = dashboard.request("/flows/async-chain/run", format!("ticket={}&body=ho", ticket(&flow)));
    let begun = dashboard.send(request.basic_auth("me", Some(TOKEN))).await.ok();
    let id = begun.split("<title>").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    until("the second run ends", async || ask(&format!("/runs/{id}")).await.contains(">succeeded</span>")).await;
    let shown = ask(&format!("/runs/{id}")).await;
    let request = dashboard.request(&format!("/runs/{id}/rerun"), format!("ticket={}&node=n3", ticket(&shown)));
    dashboard.send(request.basic_auth("me", Some(TOKEN))).await.ok();
    // Once in each of the two runs, and once again.
    until("n3 has run again", async || fs::read_to_string(&calls).unwrap().lines().count() == 3).await;
    until("the second run ends again", async || ask(&format!("/runs/{id}")).await.contains(">succeeded</span>")).await;
}

#[tokio::test]
async fn a_dashboard_that_others_reach_wants_a_token() {
    let folder = TempDir::new().unwrap();
    let said =
        faas_flow_e2e::command::run(folder.path(), ["dashboard", "--listen", "0.0.0.0:0", "--state-store", "memory"]);
    said.failed("FF0505", &["faasflow-admin-token", "secret_mount_path"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_sees_a_run_go_on_and_its_button_stops_one() {
    let folder = TempDir::new().unwrap();
    let (func1, gate) = gated(folder.path());
    let server = chain(&func1).start();
    let first = begin(&server).await;
    let second = begin(&server).await;
    let browser = Browser::open(folder.path()).await;
    let badge = "return document.querySelector('[data-node=n3] .badge').textContent";

    browser.go(&server.url("/dashboard/")).await;
    browser.click(&format!("a[href='runs/{second}']")).await;
    assert_eq!(browser.script(badge).await, "waiting");
    browser.click("button.stop").await;
    until("the run is stopped", async || {
        browser.script("return document.querySelector('h1 .badge').textContent").await == "stopped"
    })
    .await;

    browser.go(&server.url(&format!("/dashboard/runs/{first}"))).await;
    browser.script("window.same = true").await;
    let class = "return document.getElementById('node:n1').getAttribute('class')";
    assert_eq!(browser.script(class).await, "node operations running");
    fs::write(&gate, "").unwrap();
    until("the page shows the end", async || browser.script(badge).await == "done").await;
    assert_eq!(browser.script(class).await, "node operations done");
    assert_eq!(browser.script("return window.same").await, true, "without a new load");
    let refused = "return performance.getEntriesByType('resource').filter(entry => !entry.name.startsWith(location.origin)).length";
    assert_eq!(browser.script(refused).await, 0, "nothing comes from elsewhere");
}

#[tokio::test]
async fn the_first_page_says_who_is_waited_for_and_how_often_flows_run() {
    let folder = TempDir::new().unwrap();
    let fails = script(folder.path(), "fails.sh", "exit 1");
    let server = Serve::flows(&["fixture", "sync-chain"]).function("func1", &fails).function("func2", "echo").start();
    let waits = server.request("/function/fixture?case=signal", "hi").header("X-Faas-Flow-Reqid", "waits");
    server.send(waits).await;
    server.result("sync-chain", "hi").await;
    // It is gathered every few seconds.
    let mut home = Value::Null;
    until("it is gathered", async || {
        home = json(&server, "/dashboard/").await;
        home["waiting"][0].is_object() && home["flows"][1]["rate"]["hour-failed"] == 1
    })
    .await;
    let waiting = &home["waiting"][0];
    assert_eq!((&waiting["run"], &waiting["signal"]), (&"waits".into(), &"approval".into()));
    let rate = &home["flows"][1]["rate"];
    assert_eq!((&rate["hour"], &rate["day"], &rate["day-failed"]), (&1.into(), &1.into(), &1.into()));
    let shown = page(&server, "/dashboard/").await.ok();
    assert!(shown.contains("1 in the last hour, 1 failed · 1 in the last day, 1 failed"), "{shown}");
    assert!(shown.contains("href=\"runs/waits/node?node=n\"") && shown.contains("waits for signal"), "{shown}");
}

#[tokio::test]
async fn two_runs_are_compared_node_by_node() {
    let server = Serve::flows(&["async-chain"]).function("func1", "echo").function("func2", "echo");
    let server = server.function("fake-storage", "echo").start();
    for (run, body) in [("one", "hi"), ("same", "hi"), ("other", "quite different")] {
        let request = server.request("/function/async-chain", body).header("X-Faas-Flow-Reqid", run);
        server.send(request.header("X-Faas-Flow-Wait", "60s")).await.ok();
    }
    let compared = async |with: &str| json(&server, &format!("/dashboard/runs/one/compare?with={with}")).await;
    // Without the flow's handlers.
    let nodes = |compared: &Value| {
        let nodes = compared["nodes"].as_array().unwrap().iter();
        nodes.filter(|node| node["path"].as_str().unwrap().starts_with('n')).cloned().collect::<Vec<_>>()
    };
    let same = compared("same").await;
    assert_eq!(nodes(&same).len(), 3);
    assert_eq!((&same["left"], &same["right"]), (&"one".into(), &"same".into()));
    for node in nodes(&same) {
        assert_eq!((&node["left"]["progress"], &node["right"]["progress"]), (&"done".into(), &"done".into()));
        assert_eq!(node["same_input"], true, "{node}");
    }
    let other = compared("other").await;
    assert!(nodes(&other).iter().all(|node| node["same_input"] == false), "{other}");
    let shown = page(&server, "/dashboard/runs/one/compare?with=other").await.ok();
    assert!(shown.contains("class=\"differs\"") && shown.contains("href=\"../other/node?node=n1\""), "{shown}");
    page(&server, "/dashboard/runs/one/compare?with=nobody").await.failed(404, "FF0212");
    page(&server, "/dashboard/runs/one/compare").await.failed(400, "FF0213");
    let run = page(&server, "/dashboard/runs/one").await.ok();
    assert!(run.contains("action=\"one/compare\""), "{run}");
}
