//! The lists of runs: the newest first, by labels, by the moment at which they are due.

use super::{entry, new_flow, put, puts};
use crate::conformance::new_run;
use crate::{Change, Expect, RunEntry, RunQuery, StateStore};
use faas_flow_core::{Labels, Millis, Partition, RunId, Status};

pub(in crate::conformance) async fn runs_are_listed_newest_first(store: &dyn StateStore) {
    let (flow, other) = (new_flow(), new_flow());
    let mut runs: Vec<RunId> = (0..5).map(|_| new_run()).collect();
    runs.sort_unstable();
    let row = |n: usize| RunEntry {
        status: if n.is_multiple_of(2) { Status::Running } else { Status::Succeeded },
        ended: (n % 2 == 1).then_some(9),
        // The first two started together.
        ..entry(&runs[n], if n == 4 { &other } else { &flow }, 1000 + n.max(1) as Millis)
    };
    for n in [2, 0, 4, 1, 3] {
        store.commit(&Partition::of_run(&runs[n]), Change { entry: Some(row(n)), ..Change::default() }).await.unwrap();
    }
    let query = |status, limit| RunQuery { flow: Some(flow.clone()), status, ..RunQuery::latest(limit) };
    assert_eq!(store.runs(&query(None, 10)).await.unwrap().runs, [row(3), row(2), row(1), row(0)]);
    assert_eq!(store.runs(&query(None, 2)).await.unwrap().runs, [row(3), row(2)]);
    assert_eq!(store.runs(&query(None, 0)).await.unwrap().runs, []);
    assert_eq!(store.runs(&query(Some(Status::Running), 10)).await.unwrap().runs, [row(2), row(0)]);
    assert_eq!(store.runs(&query(Some(Status::Failed), 10)).await.unwrap().runs, []);
    let everything = RunQuery::latest(usize::MAX);
    assert!(store.runs(&everything).await.unwrap().runs.contains(&row(4)));

    // A commit without an entry keeps the present one, a commit with an entry replaces it.
    store.commit(&Partition::of_run(&runs[3]), puts([put("x", Expect::Any, "")])).await.unwrap();
    assert_eq!(store.entry(&runs[3]).await.unwrap(), Some(row(3)));
    for (n, status) in [2, 3, 0].into_iter().zip([Status::Paused, Status::Stopped, Status::Failed]) {
        let changed = RunEntry { status, ended: Some(u64::from(u32::MAX) * 1000), ..row(n) };
        store
            .commit(&Partition::of_run(&runs[n]), Change { entry: Some(changed.clone()), ..Change::default() })
            .await
            .unwrap();
        assert_eq!(store.entry(&runs[n]).await.unwrap(), Some(changed.clone()));
        assert_eq!(store.runs(&query(Some(status), 10)).await.unwrap().runs, [changed]);
    }
    for run in &runs {
        store.delete(&Partition::of_run(run)).await.unwrap();
    }
    assert_eq!(store.runs(&query(None, 10)).await.unwrap().runs, []);
}

