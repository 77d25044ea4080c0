//! Several replicas of a function, with Redis and a gateway between them: as people deploy them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod harness;
#[path = "../host/store/tests/servers/mod.rs"]
mod servers;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use faas_flow_core::run::{Doc, Run, decode, encode};
use faas_flow_core::{Digest, FlowName, NodePath, RunId};
use faas_flow_gateway::{Config, Gateway, Profile, Upstream};
use faas_flow_host::Clock;
use faas_flow_host::events::{Event, Keys, SIGNATURE, Signed, TIME};
use faas_flow_store::{Change, Expect, Put, open_state};
use harness::{Serve, Server, metric, run, until};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const CHAIN: &str = "async-chain";
const SYNC: &str = "sync-chain";
const RESULT: &str = "you said \"hi\"";

/// Step functions: all answer with what they are given; `func2` and `step` once the gate is open.
struct Steps {
    gate: watch::Sender<bool>,
    /// Calls of `func2` and `step` that began, and that ended: with an answer, or because the caller went away.
    begun: AtomicUsize,
    ended: AtomicUsize,
}

struct Ends(Arc<Steps>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

async fn step(State(steps): State<Arc<Steps>>, uri: Uri, body: Bytes) -> Bytes {
    if uri.path().contains("func2") || uri.path().contains("step") {
        steps.begun.fetch_add(1, Ordering::Relaxed);
        let _ends = Ends(steps.clone());
        steps.gate.subscribe().wait_for(|open| *open).await.unwrap();
    }
    body
}

/// What replicas share.
struct World {
    redis: servers::Server,
    gateway: Arc<Gateway>,
    gateway_url: String,
    steps: Arc<Steps>,
    steps_url: String,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let (begun, ended) = Default::default();
        let steps = Arc::new(Steps { gate: watch::channel(false).0, begun, ended });
        let steps_url = serve(Router::new().fallback(step).with_state(steps.clone())).await;
        let gateway = Gateway::new(Config { inflight: 100, ..Config::new(Profile::Pro) });
        let gateway_url = serve(gateway.router()).await;
        gateway.start();
        let redis = servers::redis(&["--appendonly", "yes", "--appendfsync", "always"]);
        let folder = TempDir::new().unwrap();
        let world = Self { redis, gateway, gateway_url, steps, steps_url, folder };
        world.secret("secrets", "the secret of these replicas");
        world
    }

    /// A folder of secrets.
    fn secret(&self, folder: &str, secret: &str) {
        std::fs::create_dir_all(self.folder.path().join(folder)).unwrap();
        std::fs::write(self.folder.path().join(folder).join("faasflow-hmac-secret"), secret).unwrap();
    }

    fn state(&self) -> String {
        format!("redis://127.0.0.1:{}?timeout_ms=1000", self.redis.port())
    }

    fn replica(&self, flow: &str, lease: Duration) -> Serve {
        let serve = Serve::replica(flow).with("--gateway", &self.gateway_url).with("--state", &self.state());
        let serve = serve.with("--lease", &format!("{}ms", lease.as_millis()));
        ["func1", "func2", "fake-storage", "step"]
            .iter()
            .fold(serve, |serve, name| serve.function(name, format!("{}/{name}", self.steps_url)))
    }

    fn start(&self, serve: Serve) -> Server {
        serve.with("--secrets", "secrets").start_in(self.folder.path())
    }

    /// Puts replicas behind the gateway.
    fn deploy(&self, flow: &str, replicas: &[&Server]) {
        let urls = replicas.iter().map(|replica| replica.url("/").parse().unwrap());
        self.gateway.set(flow, Arc::new(Upstream::new(urls)));
    }

    fn open_gate(&self) {
        self.steps.gate.send_replace(true);
    }

    async fn begun(&self, calls: usize) {
        until("a step function begins", async || self.steps.begun.load(Ordering::Relaxed) >= calls).await;
    }

    /// `requests show ID --json`
    fn shown(&self, id: &str) -> Value {
        run(self.folder.path(), ["requests", "show", id, "--json", "--state", &self.state()]).json()
    }
}

