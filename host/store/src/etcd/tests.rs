//! Tests against the real etcd server, one process per test.

mod server;

use super::places::Place;
use crate::changes::Seen;
use crate::{
    Arrival, Change, Check, CommitError, Expect, Put, RunEntry, RunQuery, StateStore, StoreError, conformance,
    open_state,
};
use etcd_client::{Client, CompactionOptions};
use faas_flow_core::{Code, Digest, FlowName, Partition, RunId, Status};
use faas_flow_test_support::proxy::Proxy;
use server::Server;
use std::sync::Arc;
use std::time::Duration;

fn run(n: usize) -> RunId {
    RunId::new(format!("run{n}")).unwrap()
}

fn part(n: usize) -> Partition {
    Partition::of_run(&run(n))
}

fn put(doc: impl ToString, expect: Expect, bytes: impl Into<bytes::Bytes>) -> Put {
    Put { doc: doc.to_string(), expect, bytes: bytes.into() }
}

fn puts(puts: impl IntoIterator<Item = Put>) -> Change {
    Change { puts: puts.into_iter().collect(), ..Change::default() }
}

fn entered(run: &RunId, due: Option<u64>) -> Change {
    let (flow, digest) = (FlowName::new("flow").unwrap(), Digest::of(b""));
    let entry = RunEntry {
        failure: None,
        run: run.clone(),
        flow,
        digest,
        status: Status::Running,
        labels: faas_flow_core::Labels::new(),
        started: 1,
        ended: None,
        due,
    };
    Change { entry: Some(entry), ..Change::default() }
}

async fn raw(server: &Server) -> Client {
    Client::connect([server.host()], None).await.unwrap()
}

