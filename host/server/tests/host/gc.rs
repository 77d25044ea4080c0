//! Removing versions while operators push them.

use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{Digest, FlowName, Partition};
use faas_flow_guest::{Guests, Limits};
use faas_flow_store::{DataKey, DataStore, StoreError, open_data, open_state};
use faas_flow_test_support::modules::version;
use faas_flow_versions::signature::Trusted;
use faas_flow_versions::{
    Artifact, By, Clock, Expected, IfRemoved, Keep, Loader, Removal, Upload, Versions, load_flow,
};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Data whose removal takes until somebody lets it go on.
struct Slow {
    data: Arc<dyn DataStore>,
    removing: watch::Sender<bool>,
    goes_on: watch::Sender<bool>,
}

#[async_trait]
impl DataStore for Slow {
    async fn put(&self, key: &DataKey, bytes: Bytes) -> Result<(), StoreError> {
        self.data.put(key, bytes).await
    }

    async fn get(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError> {
        self.data.get(key).await
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        self.removing.send_replace(true);
        self.goes_on.subscribe().wait_for(|goes_on| *goes_on).await.unwrap();
        self.data.delete(partition).await
    }
}

#[tokio::test]
async fn a_version_that_is_pushed_again_while_it_is_being_removed_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let guests = Arc::new(Guests::new(Limits::default(), Some(folder.path().join("code"))).unwrap());
    let (state, data) = (open_state("memory").await.unwrap(), open_data("memory").await.unwrap());
    let slow =
        Arc::new(Slow { data: data.clone(), removing: watch::channel(false).0, goes_on: watch::channel(false).0 });
    let is = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let replica = |data: Arc<dyn DataStore>, ahead: Duration| {
        let loader = Loader::new(guests.clone(), Trusted::default());
        Versions::new(state.clone(), data, Some(loader), Clock::tokio(is + ahead.as_millis() as u64))
    };
    let name = FlowName::new("versions").unwrap();
    let [first, second, third] = [1, 2, 3].map(|number| version(folder.path(), number, "okay"));
    let flow = load_flow(guests.clone(), &first, Some(name.clone())).await.unwrap();
    // One of them is where all of this was long ago; to the others it is a moment old, however long the test takes.
    let [one, another] = [data.clone(), data].map(|data| replica(data, Duration::ZERO));
    let other = Arc::new(replica(slow.clone(), Duration::from_secs(3600)));
    for versions in [&one, &another, &*other] {
        let bytes = fs::read(&first).unwrap().into();
        versions.register_image(flow.clone(), Artifact::new(bytes, None)).await.unwrap();
    }
    let upload = |module: &Path| {
        let bytes = Bytes::from(fs::read(module).unwrap());
        let (digest, by) = (Digest::of(&bytes), By::new("me", "", is + 600_000).unwrap());
        Upload { digest, bytes, by, signature: None, if_removed: IfRemoved::StoreAgain }
    };
    for module in [&second, &third] {
        let pushed = one.push(&name, upload(module)).await.unwrap();
        one.activate(&name, &pushed.version.digest, Expected::Any, pushed.version.by).await.unwrap();
    }
    let keep = Keep { predecessors: 0, recent: Duration::ZERO };
    let kept = one.collect(&name, keep, Removal::Apply).await.unwrap().kept;
    assert!(kept.values().any(|why| why.ends_with("within the last 5 s")), "whatever anybody says: {kept:?}");
    let collecting = tokio::spawn({
        let (other, name) = (other.clone(), name.clone());
        async move { other.collect(&name, keep, Removal::Apply).await.unwrap() }
    });
    slow.removing.subscribe().wait_for(|removing| *removing).await.unwrap();
    // It is removed, and its bytes are about to be. Two push it again at once.
    let (a, b) = tokio::join!(one.push(&name, upload(&second)), another.push(&name, upload(&second)));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(a.version.is_there() && b.version.is_there(), "{a:?} {b:?}");
    slow.goes_on.send_replace(true);
    let removed = collecting.await.unwrap().removed;
    let version = one.find(&name, &Digest::of(&fs::read(&second).unwrap()).to_string()).await.unwrap();
    assert_eq!(removed, std::slice::from_ref(&version.digest));
    let bytes = one.module_bytes(&name, &version).await.unwrap();
    assert_eq!(Digest::of(&bytes), version.digest);
    one.activate(&name, &version.digest, Expected::Any, version.by).await.unwrap();
}
