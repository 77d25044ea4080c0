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

/// A certificate, which is its own authority, and its key, in files.
fn certificate(directory: &Path) -> [String; 2] {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    [("cert.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())].map(|(name, text)| {
        std::fs::write(directory.join(name), text).unwrap();
        path(directory, name)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_conforms_and_trusts_only_its_authority() {
    let server = Server::start("redis-server", |port, directory| {
        let [cert, key] = certificate(directory);
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

/// The rights that docs/stores.md says a user needs.
const RIGHTS: &str = "~ff:* +@all -@admin -@dangerous +info";

/// A server with the user `flows`.
fn with_user(more: &[&str]) -> Server {
    let user: Vec<&str> = ["--user", "flows", "on", ">open:sesame"].into_iter().chain(RIGHTS.split(' ')).collect();
    redis(&[&user, more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_documented_rights_is_enough() {
    let server = with_user(&["--user", "default", "off"]);
    let url = |rest: &str| format!("redis://flows:open%3Asesame@127.0.0.1:{}{rest}", server.port());
    conformance::data_store(|| async { open_data(&url("")).await.unwrap() }).await;
    conformance::state_store(|| async { open_state(&url("")).await.unwrap() }).await;
    let error = open_state(&url("?prefix=others:")).await.err().unwrap();
    assert_eq!(error.code(), Code::STORE_DENIED, "{error}");
    assert!(!error.to_string().contains("sesame"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_have_users_and_tls_of_their_own() {
    let server = with_user(&["--requirepass", "of the sentinels"]);
    let monitored = server.port();
    let sentinel = Server::start("redis-sentinel", move |port, directory| {
        let file = path(directory, "sentinel.conf");
        let [cert, key] = certificate(directory);
        let settings = format!(
            "port 0\ntls-port {port}\nbind 127.0.0.1\ntls-cert-file {cert}\ntls-key-file {key}\n\
             tls-ca-cert-file {cert}\ntls-auth-clients no\nuser watch on >knock&knock +@connection +sentinel +role\nuser default off\n\
             sentinel monitor flows 127.0.0.1 {monitored} 1\nsentinel auth-pass flows \"of the sentinels\"\n"
        );
        std::fs::write(&file, settings).unwrap();
        vec![file]
    });
    let ca = path(sentinel.directory(), "cert.pem");
    let url = |options: &str| {
        let (user, port) = ("flows:open%3Asesame", sentinel.port());
        format!("redis+sentinel://{user}@127.0.0.1:{port}?master=flows&timeout_ms=2000&{options}")
    };
    let whole = url(&format!("sentinel_user=watch&sentinel_password=knock%26knock&sentinel_tls=on&ca={ca}"));
    let (store, r) = (open_state(&whole).await.unwrap(), run("r"));
    store.commit(&part(&r), everything(&r, 0)).await.unwrap();
    for wrong in [
        format!("sentinel_user=watch&sentinel_password=secret&sentinel_tls=on&ca={ca}"),
        format!("sentinel_tls=on&ca={ca}"),
        "sentinel_user=watch&sentinel_password=knock%26knock".to_owned(),
    ] {
        let error = open_state(&url(&wrong)).await.err().unwrap();
        assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "{wrong}: {error}");
        assert!(!["secret", "knock", "sesame"].iter().any(|word| error.to_string().contains(word)), "{error}");
    }
    for bad in
        ["redis://a?sentinel_password=x", "redis+sentinel://a?master=m&sentinel_user=x", "redis+sentinel://a?ca=x"]
    {
        assert_eq!(open_state(bad).await.err().unwrap().code(), Code::BAD_STORE_URL, "{bad}");
    }
}
