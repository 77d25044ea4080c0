//! Limits over all runs, on one server and on two that share Redis.

mod stores;
mod world;

use axum::http::StatusCode;
use faas_flow_e2e::command::run;
use faas_flow_e2e::server::{Answer, Serve, metric};
use faas_flow_e2e::wait::until;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use world::{Job, World, begin, begin_of, ends};

/// LIMIT-1.
#[tokio::test]
async fn two_servers_never_have_more_calls_in_flight_than_the_limit() {
    let world = World::new(Job::that_takes(60).await).await;
    let servers = [world.start("10s"), world.start("10s")];
    let runs = (0..40).map(|number| {
        let server = &servers[number % 2];
        async move { server.result("fixture?case=limit&concurrent=3", "hi").await.ok() }
    });
    assert!(futures_util::future::join_all(runs).await.iter().all(|result| result == "hi"));
    assert_eq!(world.job.most.load(Ordering::SeqCst), 3);
    let items = servers[0].result("fixture?case=limit-items&concurrent=3", "abcdefgh").await.ok();
    assert!(items.starts_with("[0=a, 1=b"), "{items}");
    assert_eq!(world.job.most.load(Ordering::SeqCst), 3);
}

/// LIMIT-2.
#[tokio::test]
async fn two_servers_keep_to_a_rate_together() {
    let world = World::new(Job::that_takes(0).await).await;
    let servers = [world.start("10s"), world.start("10s")];
    let runs = (0..60).map(|number| {
        let server = &servers[number % 2];
        async move { server.result("fixture?case=limit&rate=20", "hi").await.ok() }
    });
    let before = Instant::now();
    futures_util::future::join_all(runs).await;
    let took = before.elapsed();
    let mut began: Vec<Instant> = world.job.began.lock().unwrap().iter().map(|(at, _)| *at).collect();
    began.sort();
    // The requests take their time on the way, so that some that began before others arrive with them.
    let most = began
        .iter()
        .map(|first| began.iter().filter(|at| **at >= *first && **at < *first + Duration::from_secs(1)).count());
    assert!(most.max().unwrap() <= 26, "{began:?}");
    assert!(took >= Duration::from_millis(2500), "{took:?}");
    until("nothing is left in the store", async || world.keys().await == 0).await;
}