/// Reads until the store returns an error, and returns its code.
async fn fails(store: &Arc<dyn StateStore>) -> Code {
    loop {
        match store.read(&part(1), &["x".into()]).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => return error.code(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let server = Server::start(&[]);
    conformance::state_store(|| async { open_state(&server.url("")).await.unwrap() }).await;
    let left = raw(&server).await.get("", Some(etcd_client::GetOptions::new().with_all_keys())).await.unwrap();
    assert_eq!(left.kvs().len(), 1, "only the version is left");
}

/// In etcd, a key expires with its lease.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_has_a_lease() {
    let server = Server::start(&[]);
    let left = |partition: Partition| {
        let server = &server;
        async move {
            let below = etcd_client::GetOptions::new().with_prefix();
            let found = raw(server).await.get(format!("faas-flow/r/{partition}/"), Some(below)).await.unwrap();
            assert!(!found.kvs().is_empty(), "nothing is stored in {partition}");
            found.kvs().iter().any(|key| key.lease() != 0).then_some(Duration::ZERO)
        }
    };
    conformance::state_lifetimes(server.open("").await, left).await;
}

/// Whatever a reader knows of versions: the servers leave out what was written before.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_written_since_is_transferred() {
    let server = Server::start(&[]);
    let store = server.open("").await;
    for chunk in 0..30 {
        let items = (0..50).map(|item| put(format!("scope:F[{chunk}-{item}]"), Expect::Absent, "1"));
        store.commit(&part(1), puts(items.chain([put(format!("data:{chunk}"), Expect::Absent, "1")]))).await.unwrap();
    }
    let mut seen = Arc::new(Seen::default());
    let mut pieces = Vec::new();
    while {
        let changed = store.read_changed(&part(1), &seen).await.unwrap();
        pieces.push(changed.documents.len());
        Arc::make_mut(&mut seen).note(&changed);
        changed.more
    } {}
    assert_eq!(pieces, [1000, 500]);
    let change = ["scope:F[3-4]", "answers", "data:x"].map(|doc| put(doc, Expect::Any, "2"));
    store.commit(&part(1), puts(change)).await.unwrap();
    let mut forgetful = Seen::default();
    forgetful.position = seen.position.clone();
    let changed = store.read_changed(&part(1), &Arc::new(forgetful)).await.unwrap();
    let names: Vec<&str> = changed.documents.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, changed.more), (vec!["answers", "scope:F[3-4]"], false));
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_with_other_prefixes_do_not_see_each_other() {
    let server = Server::start(&[]);
    let (one, other) = (server.open("?prefix=a%2F").await, server.open("?prefix=b%2F").await);
    let change = Change { puts: vec![put("x", Expect::Absent, "1")], ..entered(&run(1), Some(1)) };
    one.commit(&part(1), change.clone()).await.unwrap();
    assert_eq!(other.read_all(&part(1)).await.unwrap(), []);
    assert_eq!(other.due(9, 9).await.unwrap(), []);
    other.commit(&part(1), change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_another_replica_moved_leaves_no_trace_in_the_lists() {
    let server = Server::start(&[]);
    let (one, other) = (server.open("").await, server.open("").await);
    for (store, due) in [(&one, Some(10)), (&other, Some(20)), (&one, Some(30)), (&one, None), (&other, Some(40))] {
        store.commit(&part(1), entered(&run(1), due)).await.unwrap();
        let expected: Vec<RunId> = due.map(|_| run(1)).into_iter().collect();
        assert_eq!(store.due(100, 9).await.unwrap(), expected);
    }
    one.delete(&part(1)).await.unwrap();
    assert_eq!(other.due(100, 9).await.unwrap(), []);
    assert_eq!(other.runs(&RunQuery::latest(9)).await.unwrap().runs, []);
    // What the other replica remembers is out of date now.
    other.commit(&part(1), entered(&run(1), Some(50))).await.unwrap();
    assert_eq!(one.due(100, 9).await.unwrap(), [run(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_unavailable_until_it_is_back() {
    let mut server = Server::start(&[]);
    let store = server.open("?timeout_ms=10000").await;
    store.commit(&part(1), puts([put("x", Expect::Absent, "1")])).await.unwrap();
    server.kill();
    assert_eq!(fails(&store).await, Code::STORE_UNAVAILABLE);
    let change = puts([put("x", Expect::Version(1), "2")]);
    let error = store.commit(&part(1), change.clone()).await.unwrap_err();
    assert!(matches!(&error, CommitError::Store(StoreError::Unavailable { .. })), "{error}");
    server.run();
    let committed = loop {
        match store.commit(&part(1), change.clone()).await {
            Err(CommitError::Store(StoreError::Unavailable { .. })) => tokio::task::yield_now().await,
            committed => break committed,
        }
    };
    assert_eq!(committed.unwrap().versions, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("etcd://{}?timeout_ms=200", silent.local_addr().unwrap());
    let error = open_state(&url).await.err().unwrap();
    assert_eq!(error.code(), Code::STORE_UNAVAILABLE);
    assert!(error.to_string().contains("timeout_ms=200"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_given_up_in_time() {
    let server = Server::start(&[]);
    let store = server.open("?timeout_ms=1000").await;
    server.suspend();
    let error = store.commit(&part(1), puts([put("x", Expect::Any, "1")])).await.unwrap_err();
    assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "{error}");
    server.resume();
    while store.read(&part(1), &["x".into()]).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_leader_fails_commits_until_there_is_one_again() {
    let [server, mut second, mut third] = Server::cluster().await;
    let store = server.open("?timeout_ms=3000").await;
    store.commit(&part(1), puts([put("x", Expect::Absent, "1")])).await.unwrap();
    second.kill();
    third.kill();
    let error = store.commit(&part(1), puts([put("y", Expect::Absent, "1")])).await.unwrap_err();
    assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "{error}");
    second.run();
    while let Err(error) = store.commit(&part(1), puts([put("x", Expect::Any, "2")])).await {
        assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_behind_the_same_address_takes_over() {
    let [first, second, third] = Server::cluster().await;
    let proxy = Proxy::before(first.port()).await;
    let url = format!("etcd://127.0.0.1:{}?timeout_ms=2000", proxy.port);
    let store = open_state(&url).await.unwrap();
    let mut version = 0;
    let mut commit = async || {
        // A commit without an answer may have happened, so the version is not known after it.
        while let Err(error) = store.commit(&part(1), puts([put("x", Expect::Any, "1")])).await {
            assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "{error}");
        }
        let found = store.read(&part(1), &["x".into()]).await.unwrap()[0].as_ref().unwrap().version;
        assert!(std::mem::replace(&mut version, found) < found, "the commit is lost");
    };
    commit().await;
    // A server that hangs: the others choose another leader, and the connection to this one stays.
    first.suspend();
    proxy.lead_to(second.port());
    commit().await;
    first.resume();
    // A member that the others remove ends.
    let mut client = raw(&third).await;
    let members = client.member_list().await.unwrap();
    let its =
        members.members().iter().find(|member| member.client_urls().iter().any(|url| url.ends_with(&second.host())));
    let id = its.unwrap().id();
    proxy.lead_to(third.port());
    while client.member_remove(id).await.is_err() {
        tokio::task::yield_now().await;
    }
    commit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_of_several_is_enough_to_answer() {
    let server = Server::start(&[]);
    let url = format!("etcd://{},127.0.0.1:1?timeout_ms=5000", server.host());
    let store = open_state(&url).await.unwrap();
    for n in 1..=20 {
        store.commit(&part(1), puts([put("x", Expect::Version(n - 1), "")])).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_takes_nothing_away() {
    let server = Server::start(&[]);
    let store = server.open("").await;
    for n in 0..150 {
        store.commit(&part(1), puts([put(n, Expect::Absent, "1"), put("x", Expect::Any, "")])).await.unwrap();
    }
    let docs: Vec<String> = (0..150).map(|n| n.to_string()).collect();
    let mut client = raw(&server).await;
    let revision = client.get("x", None).await.unwrap().header().unwrap().revision();
    client.compact(revision, Some(CompactionOptions::new().with_physical())).await.unwrap();
    assert!(store.read(&part(1), &docs).await.unwrap().iter().all(|doc| doc.as_ref().unwrap().version == 1));
    assert_eq!(store.read_all(&part(1)).await.unwrap().len(), 151);
    assert_eq!(store.commit(&part(1), puts([put("x", Expect::Version(150), "")])).await.unwrap().versions, [151]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_page_comes_back_in_order() {
    let server = Server::start(&[]);
    let store = server.open("").await;
    for chunk in 0..21 {
        let arrival = |n| Arrival { set: "s".into(), member: format!("{chunk:02}-{n:02}"), bytes: "".into() };
        let change = Change { arrivals: (0..60).map(arrival).collect(), ..Change::default() };
        assert_eq!(store.commit(&part(1), change).await.unwrap().arrived, [(chunk + 1) * 60; 60]);
    }
    let members = store.arrivals(&part(1), "s").await.unwrap();
    assert_eq!((members.len(), store.arrived(&part(1), "s").await.unwrap()), (1260, 1260));
    assert!(members.is_sorted());
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_data_is_reported_as_corrupt() {
    let server = Server::start(&[]);
    let store = server.open("").await;
    let mut client = raw(&server).await;
    client.put("faas-flow/r/run1/e", "garbage", None).await.unwrap();
    client.put(b"faas-flow/r/run1/d/\xff".as_slice(), "", None).await.unwrap();
    assert_eq!(store.entry(&run(1)).await.unwrap_err().code(), Code::STORE_CORRUPT);
    assert_eq!(store.read_all(&part(1)).await.unwrap_err().code(), Code::STORE_CORRUPT);
    assert_eq!(store.commit(&part(1), entered(&run(1), None)).await.unwrap_err().code(), Code::STORE_CORRUPT);

    for (version, code) in [("2", Code::STORE_NEWER), ("x", Code::STORE_CORRUPT)] {
        client.put("faas-flow/version", version, None).await.unwrap();
        assert_eq!(open_state(&server.url("")).await.err().unwrap().code(), code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_entries_in_the_lists_are_skipped_and_counted() {
    let server = Server::start(&[]);
    let store = server.open("").await;
    store.commit(&part(1), entered(&run(1), Some(5))).await.unwrap();
    let mut client = raw(&server).await;
    // Some sort before the run, some after it.
    for key in [
        &b"faas-flow/l/\0garbage"[..],
        b"faas-flow/l/~garbage",
        b"faas-flow/q/\0\0\0\0\0\0\0\0/no/run",
        b"faas-flow/q/\0",
    ] {
        client.put(key, "{}", None).await.unwrap();
    }
    let query = |limit| RunQuery::latest(limit);
    for limit in [9, 1] {
        let listed = store.runs(&query(limit)).await.unwrap().runs;
        assert_eq!(listed.into_iter().map(|entry| entry.run).collect::<Vec<_>>(), [run(1)], "{limit}");
        assert_eq!(store.due(9, limit).await.unwrap(), [run(1)], "{limit}");
    }
    assert_eq!(store.malformed_entries(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_beyond_the_servers_bounds_says_which_bound_to_raise() {
    let server = Server::start(&[]);
    let store = server.open("").await;
    let many = |count: usize| puts((0..count).map(|n| put(n, Expect::Absent, "")));
    store.commit(&part(1), many(128)).await.unwrap();
    let large = || puts(["a", "b"].map(|doc| put(doc, Expect::Absent, vec![7; 1 << 20])));
    for (change, flag) in [(many(129), "--max-txn-ops"), (large(), "--max-request-bytes")] {
        let error = store.commit(&part(2), change).await.unwrap_err();
        assert_eq!(error.code(), Code::CHANGE_TOO_LARGE);
        assert!(error.to_string().contains(flag), "{error}");
        assert_eq!(store.read_all(&part(2)).await.unwrap(), []);
    }
    let generous = Server::start(&["--max-txn-ops=1000", "--max-request-bytes=10000000"]);
    let store = generous.open("").await;
    store.commit(&part(1), many(1000)).await.unwrap();
    store.commit(&part(2), large()).await.unwrap();
    assert_eq!(store.read_all(&part(1)).await.unwrap().len(), 1000);
}

/// The largest change of the driver: a piece of new documents with its guards, an entry, and an arrival.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_driver_fits() {
    let server = Server::start(&[]);
    let store = server.open("").await;
    for due in [1, 2] {
        let checks = (0..20).map(|n| Check { doc: format!("missing{n}"), version: 0 }).collect();
        let arrivals = vec![Arrival { set: "s".into(), member: due.to_string(), bytes: "".into() }];
        let puts = (0..100).map(|n| put(n, Expect::Any, "")).take(if due == 1 { 60 } else { 50 });
        let change = Change { checks, arrivals, puts: puts.collect(), ..entered(&run(1), Some(due)) };
        assert_eq!(store.commit(&part(1), change).await.unwrap().arrived, [due]);
    }
    let piece = puts((0..100).map(|n| put(n, Expect::Absent, "")));
    let change = Change { puts: piece.puts, ..entered(&run(2), Some(1)) };
    store.commit(&part(2), change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_known_by_their_passwords() {
    let server = Server::start(&[]);
    let mut client = raw(&server).await;
    for user in ["root", "us@er"] {
        client.user_add(user, "pass:w@rd", None).await.unwrap();
    }
    client.user_grant_role("root", "root").await.unwrap();
    client.role_add("flows").await.unwrap();
    let permission = etcd_client::Permission::read_write("faas-flow/").with_prefix();
    client.role_grant_permission("flows", permission).await.unwrap();
    client.user_grant_role("us@er", "flows").await.unwrap();
    client.auth_enable().await.unwrap();

    let url = |user: &str, rest: &str| format!("etcd://{user}{}{rest}", server.host());
    let store = open_state(&url("us%40er:pass%3Aw%40rd@", "")).await.unwrap();
    store.commit(&part(1), entered(&run(1), Some(1))).await.unwrap();
    for refused in [url("", ""), url("us%40er:secret@", ""), url("us%40er:pass%3Aw%40rd@", "?prefix=other")] {
        let error = open_state(&refused).await.err().unwrap();
        assert_eq!(error.code(), Code::STORE_DENIED, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_conforms_and_both_sides_show_who_they_are() {
    let server = Server::start_secure();
    let (cert, key) = (server.file("cert.pem"), server.file("key.pem"));
    let shown = format!("?ca={cert}&cert={cert}&key={key}");
    // A server that has just started may take a while.
    server.open(&shown).await;
    conformance::state_store(|| async { open_state(&server.url(&shown)).await.unwrap() }).await;
    let plain = format!("etcd://{}", server.host());
    for refused in [server.url(&format!("?ca={cert}")), server.url(&format!("?cert={cert}&key={key}")), plain] {
        let mark = if refused.contains('?') { '&' } else { '?' };
        let error = open_state(&format!("{refused}{mark}timeout_ms=2000")).await.err().unwrap();
        assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "{refused}: {error}");
    }
}

#[tokio::test]
async fn an_address_that_names_no_servers_is_refused() {
    for url in ["etcd", "etcd://", "etcd://a,", "etcd://a/b", "etcd://a?ca=x", "etcds://a?cert=x", "etcd://a b"] {
        let error = open_state(url).await.err().unwrap();
        assert_eq!(error.code(), Code::BAD_STORE_URL, "{url}: {error}");
    }
}

#[test]
fn the_runs_that_changed_last_are_remembered() {
    let places = super::Places::default();
    let place = |n| Place { revision: n, ..Place::default() };
    for n in 0..25_000 {
        places.note(&part(n), place(n as i64));
    }
    assert_eq!(places.of(&part(24_999)), place(24_999));
    assert_eq!(places.of(&part(15_000)), place(15_000));
    assert_eq!(places.of(&part(0)), Place::default());
}
