//! Flows that call flows, on one server and behind a gateway.

use axum::Router;
use axum::http::StatusCode;
use faas_flow_e2e::browser::Browser;
use faas_flow_e2e::command::run;
use faas_flow_e2e::program::root;
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_gateway::{Config, Gateway, Profile, Upstream};
use faas_flow_test_support::{double, servers};
use serde_json::Value;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::watch;

const CALLS: &str = "fixture?case=calls";

/// A function that answers with its input as JSON, once the gate is open.
async fn gate() -> (watch::Sender<bool>, String) {
    let gate = watch::channel(false).0;
    let opened = gate.clone();
    let router = Router::new().fallback(move |body: String| async move {
        opened.subscribe().wait_for(|open| *open).await.unwrap();
        ([("content-type", "application/json")], body)
    });
    (gate, double::serve(router).await)
}

/// A server of the flow that calls, and of the one that is called, whose function waits for the gate.
async fn local() -> (watch::Sender<bool>, Server) {
    let (gate, url) = gate().await;
    let serve = Serve::flows(&["fixture", "sync-chain"]);
    let serve = ["func1", "func2", "fake-storage"].iter().fold(serve, |serve, name| serve.function(name, "echo"));
    (gate, serve.function("step", url).start())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_in_python_calls_one_in_go_which_calls_a_function_in_javascript() {
    let stock = root().join("examples/basket-python/functions/stock.mjs");
    let serve = Serve::flows(&["basket-python", "price-go"]).with("--compile-timeout", "600s");
    let server = serve.function("stock", format!("headers:{}", stock.display())).start();
    let answer = server.result("basket-python", "3 hats\n10 scarves\n1 unicorns\n").await;
    assert_eq!(answer.header("content-type"), ["text/plain; charset=utf-8"]);
    assert_eq!(answer.ok(), "3 x hats: 58.50 EUR\n10 x scarves: 108.00 EUR\nunicorns cannot be had\ntotal: 166.50 EUR");
    let runs = run(server.folder(), ["requests", "list", "--json"]).json();
    let of_child = runs.as_array().unwrap().iter().filter(|run| run["flow"] == "price-go");
    assert_eq!(of_child.count(), 3, "{runs}");
}

/// The id of the run that the node `call` of a run has called.
fn called(shown: &Value) -> Option<String> {
    let call = shown["nodes"].as_array()?.iter().find(|node| node["path"] == "call")?;
    Some(call["called"][0]["run"].as_str()?.to_owned())
}

/// `faas-flow requests show ID`
fn run_text(server: &Server, id: &str) -> String {
    run(server.folder(), ["requests", "show", id]).ok()
}

async fn begin(server: &Server, query: &str) -> String {
    let answer = server.post(&format!("/function/{CALLS}&{query}"), "hi").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.id.unwrap()
}

/// CHILD-1: the run that is called is a run like any other, and both know of each other.
#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_is_called_runs_and_its_result_is_the_answer() {
    let (_gate, server) = local().await;
    let answer = server.result(&format!("{CALLS}&target=sync-chain"), "hi").await;
    let id = answer.id.clone().unwrap();
    assert_eq!(answer.ok(), "you said \"hi\" after");
    let shown = server.shown(&id);
    let child = called(&shown).expect("the history names the run");
    let of_child = server.shown(&child);
    assert_eq!((&of_child["parent"]["run"], &of_child["flow"]), (&Value::from(id.clone()), &Value::from("sync-chain")));
    assert_eq!(server.get(&format!("/function/sync-chain/flow/{child}/result")).await.ok(), "you said \"hi\"");
    for (run, other) in [(&id, &child), (&child, &id)] {
        let page = server.get(&format!("/dashboard/runs/{run}")).await.ok();
        assert!(page.contains(&format!("href=\"{other}\"")), "the page of {run} leads to {other}");
        let text = run_text(&server, run);
        assert!(text.contains(other.as_str()), "{text}");
    }
}