/// LIMIT-3.
#[tokio::test]
async fn calls_far_below_a_limit_get_their_permits_from_leases() {
    let world = World::new(Job::that_takes(0).await).await;
    let server = world.start("10s");
    for _ in 0..100 {
        assert_eq!(server.result("fixture?case=limit&concurrent=1000", "hi").await.ok(), "hi");
    }
    let leased = metric(&server, r#"faas_flow_limit_permits_total{from="lease"}"#).await;
    let stored = metric(&server, r#"faas_flow_limit_permits_total{from="store"}"#).await;
    assert_eq!(leased + stored, 100);
    assert!(stored <= 5, "{stored} of 100 permits came from the store");
}

/// LIMIT-3, LIMIT-4.
#[tokio::test]
async fn nodes_that_wait_are_suspended_and_shown_and_go_on_in_order_of_arrival() {
    let world = World::new(Job::that_waits().await).await;
    let servers = [world.start("10s"), world.start("10s")];
    let query = "case=limit&concurrent=1";
    begin(&servers[0], query, "first").await;
    world.job.begins(1).await;
    for (number, id) in ["second", "third", "fourth"].into_iter().enumerate() {
        begin(&servers[number % 2], query, id).await;
        world.waits(id).await;
    }
    let node = &world.shown("third")["nodes"][0];
    assert_eq!((&node["progress"], &node["tries"]), (&json!("ready"), &Value::Null), "nobody holds it: {node}");
    let text = run(world.folder.path(), ["requests", "show", "third", "--state", world.state()]).ok();
    assert!(text.contains("waits for limit jobs"), "{text}");
    let page = servers[0].get("/dashboard/runs/third").await.ok();
    assert!(page.contains("waiting for limit jobs"), "{page}");
    let asked = servers[1].client.get(servers[1].url("/function/fixture/flow/third/state"));
    let state: Value =
        serde_json::from_str(&servers[1].send(asked.header("Accept", "application/json")).await.ok()).unwrap();
    let limited = &state["limited"][0];
    assert_eq!((&limited["node"], &limited["limit"]), (&json!("n"), &json!("jobs")), "{state}");
    let mut waits = 0;
    for server in &servers {
        waits += metric(server, "faas_flow_limit_waits_total").await;
    }
    assert_eq!(waits, 3);
    for calls in 2..5 {
        world.job.let_go(1);
        world.job.begins(calls).await;
    }
    world.job.let_go(1);
    for id in ["first", "second", "third", "fourth"] {
        assert_eq!(ends(&servers[0], id).await.ok(), "hi");
    }
    assert_eq!(world.job.runs(), ["first", "second", "third", "fourth"]);
    assert_eq!(world.job.most.load(Ordering::SeqCst), 1);
    until("nothing is left in the store", async || world.keys().await == 0).await;
}

/// LIMIT-4: a stop gives up the place, and the deadline of a run passes.
#[tokio::test]
async fn a_run_that_is_stopped_or_too_late_gives_up_its_place() {
    let world = World::new(Job::that_waits().await).await;
    let server = world.start("500ms");
    begin(&server, "case=limit&concurrent=1", "first").await;
    world.job.begins(1).await;
    for (id, deadline) in [("stopped", 600_000), ("late", 1500), ("last", 600_000)] {
        begin(&server, &format!("case=limit&concurrent=1&deadline={deadline}"), id).await;
        world.waits(id).await;
    }
    run(world.folder.path(), ["requests", "stop", "stopped", "--to", &server.url("")]).ok();
    assert_eq!(ends(&server, "late").await.code.as_deref(), Some("FF0210"));
    world.job.let_go(2);
    assert_eq!(ends(&server, "last").await.ok(), "hi");
    assert_eq!(world.job.runs(), ["first", "last"]);
}

/// LIMIT-4: also if the turn of a paused run comes.
#[tokio::test]
async fn paused_runs_do_not_keep_others_from_their_permits() {
    let world = World::new(Job::that_waits().await).await;
    // With so long a lease, nothing that waits for its end ends in time.
    let server = world.start("60s");
    begin(&server, "case=limit&concurrent=1", "first").await;
    world.job.begins(1).await;
    for id in ["paused", "paused-too", "last"] {
        begin(&server, "case=limit&concurrent=1", id).await;
        world.waits(id).await;
    }
    let control = |what: &str, id: &str| run(world.folder.path(), ["requests", what, id, "--to", &server.url("")]).ok();
    control("pause", "paused");
    control("pause", "paused-too");
    world.job.let_go(2);
    assert_eq!(ends(&server, "last").await.ok(), "hi");
    assert_eq!(world.job.runs(), ["first", "last"]);
    world.job.let_go(2);
    for id in ["paused-too", "paused"] {
        control("resume", id);
        assert_eq!(ends(&server, id).await.ok(), "hi");
    }
}

/// LIMIT-5.
#[tokio::test]
async fn the_permits_of_a_server_that_is_killed_come_back() {
    let world = World::new(Job::that_waits().await).await;
    let (lost, server) = (world.start("1s"), world.start("1s"));
    begin(&lost, "case=limit&concurrent=1", "lost").await;
    world.job.begins(1).await;
    begin(&server, "case=limit&concurrent=1", "next").await;
    world.waits("next").await;
    lost.kill();
    world.job.let_go(5);
    for id in ["next", "lost"] {
        assert_eq!(ends(&server, id).await.ok(), "hi");
    }
    until("nothing is left in the store", async || world.keys().await == 0).await;
}

/// LIMIT-5: what waits is stored, and goes on when all servers were lost.
#[tokio::test]
async fn what_waits_outlives_its_servers() {
    let world = World::new(Job::that_waits().await).await;
    let server = world.start("500ms");
    begin(&server, "case=limit&concurrent=1", "first").await;
    world.job.begins(1).await;
    begin(&server, "case=limit&concurrent=1", "second").await;
    world.waits("second").await;
    server.kill();
    world.job.let_go(5);
    let server = world.start("500ms");
    for id in ["first", "second"] {
        assert_eq!(ends(&server, id).await.ok(), "hi");
    }
}

/// LIMIT-7.
#[tokio::test]
async fn each_key_has_the_limit_to_itself_and_leaves_nothing_behind() {
    let world = World::new(Job::that_waits().await).await;
    let server = world.start("600ms");
    let runs: Vec<_> = ["acme", "globex", "acme"]
        .into_iter()
        .map(|tenant| server.result("fixture?case=limit-key&concurrent=1", tenant))
        .collect();
    let let_go = async {
        world.job.begins(2).await;
        until("both keys are in use", async || world.keys().await == 2).await;
        world.job.let_go(3);
    };
    let (results, ()) = tokio::join!(futures_util::future::join_all(runs), let_go);
    assert_eq!(results.into_iter().map(Answer::ok).collect::<Vec<_>>(), ["acme", "globex", "acme"]);
    world.job.let_go(1000);
    let many = (0..300)
        .map(|number| server.result("fixture?case=limit-key&concurrent=8&rate=100", format!("tenant-{number}")));
    futures_util::future::join_all(many).await.into_iter().for_each(|answer| drop(answer.ok()));
    until("nothing is left in the store", async || world.keys().await == 0).await;
    let long = server.result("fixture?case=limit-key&concurrent=1", "x".repeat(257)).await.failed(500, "FF0016");
    assert!(long.contains("the key of limit jobs has 257 bytes"), "{long}");
    let failure = server.result("fixture?case=limit-key&concurrent=1", &b"\xff"[..]).await.failed(422, "FF0012");
    assert!(failure.contains("the key is no text"), "{failure}");
}

/// LIMIT-6.
#[tokio::test]
async fn an_asynchronous_call_and_a_node_that_sleeps_hold_their_permit_meanwhile() {
    let world = World::new(Job::that_waits().await).await;
    let server = world.start("500ms");
    begin(&server, "case=limit-later&concurrent=1", "first").await;
    world.job.begins(1).await;
    until("the node waits for its answer", async || {
        world.shown("first")["nodes"][0]["waits_for"]["function"]["name"] == json!("job")
    })
    .await;
    begin(&server, "case=limit-later&concurrent=1", "second").await;
    world.waits("second").await;
    world.job.let_go(1);
    assert_eq!(ends(&server, "first").await.ok(), "hi");
    world.job.begins(2).await;
    // A run that is stopped while it waits for an answer gives up its permit as well.
    begin(&server, "case=limit-later&concurrent=1", "third").await;
    world.waits("third").await;
    run(world.folder.path(), ["requests", "stop", "second", "--to", &server.url("")]).ok();
    world.job.begins(3).await;
    world.job.let_go(2);
    assert_eq!(ends(&server, "third").await.ok(), "hi");
    until("nothing is left in the store", async || world.keys().await == 0).await;

    let before = Instant::now();
    let query = "fixture?case=limit-of-node-that-sleeps&concurrent=1&ms=700";
    let (one, other) = tokio::join!(server.result(query, "acme"), server.result(query, "acme"));
    assert_eq!((one.ok(), other.ok()), ("acme".to_owned(), "acme".to_owned()));
    assert!(before.elapsed() >= Duration::from_millis(1400), "one after the other");
    until("nothing is left in the store", async || world.keys().await == 0).await;
}

/// LIMIT-6: a limit on the call of a flow counts the runs of that flow, from their beginning to their end.
#[tokio::test]
async fn the_call_of_a_flow_holds_its_permit_until_the_run_that_it_began_ends() {
    let world = World::new(Job::that_waits().await).await;
    let server = world.serve("10s").flow_as("child", "fixture").start_in(world.folder.path());
    let query = "case=limit-of-flow&function=child&concurrent=1";
    begin(&server, query, "first").await;
    world.job.begins(1).await;
    for id in ["second", "third"] {
        begin(&server, query, id).await;
        world.waits(id).await;
    }
    assert_eq!(world.held().await, 1);
    world.job.let_go(1);
    assert_eq!(ends(&server, "first").await.ok(), "hi");
    world.job.begins(2).await;
    // A stop ends the run that was called as well, and the permit with it.
    run(world.folder.path(), ["requests", "stop", "second", "--to", &server.url("")]).ok();
    world.job.begins(3).await;
    world.job.let_go(1);
    assert_eq!(ends(&server, "third").await.ok(), "hi");
    assert_eq!(world.job.most.load(Ordering::SeqCst), 1);
    until("nothing is left in the store", async || world.keys().await == 0).await;
}

/// LIMIT-6: an operator limits a flow by its name, as a function. The limit that the caller names holds as well.
#[tokio::test]
async fn an_operator_limits_the_calls_of_a_flow() {
    let world = World::new(Job::that_waits().await).await;
    let serve = world.serve("10s").with("--limit", "child=1").flow_as("child", "fixture");
    let server = serve.start_in(world.folder.path());
    let calls = "case=limit-of-flow&function=child&concurrent=2";
    begin(&server, calls, "fourth").await;
    world.job.begins(1).await;
    begin(&server, calls, "fifth").await;
    until("the call waits for its permit", async || {
        world.shown("fifth")["nodes"][0]["waits_for"]["limit"]["name"] == json!("child")
    })
    .await;
    world.job.let_go(2);
    for id in ["fourth", "fifth"] {
        assert_eq!(ends(&server, id).await.ok(), "hi");
    }
    assert_eq!(world.job.most.load(Ordering::SeqCst), 1);
}

/// LIMIT-1: the limit of a node holds for the node as a whole, that of a call for each try.
#[tokio::test]
async fn a_node_and_each_try_of_a_call_need_a_permit() {
    let world = World::new(Job::that_takes(50).await).await;
    let server = world.start("10s");
    let runs = (0..6).map(|_| server.result("fixture?case=limit-of-node&concurrent=2", "hi"));
    for answer in futures_util::future::join_all(runs).await {
        assert_eq!(answer.ok(), "hi before after");
    }
    assert_eq!(world.job.most.load(Ordering::SeqCst), 2);
    drop(server);
    let world = World::new(Job::serve(Duration::ZERO, false, StatusCode::SERVICE_UNAVAILABLE).await).await;
    let server = world.start("10s");
    let before = Instant::now();
    server.result("fixture?case=limit-tries&rate=4", "hi").await.failed(502, "FF0207");
    assert_eq!(world.job.runs().len(), 3);
    assert!(before.elapsed() >= Duration::from_millis(450), "each try has waited for its turn: {:?}", before.elapsed());
}

/// LIMIT-8.
#[tokio::test]
async fn the_operator_limits_functions_and_replaces_what_flows_say() {
    let world = World::new(Job::that_takes(60).await).await;
    let server = world.serve("10s").with("--limit", "job=2").with("--limit", "jobs=1").start_in(world.folder.path());
    let all = async |query: &'static str| {
        world.job.most.store(0, Ordering::SeqCst);
        let runs = (0..6).map(|_| server.result(query, "hi"));
        futures_util::future::join_all(runs).await.into_iter().for_each(|answer| drop(answer.ok()));
        world.job.most.load(Ordering::SeqCst)
    };
    assert_eq!(all("fixture?case=limit-of-operator").await, 2);
    assert_eq!(all("fixture?case=limit&concurrent=5").await, 1);
}

/// LIMIT-8: while runs go on, and for what waits already.
#[tokio::test]
async fn the_operator_changes_a_limit_while_runs_go_on() {
    let world = World::new(Job::that_waits().await).await;
    let servers = [0, 1].map(|_| world.serve("600ms").with("--limit", "job=1").start_in(world.folder.path()));
    let limits = |arguments: &[&str]| world.limits(arguments);
    assert_eq!(limits(&["list"]).ok(), "");
    for id in ["first", "second", "third"] {
        begin(&servers[0], "case=limit-of-operator", id).await;
    }
    world.job.begins(1).await;
    assert_eq!(limits(&["set", "job", "3"]).ok(), "job: 3 at a time\n");
    begin(&servers[1], "case=limit-of-operator", "fourth").await;
    world.job.begins(3).await;
    assert_eq!(
        limits(&["set", "other", "10+2.5/s", "--json"]).json()["other"],
        json!({ "concurrent": 10, "per-second": 2.5 })
    );
    assert_eq!(limits(&["unset", "job"]).ok(), "other: 10 at a time, 2.5 per second\n");
    world.job.let_go(4);
    for id in ["first", "second", "third", "fourth"] {
        assert_eq!(ends(&servers[0], id).await.ok(), "hi");
    }
    assert_eq!(world.job.most.load(Ordering::SeqCst), 3);
    for bad in [["set", "job", "0"], ["set", "job", "0/s"], ["set", "job", "many"], ["set", "a b", "1"]] {
        assert_eq!(limits(&bad).code, Some(2), "{bad:?}");
    }
}

/// LIMIT-8: what is in flight counts, and what waits goes on at once. With so long a lease, nothing waits for its end.
#[tokio::test]
async fn the_operator_defines_a_limit_of_flows_and_removes_it_again() {
    let world = World::new(Job::that_waits().await).await;
    let servers = [0, 1].map(|_| world.serve("60s").flow_as("other", "fixture").start_in(world.folder.path()));
    let query = "case=limit&concurrent=1";
    begin(&servers[0], query, "first").await;
    world.job.begins(1).await;
    begin(&servers[1], query, "second").await;
    world.waits("second").await;
    let since = Instant::now();
    world.limits(&["set", "jobs", "2"]).ok();
    world.job.begins(2).await;
    // Both flows together have as many in flight as the operator allows.
    begin_of("other", &servers[0], query, "other").await;
    world.waits("other").await;
    begin(&servers[0], query, "third").await;
    world.waits("third").await;
    world.limits(&["unset", "jobs"]).ok();
    // Each flow has its limit to itself again: the other one has nothing in flight, this one has two.
    world.job.begins(3).await;
    assert!(since.elapsed() < Duration::from_secs(30), "nothing has waited for the end of a lease");
    assert_eq!(world.job.runs(), ["first", "second", "other"]);
    world.job.let_go(1);
    ends(&servers[1], "first").await.ok();
    until("its permit is given back", async || world.held().await == 2).await;
    assert_eq!(world.job.runs().len(), 3, "the second one is still in flight");
    world.job.let_go(1);
    world.job.begins(4).await;
    world.job.let_go(2);
    for (flow, id) in [("fixture", "second"), ("other", "other"), ("fixture", "third")] {
        assert_eq!(servers[1].result_of(flow, id).await.ok(), "hi");
    }
    assert_eq!(world.job.most.load(Ordering::SeqCst), 3);
    until("nothing is left in the store", async || world.keys().await == 0).await;
}

/// LIMIT-8: also for permits that a server has leased in advance.
#[tokio::test]
async fn a_smaller_limit_counts_for_what_servers_have_leased() {
    let world = World::new(Job::that_waits().await).await;
    let server = world.start("60s");
    let query = "case=limit&concurrent=40";
    for number in 0..5 {
        begin(&server, query, &format!("run-{number}")).await;
    }
    world.job.begins(5).await;
    assert!(world.held().await > 5);
    world.limits(&["set", "jobs", "2"]).ok();
    let since = Instant::now();
    until("the server gives back what it does not use", async || world.held().await == 5).await;
    assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
    begin(&server, query, "last").await;
    world.waits("last").await;
    for left in [4, 3, 2] {
        world.job.let_go(1);
        until("a permit is given back", async || world.held().await == left).await;
        assert_eq!(world.job.runs().len(), 5);
    }
    world.job.let_go(1);
    world.job.begins(6).await;
    world.job.let_go(10);
    assert_eq!(ends(&server, "last").await.ok(), "hi");
}

/// LIMIT-8: a function that had no limit gets one.
#[tokio::test]
async fn calls_learn_that_their_function_is_limited() {
    let world = World::new(Job::that_takes(0).await).await;
    let server = world.start("60s");
    server.result("fixture?case=limit-of-operator", "hi").await.ok();
    world.limits(&["set", "job", "0.001/s"]).ok();
    let mut runs = 0;
    until("a call waits", async || {
        runs += 1;
        begin(&server, "case=limit-of-operator", &format!("run-{runs}")).await;
        metric(&server, "faas_flow_limit_waits_total").await > 0
    })
    .await;
    // Nobody limits it any more.
    world.limits(&["unset", "job"]).ok();
    for number in 1..=runs {
        assert_eq!(ends(&server, &format!("run-{number}")).await.ok(), "hi");
    }
}

/// LIMIT-9.
#[tokio::test]
async fn limits_that_let_nothing_through_or_contradict_each_other_are_refused() {
    let server = Serve::flows(&["fixture"]).function("job", "echo").start();
    let says =
        async |query: &str, code: &str| server.result(&format!("fixture?case={query}"), "hi").await.failed(500, code);
    assert!(says("limit-bad&concurrent=0", "FF0132").await.contains("allow at least 1"));
    assert!(says("limit-bad&rate=0", "FF0132").await.contains("a rate is from"));
    assert!(says("limit-bad", "FF0132").await.contains("neither"));
    assert!(says("limit-bad&concurrent=1&limit=a%20b", "FF0132").await.contains("`a b` is not a limit's name"));
    assert!(says("limit-twice", "FF0133").await.contains("say the same in both"));
}
