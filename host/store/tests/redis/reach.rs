//! Redis over TLS and through sentinels.

use crate::{everything, part, raw, run};
use faas_flow_core::Code;
use faas_flow_store::{CommitError, conformance, open_data, open_state};
use faas_flow_test_support::servers::{Server, redis};
use std::path::Path;
use std::time::{Duration, Instant};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_conforms_and_trusts_only_its_authority() {
    let server = Server::start("redis-server", |port, directory| {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (cert, key) = (path(directory, "cert.pem"), path(directory, "key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let port = port.to_string();
        let tls = ["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &cert];
        let own = ["--port", "0", "--tls-port", &port, "--bind", "127.0.0.1", "--save", "", "--tls-auth-clients"];
        [words(&own), words(&["optional"]), words(&tls)].concat()
    });
    let cert = path(server.directory(), "cert.pem");
    let key = path(server.directory(), "key.pem");
    for more in ["".to_owned(), format!("&cert={cert}&key={key}")] {
        let url = format!("rediss://127.0.0.1:{}?ca={cert}{more}", server.port());
        conformance::data_store(|| async { open_data(&url).await.unwrap() }).await;
        conformance::state_store(|| async { open_state(&url).await.unwrap() }).await;
    }
    for (scheme, options) in [("rediss", ""), ("redis", "")] {
        let url = format!("{scheme}://127.0.0.1:{}?timeout_ms=300{options}", server.port());
        let error = open_state(&url).await.err().unwrap();
        assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "{url}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_lead_to_the_next_master() {
    let mut master = redis(&[]);
    let replica = redis(&["--replicaof", "127.0.0.1", &master.port().to_string()]);
    let monitored = master.port();
    let sentinel = Server::start("redis-sentinel", move |port, directory| {
        let file = path(directory, "sentinel.conf");
        let settings = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor flows 127.0.0.1 {monitored} 1\n\
             sentinel down-after-milliseconds flows 300\nsentinel failover-timeout flows 3000\n"
        );
        std::fs::write(&file, settings).unwrap();
        vec![file]
    });
    let url = format!("redis+sentinel://127.0.0.1:{}?master=flows&timeout_ms=3000", sentinel.port());
    conformance::data_store(|| async { open_data(&url).await.unwrap() }).await;
    conformance::state_store(|| async { open_state(&url).await.unwrap() }).await;
    let (store, r) = (open_state(&url).await.unwrap(), run("r"));
    store.commit(&part(&r), everything(&r, 0)).await.unwrap();
    // A busy machine may make the replica the master.
    let policy = |limit: &str, policy: &str| {
        for (option, value) in [("maxmemory", limit), ("maxmemory-policy", policy)] {
            for server in [&master, &replica] {
                redis::cmd("CONFIG").arg("SET").arg(option).arg(value).exec(&mut raw(server)).unwrap();
            }
        }
    };
    policy("64mb", "allkeys-lru");
    assert_eq!(open_state(&url).await.err().unwrap().code(), Code::STORE_EVICTS);
    policy("0", "noeviction");
    let patience = Instant::now() + Duration::from_secs(60);
    let known = |words: &[&str]| -> usize {
        let found: Vec<redis::Value> = redis::cmd("SENTINEL").arg(words).query(&mut raw(&sentinel)).unwrap();
        found.len()
    };
    while known(&["REPLICAS", "flows"]) == 0
        || redis::cmd("WAIT").arg(1).arg(100).query::<u64>(&mut raw(&master)).unwrap() == 0
    {
        assert!(Instant::now() < patience, "the replica does not follow: {}", sentinel.log());
    }
    store.commit(&part(&r), everything(&r, 1)).await.unwrap();
    // `WAIT` waits for the writes of its own connection, and with them for all before.
    let mut connection = raw(&master);
    redis::cmd("SET").arg("mark").arg(1).exec(&mut connection).unwrap();
    assert_eq!(redis::cmd("WAIT").arg(1).arg(20_000).query::<u64>(&mut connection).unwrap(), 1);

    master.kill();
    loop {
        match store.read(&part(&r), &["x".into()]).await {
            Ok(docs) => break assert_eq!(docs[0].as_ref().unwrap().version, 2),
            Err(error) => assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "{error}"),
        }
        assert!(Instant::now() < patience, "no replica became the master: {}", sentinel.log());
    }
    match store.commit(&part(&r), everything(&r, 2)).await {
        Ok(_) => {}
        Err(CommitError::Store(error)) => panic!("{error}; {}", replica.log()),
        Err(CommitError::Conflict) => panic!("the new master has another version"),
    }
}
