//! Reading the progress of a run, and what has changed since.

use super::{doc, entry, new_flow, put, puts};
use crate::conformance::{new_partition, new_run};
use crate::{Changed, Document, Expect, Seen, StateStore};
use faas_flow_core::Partition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A read of the progress of a run returns all documents but those that hold data.
pub(in crate::conformance) async fn progress_is_read_without_data(store: &dyn StateStore) {
    let partition = new_partition();
    assert_eq!(store.read_progress(&partition).await.unwrap(), []);
    let progress =
        ["a", "context", "data", "d", "log", "operations", "run", "scope:", "scope:C[c1]", "scope:data:x", "zz"];
    let data = ["context:", "context:a", "data:", "data:n/0/1", "data:z", "log:0", "operations:0"];
    for names in [&progress[..], &data[..]] {
        store.commit(&partition, puts(names.iter().map(|name| put(name, Expect::Absent, *name)))).await.unwrap();
    }
    let found = store.read_progress(&partition).await.unwrap();
    let expected: Vec<(String, Document)> =
        progress.iter().map(|name| ((*name).to_owned(), doc(1, *name).unwrap())).collect();
    let mut expected = expected;
    expected.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(found, expected);
    assert_eq!(store.read_all(&partition).await.unwrap().len(), progress.len() + data.len());
    // More than a backend reads at a time.
    for chunk in 0..30 {
        let names = (0..50).map(|n| format!("scope:F[{chunk}-{n}]"));
        store.commit(&partition, puts(names.map(|name| put(&name, Expect::Any, "s")))).await.unwrap();
    }
    assert_eq!(store.read_progress(&partition).await.unwrap().len(), progress.len() + 1500);
    store.delete(&partition).await.unwrap();
}

/// A reader that reads again and again sees every document as it is in the end, and none that holds data, however many
/// there are and although others write meanwhile.
pub(in crate::conformance) async fn what_has_changed_is_read(store: &dyn StateStore) {
    let run = new_run();
    let partition = Partition::of_run(&run);
    let mut seen = Arc::new(Seen::default());
    let mut known = BTreeMap::new();
    assert_eq!(read_changed(store, &partition, &mut seen, &mut known).await, 0);
    let mut first = puts(["run", "context:a", "data:n/0/1", "scope:"].map(|name| put(name, Expect::Absent, name)));
    first.entry = Some(entry(&run, &new_flow(), 1));
    store.commit(&partition, first).await.unwrap();
    assert_eq!(read_changed(store, &partition, &mut seen, &mut known).await, 2);
    for chunk in 0..60 {
        let names = (0..40).map(|n| format!("scope:F[{chunk}-{n}]"));
        let data = (0..8).map(|n| format!("data:{chunk}-{n}"));
        let all: Vec<String> = names.chain(data).collect();
        store.commit(&partition, puts(all.iter().map(|name| put(name, Expect::Absent, "1")))).await.unwrap();
    }
    // Something changes while it is read for the first time.
    let part = store.read_changed(&partition, &seen).await.unwrap();
    note(&part, &mut seen, &mut known);
    let change = puts(["scope:", "scope:F[0-0]", "scope:F[59-39]"].map(|name| put(name, Expect::Any, "2")));
    store.commit(&partition, change).await.unwrap();
    if part.more {
        read_changed(store, &partition, &mut seen, &mut known).await;
    }
    read_changed(store, &partition, &mut seen, &mut known).await;
    let all: BTreeMap<String, Document> = store.read_progress(&partition).await.unwrap().into_iter().collect();
    assert_eq!(known, all);
    // Somebody who gives up and begins anew misses nothing.
    let mut fresh = Arc::new(Seen::default());
    let mut part = BTreeMap::new();
    note(&store.read_changed(&partition, &fresh).await.unwrap(), &mut fresh, &mut part);
    Arc::make_mut(&mut fresh).begin();
    read_changed(store, &partition, &mut fresh, &mut part).await;
    assert_eq!(part, all);
    for _ in 0..3 {
        let change = puts(["scope:F[1-1]", "context:a"].map(|name| put(name, Expect::Any, "3")));
        store.commit(&partition, change).await.unwrap();
        let read = read_changed(store, &partition, &mut seen, &mut known).await;
        assert!((1..=2).contains(&read), "{read} documents were read for one that has changed");
    }
    let all: BTreeMap<String, Document> = store.read_progress(&partition).await.unwrap().into_iter().collect();
    assert_eq!(known, all);
    store.delete(&partition).await.unwrap();
}

/// Reads to the end, and says how many documents came.
async fn read_changed(
    store: &dyn StateStore,
    partition: &Partition,
    seen: &mut Arc<Seen>,
    known: &mut BTreeMap<String, Document>,
) -> usize {
    let mut read = 0;
    loop {
        let changed = store.read_changed(partition, seen).await.unwrap();
        read += changed.documents.len();
        note(&changed, seen, known);
        if !changed.more {
            return read;
        }
    }
}

fn note(changed: &Changed, seen: &mut Arc<Seen>, known: &mut BTreeMap<String, Document>) {
    assert!(changed.documents.iter().all(|(name, _)| name == "run" || name.starts_with("scope:")));
    known.extend(changed.documents.iter().cloned());
    Arc::make_mut(seen).note(changed);
}
