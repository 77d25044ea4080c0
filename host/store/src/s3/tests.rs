use crate::{DataKey, DataStore, StoreError, conformance, open_data};
use bytes::Bytes;
use faas_flow_core::{Code, Partition, RunId};
use faas_flow_test_support::s3::{Fault, Server};
use faas_flow_test_support::tls::Front;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

const SLOW_DOWN: Fault = Fault::Error(503, "SlowDown");

fn key(name: &str) -> DataKey {
    DataKey::new(Partition::of_run(&RunId::new("r1").unwrap()), name).unwrap()
}

async fn refused(url: &str) -> StoreError {
    open_data(url).await.err().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let server = Server::start().await;
    for place in ["bucket", "bucket/", "bucket/a/b"] {
        let url = server.url(place, "");
        conformance::data_store(|| async { open_data(&url).await.unwrap() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_conforms_and_trusts_only_its_authority() {
    let server = Server::start().await;
    let front = Front::before(server.address).await;
    let url = |options: &str| {
        let url = server.url("bucket", &format!("&attempts=1{options}"));
        url.replace(&format!("http://{}", server.address), &format!("https://127.0.0.1:{}", front.port))
    };
    let trusted = url(&format!("&ca={}", front.authority()));
    conformance::data_store(|| async { open_data(&trusted).await.unwrap() }).await;
    let error = refused(&url("")).await;
    assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "{error}");
}

#[tokio::test]
async fn a_missing_bucket_is_created_only_if_the_address_says_so() {
    let server = Server::start().await;
    for options in ["", "&create=false"] {
        assert_eq!(refused(&server.url("other", options)).await.code(), Code::STORE_NOT_FOUND);
    }
    for _ in 0..2 {
        let store = open_data(&server.url("other", "&create=true&region=eu-test-1")).await.unwrap();
        store.put(&key("x"), "1".into()).await.unwrap();
    }
    assert!(open_data(&server.url("other", "")).await.unwrap().get(&key("x")).await.unwrap().is_some());
}

#[tokio::test]
async fn the_error_of_wrong_credentials_does_not_show_them() {
    let server = Server::start().await;
    let url = server.url("bucket", "");
    for (name, value) in [("s3-secret-key", "a-bad-one"), ("s3-access-key", "a-bad-one"), ("s3-access-key", "")] {
        server.secret(name, value);
        let error = refused(&url).await;
        assert_eq!(error.code(), Code::STORE_DENIED, "{error}");
        assert!(error.to_string().contains("s3://bucket at http://127.0.0.1"), "{error}");
        for hidden in ["a-bad-one", "well-hidden"] {
            assert!(!format!("{error:?}").contains(hidden), "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again() {
    let mut server = Server::start().await;
    let url = server.url("bucket", "&attempts=1");
    let store = open_data(&url).await.unwrap();
    store.put(&key("x"), "1".into()).await.unwrap();
    server.stop().await;
    for error in [store.get(&key("x")).await.unwrap_err(), refused(&url).await] {
        assert_eq!(error.code(), Code::STORE_UNAVAILABLE);
        assert!(error.to_string().contains("refused") || error.to_string().contains("closed"), "{error}");
    }
    server.resume().await;
    assert_eq!(store.get(&key("x")).await.unwrap().unwrap(), "1");
}

#[tokio::test]
async fn a_bucket_that_was_removed_is_an_error_and_not_empty() {
    let server = Server::start().await;
    let store = open_data(&server.url("bucket", "")).await.unwrap();
    server.fail([Fault::Error(404, "NoSuchBucket"); 3]);
    assert_eq!(store.get(&key("x")).await.unwrap_err().code(), Code::STORE_NOT_FOUND);
    assert_eq!(store.put(&key("x"), "1".into()).await.unwrap_err().code(), Code::STORE_NOT_FOUND);
    assert_eq!(store.delete(key("x").partition()).await.unwrap_err().code(), Code::STORE_NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_many_objects_is_deleted_whole() {
    let server = Server::start().await;
    let store = open_data(&server.url("bucket", "")).await.unwrap();
    let kept = DataKey::new(Partition::of_run(&RunId::new("r").unwrap()), "x").unwrap();
    store.put(&kept, "1".into()).await.unwrap();
    let mut puts = JoinSet::new();
    for worker in 0..8 {
        let store = store.clone();
        puts.spawn(async move {
            for at in (worker..1003).step_by(8) {
                store.put(&key(&at.to_string()), "1".into()).await.unwrap();
            }
        });
    }
    puts.join_all().await;
    server.seen();
    store.delete(key("x").partition()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 4, "two pages, and a delete for each: {seen:?}");
    for at in 0..1003 {
        assert_eq!(store.get(&key(&at.to_string())).await.unwrap(), None, "{at}");
    }
    assert!(store.get(&kept).await.unwrap().is_some());
}

#[tokio::test]
async fn prefixes_do_not_see_each_other() {
    let server = Server::start().await;
    let mut stores: Vec<Arc<dyn DataStore>> = Vec::new();
    for place in ["bucket", "bucket/a", "bucket/a/r1", "bucket/ab"] {
        stores.push(open_data(&server.url(place, "")).await.unwrap());
    }
    for (at, store) in stores.iter().enumerate() {
        assert_eq!(store.get(&key("x")).await.unwrap(), None);
        store.put(&key("x"), Bytes::from(at.to_string())).await.unwrap();
    }
    stores.remove(1).delete(key("x").partition()).await.unwrap();
    for (store, value) in stores.iter().zip(["0", "2", "3"]) {
        assert_eq!(store.get(&key("x")).await.unwrap().unwrap(), value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_value_comes_back_whole() {
    let server = Server::start().await;
    let store = open_data(&server.url("bucket", "")).await.unwrap();
    let value = Bytes::from((0..64 << 20).map(|at: u32| (at >> 9) as u8).collect::<Vec<_>>());
    let began = Instant::now();
    store.put(&key("x"), value.clone()).await.unwrap();
    let put = began.elapsed();
    assert!(store.get(&key("x")).await.unwrap().unwrap() == value);
    eprintln!("64 MiB: put in {put:?}, got in {:?}", began.elapsed() - put);
}

#[tokio::test]
async fn requests_use_the_bucket_and_region_of_the_address() {
    let server = Server::start().await;
    let store = open_data(&server.url("bucket/p", "&region=eu-test-1")).await.unwrap();
    server.seen();
    store.put(&key("C[c1]/x"), "1".into()).await.unwrap();
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("PUT /bucket/p/r1/C%215bc1%215d%212fx"), "{seen}");
    assert!(seen.contains("/eu-test-1/s3/aws4_request"), "{seen}");
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again_and_finally_reported() {
    let server = Server::start().await;
    let store = open_data(&server.url("bucket", "&attempts=2")).await.unwrap();
    server.fail([SLOW_DOWN]);
    store.put(&key("x"), "1".into()).await.unwrap();
    server.fail([SLOW_DOWN; 2]);
    let error = store.get(&key("x")).await.unwrap_err();
    assert_eq!(error.code(), Code::STORE_UNAVAILABLE);
    assert!(error.to_string().contains("SlowDown"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    let server = Server::start().await;
    let store = open_data(&server.url("bucket", "&attempts=1&timeout_ms=200")).await.unwrap();
    server.fail([Fault::Silence]);
    let error = store.get(&key("x")).await.unwrap_err();
    assert_eq!(error.code(), Code::STORE_UNAVAILABLE);
    assert!(error.to_string().contains("in time"), "{error}");
}

#[tokio::test]
async fn a_value_whose_download_is_interrupted_is_read_again() {
    let server = Server::start().await;
    let store = open_data(&server.url("bucket", "&attempts=2")).await.unwrap();
    store.put(&key("x"), "1".into()).await.unwrap();
    server.fail([Fault::HalfABody]);
    assert_eq!(store.get(&key("x")).await.unwrap().unwrap(), "1");
    server.fail([Fault::HalfABody; 2]);
    assert_eq!(store.get(&key("x")).await.unwrap_err().code(), Code::STORE_UNAVAILABLE);
}

#[tokio::test]
async fn a_malformed_address_is_rejected() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let authority = format!("s3://b?ca={}", file.path().display());
    for url in [
        "s3:",
        "s3://",
        "s3:///prefix",
        "s3://b/a//b",
        "s3://b/../b",
        "s3://b?endpoint=127.0.0.1:9000",
        "s3://b?endpoint=http://somebody:hidden@there",
        "s3://b?path_style=maybe",
        "s3://b?create=perhaps",
        "s3://b?attempts=many",
        "s3://b?secret_key=hidden",
        "s3://b?ca=/nowhere",
        &authority,
    ] {
        let url = format!("{url}{}secrets=/nowhere", if url.contains('?') { "&" } else { "?" });
        let error = refused(&url).await;
        assert_eq!(error.code(), Code::BAD_STORE_URL, "{url}: {error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    let error = refused("s3://b?secrets=/nowhere").await;
    assert_eq!(error.code(), Code::STORE_DENIED);
    assert!(error.to_string().contains("/nowhere/s3-access-key"), "{error}");
}