/// CHILD-1: in a browser, while both runs wait and after their end.
#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_leads_from_a_run_to_the_one_that_it_called_and_back() {
    let (gate, server) = local().await;
    let id = begin(&server, "target=fixture&called-case=call").await;
    let browser = Browser::open(server.folder()).await;
    browser.go(&server.url(&format!("/dashboard/runs/{id}"))).await;
    let text = async |css: &str| {
        let text = browser.script(&format!("return document.querySelector({css:?})?.innerText ?? null")).await;
        text.as_str().unwrap_or_default().to_owned()
    };
    let at = async |run: &str| {
        until("the page of the run is shown", async || text("h1 code").await == run).await;
    };
    // The page, which was loaded before, shows the call once it is made.
    let link = "[data-node=call] a:not([href*='/node?'])";
    until("the row of the node leads to the run", async || !text(link).await.is_empty()).await;
    let child = called(&server.shown(&id)).unwrap();
    assert_eq!(text(link).await, child);
    assert!(text("[data-node=call]").await.contains(&format!("called {child} (fixture)")));
    browser.click(link).await;
    at(&child).await;
    let caller = format!("called by node call of {id} (fixture)");
    assert!(text("main").await.contains(&caller), "{}", text("main").await);
    browser.click(&format!("a[href='{id}']")).await;
    at(&id).await;
    gate.send_replace(true);
    for (run, other) in [(&id, &child), (&child, &id)] {
        until("the end is shown", async || text("h1 .badge").await == "succeeded").await;
        at(run).await;
        browser.click(&format!("a[href='{other}']")).await;
        at(other).await;
    }
}

/// CHILD-1, FAIL-2: why the called run failed is part of the failure.
#[tokio::test(flavor = "multi_thread")]
async fn the_failure_of_a_flow_that_is_called_is_that_of_the_call() {
    let (_gate, server) = local().await;
    let query = format!("{CALLS}&target=fixture&called-case=failure-not-answered");
    let answer = server.result(&query, "hi").await;
    let id = answer.id.clone().unwrap();
    let failure = answer.failed(502, "FF0251");
    let child = called(&server.shown(&id)).unwrap();
    for part in ["flow `fixture` failed", &child, "FF0012", "no good"] {
        assert!(failure.contains(part), "{failure}");
    }
}

/// CHILD-3.
#[tokio::test(flavor = "multi_thread")]
async fn flows_that_call_themselves_without_an_end_are_named() {
    let (_gate, server) = local().await;
    let answer = server.result(&format!("{CALLS}&target=fixture&called-case=calls"), "hi").await;
    let failure = answer.failed(500, "FF0252");
    assert!(failure.contains("flow `fixture` calls itself endlessly"), "{failure}");
    assert!(failure.contains("fixture > fixture > fixture"), "{failure}");
}

/// CHILD-3: also through another flow, on a server without a gateway.
#[tokio::test(flavor = "multi_thread")]
async fn flows_that_call_each_other_without_an_end_are_named() {
    let server = Serve::flows(&["fixture"]).flow_as("other", "fixture").start();
    let failure = server.result("fixture?case=calls-each-other", "hi").await.failed(500, "FF0252");
    assert!(failure.contains("fixture > other > fixture > other"), "{failure}");
}

/// CHILD-2, FAIL-9: a run that never ends does not outlive the deadline of the one that waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_of_a_run_is_that_of_those_that_it_has_called() {
    let (_gate, server) = local().await;
    let id = begin(&server, "target=fixture&called-case=retried-call&deadline=1500").await;
    let child = waits(&server, &id).await;
    server.result_of("fixture", &id).await.failed(504, "FF0210");
    server.result_of("fixture", &child).await.failed(409, "FF0211");
}

/// STOP-2, CHILD-2: who has the answer to a stop knows that no call begins any more, of the called run either.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_answered_once_the_called_runs_are_stopped() {
    let (_gate, server) = local().await;
    let id = begin(&server, "target=fixture&called-case=retried-call").await;
    let child = waits(&server, &id).await;
    server.post(&format!("/function/fixture/flow/{id}/stop"), "").await.ok();
    assert_eq!(server.shown(&child)["status"], "stopped");
}

/// CHILD-2: a run that never ends is stopped with the one that waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn who_stops_a_run_stops_those_that_it_has_called() {
    let (_gate, server) = local().await;
    let id = begin(&server, "target=fixture&called-case=retried-call").await;
    let child = waits(&server, &id).await;
    let stopped = server.post(&format!("/function/fixture/flow/{id}/stop"), "").await;
    assert_eq!(stopped.status, 200, "{stopped:?}");
    server.result_of("fixture", &child).await.failed(409, "FF0211");
}

