//! A flow is swapped while runs are in flight: runs stay on their version, and all replicas follow.

use faas_flow_e2e::command::run;
use faas_flow_e2e::events;
use faas_flow_e2e::server::{Server, metric};
use faas_flow_e2e::versions::{FLOW, World, begin, digest, ended, listed, push, result, slow_to_compile, state, tell};
use faas_flow_e2e::wait::until;
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

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
    // The active version, and the one in the server's image.
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
    // A new server has nothing of the paused run in memory, so it loads the run's version.
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
    // The node was claimed and never committed: the other replica claims it once the lease has expired.
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
    // How long this takes is measured by `cargo xtask bench --swaps`.
    for replica in &replicas {
        until("it follows", async || listed(replica).await["serves"] == digest(&second).as_str()).await;
    }
    for replica in &replicas {
        assert_eq!(result(replica, "in").await.ok(), "in|0002|0002|0002");
    }
    tell(&replicas[1], &["modules", "rollback"], &[]).await.ok();
    for replica in &replicas {
        until("it follows back", async || listed(replica).await["serves"] == digest(&first).as_str()).await;
        assert_eq!(result(replica, "in").await.ok(), "in|0001|0001");
    }
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
async fn a_run_whose_version_is_missing_or_damaged_waits_and_says_so_until_it_is_back() {
    let remove: fn(&Path) = |file| fs::remove_file(file).unwrap();
    let damage: fn(&Path) = |file| fs::write(file, "half").unwrap();
    for (harm, code, why) in [(remove, "FF0017", "is gone from the module store"), (damage, "FF0024", "is damaged")] {
        let world = World::new().await;
        let [first, second] = [world.version(1, "okay"), world.version(2, "more")];
        let server = world.start(&first);
        let id = begin(&server, "in").await;
        world.begun(1).await;
        server.kill();
        harm(&world.module_file(&first));
        world.open_gate();
        let server = world.start(&second);
        until("it is said", async || {
            let log = server.log();
            log.contains(&format!("run {id} waits")) && log.contains(code) && log.contains(&digest(&first)[..12])
        })
        .await;
        let event = server.request(&format!("{FLOW}/flow/{id}/forward"), events::body(&id, "n1"));
        let ignored = server.send(event).await.ok();
        assert!(ignored.starts_with("ignored: ") && ignored.contains(why), "{ignored}");
        assert_eq!(metric(&server, "faas_flow_events_ignored_total{reason=\"unknown-version\"}").await, 1);
        let path = format!("{FLOW}/flow/{id}/state");
        let state = async |accept| {
            let request = server.client.get(server.url(&path)).header("Accept", accept);
            server.send(request).await.ok()
        };
        let text = state("text/plain").await;
        let json = state("application/json").await;
        let says = format!(
            "waits for version {}: {code}: module {} of flow versions {why}",
            digest(&first),
            &digest(&first)[..12]
        );
        assert!(text.starts_with("RUNNING\n") && text.contains(&says), "{text}");
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["waits-for"], digest(&first).as_str());
        assert_eq!(json["waits-code"], code);
        assert!(json["waits-because"].as_str().unwrap().contains(why), "{json}");
        let shown = run(world.path(), ["requests", "show", &id]).ok();
        assert!(shown.contains(&format!("waits for   version {}", digest(&first))) && shown.contains(why), "{shown}");
        assert_eq!(result(&server, "new").await.ok(), "new|0002|0002|0002");
        tell(&server, &["push", "--no-activate"], &[&first]).await.ok();
        assert_eq!(ended(&server, &id).await, "in|0001|0001");
        assert_eq!(state("text/plain").await, "FINISHED");
        assert!(!state("application/json").await.contains("waits-"));
        assert!(!run(world.path(), ["requests", "show", &id]).ok().contains("waits for"));
    }
}

#[tokio::test]
async fn a_replica_that_finds_a_damaged_push_keeps_serving_what_it_has() {
    let world = World::open().await;
    let [first, second, third] = [1, 2, 3].map(|number| world.version(number, "okay"));
    let [one, other] = [&first; 2].map(|image| world.start(image));
    tell(&one, &["push", "--no-activate"], &[&second]).await.ok();
    let file = world.module_file(&second);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[1..]).unwrap();
    // The replica that took the push has loaded the version.
    tell(&one, &["modules", "activate", &digest(&second)], &[]).await.ok();
    assert_eq!(result(&one, "in").await.ok(), "in|0002|0002");
    until("it is said", async || other.log().contains("FF0024")).await;
    assert_eq!(result(&other, "in").await.ok(), "in|0001|0001");
    // The next push is followed at once, and the damaged version as soon as it is repaired.
    push(&one, &third).await.ok();
    until("it follows", async || result(&other, "in").await.ok() == "in|0003|0003").await;
    push(&one, &second).await.ok();
    assert_eq!(fs::read(&file).unwrap(), whole);
    until("it follows back", async || result(&other, "in").await.ok() == "in|0002|0002").await;
}

