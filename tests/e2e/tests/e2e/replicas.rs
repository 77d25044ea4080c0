//! Several replicas of a function that share Redis and a gateway, as in a deployment.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use faas_flow_core::run::{Doc, Run, decode, encode};
use faas_flow_core::{Digest, Partition, RunId};
use faas_flow_e2e::command::run;
use faas_flow_e2e::events;
use faas_flow_e2e::server::{Serve, Server, metric};
use faas_flow_e2e::wait::until;
use faas_flow_gateway::{Config, Gateway, Profile, Upstream};
use faas_flow_store::{Change, Expect, Put, open_state};
use faas_flow_test_support::double::serve;
use faas_flow_test_support::servers;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

const CHAIN: &str = "async-chain";
const SYNC: &str = "sync-chain";
const SECRET: &str = "the secret of these replicas";
const RESULT: &str = "you said \"hi\"";

/// Step functions, which answer with their input; `func2` and `step` only once the gate is open.
struct Steps {
    gate: watch::Sender<bool>,
    /// Calls of `func2` and `step` that have begun, and that have ended, by an answer or since the caller went away.
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
        let gate = watch::channel(false).0;
        let steps = Arc::new(Steps { gate, begun: AtomicUsize::new(0), ended: AtomicUsize::new(0) });
        let steps_url = serve(Router::new().fallback(step).with_state(steps.clone())).await;
        let gateway = Gateway::new(Config { inflight: 100, ..Config::new(Profile::Pro) });
        let gateway_url = serve(gateway.router()).await;
        gateway.start();
        let redis = servers::redis(&["--appendonly", "yes", "--appendfsync", "always"]);
        let folder = TempDir::new().unwrap();
        let world = Self { redis, gateway, gateway_url, steps, steps_url, folder };
        world.secret("secrets", SECRET);
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

    /// `faas-flow requests show ID --json`
    fn shown(&self, id: &str) -> Value {
        run(self.folder.path(), ["requests", "show", id, "--json", "--state", &self.state()]).json()
    }
}

/// Begins a chain on a replica, and returns its id.
async fn begin(replica: &Server) -> String {
    let answer = replica.post("/", "hi").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.id.unwrap()
}

/// Leases: one that expires while a test waits for that, one that expires in no test that goes well, and one that would
/// make any test fail that waited for it.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(10);
const FOREVER: Duration = Duration::from_secs(3600);