/// Waits until the run waits for one that it has called, whose id this returns.
async fn waits(server: &Server, id: &str) -> String {
    let mut child = None;
    until("the run has called another", async || {
        child = called(&server.shown(id));
        child.is_some()
    })
    .await;
    child.unwrap()
}

/// CHILD-2, WAIT-4.
#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_does_not_end_in_time_is_stopped_and_the_call_fails() {
    let (_gate, server) = local().await;
    let query = format!("{CALLS}&target=fixture&called-case=retried-call&timeout=300&tries=3");
    let answer = server.result(&query, "hi").await;
    let id = answer.id.clone().unwrap();
    let failure = answer.failed(504, "FF0253");
    assert!(failure.contains("`fixture` did not answer within 300 ms"), "{failure}");
    let child = called(&server.shown(&id)).unwrap();
    server.result_of("fixture", &child).await.failed(409, "FF0211");
}

/// CHILD-1: a failed run that is run again calls anew, and does not get the old failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_run_again_calls_anew_what_had_failed() {
    let (gate, server) = local().await;
    let id = begin(&server, "target=fixture&called-case=retried-call").await;
    let child = waits(&server, &id).await;
    server.post(&format!("/function/fixture/flow/{id}/stop"), "").await.ok();
    server.result_of("fixture", &child).await.failed(409, "FF0211");
    gate.send_replace(true);
    server.post(&format!("/function/fixture/flow/{id}/rerun?node=call"), "").await.ok();
    assert_eq!(server.result_of("fixture", &id).await.ok(), "hi after");
}

/// CHILD-4.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_only_accepts_a_call_has_not_answered() {
    let router = Router::new().fallback(|| async { axum::http::StatusCode::ACCEPTED });
    let server = Serve::flows(&["fixture"]).function("job", double::serve(router).await).start();
    let answer = server.result(&format!("{CALLS}&target=job"), "hi").await;
    let failure = answer.failed(502, "FF0250");
    assert!(failure.contains("`job` answered with status 202") && failure.contains(".asynchronous()"), "{failure}");
}

/// Two deployed flows behind a gateway, which share a store.
struct World {
    redis: servers::Server,
    gateway: Arc<Gateway>,
    gateway_url: String,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let gateway = Gateway::new(Config::new(Profile::Ce));
        let gateway_url = double::serve(gateway.router()).await;
        gateway.start();
        let redis = servers::redis(&[]);
        let folder = TempDir::new().unwrap();
        for (name, secret) in [("secrets", "the secret of both flows"), ("others", "the secret of another flow")] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("faasflow-hmac-secret"), secret).unwrap();
        }
        Self { redis, gateway, gateway_url, folder }
    }

    fn state(&self) -> String {
        format!("redis://127.0.0.1:{}", self.redis.port())
    }

    /// `faas-flow requests show ID --json`
    fn shown(&self, id: &str) -> Value {
        run(self.folder.path(), ["requests", "show", id, "--json", "--state", &self.state()]).json()
    }

    /// Starts a replica of a flow, which takes the place of the one before it.
    fn deploy(&self, flow: &str, secrets: &str, functions: &[(&str, &str)]) -> Server {
        let serve = Serve::replica(flow).with("--gateway", &self.gateway_url).with("--lease", "1s");
        let serve = serve.with("--state", &self.state());
        let serve = serve.with("--secrets", secrets).with("--result-access", "open");
        let serve = functions.iter().fold(serve, |serve, (name, url)| serve.function(name, url));
        let server = serve.start_in(self.folder.path());
        self.gateway.set(flow, Arc::new(Upstream::new([server.url("/").parse().unwrap()])));
        server
    }
}

const STEPS: [&str; 3] = ["func1", "func2", "fake-storage"];

async fn result(server: &Server, query: &str) -> Answer {
    server.send(server.request(&format!("/?case=calls&{query}"), "hi").header("X-Faas-Flow-Wait", "60s")).await
}

/// CHILD-1, WAIT-2: between two functions of OpenFaaS, either of which is killed meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_flow_calls_another_one_through_the_gateway_and_waits_without_a_connection() {
    let world = World::new().await;
    let (gate, url) = gate().await;
    let functions = STEPS.map(|name| (name, url.as_str()));
    let child = world.deploy("sync-chain", "secrets", &functions);
    let parent = world.deploy("fixture", "secrets", &[]);
    let answer = parent.post("/?case=calls&target=sync-chain", "hi").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let id = answer.id.unwrap();
    until("the run waits", async || called(&world.shown(&id)).is_some()).await;
    parent.kill();
    child.kill();
    gate.send_replace(true);
    let _child = world.deploy("sync-chain", "secrets", &functions);
    let parent = world.deploy("fixture", "secrets", &[]);
    assert_eq!(parent.result_of("fixture", &id).await.ok(), "you said \"hi\" after");
}

