//! Many who commit and read at the same time.

use super::{arrival, arrivals, doc, put, puts, read_one};
use crate::conformance::new_partition;
use crate::{CommitError, Expect, StateStore};
use faas_flow_core::Partition;
use std::sync::Arc;

pub(in crate::conformance) async fn concurrent_increments_lose_nothing(store: Arc<dyn StateStore>) {
    const TASKS: u64 = 32;
    const EACH: u64 = 4;
    let partition = new_partition();
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(increment(store.clone(), partition.clone(), EACH))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let total = TASKS * EACH;
    assert_eq!(read_one(&*store, &partition, "count").await, doc(total, total.to_string()));
    store.delete(&partition).await.unwrap();
}

async fn increment(store: Arc<dyn StateStore>, partition: Partition, times: u64) {
    for _ in 0..times {
        loop {
            let found = read_one(&*store, &partition, "count").await;
            let version = found.as_ref().map_or(0, |doc| doc.version);
            let count = found.map_or(0, |doc| std::str::from_utf8(&doc.bytes).unwrap().parse::<u64>().unwrap());
            let change = puts([put("count", Expect::Version(version), (count + 1).to_string())]);
            match store.commit(&partition, change).await {
                Ok(committed) => break assert_eq!(committed.versions, [version + 1]),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => panic!("{error}"),
            }
        }
    }
}

pub(in crate::conformance) async fn one_of_many_creators_wins(store: Arc<dyn StateStore>) {
    let partition = new_partition();
    let tasks = (0..16).map(|n: u64| {
        let (store, partition) = (store.clone(), partition.clone());
        tokio::spawn(async move { store.commit(&partition, puts([put("x", Expect::Absent, n.to_string())])).await })
    });
    let mut winners = Vec::new();
    for (n, task) in tasks.collect::<Vec<_>>().into_iter().enumerate() {
        match task.await.unwrap() {
            Ok(_) => winners.push(n.to_string()),
            Err(error) => assert_eq!(error, CommitError::Conflict),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(read_one(&*store, &partition, "x").await, doc(1, winners.remove(0)));
    store.delete(&partition).await.unwrap();
}

/// Every member arrives twice, and each size of the set is returned by exactly one of the first arrivals.
pub(in crate::conformance) async fn concurrent_arrivals_count_exactly(store: Arc<dyn StateStore>) {
    const MEMBERS: u64 = 64;
    let partition = new_partition();
    let tasks = (0..2 * MEMBERS).map(|n| {
        let (store, partition) = (store.clone(), partition.clone());
        tokio::spawn(async move {
            let member = format!("m{:02}", n % MEMBERS);
            store.commit(&partition, arrivals([arrival("s", &member, n.to_string())])).await.unwrap().arrived[0]
        })
    });
    let mut seen = std::collections::BTreeSet::new();
    for task in tasks.collect::<Vec<_>>() {
        seen.insert(task.await.unwrap());
    }
    assert!(seen.into_iter().eq(1..=MEMBERS), "a size was skipped, so that a join would never fire");
    let members = store.arrivals(&partition, "s").await.unwrap();
    let expected: Vec<String> = (0..MEMBERS).map(|n| format!("m{n:02}")).collect();
    assert!(members.iter().map(|(member, _)| member).eq(&expected));
    assert_eq!(store.arrived(&partition, "s").await.unwrap(), MEMBERS);
    store.delete(&partition).await.unwrap();
}

pub(in crate::conformance) async fn a_read_never_sees_half_a_commit(store: Arc<dyn StateStore>) {
    let partition = new_partition();
    let both = |n: u64| puts(["x", "y"].map(|doc| put(doc, Expect::Any, n.to_string())));
    store.commit(&partition, both(0)).await.unwrap();
    let writer = tokio::spawn({
        let (store, partition) = (store.clone(), partition.clone());
        async move {
            for n in 1..=50 {
                store.commit(&partition, both(n)).await.unwrap();
            }
        }
    });
    while !writer.is_finished() {
        let docs = store.read(&partition, &["x".into(), "y".into()]).await.unwrap();
        assert_eq!(docs[0], docs[1]);
        let docs = store.read_all(&partition).await.unwrap();
        assert_eq!(docs[0].1, docs[1].1);
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    assert_eq!(read_one(&*store, &partition, "y").await, doc(51, "50"));
    store.delete(&partition).await.unwrap();
}
