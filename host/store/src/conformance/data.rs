//! The cases of a data store.

use super::{ODD_NAMES, new_partition, new_run, of_no_run};
use crate::{DataKey, DataStore};
use bytes::Bytes;
use faas_flow_core::{Digest, FlowName, Partition};
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn any_name_and_any_bytes_come_back(store: &dyn DataStore) {
    let partition = new_partition();
    let long = "ü/".repeat(341);
    let longer = format!("{long}x");
    let names = || ODD_NAMES.into_iter().chain([long.as_str(), longer.as_str()]);
    for (at, name) in names().enumerate() {
        let key = DataKey::new(partition.clone(), name).unwrap();
        assert_eq!(store.get(&key).await.unwrap(), None, "{name:?} has the value of another name");
        store.put(&key, Bytes::from(format!("{at}"))).await.unwrap();
    }
    for (at, name) in names().enumerate() {
        let key = DataKey::new(partition.clone(), name).unwrap();
        assert_eq!(store.get(&key).await.unwrap(), Some(Bytes::from(format!("{at}"))), "{name:?}");
    }
    let every: Vec<u8> = (0..=255).collect();
    for bytes in [Vec::new(), every, vec![7; 1 << 20]] {
        let key = DataKey::new(partition.clone(), "bytes").unwrap();
        store.put(&key, bytes.clone().into()).await.unwrap();
        assert!(store.get(&key).await.unwrap().unwrap() == bytes, "{} bytes differ", bytes.len());
    }
    store.delete(&partition).await.unwrap();
}

/// The modules of a flow are deleted one by one.
pub(super) async fn a_module_is_deleted_alone(store: &dyn DataStore) {
    let flow = FlowName::new(new_run().as_str()).unwrap();
    let keys = [b"1", b"2"]
        .map(|bytes| DataKey::new(Partition::of_module(&flow, &Digest::of(bytes), 0), "flow.wasm").unwrap());
    for key in &keys {
        store.put(key, "module".into()).await.unwrap();
    }
    store.delete(keys[0].partition()).await.unwrap();
    assert_eq!(store.get(&keys[0]).await.unwrap(), None);
    assert_eq!(store.get(&keys[1]).await.unwrap().unwrap(), "module");
    store.delete(keys[1].partition()).await.unwrap();
}

pub(super) async fn the_last_put_wins(store: &dyn DataStore) {
    let key = DataKey::new(new_partition(), "x").unwrap();
    for bytes in ["a long value", "short", ""] {
        store.put(&key, bytes.into()).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap().unwrap(), bytes);
    }
    store.delete(key.partition()).await.unwrap();
}

pub(super) async fn a_read_never_sees_half_a_put(store: Arc<dyn DataStore>) {
    let key = DataKey::new(new_partition(), "x").unwrap();
    let value = |fill: u8| Bytes::from(vec![fill; 64 << 10 << (fill % 2)]);
    store.put(&key, value(0)).await.unwrap();
    let writers = (0..4_u8).map(|writer| {
        let (store, key) = (store.clone(), key.clone());
        tokio::spawn(async move {
            for round in 0..10 {
                store.put(&key, value(writer * 10 + round)).await.unwrap();
            }
        })
    });
    let readers = (0..4).map(|_| {
        let (store, key) = (store.clone(), key.clone());
        tokio::spawn(async move {
            for _ in 0..20 {
                let found = store.get(&key).await.unwrap().expect("there is a value at all times");
                assert!(found == value(found[0]), "a value was torn");
            }
        })
    });
    for task in writers.chain(readers).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    store.delete(key.partition()).await.unwrap();
}

pub(super) async fn deleting_a_run_keeps_the_data_of_others(store: &dyn DataStore) {
    let (gone, kept) = (new_partition(), new_partition());
    for partition in [&gone, &kept] {
        for name in ["x", "a/b"] {
            store.put(&DataKey::new(partition.clone(), name).unwrap(), "1".into()).await.unwrap();
        }
    }
    for _ in 0..2 {
        store.delete(&gone).await.unwrap();
    }
    for name in ["x", "a/b"] {
        assert_eq!(store.get(&DataKey::new(gone.clone(), name).unwrap()).await.unwrap(), None);
        assert!(store.get(&DataKey::new(kept.clone(), name).unwrap()).await.unwrap().is_some());
    }
    store.delete(&kept).await.unwrap();
}

/// Modules and whatever else is not a run's never expire; the data of a run may, but not within a day.
pub(super) async fn only_the_data_of_a_run_expires<Asked>(store: &dyn DataStore, left: impl Fn(Partition) -> Asked)
where
    Asked: Future<Output = Option<Duration>>,
{
    for partition in of_no_run() {
        let key = DataKey::new(partition.clone(), "flow.wasm").unwrap();
        for _ in 0..2 {
            store.put(&key, "module".into()).await.unwrap();
            assert_eq!(left(partition.clone()).await, None, "{partition}");
        }
        store.keep(&partition).await.unwrap();
        assert_eq!(left(partition.clone()).await, None, "{partition}");
        assert_eq!(store.get(&key).await.unwrap().unwrap(), "module");
        store.delete(&partition).await.unwrap();
        store.keep(&partition).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap(), None, "what is deleted cannot be kept");
    }
    let partition = new_partition();
    store.put(&DataKey::new(partition.clone(), "x").unwrap(), "1".into()).await.unwrap();
    assert!(left(partition.clone()).await.is_none_or(|left| left > DAY));
    store.delete(&partition).await.unwrap();
}