#[tokio::test]
async fn a_canary_that_cannot_be_loaded_gets_no_runs_and_keeps_nobody_from_following() {
    let world = World::open().await;
    let [first, second, third] = [1, 2, 3].map(|number| world.version(number, "okay"));
    let [one, other] = [&first; 2].map(|image| world.start(image));
    for module in [&second, &third] {
        tell(&one, &["push", "--no-activate"], &[module]).await.ok();
    }
    tell(&one, &["modules", "activate", &digest(&second)], &[]).await.ok();
    // The replica that took the last push has loaded the version.
    tell(&one, &["push", "--no-activate"], &[&third]).await.ok();
    let file = world.module_file(&third);
    let whole = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    tell(&one, &["modules", "activate", &digest(&third), "--canary", "100%"], &[]).await.ok();
    assert_eq!(result(&one, "in").await.ok(), "in|0003|0003");
    until("it is said", async || other.log().contains("the canary gets no runs here")).await;
    assert_eq!(result(&other, "in").await.ok(), "in|0002|0002");
    // A replica that starts now serves the active version too.
    let late = world.start(&first);
    assert_eq!(result(&late, "in").await.ok(), "in|0002|0002");
    fs::write(&file, whole).unwrap();
    until("it gets runs", async || result(&other, "in").await.ok() == "in|0003|0003").await;
}

#[tokio::test]
async fn no_request_waits_while_a_large_module_is_compiled() {
    let world = World::open().await;
    let server = world.start(&world.version(1, "okay"));
    let slow = world.path().join("slow.wasm");
    fs::write(&slow, slow_to_compile(1000)).unwrap();
    result(&server, "in").await.ok();
    let over = Cell::new(false);
    let pushing = async {
        // It is compiled before it turns out to be no flow.
        push(&server, &slow).await.failed("FF0002", &[]);
        over.set(true);
    };
    let calling = async {
        let mut meanwhile = 0;
        while !over.get() {
            assert_eq!(result(&server, "in").await.ok(), "in|0001|0001");
            meanwhile += usize::from(!over.get());
        }
        meanwhile
    };
    let ((), meanwhile) = tokio::join!(pushing, calling);
    assert!(meanwhile >= 10, "only {meanwhile} calls were answered while the module was compiled");
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
    server.until_logged(", which is active, instead of ").await;
}

#[tokio::test]
async fn a_pushed_version_wins_over_the_image_until_the_image_brings_a_new_one() {
    let world = World::open().await;
    let [first, second, third] = [1, 2, 3].map(|number| world.version(number, "okay"));
    let serves = async |image: &Path| {
        let server = world.start(image);
        result(&server, "in").await.ok()
    };
    // As long as nobody pushes, each replica serves the version in its image, even if another image is newer.
    assert_eq!(serves(&first).await, "in|0001|0001");
    assert_eq!(serves(&second).await, "in|0002|0002");
    assert_eq!(serves(&first).await, "in|0001|0001");
    let fourth = world.version(4, "okay");
    push(&world.start(&first), &fourth).await.ok();
    assert_eq!(serves(&first).await, "in|0004|0004");
    assert_eq!(serves(&second).await, "in|0004|0004");
    assert_eq!(serves(&third).await, "in|0003|0003");
    // The version that was pushed is the one before the active one.
    let server = world.start(&third);
    tell(&server, &["modules", "rollback"], &[]).await.ok();
    assert_eq!(result(&server, "in").await.ok(), "in|0004|0004");
}

