//! Limits over all runs with the other state stores, and with more than two replicas.

use super::world::{Job, World, begin, ends};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::{consul, redis, servers};
use std::any::Any;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Two replicas never have more calls in flight than the limit, what waits is suspended and goes on in the order of arrival,
/// a change by the operator counts at once, and nothing is left in the store.
async fn a_limit_is_kept(state: String, store: Box<dyn Any>) {
    let world = World::on(state, store, Job::that_waits().await);
    let servers = [world.start("10s"), world.start("10s")];
    let query = "case=limit&concurrent=1";
    begin(&servers[0], query, "first").await;
    world.job.begins(1).await;
    for (number, id) in ["second", "third"].into_iter().enumerate() {
        begin(&servers[number % 2], query, id).await;
        world.waits(id).await;
    }
    world.job.let_go(1);
    world.job.begins(2).await;
    begin(&servers[1], query, "fourth").await;
    world.waits("fourth").await;
    assert_eq!(world.job.most.load(Ordering::SeqCst), 1);
    world.limits(&["set", "jobs", "3"]).ok();
    world.job.begins(4).await;
    world.job.let_go(3);
    for (server, id) in servers.iter().cycle().zip(["first", "second", "third", "fourth"]) {
        assert_eq!(ends(server, id).await.ok(), "hi");
    }
    // The change lets two go on at the same moment.
    assert_eq!(world.job.runs()[..2], ["first", "second"]);
    assert_eq!(world.job.most.load(Ordering::SeqCst), 3);
    until("nothing is left in the store", async || world.keys().await == 0).await;
}

/// LIMIT-1, LIMIT-3, LIMIT-8.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_kept_with_a_redis_cluster() {
    let server = servers::redis_cluster();
    redis::tell(&server, "CLUSTER ADDSLOTSRANGE 0 16383");
    let state = format!("redis+cluster://127.0.0.1:{}", server.port());
    a_limit_is_kept(state, Box::new(server)).await;
}

/// LIMIT-1, LIMIT-3, LIMIT-8.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_kept_with_etcd() {
    let peer = servers::free_port();
    let server = servers::Server::start("etcd", move |port, _| {
        let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
        let cluster = format!("default={peer}");
        ["--listen-client-urls", &client, "--advertise-client-urls", &client, "--listen-peer-urls", &peer]
            .into_iter()
            .chain(["--initial-advertise-peer-urls", &peer, "--initial-cluster", &cluster, "--data-dir", "data"])
            .map(str::to_owned)
            .collect()
    });
    let state = server.url("etcd");
    a_limit_is_kept(state, Box::new(server)).await;
}

/// LIMIT-1, LIMIT-3, LIMIT-8.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_kept_with_consul() {
    let server = consul::Server::start();
    a_limit_is_kept(server.url(""), Box::new(server)).await;
}

/// LIMIT-2.
#[tokio::test(flavor = "multi_thread")]
async fn four_replicas_keep_to_a_rate_together() {
    let world = World::new(Job::that_takes(0).await).await;
    let servers = [(); 4].map(|()| world.start("10s"));
    let runs = (0..80).map(|number| {
        let server = &servers[number % servers.len()];
        async move { server.result("fixture?case=limit&rate=20", "hi").await.ok() }
    });
    let before = Instant::now();
    futures_util::future::join_all(runs).await;
    // 80 permits at 20 a second; those of the first tenth may be given out at once.
    assert!(before.elapsed() >= Duration::from_millis(3500), "{:?}", before.elapsed());
    assert_eq!(world.job.began.lock().unwrap().len(), 80);
}
