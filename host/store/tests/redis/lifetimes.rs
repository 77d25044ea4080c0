//! What Redis lets expire, and what it must not evict.

use super::*;

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
    let all = RunQuery::latest(10);
    assert_eq!(connection.zcard::<_, u64>("ff:{0}:due").unwrap(), 1);
    assert_eq!(store.due(u64::MAX >> 12, 10).await.unwrap(), []);
    assert_eq!(connection.zcard::<_, u64>("ff:{0}:due").unwrap(), 0);
    assert_eq!(store.runs(&all).await.unwrap().runs, []);
    assert_eq!(connection.zcard::<_, u64>("ff:{0}:runs").unwrap(), 0);
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
        conform(&server, state(&server).await, open_data(&url(&server, options)).await.unwrap()).await;
    }
}

/// Checks what of two stores on this server expires.
pub(super) async fn conform(server: &Server, state: Arc<dyn StateStore>, data: Arc<dyn DataStore>) {
    let asked = async |kind: &str, partition: Partition| left(&mut raw(server), &format!("ff:*{kind}:*{partition}*"));
    conformance::state_lifetimes(state, |partition| asked("run", partition)).await;
    conformance::data_lifetimes(data, |partition| asked("data", partition)).await;
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