/// Serves until the test ends; yields the address.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Begins a chain on a replica; yields its id.
async fn begin(replica: &Server) -> String {
    let answer = replica.post("/", "hi").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.id.unwrap()
}

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_secs(1);
/// What Kubernetes' thirty seconds leave.
const TO_END: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_the_health_check_fails_at_once_and_requests_are_still_served() {
    let world = World::new().await;
    world.open_gate();
    let mut replica = world.start(world.replica(CHAIN, LONG).with("--healthcheck-interval", "3s"));
    assert_eq!(replica.get("/_/health").await.status, 200);
    replica.signal("TERM");
    let at = Instant::now();
    until("the health check fails", async || replica.get("/_/health").await.status == 503).await;
    assert!(at.elapsed() < Duration::from_secs(2), "{:?}", at.elapsed());
    assert_eq!(replica.result(CHAIN, "hi").await.ok(), RESULT);
    assert_eq!(replica.end(TO_END).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_what_executes_is_finished_once() {
    let world = World::new().await;
    let (mut first, second) = (world.start(world.replica(CHAIN, LONG).with("--healthcheck-interval", "0")), {
        world.start(world.replica(CHAIN, LONG))
    });
    let id = begin(&first).await;
    world.begun(1).await;
    first.signal("TERM");
    until("it takes no more requests", async || first.client.get(first.url("/_/health")).send().await.is_err()).await;
    world.open_gate();
    assert_eq!(first.end(TO_END).await, Some(0));
    let at = Instant::now();
    assert_eq!(second.result_of(CHAIN, &id).await.ok(), RESULT);
    assert!(at.elapsed() < LONG / 2, "taken up only after {:?}", at.elapsed());
    assert_eq!(world.steps.begun.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_what_does_not_finish_is_given_back_and_taken_up_at_once() {
    is_given_back(CHAIN, begin).await;
}

/// A replica that stops gives back what executes of a run that was begun so, and another takes it up at once.
async fn is_given_back(flow: &str, begin: impl AsyncFn(&Server) -> String) {
    let lease = Duration::from_secs(9);
    let world = World::new().await;
    let mut first = world.start(world.replica(flow, lease).with("--healthcheck-interval", "0"));
    let second = world.start(world.replica(flow, lease));
    let id = begin(&first).await;
    world.begun(1).await;
    first.signal("TERM");
    assert_eq!(first.end(TO_END).await, Some(0));
    // Renewed less than a third of a lease ago, it would be over two thirds from now.
    let at = Instant::now();
    world.begun(2).await;
    assert!(at.elapsed() < lease / 2, "taken up only after {:?}", at.elapsed());
    world.open_gate();
    assert_eq!(second.result_of(flow, &id).await.ok(), RESULT);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_different_secrets_refuse_each_others_events_and_the_runs_end() {
    let world = World::new().await;
    world.open_gate();
    world.secret("others", "the secret of other replicas");
    let serve = || world.replica("fixture", SHORT).with("--dispatch", "gateway");
    let first = world.start(serve());
    let second = serve().with("--secrets", "others").start_in(world.folder.path());
    world.deploy("fixture", &[&first, &second]);
    let answer = first.result("fixture?case=items", "abcdefgh").await.ok();
    assert_eq!(answer, "[0=a, 1=b, 2=c, 3=d, 4=e, 5=f, 6=g, 7=h] after");
    let refused = "faas_flow_events_ignored_total{reason=\"bad-signature\"}";
    assert!(metric(&first, refused).await + metric(&second, refused).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_is_resumed_on_another_replica() {
    let world = World::new().await;
    let (first, second) = (world.start(world.replica(CHAIN, SHORT)), world.start(world.replica(CHAIN, SHORT)));
    let id = begin(&first).await;
    world.begun(1).await;
    first.post(&format!("/flow/{id}/pause"), "").await.ok();
    world.open_gate();
    until("what ran is done", async || world.shown(&id)["nodes"][1]["progress"] == "done").await;
    assert_eq!(world.shown(&id)["status"], "paused");
    first.kill();
    second.post(&format!("/flow/{id}/resume"), "").await.ok();
    assert_eq!(second.result_of(CHAIN, &id).await.ok(), RESULT);
    assert_eq!(world.steps.begun.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_cuts_off_what_another_replica_executes_within_a_third_of_a_lease() {
    let lease = Duration::from_secs(9);
    let world = World::new().await;
    let (first, second) = (world.start(world.replica(CHAIN, lease)), world.start(world.replica(CHAIN, lease)));
    let id = begin(&first).await;
    world.begun(1).await;
    second.post(&format!("/flow/{id}/stop"), "").await.ok();
    let at = Instant::now();
    until("the call is cut off", async || world.steps.ended.load(Ordering::Relaxed) == 1).await;
    assert!(at.elapsed() < lease / 3 + Duration::from_secs(1), "{:?}", at.elapsed());
    assert_eq!(world.shown(&id)["status"], "stopped");
}

/// A flow of a single node, whose caller gives up.
async fn begin_sync(replica: &Server) -> String {
    let answer = replica.send(replica.request("/", "hi").header("X-Timeout", "1s")).await;
    let id = answer.id.clone().expect("the run's id");
    answer.failed(504, "FF0223");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_one_node_whose_caller_was_told_that_it_goes_on_survives_a_kill() {
    let world = World::new().await;
    let (first, second) = (world.start(world.replica(SYNC, SHORT)), world.start(world.replica(SYNC, SHORT)));
    let id = begin_sync(&first).await;
    first.kill();
    world.begun(2).await;
    world.open_gate();
    assert_eq!(second.result_of(SYNC, &id).await.ok(), RESULT);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_a_run_of_one_node_is_given_back_like_any_other() {
    is_given_back(SYNC, begin_sync).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_behind_an_answer_is_written_before_a_replica_ends() {
    let world = World::new().await;
    world.open_gate();
    let mut replica = world.start(world.replica(SYNC, LONG).with("--healthcheck-interval", "0"));
    let asked: Vec<_> = (0..50).map(|_| tokio::spawn(replica.request("/", "hi").send())).collect();
    let mut ids = Vec::new();
    for answer in asked {
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        ids.push(answer.headers()["x-faas-flow-reqid"].to_str().unwrap().to_owned());
    }
    replica.signal("TERM");
    assert_eq!(replica.end(TO_END).await, Some(0));
    for id in ids {
        assert_eq!(world.shown(&id)["status"], "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_one_node_needs_no_store_while_it_is_away() {
    let mut world = World::new().await;
    let replica = world.start(world.replica(SYNC, SHORT));
    world.redis.kill();
    let ask = tokio::spawn(replica.request("/", "hi").send());
    world.begun(1).await;
    sleep(SHORT).await;
    world.open_gate();
    let answer = ask.await.unwrap().unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (200, RESULT.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wide_for_each_is_spread_over_all_replicas() {
    let world = World::new().await;
    world.open_gate();
    let replicas: Vec<Server> =
        (0..3).map(|_| world.start(world.replica("fixture", LONG).with("--dispatch", "gateway"))).collect();
    world.deploy("fixture", &replicas.iter().collect::<Vec<_>>());
    let input: String = std::iter::repeat_n('x', 60).collect();
    let items: Vec<String> = (0..60).map(|index| format!("{index}=x")).collect();
    let answer = replicas[0].result("fixture?case=items", input).await.ok();
    assert_eq!(answer, format!("[{}] after", items.join(", ")));
    for replica in &replicas {
        let taken = metric(replica, "faas_flow_events_taken_total").await;
        assert!(taken >= 10, "one replica took {taken} of some 60 events");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_requests_fail_with_a_code_and_after_it_the_runs_go_on() {
    let mut world = World::new().await;
    let (first, second) = (world.start(world.replica(CHAIN, SHORT)), world.start(world.replica(CHAIN, SHORT)));
    let id = begin(&first).await;
    world.begun(1).await;
    world.redis.kill();
    let at = Instant::now();
    let requests: Vec<_> = (0..8).map(|_| tokio::spawn(first.request("/", "hi").send())).collect();
    for request in requests {
        let answer = request.await.unwrap().unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["x-faas-flow-error"].as_bytes()), (503, &b"FF0306"[..]));
    }
    assert!(at.elapsed() < Duration::from_secs(4), "eight answers took {:?}", at.elapsed());
    world.open_gate();
    sleep(SHORT * 3).await;
    world.redis.run();
    assert_eq!(second.result_of(CHAIN, &id).await.ok(), RESULT);
    assert_eq!(first.result(CHAIN, "hi").await.ok(), RESULT);
}

/// Twenty runs that execute on a replica which gets a signal; their ids.
async fn twenty_runs_and_a_signal(world: &World, replica: &Server) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(begin(replica).await);
    }
    world.begun(20).await;
    replica.signal("TERM");
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_it_ends_in_time_though_the_store_is_gone_and_loses_nothing() {
    let mut world = World::new().await;
    let mut first = world.start(world.replica(CHAIN, SHORT).with("--healthcheck-interval", "0"));
    let ids = twenty_runs_and_a_signal(&world, &first).await;
    world.redis.kill();
    assert_eq!(first.end(TO_END).await, Some(0));
    world.redis.run();
    world.open_gate();
    let second = world.start(world.replica(CHAIN, SHORT));
    for id in ids {
        assert_eq!(second.result_of(CHAIN, &id).await.ok(), RESULT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_it_ends_in_time_though_the_store_hangs() {
    let world = World::new().await;
    // The longest that requests are still taken, and nothing that notices the store before what runs is given back.
    let replica = world.replica(CHAIN, Duration::from_secs(120)).with("--healthcheck-interval", "10s");
    let mut replica = world.start(replica);
    twenty_runs_and_a_signal(&world, &replica).await;
    world.redis.hold();
    let at = Instant::now();
    assert_eq!(replica.end(TO_END).await, Some(0));
    assert!(replica.log().contains("does not take runs back in time"), "{:?}: {}", at.elapsed(), replica.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_costs_one_round_trip_to_the_store_per_node() {
    let world = World::new().await;
    world.open_gate();
    let replica = world.start(world.replica(CHAIN, Duration::from_secs(60)));
    let store = async |call: &str| metric(&replica, &format!("faas_flow_store_calls_total{{call=\"{call}\"}}")).await;
    let all = async || [store("commit").await, store("read").await, store("list").await, store("delete").await];
    let ended = async || metric(&replica, "faas_flow_runs_ended_total{end=\"succeeded\"}").await;
    // What the first run of a version does once is not counted.
    begin(&replica).await;
    until("the first run ends", async || ended().await == 1).await;
    let before = all().await;
    let executed = "faas_flow_nodes_executed_total{end=\"done\"}";
    let nodes = metric(&replica, executed).await;
    for _ in 0..10 {
        begin(&replica).await;
    }
    until("all runs end", async || ended().await == 11).await;
    let nodes = metric(&replica, executed).await - nodes;
    assert_eq!(nodes, 40, "three nodes and what runs at the end");
    let [commits, reads, lists, deletes] = all().await;
    // Each node's commit, and that which begins the run.
    assert_eq!(commits - before[0], nodes + 10);
    assert_eq!([reads, lists, deletes], before[1..], "a chain asks nothing of the store besides");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_for_a_version_that_is_nowhere_is_ignored_and_counted() {
    let world = World::new().await;
    let replica = world.start(world.replica(CHAIN, LONG));
    let id = begin(&replica).await;
    world.begun(1).await;
    // The same run once more, of another version.
    let (id, lost) = (RunId::new(id).unwrap(), RunId::new("lost").unwrap());
    let store = open_state(&world.state()).await.unwrap();
    let puts = store.read_all(&id).await.unwrap().into_iter().map(|(doc, document)| {
        let bytes = match Doc::parse(&doc) {
            Some(Doc::Run) => {
                let mut run: Run = decode(&document.bytes).unwrap();
                (run.id, run.digest) = (lost.clone(), Digest::of(b"nowhere"));
                encode(&run).into()
            }
            _ => document.bytes,
        };
        Put { doc, expect: Expect::Absent, bytes }
    });
    let puts = puts.collect();
    store.commit(&lost, Change { puts, ..Change::default() }).await.unwrap();

    let keys = Keys::new("the secret of these replicas", None).unwrap();
    let (target, time) = (Event::target(&FlowName::new(CHAIN).unwrap(), &lost), Clock::System.now());
    let body = Event { run: lost.clone(), path: NodePath::parse("n3").unwrap() }.encode();
    let signed = Signed { method: "POST", path: &target, run: lost.as_str(), body: &body };
    let event = replica.request("/flow/lost/forward", body.clone()).header(SIGNATURE, keys.sign(&signed, time));
    let said = replica.send(event.header(TIME, time.to_string())).await.ok();
    assert!(said.starts_with("ignored: ") && said.contains("module"), "{said}");
    assert_eq!(metric(&replica, "faas_flow_events_ignored_total{reason=\"unknown-version\"}").await, 1);
    world.open_gate();
    assert_eq!(replica.result_of(CHAIN, id.as_str()).await.ok(), RESULT);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_the_list_of_runs_holds_up_no_run() {
    let world = World::new().await;
    let (first, second) = (world.start(world.replica(CHAIN, SHORT)), world.start(world.replica(CHAIN, SHORT)));
    let id = begin(&first).await;
    world.begun(1).await;
    let mut redis = redis::Client::open(world.state()).unwrap().get_connection().unwrap();
    let indices: Vec<String> = redis::cmd("KEYS").arg("ff:*:due").query(&mut redis).unwrap();
    assert!(!indices.is_empty());
    for index in &indices {
        redis::cmd("ZADD").arg(index).arg(0).arg("no/run").exec(&mut redis).unwrap();
    }
    first.kill();
    world.open_gate();
    assert_eq!(second.result_of(CHAIN, &id).await.ok(), RESULT);
    assert_eq!(metric(&second, "faas_flow_store_garbage").await, 1);
    assert_eq!(second.log().matches("skipping malformed run entry").count(), 1);
    assert!(metric(&second, "faas_flow_runs_taken_up_total").await >= 1);
}
