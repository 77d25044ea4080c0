//! A flow is swapped while it runs: what operators do, and what becomes of the runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod harness;
#[path = "../host/store/tests/servers/mod.rs"]
mod servers;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use harness::{Answer, Done, Serve, Server, faas_flow, run, until, version};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

const FLOW: &str = "/function/versions";

/// What replicas share: stores in a folder, and a step function that answers when its gate is open.
struct World {
    folder: TempDir,
    steps: Arc<Steps>,
    url: String,
}

struct Steps {
    gate: watch::Sender<bool>,
    begun: AtomicUsize,
}

async fn step(State(steps): State<Arc<Steps>>, body: Bytes) -> Bytes {
    steps.begun.fetch_add(1, Ordering::Relaxed);
    steps.gate.subscribe().wait_for(|open| *open).await.unwrap();
    body
}

impl World {
    /// The gate is closed.
    async fn new() -> Self {
        let steps = Arc::new(Steps { gate: watch::channel(false).0, begun: AtomicUsize::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(step).with_state(steps.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { folder: TempDir::new().unwrap(), steps, url }
    }

    /// The gate is open.
    async fn open() -> Self {
        let world = Self::new().await;
        world.open_gate();
        world
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn version(&self, number: u16, mode: &str) -> PathBuf {
        version(self.path(), number, mode)
    }

    fn serve(&self, module: &Path) -> Serve {
        Serve::file("versions", module).function("func1", &self.url).with("--lease", "1s")
    }

    /// A server whose image has this module, on the world's stores.
    fn start(&self, module: &Path) -> Server {
        self.serve(module).start_in(self.path())
    }

    fn open_gate(&self) {
        self.steps.gate.send_replace(true);
    }

    async fn begun(&self, calls: usize) {
        until("the step begins", async || self.steps.begun.load(Ordering::Relaxed) >= calls).await;
    }

    /// All files of the stores.
    fn stored(&self) -> BTreeSet<PathBuf> {
        files_below(&self.path().join(".faas-flow")).into_iter().collect()
    }

    /// The file of the module store that has this module.
    fn module_file(&self, module: &Path) -> PathBuf {
        let digest = digest(module);
        let file = files_below(&self.path().join(".faas-flow"));
        file.into_iter().find(|file| file.to_string_lossy().contains(&digest)).expect("the module is stored")
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn digest(module: &Path) -> String {
    faas_flow_core::Digest::of(&fs::read(module).unwrap()).to_string()
}

/// `faas-flow push` or `faas-flow modules …` on a server.
async fn tell(server: &Server, words: &[&str], more: &[&Path]) -> Done {
    let mut command = faas_flow(Path::new("/"));
    command.args(words).args(more).args(["--to", &server.url(FLOW), "--json"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

async fn push(server: &Server, module: &Path) -> Done {
    tell(server, &["push"], &[module]).await
}

async fn listed(server: &Server) -> Value {
    tell(server, &["modules", "list"], &[]).await.json()
}

/// The standing of each version on the server.
async fn standing(server: &Server, module: &Path) -> Option<String> {
    let listed = listed(server).await;
    let versions = listed["versions"].as_array().unwrap();
    let version = versions.iter().find(|version| version["digest"] == digest(module).as_str())?;
    Some(version["standing"].as_str().unwrap().to_owned())
}

/// Runs the flow to its end.
async fn result(server: &Server, body: &'static str) -> Answer {
    server.result("versions", body).await
}

/// Begins a run, and yields its id.
async fn begin(server: &Server, body: &'static str) -> String {
    let answer = server.post(FLOW, body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.id.unwrap()
}

async fn ended(server: &Server, id: &str) -> String {
    server.result_of("versions", id).await.ok()
}

#[tokio::test]
async fn a_swap_while_idle_takes_the_next_request() {
    let world = World::open().await;
    let server = world.start(&world.version(1, "okay"));
    assert_eq!(result(&server, "in").await.ok(), "in|0001|0001");
    let second = world.version(2, "more");
    let active = push(&server, &second).await.json();
    assert_eq!(active["active"]["digest"], digest(&second).as_str());
    assert_eq!(result(&server, "in").await.ok(), "in|0002|0002|0002");
    let dag = server.get(&format!("{FLOW}?export-dag=true")).await.ok();
    assert!(dag.contains("\"more\""), "the new graph is exported: {dag}");
}

#[tokio::test]
async fn a_run_ends_on_the_version_that_it_began_with() {
    let world = World::new().await;
    let server = world.start(&world.version(1, "okay"));
    let old = begin(&server, "old").await;
    world.begun(1).await;
    push(&server, &world.version(2, "more")).await.ok();
    let new = begin(&server, "new").await;
    world.begun(2).await;
    let versions = listed(&server).await;
    assert_eq!(versions["loaded"], 2, "{versions}");
    world.open_gate();
    assert_eq!(ended(&server, &old).await, "old|0001|0001");
    assert_eq!(ended(&server, &new).await, "new|0002|0002|0002");
}

#[tokio::test]
async fn an_old_version_is_unloaded_when_nothing_runs_on_it_any_more() {
    let world = World::open().await;
    let server = world.start(&world.version(1, "okay"));
    for number in 2..12 {
        push(&server, &world.version(number, "okay")).await.ok();
        result(&server, "in").await.ok();
    }
    // The active one, and the one that the server came with.
    until("the others go", async || listed(&server).await["loaded"] == 2).await;
}

#[tokio::test]
async fn a_paused_run_goes_on_with_the_version_that_it_began_with() {
    let world = World::new().await;
    let first = world.version(1, "okay");
    let server = world.start(&first);
    let id = begin(&server, "in").await;
    world.begun(1).await;
    server.post(&format!("{FLOW}/flow/{id}/pause"), "").await.ok();
    world.open_gate();
    push(&server, &world.version(2, "more")).await.ok();
    assert_eq!(result(&server, "new").await.ok(), "new|0002|0002|0002");
    // Nothing of a paused run is in memory: its version is loaded anew.
    let server = {
        server.kill();
        world.start(&world.version(2, "more"))
    };
    server.post(&format!("{FLOW}/flow/{id}/resume"), "").await.ok();
    assert_eq!(ended(&server, &id).await, "in|0001|0001");
}

#[tokio::test]
async fn a_long_for_each_ends_on_the_version_that_it_began_with() {
    let world = World::new().await;
    let server = world.start(&world.version(1, "each"));
    let id = begin(&server, "a for-each of one call for each byte of this text").await;
    world.begun(20).await;
    for number in 2..5 {
        push(&server, &world.version(number, "each")).await.ok();
    }
    world.open_gate();
    let made = ended(&server, &id).await;
    let items: BTreeSet<&str> = made.split(',').collect();
    assert_eq!(items, BTreeSet::from(["i|0001", "i|0001|0001"]), "{made}");
}

#[tokio::test]
async fn a_node_that_was_claimed_before_the_swap_is_done_again_on_its_version_by_another_replica() {
    let world = World::new().await;
    let first = world.version(1, "okay");
    let [one, other] = [&first; 2].map(|module| world.start(module));
    let id = begin(&one, "in").await;
    world.begun(1).await;
    push(&other, &world.version(2, "more")).await.ok();
    one.kill();
    // Claimed, and never committed: the other replica claims it when the lease is over.
    world.begun(2).await;
    world.open_gate();
    assert_eq!(ended(&other, &id).await, "in|0001|0001");
    assert_eq!(result(&other, "new").await.ok(), "new|0002|0002|0002");
}

#[tokio::test]
async fn all_replicas_follow() {
    let world = World::open().await;
    let first = world.version(1, "okay");
    let replicas: Vec<Server> = (0..3).map(|_| world.start(&first)).collect();
    let second = world.version(2, "more");
    push(&replicas[0], &second).await.ok();
    for replica in &replicas {
        until("it follows", async || listed(replica).await["serves"] == digest(&second).as_str()).await;
        assert_eq!(result(replica, "in").await.ok(), "in|0002|0002|0002");
    }
    tell(&replicas[1], &["modules", "rollback"], &[]).await.ok();
    for replica in &replicas {
        until("it follows back", async || listed(replica).await["serves"] == digest(&first).as_str()).await;
        assert_eq!(result(replica, "in").await.ok(), "in|0001|0001");
    }
}

#[tokio::test]
async fn a_version_that_is_not_valid_changes_nothing_and_leaves_nothing() {
    let world = World::open().await;
    let server = world.start(&world.version(1, "okay"));
    let (before, stored) = (listed(&server).await, world.stored());
    push(&server, &world.version(2, "bad_")).await.failed("FF0105", &["422", "cycle"]);
    assert_eq!(listed(&server).await, before);
    assert_eq!(world.stored(), stored);
    assert_eq!(result(&server, "in").await.ok(), "in|0001|0001");
}

#[tokio::test]
async fn rolling_back_is_a_swap_to_the_version_before() {
    let world = World::open().await;
    let first = world.version(1, "okay");
    let server = world.start(&first);
    tell(&server, &["modules", "rollback"], &[]).await.failed("FF0026", &["409"]);
    for number in [2, 3] {
        push(&server, &world.version(number, "okay")).await.ok();
    }
    for expected in ["in|0002|0002", "in|0001|0001"] {
        tell(&server, &["modules", "rollback", "--message", "too slow"], &[]).await.ok();
        assert_eq!(result(&server, "in").await.ok(), expected);
    }
    let history = listed(&server).await["history"].clone();
    assert_eq!((&history[0]["why"], &history[0]["message"]), (&"rolled-back".into(), &"too slow".into()));
    let third = digest(&world.version(3, "okay"));
    tell(&server, &["modules", "activate", &third[..8]], &[]).await.ok();
    assert_eq!(result(&server, "in").await.ok(), "in|0003|0003");
}

#[tokio::test]
async fn the_same_version_twice_changes_nothing() {
    let world = World::open().await;
    let server = world.start(&world.version(1, "okay"));
    let second = world.version(2, "okay");
    push(&server, &second).await.ok();
    let before = listed(&server).await;
    push(&server, &second).await.ok();
    assert_eq!(listed(&server).await, before);
}

#[tokio::test]
async fn of_two_operators_at_once_one_is_told_of_the_other() {
    let world = World::open().await;
    let server = world.start(&world.version(1, "okay"));
    for round in 1..6 {
        let modules = [2 * round, 2 * round + 1].map(|number| world.version(number, "okay"));
        for module in &modules {
            tell(&server, &["push", "--no-activate"], &[module]).await.ok();
        }
        let revision = listed(&server).await["revision"].clone();
        let activate = |module: &Path, who: &str| {
            let path = format!("{FLOW}/modules/{}/activate?revision={revision}&who={who}", digest(module));
            server.send(server.request(&path, ""))
        };
        let (one, other) = tokio::join!(activate(&modules[0], "ann"), activate(&modules[1], "bob"));
        let mut answers = [one, other];
        answers.sort_by_key(|answer| answer.status);
        let [done, refused] = answers;
        done.ok();
        let said = refused.failed(409, "FF0022");
        assert!(said.contains("ann") || said.contains("bob"), "{said}");
    }
}

#[tokio::test]
async fn while_the_module_store_is_away_a_push_is_refused_and_the_runs_go_on() {
    let world = World::open().await;
    let mut redis = servers::redis(&["--appendonly", "yes", "--appendfsync", "always"]);
    let first = world.version(1, "okay");
    let data = format!("redis://127.0.0.1:{}?timeout_ms=3000", redis.port());
    let server = world.serve(&first).with("--data-store", &data).start_in(world.path());
    redis.kill();
    let second = world.version(2, "okay");
    push(&server, &second).await.failed("FF0306", &["503"]);
    assert_eq!(result(&server, "in").await.ok(), "in|0001|0001");
    assert_ne!(standing(&server, &second).await.as_deref(), Some("active"));
    redis.run();
    push(&server, &second).await.ok();
    assert_eq!(result(&server, "in").await.ok(), "in|0002|0002");
}

#[tokio::test]
async fn a_damaged_module_is_not_run_and_is_mended_by_pushing_it_again() {
    let world = World::open().await;
    let [first, second] = [1, 2].map(|number| world.version(number, "okay"));
    let server = world.start(&first);
    push(&server, &second).await.ok();
    tell(&server, &["modules", "rollback"], &[]).await.ok();
    server.kill();
    let file = world.module_file(&second);
    let whole = fs::read(&file).unwrap();
    for damaged in [whole[..whole.len() / 2].to_vec(), [&whole[..whole.len() - 1], b"x"].concat(), Vec::new()] {
        fs::write(&file, damaged).unwrap();
        let server = world.start(&first);
        let version = digest(&second);
        tell(&server, &["modules", "activate", &version], &[]).await.failed("FF0024", &["damaged"]);
        let out = world.path().join("pulled.wasm");
        tell(&server, &["modules", "pull", &version, "--out"], &[&out]).await.failed("FF0024", &["damaged"]);
        assert!(!out.exists());
        assert_eq!(result(&server, "in").await.ok(), "in|0001|0001");
    }
    let server = world.start(&first);
    push(&server, &second).await.ok();
    assert_eq!(fs::read(&file).unwrap(), whole);
    assert_eq!(result(&server, "in").await.ok(), "in|0002|0002");
    let out = world.path().join("pulled.wasm");
    tell(&server, &["modules", "pull", &digest(&second), "--out"], &[&out]).await.ok();
    assert_eq!(fs::read(&out).unwrap(), whole);
}

#[tokio::test]
async fn a_replica_whose_active_version_is_damaged_or_gone_serves_its_own_until_a_push_mends_it() {
    let world = World::open().await;
    let [first, second] = [1, 2].map(|number| world.version(number, "okay"));
    let mut server = world.start(&first);
    push(&server, &second).await.ok();
    let file = world.module_file(&second);
    let whole = fs::read(&file).unwrap();
    for (damage, code) in [(Some(&whole[..whole.len() / 2]), "FF0024"), (None, "FF0017")] {
        server.kill();
        match damage {
            Some(half) => fs::write(&file, half).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        server = world.start(&first);
        assert!(server.log().contains(code), "{}", server.log());
        assert_eq!(result(&server, "in").await.ok(), "in|0001|0001");
        push(&server, &second).await.ok();
        assert_eq!(fs::read(&file).unwrap(), whole);
        until("it is in service again", async || result(&server, "in").await.ok() == "in|0002|0002").await;
    }
}

#[tokio::test]
async fn a_run_whose_version_is_missing_waits_and_says_so_until_it_is_back() {
    let world = World::new().await;
    let [first, second] = [world.version(1, "okay"), world.version(2, "more")];
    let server = world.start(&first);
    let id = begin(&server, "in").await;
    world.begun(1).await;
    server.kill();
    fs::remove_file(world.module_file(&first)).unwrap();
    world.open_gate();
    let server = world.start(&second);
    until("it is said", async || {
        let log = server.log();
        log.contains(&format!("run {id} waits")) && log.contains("FF0017") && log.contains(&digest(&first)[..12])
    })
    .await;
    let state = server.client.get(server.url(&format!("{FLOW}/flow/{id}/state")));
    let state = server.send(state.header("Accept", "application/json")).await.ok();
    assert!(state.contains("\"waits-for\"") && state.contains(&digest(&first)), "{state}");
    assert_eq!(result(&server, "new").await.ok(), "new|0002|0002|0002");
    tell(&server, &["push", "--no-activate"], &[&first]).await.ok();
    assert_eq!(ended(&server, &id).await, "in|0001|0001");
    let state = server.client.get(server.url(&format!("{FLOW}/flow/{id}/state")));
    assert!(!server.send(state.header("Accept", "application/json")).await.ok().contains("waits-for"));
}

#[tokio::test]
async fn after_a_restart_of_everything_all_is_as_it_was() {
    let world = World::new().await;
    let [first, second] = [world.version(1, "okay"), world.version(2, "more")];
    let server = world.start(&first);
    let old = begin(&server, "old").await;
    world.begun(1).await;
    push(&server, &second).await.ok();
    let new = begin(&server, "new").await;
    world.begun(2).await;
    let before = listed(&server).await;
    server.kill();
    world.open_gate();
    let server = world.start(&first);
    assert_eq!(ended(&server, &old).await, "old|0001|0001");
    assert_eq!(ended(&server, &new).await, "new|0002|0002|0002");
    assert_eq!(result(&server, "in").await.ok(), "in|0002|0002|0002");
    let after = listed(&server).await;
    for unchanged in ["revision", "serves", "versions", "history"] {
        assert_eq!(after[unchanged], before[unchanged], "{unchanged}");
    }
    assert!(server.log().contains("was put into service and is served"), "{}", server.log());
}

#[tokio::test]
async fn a_pushed_version_wins_over_the_image_until_the_image_brings_a_new_one() {
    let world = World::open().await;
    let [first, second, third] = [1, 2, 3].map(|number| world.version(number, "okay"));
    let serves = async |image: &Path| {
        let server = world.start(image);
        result(&server, "in").await.ok()
    };
    // As long as nobody pushes, each replica serves what it came with: an older image too.
    assert_eq!(serves(&first).await, "in|0001|0001");
    assert_eq!(serves(&second).await, "in|0002|0002");
    assert_eq!(serves(&first).await, "in|0001|0001");
    let fourth = world.version(4, "okay");
    push(&world.start(&first), &fourth).await.ok();
    assert_eq!(serves(&first).await, "in|0004|0004");
    assert_eq!(serves(&second).await, "in|0004|0004");
    assert_eq!(serves(&third).await, "in|0003|0003");
    // What was pushed is one version back.
    let server = world.start(&third);
    tell(&server, &["modules", "rollback"], &[]).await.ok();
    assert_eq!(result(&server, "in").await.ok(), "in|0004|0004");
}

#[tokio::test]
async fn gc_removes_what_nothing_needs_and_takes_nothing_back_unasked() {
    let world = World::new().await;
    let server = world.start(&world.version(1, "okay"));
    let versions: Vec<PathBuf> = (2..6).map(|number| world.version(number, "okay")).collect();
    push(&server, &versions[0]).await.ok();
    let pinned = begin(&server, "in").await;
    world.begun(1).await;
    for version in &versions[1..] {
        push(&server, version).await.ok();
    }
    let gc = ["modules", "gc", "--keep", "1", "--recent", "0s"];
    let dry = tell(&server, &[&gc[..], &["--dry-run"]].concat(), &[]).await.json();
    let before = listed(&server).await;
    let collected = tell(&server, &gc, &[]).await.json();
    assert_eq!(collected, dry);
    let removed: Vec<&str> = collected["removed"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(removed.contains(&digest(&versions[1]).as_str()) && removed.len() == 2, "{collected}");
    let kept = collected["kept"].as_object().unwrap();
    assert!(kept[&digest(&versions[0])].as_str().unwrap().contains("pinned by 1 run"), "{collected}");
    assert_eq!(kept[&digest(&versions[3])], "in service");
    assert!(kept[&digest(&versions[2])].as_str().unwrap().contains("before the active"), "{collected}");
    assert_eq!(listed(&server).await["revision"], before["revision"]);
    for activate in [["modules", "activate"], ["modules", "pull"]] {
        tell(&server, &[&activate[..], &[removed[0]]].concat(), &[]).await.failed("FF0020", &["404"]);
    }
    push(&server, &versions[1]).await.failed("FF0023", &["409", "--again"]);
    assert_eq!(standing(&server, &versions[1]).await.as_deref(), Some("removed"));
    world.open_gate();
    assert_eq!(ended(&server, &pinned).await, "in|0002|0002");
    tell(&server, &["push", "--again"], &[&versions[1]]).await.ok();
    assert_eq!(result(&server, "in").await.ok(), "in|0003|0003");
}

#[tokio::test]
async fn a_canary_gets_its_share_and_is_promoted_or_withdrawn() {
    let world = World::open().await;
    let [first, second] = [1, 2].map(|number| world.version(number, "okay"));
    let server = world.start(&first);
    let shares = async || {
        let mut new = 0;
        for run in 0..40 {
            let request = server.request(FLOW, "in").header("X-Faas-Flow-Wait", "60s");
            let request = request.header("X-Faas-Flow-Reqid", format!("{}-{run}", fastrand::u64(..)));
            new += usize::from(server.send(request).await.ok() == "in|0002|0002");
        }
        new
    };
    tell(&server, &["modules", "promote"], &[]).await.failed("FF0025", &["409"]);
    tell(&server, &["push", "--canary", "50%"], &[&second]).await.ok();
    assert_eq!(standing(&server, &second).await.as_deref(), Some("canary"));
    let new = shares().await;
    assert!((5..35).contains(&new), "{new} of 40");
    until("they are counted", async || listed(&server).await["canary-runs"]["ended"] == new).await;
    tell(&server, &["modules", "withdraw"], &[]).await.ok();
    assert_eq!(shares().await, 0);
    tell(&server, &["modules", "activate", &digest(&second), "--canary", "100"], &[]).await.ok();
    assert_eq!(shares().await, 40);
    assert_eq!(standing(&server, &first).await.as_deref(), Some("active"));
    tell(&server, &["modules", "promote"], &[]).await.ok();
    assert_eq!(standing(&server, &second).await.as_deref(), Some("active"));
    assert_eq!(shares().await, 40);
}

#[tokio::test]
async fn a_canary_that_fails_is_withdrawn_by_itself_on_all_replicas() {
    let world = World::open().await;
    let [first, second] = [world.version(1, "okay"), world.version(2, "trap")];
    let replicas: Vec<Server> = (0..2).map(|_| world.start(&first)).collect();
    let canary = ["push", "--canary", "50%", "--max-failures", "10%", "--over", "20"];
    tell(&replicas[0], &canary, &[&second]).await.ok();
    until("both follow", async || listed(&replicas[1]).await["canary"].is_object()).await;
    until("it is withdrawn", async || {
        for replica in &replicas {
            let answer = result(replica, "in").await;
            assert!(answer.status == 200 || answer.code.as_deref() == Some("FF0006"), "{answer:?}");
        }
        listed(&replicas[1]).await["canary"].is_null()
    })
    .await;
    let withdrawn = listed(&replicas[0]).await["withdrawn"].clone();
    assert_eq!(withdrawn["digest"], digest(&second).as_str());
    assert!(withdrawn["message"].as_str().unwrap().contains("more than 10% of at least 20"), "{withdrawn}");
    until("no request fails any more", async || {
        let answers = [result(&replicas[0], "in").await, result(&replicas[1], "in").await];
        answers.iter().all(|answer| answer.status == 200)
    })
    .await;
}

#[tokio::test]
async fn what_is_no_module_for_this_host_changes_nothing() {
    let world = World::open().await;
    let first = world.version(1, "okay");
    let server = world.serve(&first).with("--compile-timeout", "1s").start_in(world.path());
    let (before, stored) = (listed(&server).await, world.stored());
    let good = fs::read(&first).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = world.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let replaced = |from: &[u8], to: &[u8]| {
        let mut bytes = good.clone();
        while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        bytes
    };
    let refused = [
        (file("text.wasm", b"not a component"), "FF0001", "text"),
        (file("empty.wasm", b""), "FF0001", "empty"),
        (file("cut.wasm", &good[..good.len() / 2]), "FF0011", "out of bounds"),
        (
            file("newer.wasm", &replaced(b"faas-flow:flow/definition@0.1.0", b"faas-flow:flow/definition@0.9.0")),
            "FF0003",
            "0.9.0",
        ),
        (
            file("import.wasm", &replaced(b"faas-flow:flow/context@0.1.0", b"faas-flaw:flow/context@0.1.0")),
            "FF0004",
            "faas-flaw",
        ),
        (file("slow.wasm", &slow_to_compile()), "FF0019", "compile_timeout"),
    ];
    for (file, code, says) in refused {
        push(&server, &file).await.failed(code, &["422", says]);
    }
    assert_eq!(listed(&server).await, before);
    assert_eq!(world.stored(), stored);
    assert_eq!(result(&server, "in").await.ok(), "in|0001|0001");
}

/// A component of one core module with more code than is compiled in a second.
fn slow_to_compile() -> Vec<u8> {
    let leb = |mut number: usize| {
        let mut bytes = Vec::new();
        loop {
            let low = (number & 0x7f) as u8;
            number >>= 7;
            bytes.push(if number == 0 { low } else { low | 0x80 });
            if number == 0 {
                return bytes;
            }
        }
    };
    let section = |id: u8, content: Vec<u8>| [vec![id], leb(content.len()), content].concat();
    let functions = 2000;
    // Without locals: the argument times itself plus a number, over and over.
    let mut body = vec![0, 0x20, 0];
    for n in 0..3000u32 {
        body.extend([0x20, 0, 0x6c, 0x41, (n % 64) as u8, 0x6a]);
    }
    body.push(0x0b);
    let code = [leb(body.len()), body].concat();
    let types = section(1, vec![1, 0x60, 1, 0x7f, 1, 0x7f]);
    let declared = section(3, [leb(functions), vec![0; functions]].concat());
    let code = section(10, [leb(functions), code.repeat(functions)].concat());
    let core = [b"\0asm\x01\0\0\0".to_vec(), types, declared, code].concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, core)].concat()
}

#[tokio::test]
async fn a_module_that_is_far_too_large_is_refused_before_it_is_sent() {
    let world = World::open().await;
    let first = world.version(1, "okay");
    let server = world.start(&first);
    let mut stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let head = format!(
        "PUT {FLOW}/modules/{} HTTP/1.1\r\nHost: f\r\nContent-Length: 500000000\r\nConnection: close\r\n\r\n",
        digest(&first)
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    let mut said = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut said).await.unwrap();
    let said = said.to_lowercase();
    assert!(said.starts_with("http/1.1 413 ") && said.contains("x-faas-flow-error: ff0015"), "{said}");
}

#[tokio::test]
async fn what_does_not_fit_its_digest_or_its_revision_is_refused() {
    let world = World::open().await;
    let [first, second, third] = [1, 2, 3].map(|number| world.version(number, "okay"));
    let server = world.start(&first);
    let stored = world.stored();
    let put = |path: &str, body: Vec<u8>| server.send(server.client.put(server.url(path)).body(body));
    let mismatch = put(&format!("{FLOW}/modules/{}", digest(&first)), fs::read(&second).unwrap()).await;
    mismatch.failed(422, "FF0021");
    put(&format!("{FLOW}/modules/{}", &digest(&first)[..20]), fs::read(&first).unwrap()).await.failed(400, "FF0217");
    assert_eq!(world.stored(), stored);
    // A push is two requests: of a replay, the first one changes nothing, and the second one is refused.
    let revision = listed(&server).await["revision"].clone();
    push(&server, &second).await.ok();
    push(&server, &third).await.ok();
    let path = format!("{FLOW}/modules/{}", digest(&second));
    assert!(put(&path, fs::read(&second).unwrap()).await.ok().contains("\"known\":true"));
    server.post(&format!("{path}/activate?revision={revision}"), "").await.failed(409, "FF0022");
    assert_eq!(result(&server, "in").await.ok(), "in|0003|0003");
    for (path, code, status) in [
        (format!("{path}/activate?revision=soon"), "FF0217", 400),
        (format!("{path}/activate?canary=0%25"), "FF0217", 400),
        (format!("{path}/activate?canary=5&over=-1"), "FF0217", 400),
        (format!("{path}/activate?who=a%0Ab"), "FF0217", 400),
        (format!("{path}/activate?message={}", "x".repeat(2000)), "FF0217", 400),
        (format!("{FLOW}/modules/{}/activate", "0".repeat(64)), "FF0020", 404),
        (format!("{FLOW}/modules/0000/activate"), "FF0217", 400),
        (format!("{FLOW}/modules/gc?keep=all"), "FF0217", 400),
        (format!("{FLOW}/modules/gc?recent=long"), "FF0217", 400),
        (format!("{FLOW}/modules/what/ever/else"), "FF0508", 404),
    ] {
        server.post(&path, "").await.failed(status, code);
    }
    assert_eq!(result(&server, "in").await.ok(), "in|0003|0003");
}

#[tokio::test]
async fn every_route_of_the_module_store_needs_the_token() {
    let world = World::open().await;
    let secrets = world.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    fs::write(secrets.join("faasflow-admin-token"), "a token of more than sixteen").unwrap();
    let first = world.version(1, "okay");
    let server = world.serve(&first).with("--secrets", &secrets.to_string_lossy()).start_in(world.path());
    let (version, stored) = (digest(&first), world.stored());
    for token in [None, Some("Bearer another token of sixteen"), Some("Basic a token of more than sixteen")] {
        for (method, path) in [
            ("GET", "modules".to_owned()),
            ("GET", format!("modules/{version}")),
            ("GET", format!("modules/{version}/flow.wasm")),
            ("PUT", format!("modules/{version}")),
            ("POST", format!("modules/{version}/activate")),
            ("POST", "modules/rollback".to_owned()),
            ("POST", "modules/promote".to_owned()),
            ("POST", "modules/withdraw".to_owned()),
            ("POST", "modules/gc".to_owned()),
        ] {
            let request = server.client.request(method.parse().unwrap(), server.url(&format!("{FLOW}/{path}")));
            let request = token.iter().fold(request, |request, token| request.header("Authorization", *token));
            server.send(request).await.failed(401, "FF0506");
        }
    }
    let second = world.version(2, "okay");
    push(&server, &second).await.failed("FF0506", &["401"]);
    assert_eq!(world.stored(), stored);
    tell(&server, &["push", "--token", "a token of more than sixteen"], &[&second]).await.ok();
    assert_eq!(result(&server, "in").await.ok(), "in|0002|0002");
}

#[tokio::test]
async fn versions_are_shown_to_people_too() {
    let world = World::open().await;
    let server = world.start(&world.version(1, "okay"));
    let second = world.version(2, "okay");
    let to = ["--to", &server.url(FLOW)];
    let folder = world.path().to_owned();
    let words = |words: &[&str]| words.iter().chain(&to).map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let file = second.to_string_lossy().into_owned();
    let short = digest(&second)[..12].to_owned();
    let [pushed, list, show] = [
        words(&["push", &file, "--message", "faster", "--who", "ann"]),
        words(&["modules", "list", "--runs"]),
        words(&["modules", "show", &short]),
    ];
    let (pushed, list, show) = tokio::task::spawn_blocking(move || {
        (run(&folder, pushed).ok(), run(&folder, list).ok(), run(&folder, show).ok())
    })
    .await
    .unwrap();
    assert!(pushed.contains(&format!("{short} is in service")), "{pushed}");
    assert!(list.contains(&short) && list.contains("ann: faster") && list.contains("active"), "{list}");
    assert!(show.contains("faas-flow:flow@0.1.0") && show.contains("signed     no"), "{show}");
}

#[tokio::test]
async fn before_a_push_the_operator_sees_what_it_would_change_for_the_runs_in_flight() {
    let world = World::new().await;
    let [first, second, third] = [world.version(1, "okay"), world.version(2, "more"), world.version(3, "okay")];
    let server = world.start(&first);
    let old = begin(&server, "old").await;
    world.begun(1).await;
    push(&server, &second).await.ok();
    let new = begin(&server, "new").await;
    world.begun(2).await;
    let (before, stored) = (listed(&server).await, world.stored());
    // The third has the graph of the first.
    let planned = tell(&server, &["plan"], &[&third]).await.json();
    assert_eq!(planned["runs"]["unaffected"], serde_json::json!([old]), "{planned}");
    assert_eq!(planned["runs"]["pinned"], serde_json::json!([new]), "{planned}");
    assert_eq!(planned["old"]["digest"], digest(&second).as_str());
    let nodes = planned["difference"]["nodes"].as_array().unwrap();
    assert!(nodes.iter().any(|node| node["path"] == "more" && node["change"] == "went"), "{planned}");
    tell(&server, &["plan"], &[&world.version(4, "bad_")]).await.failed("FF0105", &["cycle"]);
    // A run whose version is nowhere waits for it.
    server.kill();
    fs::remove_file(world.module_file(&first)).unwrap();
    let server = world.start(&second);
    let planned = tell(&server, &["plan"], &[&third]).await.json();
    assert_eq!(planned["runs"]["missing"], serde_json::json!([old]), "{planned}");
    let words = ["plan".to_owned(), third.to_string_lossy().into_owned(), "--to".to_owned(), server.url(FLOW)];
    let folder = world.path().to_owned();
    let text = tokio::task::spawn_blocking(move || run(&folder, words).ok()).await.unwrap();
    assert!(text.contains("1 runs waiting for a version that is missing") && text.contains(&old), "{text}");
    assert_eq!(listed(&server).await["revision"], before["revision"]);
    assert!(world.stored().is_subset(&stored));
}
