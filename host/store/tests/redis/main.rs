//! Tests of the backends in Redis against the real server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod failover;
mod lifetimes;
mod lists;
mod reach;

use bytes::Bytes;
use faas_flow_core::{Code, Digest, FlowName, Partition, RunId, Status};
use faas_flow_store::*;
use faas_flow_test_support::servers::{Server, free_port, redis as server, redis_cluster};
use redis::Commands;
use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::time::Duration;

fn url(server: &Server, options: &str) -> String {
    format!("redis://127.0.0.1:{}{options}", server.port())
}

fn raw(server: &Server) -> redis::Connection {
    redis::Client::open(url(server, "")).unwrap().get_connection().unwrap()
}

async fn state(server: &Server) -> Arc<dyn StateStore> {
    open_state(&url(server, "?timeout_ms=20000")).await.unwrap()
}

fn run(name: &str) -> RunId {
    RunId::new(name).unwrap()
}

fn part(run: &RunId) -> Partition {
    Partition::of_run(run)
}

fn entry(run: &RunId, due: Option<u64>, ended: Option<u64>) -> RunEntry {
    let (flow, digest) = (FlowName::new("flow").unwrap(), Digest::of(b"module"));
    RunEntry {
        run: run.clone(),
        flow,
        digest,
        status: Status::Running,
        labels: faas_flow_core::Labels::new(),
        failure: None,
        started: 5,
        ended,
        due,
    }
}

/// A change of every kind.
fn everything(run: &RunId, version: u64) -> Change {
    Change {
        checks: vec![Check { doc: "y".into(), version: 0 }],
        puts: vec![Put { doc: "x".into(), expect: Expect::Version(version), bytes: version.to_string().into() }],
        arrivals: vec![Arrival { set: "s".into(), member: version.to_string(), bytes: "m".into() }],
        entry: Some(entry(run, Some(7), None)),
    }
}

fn store_code(error: CommitError) -> Code {
    match error {
        CommitError::Store(error) => error.code(),
        CommitError::Conflict => panic!("a conflict"),
    }
}