/// Waits until a replica has looked for runs in vain for longer than a short lease, since its store is away. It looks
/// three times in the course of a lease.
async fn missed(replica: &Server) {
    let errors = async || metric(replica, "faas_flow_store_errors_total{call=\"list\"}").await;
    until("the replica has missed its store", async || errors().await > 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_the_health_check_fails_at_once_and_requests_are_still_served() {
    let world = World::new().await;
    world.open_gate();
    let mut replica = world.start(world.replica(CHAIN, LONG).with("--healthcheck-interval", "5s"));
    assert_eq!(replica.get("/_/health").await.status, 200);
    replica.terminate();
    // Once the interval is over, it would take no connections.
    until("the health check fails", async || replica.get("/_/health").await.status == 503).await;
    assert_eq!(replica.result(CHAIN, "hi").await.ok(), RESULT);
    assert_eq!(replica.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_what_executes_is_finished_once() {
    let world = World::new().await;
    let mut first = world.start(world.replica(CHAIN, FOREVER).with("--healthcheck-interval", "0"));
    let id = begin(&first).await;
    world.begun(1).await;
    first.terminate();
    until("it takes no more requests", async || first.client.get(first.url("/_/health")).send().await.is_err()).await;
    world.open_gate();
    assert_eq!(first.end().await, Some(0));
    // What follows is up to another replica, which need not wait for a lease to expire.
    let second = world.start(world.replica(CHAIN, FOREVER));
    assert_eq!(second.result_of(CHAIN, &id).await.ok(), RESULT);
    assert_eq!(world.steps.begun.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_what_does_not_finish_is_given_back_and_taken_up_at_once() {
    is_given_back(CHAIN, begin).await;
}

/// A replica that stops releases the node that it executes, of a run that was begun so, and another recovers the run
/// without waiting for the lease to expire.
async fn is_given_back(flow: &str, begin: impl AsyncFn(&Server) -> String) {
    let world = World::new().await;
    let mut first = world.start(world.replica(flow, FOREVER).with("--healthcheck-interval", "0"));
    let id = begin(&first).await;
    world.begun(1).await;
    first.terminate();
    assert_eq!(first.end().await, Some(0));
    let second = world.start(world.replica(flow, FOREVER));
    world.begun(2).await;
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
    let first = world.start(world.replica(CHAIN, SHORT));
    let second = world.start(world.replica(CHAIN, SHORT));
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
async fn a_stop_cuts_off_what_another_replica_executes_within_a_third_of_a_lease_and_before_it_is_answered() {
    let lease = Duration::from_secs(9);
    let world = World::new().await;
    let first = world.start(world.replica(CHAIN, lease));
    let second = world.start(world.replica(CHAIN, lease));
    let id = begin(&first).await;
    world.begun(1).await;
    let renewed = async || metric(&first, "faas_flow_leases_total{end=\"renewed\"}").await;
    let before = renewed().await;
    second.post(&format!("/flow/{id}/stop"), "").await.ok();
    until("the call is cut off", async || world.steps.ended.load(Ordering::Relaxed) == 1).await;
    // A lease is renewed once in each third of it. One renewal may have come between the two requests above; the next
    // one finds out about the stop.
    assert!(renewed().await <= before + 1, "{before} renewals before the stop, {} after it", renewed().await);
    assert_eq!(world.shown(&id)["status"], "stopped");
}

/// Begins a flow of a single node, whose caller stops waiting.
async fn begin_sync(replica: &Server) -> String {
    let answer = replica.send(replica.request("/", "hi").header("X-Timeout", "1s")).await;
    let id = answer.id.clone().expect("the run's id");
    answer.failed(504, "FF0223");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_one_node_whose_caller_was_told_that_it_goes_on_survives_a_kill() {
    let world = World::new().await;
    let first = world.start(world.replica(SYNC, SHORT));
    let second = world.start(world.replica(SYNC, SHORT));
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
    replica.terminate();
    assert_eq!(replica.end().await, Some(0));
    for id in ids {
        assert_eq!(world.shown(&id)["status"], "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_one_node_needs_no_store_while_it_is_away() {
    let mut world = World::new().await;
    let replica = world.start(world.replica(SYNC, SHORT).with("--exec-timeout", "0"));
    world.redis.kill();
    let ask = tokio::spawn(replica.request("/", "hi").send());
    world.begun(1).await;
    missed(&replica).await;
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
        let taken = metric(replica, "faas_flow_events_accepted_total").await;
        assert!(taken >= 10, "one replica took {taken} of some 60 events");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_requests_fail_with_a_code_and_after_it_the_runs_go_on() {
    let mut world = World::new().await;
    let first = world.start(world.replica(CHAIN, SHORT));
    let second = world.start(world.replica(CHAIN, SHORT));
    let id = begin(&first).await;
    world.begun(1).await;
    world.redis.kill();
    let requests: Vec<_> = (0..8).map(|_| tokio::spawn(first.request("/", "hi").send())).collect();
    for request in requests {
        let answer = request.await.unwrap().unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["x-faas-flow-error"].as_bytes()), (503, &b"FF0306"[..]));
    }
    world.open_gate();
    missed(&first).await;
    missed(&second).await;
    world.redis.run();
    assert_eq!(second.result_of(CHAIN, &id).await.ok(), RESULT);
    assert_eq!(first.result(CHAIN, "hi").await.ok(), RESULT);
}

/// Begins twenty runs on a replica, which then gets a SIGTERM. Returns their ids.
async fn twenty_runs_and_a_signal(world: &World, replica: &Server) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(begin(replica).await);
    }
    world.begun(20).await;
    replica.terminate();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_it_ends_in_time_though_the_store_is_gone_and_loses_nothing() {
    let mut world = World::new().await;
    let mut first = world.start(world.replica(CHAIN, SHORT).with("--healthcheck-interval", "0"));
    let ids = twenty_runs_and_a_signal(&world, &first).await;
    world.redis.kill();
    assert_eq!(first.end().await, Some(0));
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
    // The longest time in which it still takes requests, and a lease so long that nothing notices the store before the
    // replica releases its nodes.
    let replica = world.replica(CHAIN, Duration::from_secs(120)).with("--healthcheck-interval", "10s");
    let mut replica = world.start(replica);
    twenty_runs_and_a_signal(&world, &replica).await;
    world.redis.suspend();
    assert_eq!(replica.end().await, Some(0));
    replica.until_logged("runs not released in time").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_costs_one_round_trip_to_the_store_per_node() {
    let world = World::new().await;
    world.open_gate();
    let replica = world.start(world.replica(CHAIN, LONG));
    let ended = async || metric(&replica, "faas_flow_runs_ended_total{end=\"succeeded\"}").await;
    // The first run of a version does some things once, which are not counted.
    begin(&replica).await;
    until("the first run ends", async || ended().await == 1).await;
    let executed = async || metric(&replica, "faas_flow_nodes_executed_total{end=\"done\"}").await;
    let before = executed().await;
    let mut runs = Vec::new();
    let commands = commands(&world.redis, async || {
        for _ in 0..10 {
            runs.push(begin(&replica).await);
        }
        until("all runs end", async || ended().await == 11).await;
    })
    .await;
    assert_eq!(executed().await - before, 40, "three nodes of each run, and what runs at its end");
    for run in runs {
        let trips: Vec<&String> = commands.iter().filter(|command| command.contains(&run)).collect();
        assert_eq!(trips.len(), 5, "one that begins the run, and one for each node: {trips:#?}");
    }
}

/// All commands that Redis gets while something happens.
async fn commands(redis: &servers::Server, happens: impl AsyncFnOnce()) -> Vec<String> {
    let mut monitor = BufReader::new(TcpStream::connect(("127.0.0.1", redis.port())).await.unwrap());
    monitor.write_all(b"MONITOR\r\n").await.unwrap();
    let mut lines = monitor.lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("+OK"));
    happens().await;
    let mut last = redis::Client::open(redis.url("redis")).unwrap().get_connection().unwrap();
    redis::cmd("ECHO").arg("the last one").exec(&mut last).unwrap();
    let mut commands = Vec::new();
    loop {
        match lines.next_line().await.unwrap().expect("Redis goes on") {
            last if last.contains("the last one") => return commands,
            // A script's own, for which nothing travels.
            line if line.contains(" lua] ") => {}
            line => commands.push(line),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_for_a_version_that_is_nowhere_is_ignored_and_counted() {
    let world = World::new().await;
    let replica = world.start(world.replica(CHAIN, LONG));
    let id = begin(&replica).await;
    world.begun(1).await;
    // A copy of the run, pinned to a version that does not exist.
    let id = RunId::new(id).unwrap();
    let lost = RunId::new("lost").unwrap();
    let store = open_state(&world.state()).await.unwrap();
    let puts = store.read_all(&Partition::of_run(&id)).await.unwrap().into_iter().map(|(doc, document)| {
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
    store.commit(&Partition::of_run(&lost), Change { puts, ..Change::default() }).await.unwrap();

    let target = events::target(CHAIN, lost.as_str());
    let body = events::body(lost.as_str(), "n3");
    let event = replica.request("/flow/lost/forward", body.clone());
    let event = events::signed(event, SECRET, &target, lost.as_str(), &body, events::now());
    let said = replica.send(event).await.ok();
    assert!(said.starts_with("ignored: ") && said.contains("module"), "{said}");
    assert_eq!(metric(&replica, "faas_flow_events_ignored_total{reason=\"unknown-version\"}").await, 1);
    world.open_gate();
    assert_eq!(replica.result_of(CHAIN, id.as_str()).await.ok(), RESULT);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_the_list_of_runs_holds_up_no_run() {
    let world = World::new().await;
    let first = world.start(world.replica(CHAIN, SHORT));
    let second = world.start(world.replica(CHAIN, SHORT));
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
    assert_eq!(metric(&second, "faas_flow_store_malformed_entries").await, 1);
    second.until_logged("skipping malformed run entry").await;
    assert_eq!(second.log().matches("skipping malformed run entry").count(), 1);
    assert!(metric(&second, "faas_flow_runs_recovered_total").await >= 1);
}