/// CHILD-2: through the gateway, too, without the admin token.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_takes_too_long_is_stopped_through_the_gateway() {
    let world = World::new().await;
    let (_gate, url) = gate().await;
    let child = world.deploy("sync-chain", "secrets", &STEPS.map(|name| (name, url.as_str())));
    let parent = world.deploy("fixture", "secrets", &[]);
    let failure = result(&parent, "target=sync-chain&timeout=1500").await.failed(504, "FF0253");
    assert!(failure.contains("sync-chain"), "{failure}");
    until("the called run is stopped", async || {
        child.get("/_/metrics").await.ok().contains("faas_flow_runs_ended_total{end=\"stopped\"} 1")
    })
    .await;
}

/// CHILD-2: a run that was called, and that nobody tells to stop, notices by itself that its caller has ended. It looks for that after
/// at most ten seconds, and if that was too early, once more after at most twenty.
#[tokio::test(flavor = "multi_thread")]
async fn a_called_run_that_nobody_stops_notices_that_its_caller_has_ended() {
    let world = World::new().await;
    let (_gate, url) = gate().await;
    let child = world.deploy("sync-chain", "secrets", &STEPS.map(|name| (name, url.as_str())));
    let parent = world.deploy("fixture", "secrets", &[]);
    let answer = parent.post("/?case=calls&target=sync-chain&timeout=3000", "hi").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let id = answer.id.unwrap();
    until("the run waits", async || called(&world.shown(&id)).is_some()).await;
    let away = double::serve(Router::new().fallback(async || StatusCode::SERVICE_UNAVAILABLE)).await;
    world.gateway.set("sync-chain", Arc::new(Upstream::new([away.parse().unwrap()])));
    parent.result_of("fixture", &id).await.failed(504, "FF0253");
    // That was the last try to stop it.
    parent.until_logged("could not stop a run that this run had called").await;
    until("the called run is stopped", async || {
        child.get("/_/metrics").await.ok().contains("faas_flow_runs_ended_total{end=\"stopped\"} 1")
    })
    .await;
}

/// CHILD-2: who stops a run is told of those that may go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_says_which_called_runs_could_not_be_reached() {
    let world = World::new().await;
    std::fs::write(world.folder.path().join("secrets/faasflow-admin-token"), "the token of the operator").unwrap();
    let (_gate, url) = gate().await;
    let _child = world.deploy("sync-chain", "secrets", &STEPS.map(|name| (name, url.as_str())));
    let parent = world.deploy("fixture", "secrets", &[]);
    let id = parent.post("/?case=calls&target=sync-chain", "hi").await.id.unwrap();
    until("the run waits", async || called(&world.shown(&id)).is_some()).await;
    let away = double::serve(Router::new().fallback(async || StatusCode::SERVICE_UNAVAILABLE)).await;
    world.gateway.set("sync-chain", Arc::new(Upstream::new([away.parse().unwrap()])));
    let stop = parent.request(&format!("/flow/{id}/stop"), "").bearer_auth("the token of the operator");
    let said = parent.send(stop).await.ok();
    let child = called(&world.shown(&id)).unwrap();
    assert!(said.starts_with(&format!("Successfully stopped request {id}\n")), "{said}");
    assert!(
        said.contains(&format!("Request {child} of flow sync-chain, which it had called, could not be reached")),
        "{said}"
    );
}

/// CHILD-1, AUTH-1: who has another secret cannot pass a run off as the caller.
#[tokio::test(flavor = "multi_thread")]
async fn a_flow_with_another_secret_refuses_the_call_and_says_why() {
    let world = World::new().await;
    let _child = world.deploy("sync-chain", "others", &STEPS.map(|name| (name, "echo")));
    let parent = world.deploy("fixture", "secrets", &[]);
    let failure = result(&parent, "target=sync-chain").await.failed(502, "FF0207");
    assert!(failure.contains("status 401"), "{failure}");
}