fn keys(connection: &mut redis::Connection) -> Vec<String> {
    let mut keys: Vec<String> = connection.keys("*").unwrap();
    keys.sort_unstable();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let server = server(&[]);
    for options in ["", "/3?prefix=other:&partitions=1"] {
        let url = url(&server, options);
        conformance::state_store(|| async { open_state(&url).await.unwrap() }).await;
    }
    let left = keys(&mut raw(&server));
    assert_eq!(left, ["ff:indexed", "ff:store"], "deleted runs leave keys behind");
    for options in ["/1", "/1?ttl_s=0&prefix=a:"] {
        let url = url(&server, options);
        conformance::data_store(|| async { open_data(&url).await.unwrap() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_conforms() {
    let server = redis_cluster();
    let mut connection = raw(&server);
    let _: () = redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16383).query(&mut connection).unwrap();
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    conformance::state_store(|| async { open_state(&url).await.unwrap() }).await;
    conformance::data_store(|| async { open_data(&url).await.unwrap() }).await;
    lifetimes::conform(&server, open_state(&url).await.unwrap(), open_data(&url).await.unwrap()).await;

    let r = run("r");
    open_state(&url).await.unwrap().commit(&part(&r), everything(&r, 0)).await.unwrap();
    for (option, value) in [("maxmemory", "64mb"), ("maxmemory-policy", "volatile-lru")] {
        redis::cmd("CONFIG").arg("SET").arg(option).arg(value).exec(&mut connection).unwrap();
    }
    for error in [open_state(&url).await.err(), open_data(&url).await.err()] {
        assert_eq!(error.map(|error| error.code()), Some(Code::STORE_EVICTS));
    }
    let slot =
        |key: &String| -> u64 { redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query(&mut raw(&server)).unwrap() };
    let keys: Vec<String> = keys(&mut connection).into_iter().filter(|key| key.contains('{')).collect();
    assert_eq!(keys.len(), 6, "{keys:?}");
    assert!(keys.iter().all(|key| slot(key) == slot(&keys[0])), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_one_command() {
    let server = server(&[]);
    let (store, r) = (state(&server).await, run("r"));
    store.commit(&part(&r), everything(&r, 0)).await.unwrap();

    let mut monitor = std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    monitor.write_all(b"MONITOR\r\n").unwrap();
    let mut lines = BufReader::new(monitor).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "+OK");
    let committed = store.commit(&part(&r), everything(&r, 1)).await.unwrap();
    assert_eq!(committed, Committed { versions: vec![2], arrived: vec![2] });
    let _: () = redis::cmd("ECHO").arg("the end").query(&mut raw(&server)).unwrap();

    let commands: Vec<String> = lines.take_while(|line| !line.contains("the end")).collect();
    let sent: Vec<&String> = commands.iter().filter(|line| !line.contains(" lua]")).collect();
    let ours = sent.iter().filter(|line| !line.contains("\"CLIENT\"") && !line.contains("\"HELLO\"")).count();
    assert_eq!(ours, 1, "{sent:?}");
    assert!(sent[0].contains("\"EVALSHA\""), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_wait_for_a_restart_and_nothing_is_lost() {
    let mut server = server(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (store, r) = (state(&server).await, run("r"));
    let hasty = open_state(&url(&server, "?timeout_ms=3000")).await.unwrap();
    for round in 0..3 {
        store.commit(&part(&r), everything(&r, round)).await.unwrap();
        server.kill();
        let reading = tokio::spawn({
            let (store, r) = (store.clone(), r.clone());
            async move { store.read(&part(&r), &["x".into()]).await }
        });
        tokio::task::yield_now().await;
        server.run();
        let docs = reading.await.unwrap().unwrap();
        assert_eq!(docs[0].as_ref().unwrap().version, round + 1);
    }
    server.kill();
    let error = hasty.commit(&part(&r), everything(&r, 3)).await.unwrap_err();
    assert_eq!(store_code(error), Code::STORE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_given_up_after_the_timeout() {
    let server = server(&[]);
    let store = open_state(&url(&server, "?timeout_ms=3000")).await.unwrap();
    let r = run("r");
    store.commit(&part(&r), everything(&r, 0)).await.unwrap();
    server.suspend();
    let error = store.commit(&part(&r), everything(&r, 1)).await.unwrap_err();
    assert_eq!(store_code(error), Code::STORE_UNAVAILABLE);
    server.resume();
    // It was unknown whether the commit had happened; a read tells.
    let version = store.read(&part(&r), &["x".into()]).await.unwrap()[0].as_ref().unwrap().version;
    store.commit(&part(&r), everything(&r, version)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_of_a_server_that_rejects_writes_says_why() {
    let server = server(&[]);
    // As long as a server only takes reads, it is asked again, since it may have been replaced by another.
    let (store, r) = (open_state(&url(&server, "?timeout_ms=1000")).await.unwrap(), run("r"));
    store.commit(&part(&r), everything(&r, 0)).await.unwrap();
    let mut connection = raw(&server);
    let mut tell = |words: &[&str]| {
        let mut command = redis::Cmd::new();
        command.arg(words).query::<()>(&mut connection).unwrap();
    };
    let mut entry_only = everything(&r, 1);
    entry_only.puts.clear();
    for (broken, mended, code) in [
        (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"], Code::STORE_FULL),
        (["REPLICAOF", "127.0.0.1", "1", ""], ["REPLICAOF", "NO", "ONE", ""], Code::STORE_READ_ONLY),
    ] {
        let words = |words: [&'static str; 4]| words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
        let before = store.read_all(&part(&r)).await.unwrap();
        tell(&words(broken));
        for change in [everything(&r, 1), entry_only.clone()] {
            let error = store.commit(&part(&r), change).await.unwrap_err();
            assert_eq!(store_code(error.clone()), code, "{error}");
        }
        assert_eq!(store.read_all(&part(&r)).await.unwrap(), before);
        assert_eq!(store.arrived(&part(&r), "s").await.unwrap(), 1);
        tell(&words(mended));
    }
    store.commit(&part(&r), everything(&r, 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_data_is_reported_and_not_changed() {
    let server = server(&[]);
    let (store, r) = (open_state(&url(&server, "?partitions=1")).await.unwrap(), run("r"));
    let mut connection = raw(&server);
    let (key, set) = ("ff:{0}:run:r", "ff:{0}:run:r:s");
    let malformed: [(&str, &[&str]); 8] = [
        ("the run", &["SET", key, "x"]),
        ("a set", &["SET", set, "x"]),
        ("a version", &["HSET", key, "vx", "many"]),
        ("a version too high", &["HSET", key, "vx", "99999999999999999999999"]),
        ("the list", &["SET", "ff:{0}:runs", "x"]),
        ("what is due", &["SET", "ff:{0}:due", "x"]),
        ("the labels", &["SET", "ff:{0}:labels", "x"]),
        ("what is labeled", &["SET", "ff:{0}:labeled", "x"]),
    ];
    for (what, words) in malformed {
        redis::Cmd::new().arg(words).query::<()>(&mut connection).unwrap();
        let before = keys(&mut connection);
        let mut change = everything(&r, 0);
        change.puts[0].expect = Expect::Any;
        let error = store.commit(&part(&r), change).await.unwrap_err();
        assert_eq!(store_code(error.clone()), Code::STORE_CORRUPT, "{what}: {error}");
        assert_eq!(keys(&mut connection), before, "{what}");
        store.delete(&part(&r)).await.ok();
        let gone: Vec<&str> = vec![key, set, "ff:{0}:runs", "ff:{0}:due", "ff:{0}:labels", "ff:{0}:labeled"];
        connection.del::<_, ()>(gone).unwrap();
    }
    for fields in [&["vx", "1"][..], &["dx", "1"], &["vx", "no", "dx", "1"]] {
        redis::Cmd::new().arg("HSET").arg(key).arg(fields).query::<()>(&mut connection).unwrap();
        assert_eq!(store.read(&part(&r), &["x".into()]).await.unwrap_err().code(), Code::STORE_CORRUPT, "{fields:?}");
        assert_eq!(store.read_all(&part(&r)).await.unwrap_err().code(), Code::STORE_CORRUPT, "{fields:?}");
        store.delete(&part(&r)).await.unwrap();
    }
    for text in ["", "nonsense", "flow digest running 1 - -", "\u{0}"] {
        redis::Cmd::new().arg(&["HSET", key, "e", text]).query::<()>(&mut connection).unwrap();
        assert_eq!(store.entry(&r).await.unwrap_err().code(), Code::STORE_CORRUPT, "{text:?}");
    }
    for (text, code) in [("hello", Code::STORE_CORRUPT), ("2 16", Code::STORE_NEWER), ("1 0", Code::STORE_CORRUPT)] {
        connection.set::<_, _, ()>("ff:store", text).unwrap();
        let error = open_state(&url(&server, "")).await.err().unwrap();
        assert_eq!(error.code(), code, "{text}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_authentication_does_not_show_the_password() {
    let server = server(&["--requirepass", "open sesame"]);
    let address = |user: &str| format!("redis://{user}127.0.0.1:{}/0?timeout_ms=2000", server.port());
    for user in ["", ":secret@", "somebody:secret@"] {
        let error = open_state(&address(user)).await.err().unwrap();
        assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(error.to_string().contains(&server.port().to_string()), "{error}");
    }
    open_state(&address(":open%20sesame@")).await.unwrap();
    let error = open_state(&format!("redis://u:secret@127.0.0.1:{}?timeout_ms=200", free_port())).await.err().unwrap();
    assert_eq!(error.code(), Code::STORE_UNAVAILABLE);
    assert!(!error.to_string().contains("secret"), "{error}");
    for bad in [
        "redis://",
        "redis://u:secret@h:x",
        "redis://u:secret@a,b",
        "redis+sentinel://u:secret@a",
        "redis://u:secret@a?ca=b",
    ] {
        let error = open_state(bad).await.err().unwrap();
        assert_eq!(error.code(), Code::BAD_STORE_URL, "{bad}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_the_right_to_one_command_is_asked_with_another() {
    let server = server(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
    let mut connection = raw(&server);
    let mut user = |name: &str, rights: &[&str]| {
        let all = ["on", ">secret", "~*", "+@all"];
        redis::cmd("ACL").arg("SETUSER").arg(name).arg(&all).arg(rights).exec(&mut connection).unwrap();
        format!("redis://{name}:secret@127.0.0.1:{}", server.port())
    };
    for rights in [["-config"], ["-info"]] {
        let error = open_state(&user("limited", &["+@all"])).await.err();
        assert_eq!(error.map(|error| error.code()), Some(Code::STORE_EVICTS));
        let error = open_state(&user("limited", &rights)).await.err();
        assert_eq!(error.map(|error| error.code()), Some(Code::STORE_EVICTS), "{rights:?}");
    }
    // It cannot be found out, which is logged.
    let store = open_state(&user("blind", &["-config", "-info"])).await.unwrap();
    assert_eq!(store.read_all(&part(&run("r"))).await.unwrap(), []);
}

/// What the server has sent, in bytes.
fn sent(connection: &mut redis::Connection) -> u64 {
    let info: String = redis::cmd("INFO").arg("stats").query(connection).unwrap();
    let line = info.lines().find_map(|line| line.trim().strip_prefix("total_net_output_bytes:"));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_read_without_the_bytes_of_payloads() {
    let server = server(&[]);
    let (store, r) = (state(&server).await, run("r"));
    let payload = bytes::Bytes::from(vec![7; 20 << 10]);
    for n in 0..100 {
        let put = |doc: String, bytes| Put { doc, expect: Expect::Absent, bytes };
        let puts = vec![put(format!("scope:F[{n}]"), "small".into()), put(format!("data:F[{n}]/n/0"), payload.clone())];
        store.commit(&part(&r), Change { puts, ..Change::default() }).await.unwrap();
    }
    let mut connection = raw(&server);
    let before = sent(&mut connection);
    assert_eq!(store.read_progress(&part(&r)).await.unwrap().len(), 100);
    let read = sent(&mut connection) - before;
    assert!(read < 100 << 10, "{read} bytes of 2 MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wide_run_is_read_in_pieces_and_in_one_view() {
    const SCOPES: usize = 6000;
    let server = server(&[]);
    let (store, r) = (state(&server).await, run("r"));
    let name = |n: usize| format!("scope:F[{n}]");
    let put = |n: usize, bytes: &str| Put { doc: name(n), expect: Expect::Any, bytes: bytes.to_owned().into() };
    let mut first = Change { puts: vec![put(0, "0"), put(SCOPES - 1, "0")], ..Change::default() };
    first.entry = Some(entry(&r, None, None));
    store.commit(&part(&r), first).await.unwrap();
    for chunk in 0..SCOPES / 50 {
        let numbers = (chunk * 50..(chunk + 1) * 50).filter(|n| *n != 0 && *n != SCOPES - 1);
        let puts = numbers.map(|n| put(n, "same")).collect();
        store.commit(&part(&r), Change { puts, ..Change::default() }).await.unwrap();
    }
    // Two documents that always change together, while the run is read.
    let writes = {
        let (store, r) = (store.clone(), r.clone());
        let names = [name(0), name(SCOPES - 1)];
        tokio::spawn(async move {
            for n in 1.. {
                let put = |doc: &String| Put { doc: doc.clone(), expect: Expect::Any, bytes: format!("{n}").into() };
                let change = Change { puts: names.iter().map(put).collect(), ..Change::default() };
                if store.commit(&part(&r), change).await.is_err() {
                    return;
                }
            }
        })
    };
    let mut connection = raw(&server);
    let scripts = |connection: &mut redis::Connection| -> u64 {
        let stats: String = redis::cmd("INFO").arg("commandstats").query(connection).unwrap();
        let scans = stats.lines().find_map(|line| line.strip_prefix("cmdstat_hscan:calls="));
        scans.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
    };
    let before = scripts(&mut connection);
    for _ in 0..10 {
        let read = store.read_progress(&part(&r)).await.unwrap();
        assert_eq!(read.len(), SCOPES);
        assert!(read.is_sorted_by(|(one, _), (other, _)| one < other));
        let bytes = |wanted: String| read.iter().find(|(name, _)| *name == wanted).map(|(_, doc)| doc.bytes.clone());
        assert_eq!(bytes(name(0)), bytes(name(SCOPES - 1)));
    }
    assert!(scripts(&mut connection) - before > 50, "it is read in pieces");
    writes.abort();
}
