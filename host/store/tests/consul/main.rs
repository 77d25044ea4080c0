//! Tests of the backend in Consul against a test double of an agent, which `faas_flow_test_support::consul`
//! describes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use bytes::Bytes;
use faas_flow_core::{Code, Digest, FlowName, Partition, RunId, Status};
use faas_flow_store::*;
use faas_flow_test_support::consul::{Mood, Server};
use faas_flow_test_support::proxy::Proxy;
use faas_flow_test_support::tls::Front;
use std::collections::BTreeSet;
use std::sync::Arc;

async fn open(server: &Server, options: &str) -> Arc<dyn StateStore> {
    open_state(&server.url(options)).await.unwrap()
}

fn run(n: usize) -> RunId {
    RunId::new(format!("run{n}")).unwrap()
}

fn part(n: usize) -> Partition {
    Partition::of_run(&run(n))
}

fn put(doc: impl ToString, expect: Expect, bytes: impl Into<Bytes>) -> Put {
    Put { doc: doc.to_string(), expect, bytes: bytes.into() }
}

fn puts(puts: impl IntoIterator<Item = Put>) -> Change {
    Change { puts: puts.into_iter().collect(), ..Change::default() }
}

fn arrives(member: impl ToString) -> Change {
    let arrival = Arrival { set: "s".into(), member: member.to_string(), bytes: "".into() };
    Change { arrivals: vec![arrival], ..Change::default() }
}

fn entered(run: &RunId, due: Option<u64>) -> Change {
    let (flow, digest) = (FlowName::new("flow").unwrap(), Digest::of(b""));
    let entry = RunEntry {
        run: run.clone(),
        flow,
        digest,
        status: Status::Running,
        labels: faas_flow_core::Labels::new(),
        failure: None,
        started: 1,
        ended: None,
        due,
    };
    Change { entry: Some(entry), ..Change::default() }
}

