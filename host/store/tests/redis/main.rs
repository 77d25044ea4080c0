//! Tests of the backends in Redis against the real server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod failover;
mod reach;

use bytes::Bytes;
use faas_flow_core::{Code, Digest, FlowName, Partition, RunId, Status};
use faas_flow_store::*;
use faas_flow_test_support::servers::{Server, free_port, redis as server};
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
    assert_eq!(left, ["ff:store"], "deleted runs leave keys behind");
    for options in ["/1", "/1?ttl_s=0&prefix=a:"] {
        let url = url(&server, options);
        conformance::data_store(|| async { open_data(&url).await.unwrap() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_conforms() {
    let server = server(&["--cluster-enabled", "yes"]);
    let mut connection = raw(&server);
    let _: () = redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16383).query(&mut connection).unwrap();
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    conformance::state_store(|| async { open_state(&url).await.unwrap() }).await;
    conformance::data_store(|| async { open_data(&url).await.unwrap() }).await;

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
    let keys: Vec<String> = keys(&mut connection).into_iter().filter(|key| key != "ff:store").collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
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
async fn malformed_entries_in_the_lists_are_skipped_and_counted() {
    let server = server(&[]);
    let store = open_state(&url(&server, "?partitions=2")).await.unwrap();
    let names: Vec<RunId> = (0..20).map(|n| run(&format!("a-run-with-an-id-of-its-own-{n}"))).collect();
    for r in &names {
        store.commit(&part(r), everything(r, 0)).await.unwrap();
    }
    let mut connection = raw(&server);
    // Entries of an index that sort before and after the runs, and then keys of runs.
    for (index, score) in [("due", 0), ("due", 8), ("runs", 0), ("runs", 99)] {
        for id in ["not/a/run", "\u{0}"] {
            let id = format!("{id} {index} {score}");
            connection.zadd::<_, _, _, ()>(format!("ff:{{0}}:{index}"), id, score).unwrap();
        }
    }
    let (whole, others): (Vec<_>, Vec<_>) = {
        let first = |name: &&RunId| keys(&mut raw(&server)).contains(&format!("ff:{{0}}:run:{name}"));
        names.iter().partition(first)
    };
    redis::Cmd::new().arg(&["SET", &format!("ff:{{0}}:run:{}", whole[0]), "x"]).query::<()>(&mut connection).unwrap();
    let entry = format!("ff:{{0}}:run:{}", whole[1]);
    redis::Cmd::new().arg(&["HSET", &entry, "e", "x"]).query::<()>(&mut connection).unwrap();
    let all = |limit| RunQuery { flow: None, status: None, limit, labels: faas_flow_core::Labels::new() };
    assert_eq!(store.due(9, 100).await.unwrap().len(), 19, "one of them cannot be read at all");
    assert_eq!(store.runs(&all(100)).await.unwrap().len(), 18, "and one has no entry");
    assert_eq!(store.malformed_entries(), 10);
    for limit in [1, 5, 18] {
        assert_eq!(store.due(9, limit).await.unwrap().len(), limit);
        assert_eq!(store.runs(&all(limit)).await.unwrap().len(), limit);
    }
    // The whole index of a partition.
    for index in ["due", "runs"] {
        redis::Cmd::new().arg(&["SET", &format!("ff:{{0}}:{index}"), "x"]).query::<()>(&mut connection).unwrap();
    }
    let mut due = store.due(9, 100).await.unwrap();
    due.sort_unstable();
    let mut others: Vec<RunId> = others.into_iter().cloned().collect();
    others.sort_unstable();
    assert_eq!(due, others);
    assert_eq!(store.runs(&all(100)).await.unwrap().len(), others.len());
    assert_eq!(store.malformed_entries(), 12);
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
async fn a_run_that_no_replica_deletes_expires() {
    let server = server(&[]);
    let store = open_state(&url(&server, "?partitions=1")).await.unwrap();
    let mut connection = raw(&server);
    let (key, set) = ("ff:{0}:run:r", "ff:{0}:run:r:s");
    let mut ttls = || -> Vec<i64> { [key, set].iter().map(|key| connection.ttl(*key).unwrap()).collect() };
    let r = run("r");
    store.commit(&part(&r), everything(&r, 0)).await.unwrap();
    assert_eq!(ttls(), [-1, -1]);
    let ended = |due| Change { entry: Some(entry(&r, due, Some(6))), ..Change::default() };
    // A due time in the past counts as now.
    store.commit(&part(&r), ended(Some(7))).await.unwrap();
    assert!(ttls().iter().all(|ttl| (3500..=3600).contains(ttl)), "{:?}", ttls());
    store.commit(&part(&r), everything(&r, 1)).await.unwrap();
    assert_eq!(ttls(), [-1, -1], "a run that continues does not expire");
    store.commit(&part(&r), ended(Some(7))).await.unwrap();
    let arrival = Arrival { set: "late".into(), member: "m".into(), bytes: Bytes::new() };
    store.commit(&part(&r), Change { arrivals: vec![arrival], ..Change::default() }).await.unwrap();
    assert!(connection.ttl::<_, i64>("ff:{0}:run:r:late").unwrap() > 3500);

    let ended = Some(entry(&run("q"), Some(7), Some(6)));
    let begun_and_ended = Change { checks: Vec::new(), entry: ended, ..everything(&run("q"), 0) };
    store.commit(&part(&run("q")), begun_and_ended).await.unwrap();
    for key in ["ff:{0}:run:q", "ff:{0}:run:q:s"] {
        assert!(connection.ttl::<_, i64>(key).unwrap() > 3500, "{key}");
    }
    store.delete(&part(&run("q"))).await.unwrap();

    connection.del::<_, ()>(key).unwrap();
    let all = RunQuery { flow: None, status: None, limit: 10, labels: faas_flow_core::Labels::new() };
    assert_eq!(connection.zcard::<_, u64>("ff:{0}:due").unwrap(), 1);
    assert_eq!(store.due(u64::MAX >> 12, 10).await.unwrap(), []);
    assert_eq!(connection.zcard::<_, u64>("ff:{0}:due").unwrap(), 0);
    assert_eq!(store.runs(&all).await.unwrap(), []);
    assert_eq!(connection.zcard::<_, u64>("ff:{0}:runs").unwrap(), 0);
}

fn labels(text: &str) -> faas_flow_core::Labels {
    let mut labels = faas_flow_core::Labels::new();
    labels.add_all(text).unwrap();
    labels
}

/// LABEL-2: also if a run has expired, and nobody deletes it.
#[tokio::test(flavor = "multi_thread")]
async fn the_index_of_labels_goes_with_its_runs() {
    let server = server(&[]);
    let store = open_state(&url(&server, "?partitions=1")).await.unwrap();
    let mut connection = raw(&server);
    let mut sizes = || {
        let labels: u64 = connection.zcard("ff:{0}:labels").unwrap();
        (labels, connection.hlen::<_, u64>("ff:{0}:labeled").unwrap())
    };
    let put = async |name: &str, text: &str, due| {
        let entry = RunEntry { labels: labels(text), ..entry(&run(name), due, None) };
        store.commit(&part(&run(name)), Change { entry: Some(entry), ..Change::default() }).await.unwrap();
    };
    put("r", "order=42,part=1", None).await;
    put("q", "order=42", Some(7)).await;
    assert_eq!(sizes(), (3, 2));
    put("r", "order=42,part=1", None).await;
    put("r", "order=43,part=1", None).await;
    assert_eq!(sizes(), (3, 2), "a label that is replaced leaves nothing behind");
    store.delete(&part(&run("r"))).await.unwrap();
    assert_eq!(sizes(), (1, 1));
    let query = RunQuery { flow: None, status: None, labels: labels("order=42"), limit: 10 };
    assert_eq!(store.runs(&query).await.unwrap().len(), 1);
    // As when it expires.
    raw(&server).del::<_, ()>("ff:{0}:run:q").unwrap();
    assert_eq!(store.due(u64::MAX >> 12, 10).await.unwrap(), []);
    assert_eq!(sizes(), (0, 0));
    put("p", "order=42", None).await;
    raw(&server).del::<_, ()>("ff:{0}:run:p").unwrap();
    assert_eq!(store.runs(&query).await.unwrap(), []);
    assert_eq!(sizes(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_are_read_page_by_page() {
    let server = server(&[]);
    let store = open_state(&url(&server, "?partitions=3")).await.unwrap();
    let commits = (0..4000_u64).map(|n| {
        let (store, r) = (store.clone(), run(&format!("r{n}")));
        let flow = FlowName::new(if n % 1000 == 0 { "rare" } else { "flow" }).unwrap();
        let labels = labels(&format!("third={}", n % 3));
        let entry = RunEntry { started: n / 2, flow, labels, ..entry(&r, None, None) };
        async move { store.commit(&part(&r), Change { entry: Some(entry), ..Change::default() }).await.unwrap() }
    });
    futures_util::future::join_all(commits).await;
    let query = |flow: Option<&str>, limit| RunQuery {
        flow: flow.map(|flow| FlowName::new(flow).unwrap()),
        status: None,
        limit,
        labels: faas_flow_core::Labels::new(),
    };
    let all = store.runs(&query(None, usize::MAX)).await.unwrap();
    assert_eq!(all.len(), 4000);
    assert!(all.windows(2).all(|pair| (pair[0].started, &pair[0].run) > (pair[1].started, &pair[1].run)));
    assert_eq!(store.runs(&query(None, 1500)).await.unwrap(), all[..1500]);
    let third: Vec<RunEntry> = all.iter().filter(|entry| entry.labels == labels("third=1")).cloned().collect();
    for limit in [1, 1100, usize::MAX] {
        let found = store.runs(&RunQuery { labels: labels("third=1"), ..query(None, limit) }).await.unwrap();
        assert_eq!(found, third[..limit.min(third.len())]);
    }
    let rare = store.runs(&query(Some("rare"), 3)).await.unwrap();
    assert_eq!(rare.iter().map(|entry| entry.run.as_str()).collect::<Vec<_>>(), ["r3000", "r2000", "r1000"]);
}

/// How long the keys that contain this have left: the one that expires first; none if none does.
fn left(connection: &mut redis::Connection, pattern: &str) -> Option<Duration> {
    let keys: Vec<String> = connection.keys(pattern).unwrap();
    assert!(!keys.is_empty(), "no key matches {pattern}");
    let left = keys.iter().filter_map(|key| u64::try_from(connection.pttl::<_, i64>(key).unwrap()).ok());
    left.min().map(Duration::from_millis)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_belongs_to_a_run_expires() {
    let server = server(&[]);
    for options in ["", "?ttl_s=0", "?ttl_s=90000"] {
        let asked =
            async |kind: &str, partition: Partition| left(&mut raw(&server), &format!("ff:*{kind}:*{partition}*"));
        let state = state(&server).await;
        conformance::state_lifetimes(state, |partition| asked("run", partition)).await;
        let data = open_data(&url(&server, options)).await.unwrap();
        conformance::data_lifetimes(data, |partition| asked("data", partition)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_an_older_release_let_expire_is_kept() {
    let server = server(&[]);
    let store = open_data(&url(&server, "")).await.unwrap();
    let module = Partition::of_module(&FlowName::new("flow").unwrap(), &Digest::of(b"module"), 0);
    store.put(&DataKey::new(module.clone(), "flow.wasm").unwrap(), "module".into()).await.unwrap();
    let (key, mut connection) = (format!("ff:data:{{{module}}}"), raw(&server));
    connection.expire::<_, ()>(&key, 30 * 24 * 3600).unwrap();
    assert!(left(&mut connection, &key).is_some());
    store.keep(&module).await.unwrap();
    assert_eq!(left(&mut connection, &key), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_evict_keys_is_refused() {
    let server = server(&["--maxmemory", "64mb"]);
    let mut connection = raw(&server);
    let mut set = |option: &str, value: &str| {
        redis::cmd("CONFIG").arg("SET").arg(option).arg(value).exec(&mut connection).unwrap();
    };
    let refused = async |options: &str| {
        let state = open_state(&url(&server, options)).await.err();
        let data = open_data(&url(&server, options)).await.err();
        assert_eq!(state, data);
        state
    };
    assert_eq!(refused("").await, None);
    for policy in ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl"] {
        set("maxmemory-policy", policy);
        let error = refused("").await.unwrap();
        assert_eq!(error.code(), Code::STORE_EVICTS, "{error}");
        assert!(error.to_string().contains(policy) && error.to_string().contains("noeviction"), "{error}");
        assert_eq!(refused("?eviction=allow").await, None);
    }
    // Without a limit nothing is ever evicted.
    set("maxmemory", "0");
    assert_eq!(refused("").await, None);
    assert_eq!(open_state(&url(&server, "?eviction=maybe")).await.err().unwrap().code(), Code::BAD_STORE_URL);
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

#[tokio::test(flavor = "multi_thread")]
async fn data_expires_after_its_ttl() {
    let server = server(&[]);
    let key = DataKey::new(part(&run("r")), "x").unwrap();
    let mut connection = raw(&server);
    for (options, ttl) in [("", 30 * 24 * 3600), ("?ttl_s=60", 60), ("?ttl_s=0", -1)] {
        open_data(&url(&server, options)).await.unwrap().put(&key, "1".into()).await.unwrap();
        let left: i64 = connection.ttl("ff:data:{r}").unwrap();
        assert!((ttl - 5..=ttl).contains(&left), "{options}: {left}");
    }
    connection.set::<_, _, ()>("ff:data:{r}", "garbage").unwrap();
    let error = open_data(&url(&server, "")).await.unwrap().get(&key).await.unwrap_err();
    assert_eq!(error.code(), Code::STORE_CORRUPT);
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