#[tokio::test]
async fn a_canary_gets_its_share_and_is_promoted_or_withdrawn() {
    let world = World::open().await;
    let [first, second] = [1, 2].map(|number| world.version(number, "okay"));
    let server = world.start(&first);
    let shares = async |round: &str| {
        let mut new = 0;
        for run in 0..40 {
            let request = server.request(FLOW, "in").header("X-Faas-Flow-Wait", "60s");
            let request = request.header("X-Faas-Flow-Reqid", format!("{round}-{run}"));
            new += usize::from(server.send(request).await.ok() == "in|0002|0002");
        }
        new
    };
    tell(&server, &["modules", "promote"], &[]).await.failed("FF0025", &["409"]);
    tell(&server, &["push", "--canary", "50%"], &[&second]).await.ok();
    assert_eq!(state(&server, &second).await.as_deref(), Some("canary"));
    let new = shares("first").await;
    assert!((5..35).contains(&new), "{new} of 40");
    until("they are counted", async || listed(&server).await["canary-runs"]["ended"] == new).await;
    tell(&server, &["modules", "withdraw"], &[]).await.ok();
    assert_eq!(shares("second").await, 0);
    tell(&server, &["modules", "activate", &digest(&second), "--canary", "100"], &[]).await.ok();
    assert_eq!(shares("third").await, 40);
    assert_eq!(state(&server, &first).await.as_deref(), Some("active"));
    tell(&server, &["modules", "promote"], &[]).await.ok();
    assert_eq!(state(&server, &second).await.as_deref(), Some("active"));
    assert_eq!(shares("fourth").await, 40);
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
    assert!(withdrawn["message"].as_str().unwrap().contains("of the last"), "{withdrawn}");
    until("no request fails any more", async || {
        let answers = [result(&replicas[0], "in").await, result(&replicas[1], "in").await];
        answers.iter().all(|answer| answer.status == 200)
    })
    .await;
}

/// A server whose new runs all go to the canary, which is withdrawn when more than 20 % of its last ten runs failed.
async fn on_trial(world: &World, mode: &str) -> Server {
    let [first, second] = [world.version(1, "okay"), world.version(2, mode)];
    let server = world.start(&first);
    tell(&server, &["push", "--canary", "100%", "--max-failures", "20%", "--over", "10"], &[&second]).await.ok();
    server
}

async fn is_withdrawn(server: &Server, says: &str) {
    until("the canary is withdrawn", async || listed(server).await["canary"].is_null()).await;
    let withdrawn = listed(server).await["withdrawn"].clone();
    assert_eq!(withdrawn["message"], says);
    assert_eq!(result(server, "in").await.ok(), "in|0001|0001");
}

#[tokio::test]
async fn a_canary_that_begins_to_fail_after_long_is_withdrawn_by_its_last_runs() {
    let world = World::open().await;
    let server = on_trial(&world, "asks").await;
    for _ in 0..40 {
        assert_eq!(result(&server, "in").await.ok(), "in|0002|0002");
    }
    // Its `define` fails: no run begins, but that counts as a failure of the canary.
    for failed in 1..=3 {
        let refused = server.post(&format!("{FLOW}?refuse=1"), "in").await;
        assert!(refused.failed(500, "FF0005").contains("refuses to begin"));
        if failed < 3 {
            until("it is counted", async || listed(&server).await["canary-runs"]["failed"] == failed).await;
        }
    }
    is_withdrawn(&server, "3 of the last 10 runs failed, more than 20% of 10").await;
}

#[tokio::test]
async fn runs_that_pause_since_they_failed_are_failures_of_a_canary() {
    let world = World::open().await;
    let server = on_trial(&world, "paus").await;
    for paused in 1..=3 {
        let id = begin(&server, "in").await;
        until("it pauses", async || server.get(&format!("{FLOW}/flow/{id}/state")).await.ok() == "PAUSED").await;
        if paused < 3 {
            until("it is counted", async || listed(&server).await["canary-runs"]["failed"] == paused).await;
        }
    }
    is_withdrawn(&server, "3 of the last 3 runs failed, more than 20% of 10").await;
}

#[tokio::test]
async fn runs_that_an_operator_pauses_are_no_failures() {
    let world = World::new().await;
    let server = on_trial(&world, "okay").await;
    let id = begin(&server, "in").await;
    world.begun(1).await;
    server.post(&format!("{FLOW}/flow/{id}/pause"), "").await.ok();
    world.open_gate();
    until("it pauses", async || server.get(&format!("{FLOW}/flow/{id}/state")).await.ok() == "PAUSED").await;
    server.post(&format!("{FLOW}/flow/{id}/resume"), "").await.ok();
    assert_eq!(ended(&server, &id).await, "in|0002|0002");
    until("it is counted", async || listed(&server).await["canary-runs"]["ended"] == 1).await;
    assert_eq!(listed(&server).await["canary-runs"]["failed"], 0);
}