const ALL: RunQuery = RunQuery::latest(9);

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let server = Server::start();
    for options in ["", "?prefix=other,place/&dc=dc1"] {
        conformance::state_store(|| open(&server, options)).await;
    }
    assert_eq!(server.keys(), ["faas-flow/version", "other,place/version"], "deleted runs leave keys behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_with_other_prefixes_do_not_see_each_other() {
    let server = Server::start();
    let (one, other) = (open(&server, "?prefix=a/").await, open(&server, "?prefix=b/").await);
    let change = Change { puts: vec![put("x", Expect::Absent, "1")], ..entered(&run(1), Some(1)) };
    one.commit(&part(1), change.clone()).await.unwrap();
    assert_eq!(other.read_all(&part(1)).await.unwrap(), []);
    assert_eq!(other.due(9, 9).await.unwrap(), []);
    other.commit(&part(1), change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_conflicts_is_one_round_trip() {
    let server = Server::start();
    let store = open(&server, "").await;
    let began = server.traffic().0;
    for n in 0..10 {
        let mut change = Change { arrivals: arrives(n).arrivals, ..entered(&run(1), Some(n + 1)) };
        change.puts = vec![put("x", Expect::Version(n), n.to_string()), put("y", Expect::Any, "")];
        let committed = store.commit(&part(1), change).await.unwrap();
        assert_eq!(committed, Committed { versions: vec![n + 1, n + 1], arrived: vec![n + 1] });
    }
    assert_eq!(server.traffic().0 - began, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outdated_memory_of_a_replica_is_not_a_conflict() {
    let server = Server::start();
    let (one, other) = (open(&server, "").await, open(&server, "").await);
    let write = |expect| puts([put("x", expect, "")]);
    one.commit(&part(1), write(Expect::Absent)).await.unwrap();
    one.commit(&part(1), write(Expect::Version(1))).await.unwrap();
    assert_eq!(other.commit(&part(1), write(Expect::Version(2))).await.unwrap().versions, [3]);
    assert_eq!(one.commit(&part(1), write(Expect::Version(2))).await, Err(CommitError::Conflict));
    assert_eq!(one.commit(&part(1), write(Expect::Any)).await.unwrap().versions, [4]);
    // The same versions, but of a new document.
    other.delete(&part(1)).await.unwrap();
    for n in 0..4 {
        other.commit(&part(1), write(Expect::Version(n))).await.unwrap();
    }
    assert_eq!(one.commit(&part(1), write(Expect::Version(4))).await.unwrap().versions, [5]);
    let check = Change { checks: vec![Check { doc: "x".into(), version: 4 }], ..Change::default() };
    assert_eq!(other.commit(&part(1), check).await, Err(CommitError::Conflict));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_another_replica_moved_leaves_no_trace_in_the_lists() {
    let server = Server::start();
    let (one, other) = (open(&server, "").await, open(&server, "").await);
    for (store, due) in [(&one, Some(10)), (&other, Some(20)), (&one, Some(30)), (&one, None), (&other, Some(40))] {
        store.commit(&part(1), entered(&run(1), due)).await.unwrap();
        let expected: Vec<RunId> = due.map(|_| run(1)).into_iter().collect();
        assert_eq!(store.due(100, 9).await.unwrap(), expected);
    }
    one.delete(&part(1)).await.unwrap();
    assert_eq!((other.due(100, 9).await.unwrap(), other.runs(&ALL).await.unwrap().runs), (vec![], vec![]));
    other.commit(&part(1), entered(&run(1), Some(50))).await.unwrap();
    assert_eq!(one.due(100, 9).await.unwrap(), [run(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_reads_only_the_bundles_that_it_needs() {
    let server = Server::start();
    let store = open(&server, "").await;
    for n in 0..20 {
        let mut change = entered(&run(n as usize), Some(n << 21));
        change.entry.as_mut().unwrap().started = n << 21;
        store.commit(&part(n as usize), change).await.unwrap();
    }
    let began = server.traffic().0;
    let newest: Vec<RunId> =
        store.runs(&RunQuery { limit: 2, ..ALL }).await.unwrap().runs.into_iter().map(|entry| entry.run).collect();
    assert_eq!(newest, [run(19), run(18)]);
    assert_eq!(store.due((1 << 21) + 1, 9).await.unwrap(), [run(0), run(1)]);
    assert_eq!(server.traffic().0 - began, 6, "each listing reads the names of the bundles, and two bundles");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_count_arrivals_together() {
    let server = Server::start();
    let mut tasks = Vec::new();
    for replica in 0..4 {
        let store = open(&server, "?timeout_ms=20000").await;
        for n in 0..32 {
            // Every member arrives at two replicas.
            let (store, member) = (store.clone(), (replica % 2) * 100 + n);
            tasks.push(tokio::spawn(async move { store.commit(&part(1), arrives(member)).await.unwrap().arrived[0] }));
        }
    }
    let mut seen = BTreeSet::new();
    for task in tasks {
        seen.insert(task.await.unwrap());
    }
    assert!(seen.into_iter().eq(1..=64), "a size was skipped, so that a join would never fire");
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_the_size_of_a_set_does_not_depend_on_the_size() {
    let server = Server::start();
    let store = open(&server, "").await;
    let mut answers = BTreeSet::new();
    for n in 100..600 {
        store.commit(&part(1), arrives(n)).await.unwrap();
        let before = server.traffic();
        assert_eq!(store.arrived(&part(1), "s").await.unwrap(), n - 99);
        let after = server.traffic();
        assert_eq!(after.0 - before.0, 1);
        answers.insert(after.1 - before.1);
    }
    assert!(answers.last().unwrap() - answers.first().unwrap() < 10, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_unavailable_until_it_is_back() {
    let mut server = Server::start();
    let store = open(&server, "?timeout_ms=10000").await;
    store.commit(&part(1), puts([put("x", Expect::Absent, "1")])).await.unwrap();
    server.kill();
    let read = store.read(&part(1), &["x".into()]).await.unwrap_err();
    assert_eq!(read.code(), Code::STORE_UNAVAILABLE, "{read}");
    let change = puts([put("x", Expect::Version(1), "2")]);
    let error = store.commit(&part(1), change.clone()).await.unwrap_err();
    assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "{error}");
    server.run();
    assert_eq!(store.commit(&part(1), change).await.unwrap().versions, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    let server = Server::start();
    let store = open(&server, "?timeout_ms=1000").await;
    server.set_mood(Mood::Silent);
    let error = store.commit(&part(1), puts([put("x", Expect::Absent, "1")])).await.unwrap_err();
    assert_eq!(error.code(), Code::STORE_UNAVAILABLE);
    assert!(error.to_string().contains("timeout_ms=1000"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_without_a_leader_are_unavailable() {
    let server = Server::start();
    let store = open(&server, "?timeout_ms=1000").await;
    server.set_mood(Mood::Leaderless);
    for error in [store.entry(&run(1)).await.unwrap_err(), store.runs(&ALL).await.unwrap_err()] {
        assert_eq!(error.code(), Code::STORE_UNAVAILABLE);
        assert!(error.to_string().contains("No cluster leader"), "{error}");
    }
    server.set_mood(Mood::Fine);
    assert_eq!(store.entry(&run(1)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_data_is_reported_as_corrupt() {
    let server = Server::start();
    let store = open(&server, "").await;
    for (key, value) in
        [("r/run1/e", "garbage"), ("r/run1/d/x/v", "garbage"), ("r/run2/d/,zz/v", "="), ("r/run3/d/x/v", "@0123/2")]
    {
        server.put(&format!("faas-flow/{key}"), value);
    }
    let errors = [
        store.entry(&run(1)).await.unwrap_err(),
        store.read_all(&part(1)).await.unwrap_err(),
        store.read(&part(1), &["x".into()]).await.unwrap_err(),
        store.read_all(&part(2)).await.unwrap_err(),
        store.read_all(&part(3)).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.code(), Code::STORE_CORRUPT, "{error}");
    }
    let error = store.commit(&part(1), entered(&run(1), None)).await.unwrap_err();
    assert_eq!(error.code(), Code::STORE_CORRUPT, "{error}");
    for (version, code) in [("2", Code::STORE_NEWER), ("x", Code::STORE_CORRUPT)] {
        server.put("faas-flow/version", version);
        assert_eq!(open_state(&server.url("")).await.err().unwrap().code(), code);
    }
    server.set_mood(Mood::Garbage);
    assert_eq!(store.arrived(&part(1), "s").await.unwrap_err().code(), Code::STORE_CORRUPT);
    assert_eq!(open_state(&server.url("")).await.err().unwrap().code(), Code::STORE_CORRUPT);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_entries_in_the_lists_are_skipped_and_counted() {
    let server = Server::start();
    let store = open(&server, "").await;
    store.commit(&part(1), entered(&run(1), Some(5))).await.unwrap();
    for key in ["l/0/garbage", "l/~", "l/00000000000/0000000000000001/run2", "q/0/garbage", "q/0", "q/00000000000/x"] {
        server.put(&format!("faas-flow/{key}"), "{}");
    }
    for limit in [9, 1] {
        let listed = store.runs(&RunQuery { limit, ..ALL }).await.unwrap().runs;
        assert_eq!(listed.into_iter().map(|entry| entry.run).collect::<Vec<_>>(), [run(1)], "{limit}");
        assert_eq!(store.due(9, limit).await.unwrap(), [run(1)], "{limit}");
    }
    assert_eq!(store.malformed_entries(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_too_many_documents_fails_as_a_whole() {
    let server = Server::start();
    let store = open(&server, "").await;
    let many = |count: usize| puts((0..count).map(|n| put(n, Expect::Absent, "")));
    store.commit(&part(1), many(64)).await.unwrap();
    let error = store.commit(&part(2), many(65)).await.unwrap_err();
    assert_eq!(error.code(), Code::CHANGE_TOO_LARGE);
    assert!(error.to_string().contains("(65 > 64)"), "{error}");
    assert_eq!(store.read_all(&part(2)).await.unwrap(), []);
    server.is_new();
    store.commit(&part(2), many(128)).await.unwrap();
    let docs: Vec<String> = (0..128).map(|n| n.to_string()).collect();
    assert!(store.read(&part(2), &docs).await.unwrap().iter().all(Option::is_some));
}

/// A piece of 50 documents and 768 KiB with its guards, an entry that moves, and arrivals.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_driver_fits() {
    let server = Server::start();
    let store = open(&server, "").await;
    for version in 0..3 {
        let bytes = Bytes::from(vec![7; (768 << 10) / 50]);
        let guards = (0..4).map(|n| Check { doc: format!("missing{n}"), version: 0 }).collect();
        let change = Change {
            checks: guards,
            puts: (0..50).map(|n| put(n, Expect::Version(version), bytes.clone())).collect(),
            arrivals: arrives(version).arrivals,
            ..entered(&run(1), Some(version))
        };
        let committed = store.commit(&part(1), change).await.unwrap();
        assert_eq!(committed, Committed { versions: vec![version + 1; 50], arrived: vec![version + 1] });
        assert!(store.read_all(&part(1)).await.unwrap().iter().all(|(_, doc)| doc.bytes == bytes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_to_which_no_head_refers_are_deleted() {
    let server = Server::start();
    let store = open(&server, "").await;
    let large = |fill: u8| vec![fill; 3 << 20];
    let pieces = || server.keys().iter().filter(|key| key.contains("/d/x/") && !key.ends_with("/v")).count();
    store.commit(&part(1), puts([put("x", Expect::Absent, large(1))])).await.unwrap();
    let first = pieces();
    assert!(first > 6);
    store.commit(&part(1), puts([put("x", Expect::Version(1), large(2))])).await.unwrap();
    assert_eq!(pieces(), first, "the replaced ones are gone");
    let late = puts([put("x", Expect::Version(2), large(3)), put("y", Expect::Absent, "")]);
    open(&server, "").await.commit(&part(1), puts([put("y", Expect::Absent, "")])).await.unwrap();
    assert_eq!(store.commit(&part(1), late).await, Err(CommitError::Conflict));
    assert_eq!(pieces(), first, "those of a change that conflicted are gone");
    assert!(store.read(&part(1), &["x".into()]).await.unwrap()[0].as_ref().unwrap().bytes == large(2));
    store.commit(&part(1), puts([put("x", Expect::Version(2), "small")])).await.unwrap();
    assert_eq!(pieces(), 0);
    let mut member = arrives("m");
    member.arrivals[0].bytes = large(4).into();
    for _ in 0..2 {
        assert_eq!(store.commit(&part(1), member.clone()).await.unwrap().arrived, [1]);
    }
    assert!(store.arrivals(&part(1), "s").await.unwrap()[0].1 == large(4));
    store.delete(&part(1)).await.unwrap();
    assert_eq!(server.keys(), ["faas-flow/version"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_decides_what_is_allowed_and_is_never_shown() {
    let server = Server::start();
    server.allows("s3cr3t-0", "faas-flow/");
    let store = open(&server, "?token=s3cr3t-0").await;
    store.commit(&part(1), entered(&run(1), Some(1))).await.unwrap();
    for refused in ["?token=", "?token=s3cr3t-1", "?token=s3cr3t-0&prefix=other"] {
        let error = open_state(&server.url(refused)).await.err().unwrap();
        assert_eq!(error.code(), Code::STORE_DENIED, "{error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
    server.allows("s3cr3t-2", "faas-flow/");
    let errors = [store.runs(&ALL).await.unwrap_err(), store.delete(&part(1)).await.unwrap_err()];
    assert!(errors.iter().all(|error| error.code() == Code::STORE_DENIED), "{errors:?}");
    server.allows("s3cr3t-0", "elsewhere/");
    let error = store.commit(&part(2), puts([put("x", Expect::Absent, "")])).await.unwrap_err();
    assert_eq!(error.code(), Code::STORE_DENIED, "{error}");
}

/// A test must not change the environment of its process, so it starts itself again with the variable set.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_may_come_from_the_environment() {
    const SERVER: &str = "FAAS_FLOW_TEST_CONSUL";
    if let Ok(url) = std::env::var(SERVER) {
        open_state(&url).await.unwrap();
        let error = open_state(&format!("{url}?token=wrong")).await.err().unwrap();
        assert_eq!(error.code(), Code::STORE_DENIED, "the address comes first");
        return;
    }
    let server = Server::start();
    server.allows("s3cr3t", "faas-flow/");
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "the_token_may_come_from_the_environment"]);
    let output = again.env(SERVER, server.url("")).env("CONSUL_HTTP_TOKEN", "s3cr3t").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_conforms_and_trusts_only_its_authority() {
    let server = Server::start();
    let front = Front::before(server.address()).await;
    let url = format!("consuls://127.0.0.1:{}?timeout_ms=20000", front.port);
    let trusted = format!("{url}&ca={}", front.authority());
    conformance::state_store(|| async { open_state(&trusted).await.unwrap() }).await;
    let error = open_state(&url).await.err().unwrap();
    assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "{error}");
    for bad in ["/nowhere", "Cargo.toml"] {
        let error = open_state(&format!("{url}&ca={bad}")).await.err().unwrap();
        assert_eq!(error.code(), Code::BAD_STORE_URL, "{error}");
    }
}

#[tokio::test]
async fn an_address_that_names_no_agent_is_refused() {
    for url in [
        "consul",
        "consul://",
        "consul://a/b",
        "consul://user:s3cr3t@a",
        "consul://a b",
        "consul://a?token=x%0ay",
        "consul://a?ca=x",
        "consul://a?prefix=/x",
        "consul://a?prefix=a%20b",
        "consul://a?dc=a/b",
        "consul://a?timeout_ms=soon",
    ] {
        let error = open_state(url).await.err().unwrap();
        assert_eq!(error.code(), Code::BAD_STORE_URL, "{url}: {error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_agent_behind_the_same_address_takes_over() {
    let (one, other) = (Server::start(), Server::start());
    let proxy = Proxy::before(one.address().port()).await;
    let store = open_state(&format!("consul://127.0.0.1:{}?timeout_ms=20000", proxy.port)).await.unwrap();
    store.commit(&part(1), puts([put("x", Expect::Any, "1")])).await.unwrap();
    // The connection to the first agent stays, but that one has lost the servers.
    one.set_mood(Mood::Leaderless);
    proxy.lead_to(other.address().port());
    store.commit(&part(2), puts([put("x", Expect::Any, "1")])).await.unwrap();
    assert!(other.keys().iter().any(|key| key.contains("run2")), "{:?}", other.keys());
    // One that is silent is left after the time limit, which is long here: a second store has a short one.
    let hasty = open_state(&format!("consul://127.0.0.1:{}?timeout_ms=500", proxy.port)).await.unwrap();
    other.set_mood(Mood::Silent);
    one.set_mood(Mood::Fine);
    proxy.lead_to(one.address().port());
    assert_eq!(hasty.read_all(&part(1)).await.unwrap_err().code(), Code::STORE_UNAVAILABLE);
    assert_eq!(hasty.read_all(&part(1)).await.unwrap().len(), 1);
}