pub(in crate::conformance) async fn runs_are_found_by_their_labels(store: &dyn StateStore) {
    let (flow, tag) = (new_flow(), new_run());
    let of = |labels: &str| {
        let mut all = Labels::new();
        all.add_all(labels).unwrap();
        all
    };
    let runs: Vec<RunId> = (0..5).map(|_| new_run()).collect();
    let odd = format!("order={tag},who=a b%+=/ü\"'");
    let labels = [of(&format!("order={tag}")), of(&odd), of(&format!("order={tag}x")), of("order=1"), Labels::new()];
    let row = |n: usize| RunEntry { labels: labels[n].clone(), ..entry(&runs[n], &flow, 1000 + n as Millis) };
    let put = async |entry: RunEntry| {
        let partition = Partition::of_run(&entry.run);
        store.commit(&partition, Change { entry: Some(entry), ..Change::default() }).await.unwrap();
    };
    for (n, run) in runs.iter().enumerate() {
        put(row(n)).await;
        assert_eq!(store.entry(run).await.unwrap(), Some(row(n)));
    }
    let query = |labels: &str, limit| RunQuery { labels: of(labels), ..RunQuery::latest(limit) };
    let ours = format!("order={tag}");
    assert_eq!(store.runs(&query(&ours, 10)).await.unwrap().runs, [row(1), row(0)]);
    assert_eq!(store.runs(&query(&ours, 1)).await.unwrap().runs, [row(1)]);
    assert_eq!(store.runs(&query(&odd, 10)).await.unwrap().runs, [row(1)], "all labels must be there");
    assert_eq!(store.runs(&query(&format!("{ours},other=1"), 10)).await.unwrap().runs, []);
    let of_flow = RunQuery { flow: Some(new_flow()), ..query(&ours, 10) };
    assert_eq!(store.runs(&of_flow).await.unwrap().runs, []);
    // A label gets another value, and one is added; a commit without an entry keeps them.
    let changed = RunEntry { labels: of(&format!("order={tag}x,new=1")), status: Status::Failed, ..row(0) };
    put(changed.clone()).await;
    store.commit(&Partition::of_run(&runs[0]), puts([self::put("x", Expect::Any, "")])).await.unwrap();
    assert_eq!(store.runs(&query(&ours, 10)).await.unwrap().runs, [row(1)]);
    assert_eq!(store.runs(&query(&format!("{ours}x"), 10)).await.unwrap().runs, [row(2), changed.clone()]);
    let failed = RunQuery { status: Some(Status::Failed), ..query(&format!("{ours}x"), 10) };
    assert_eq!(store.runs(&failed).await.unwrap().runs, [changed]);
    for run in &runs {
        store.delete(&Partition::of_run(run)).await.unwrap();
    }
    for labels in [ours.clone(), format!("{ours}x"), odd] {
        assert_eq!(store.runs(&query(&labels, 10)).await.unwrap().runs, []);
    }
}

pub(in crate::conformance) async fn due_runs_come_earliest_first(store: &dyn StateStore) {
    let flow = new_flow();
    let runs: Vec<RunId> = (0..4).map(|_| new_run()).collect();
    let due = |n: usize, due| {
        let entry = RunEntry { due, ..entry(&runs[n], &flow, 1) };
        async move {
            store
                .commit(&Partition::of_run(&entry.run), Change { entry: Some(entry), ..Change::default() })
                .await
                .unwrap()
        }
    };
    let ours = |now, limit| {
        let runs = &runs;
        async move {
            let found = store.due(now, limit).await.unwrap();
            found.iter().filter_map(|run| runs.iter().position(|ours| ours == run)).collect::<Vec<_>>()
        }
    };
    for (n, at) in [(0, Some(30)), (1, Some(10)), (2, None), (3, Some(20))] {
        due(n, at).await;
    }
    assert_eq!(ours(100, usize::MAX).await, [1, 3, 0]);
    assert_eq!(ours(20, usize::MAX).await, [1, 3], "a run is due at its due time");
    assert_eq!(ours(9, usize::MAX).await, [] as [usize; 0]);
    assert_eq!(store.due(100, 2).await.unwrap().len(), 2);

    due(1, Some(40)).await;
    due(3, None).await;
    due(2, Some(5)).await;
    store.commit(&Partition::of_run(&runs[0]), puts([put("x", Expect::Any, "")])).await.unwrap();
    assert_eq!(ours(100, usize::MAX).await, [2, 0, 1]);
    store.delete(&Partition::of_run(&runs[0])).await.unwrap();
    assert_eq!(ours(100, usize::MAX).await, [2, 1]);
    for run in &runs {
        store.delete(&Partition::of_run(run)).await.unwrap();
    }
    assert_eq!(ours(100, usize::MAX).await, [] as [usize; 0]);
}
