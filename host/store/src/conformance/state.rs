//! The cases of a state store.

use super::{ODD_NAMES, new_partition, new_run};
use crate::{
    Arrival, Change, Changed, Check, CommitError, Committed, Document, Expect, Put, RunEntry, RunQuery, Seen,
    StateStore,
};
use bytes::Bytes;
use faas_flow_core::{Digest, FlowName, Labels, Millis, Partition, RunId, Status};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

fn put(doc: &str, expect: Expect, bytes: impl Into<Bytes>) -> Put {
    Put { doc: doc.into(), expect, bytes: bytes.into() }
}

fn puts(puts: impl IntoIterator<Item = Put>) -> Change {
    Change { puts: puts.into_iter().collect(), ..Change::default() }
}

fn arrival(set: &str, member: &str, bytes: impl Into<Bytes>) -> Arrival {
    Arrival { set: set.into(), member: member.into(), bytes: bytes.into() }
}

fn arrivals(arrivals: impl IntoIterator<Item = Arrival>) -> Change {
    Change { arrivals: arrivals.into_iter().collect(), ..Change::default() }
}

fn entry(run: &RunId, flow: &FlowName, started: Millis) -> RunEntry {
    let (run, flow, digest) = (run.clone(), flow.clone(), Digest::of(b"module"));
    RunEntry {
        run,
        flow,
        digest,
        status: Status::Running,
        labels: faas_flow_core::Labels::new(),
        started,
        ended: None,
        due: None,
    }
}

/// A flow that no other case uses.
fn new_flow() -> FlowName {
    FlowName::new(new_run().as_str()).unwrap()
}

fn doc(version: u64, bytes: impl Into<Bytes>) -> Option<Document> {
    Some(Document { version, bytes: bytes.into() })
}

async fn read_one(store: &dyn StateStore, partition: &Partition, doc: &str) -> Option<Document> {
    store.read(partition, &[doc.into()]).await.unwrap().remove(0)
}

pub(super) async fn an_unknown_run_is_empty(store: &dyn StateStore) {
    let run = new_run();
    let partition = Partition::of_run(&run);
    assert_eq!(store.read(&partition, &["x".into(), "y".into()]).await.unwrap(), [None, None]);
    assert_eq!(store.read(&partition, &[]).await.unwrap(), []);
    assert_eq!(store.read_all(&partition).await.unwrap(), []);
    assert_eq!(store.arrivals(&partition, "s").await.unwrap(), []);
    assert_eq!(store.arrived(&partition, "s").await.unwrap(), 0);
    assert_eq!(store.entry(&run).await.unwrap(), None);
    assert_eq!(store.commit(&partition, Change::default()).await.unwrap(), Committed::default());
    store.delete(&partition).await.unwrap();
}

/// The documents of a flow are stored like those of a run, but are in no list.
pub(super) async fn what_belongs_to_a_flow_is_not_listed(store: &dyn StateStore) {
    let flow = new_flow();
    let partition = Partition::of_flow(&flow);
    let committed = store.commit(&partition, puts([put("active", Expect::Version(0), "1")])).await.unwrap();
    assert_eq!(committed.versions, [1]);
    let again = store.commit(&partition, puts([put("active", Expect::Version(0), "2")])).await;
    assert!(matches!(again, Err(CommitError::Conflict)), "{again:?}");
    assert_eq!(store.read_all(&partition).await.unwrap(), [("active".to_owned(), doc(1, "1").unwrap())]);
    let query = RunQuery { flow: Some(flow), status: None, limit: 9, labels: faas_flow_core::Labels::new() };
    assert_eq!(store.runs(&query).await.unwrap(), []);
    let due = store.due(Millis::MAX >> 1, 1000).await.unwrap();
    assert!(due.iter().all(|run| run.as_str() != partition.as_str()));
    store.delete(&partition).await.unwrap();
}

pub(super) async fn versions_count_the_writes(store: &dyn StateStore) {
    let partition = new_partition();
    let expectations = [Expect::Absent, Expect::Version(1), Expect::Any, Expect::Version(3)].into_iter().zip(1_u64..);
    for (expect, version) in expectations {
        let committed = store.commit(&partition, puts([put("x", expect, version.to_string())])).await.unwrap();
        assert_eq!(committed.versions, [version]);
        assert_eq!(read_one(store, &partition, "x").await, doc(version, version.to_string()));
    }
    let several =
        puts([put("any", Expect::Any, "1"), put("x", Expect::Version(4), "5"), put("zero", Expect::Version(0), "1")]);
    assert_eq!(store.commit(&partition, several).await.unwrap().versions, [1, 5, 1]);
    store.delete(&partition).await.unwrap();
}

pub(super) async fn reads_keep_the_requested_order(store: &dyn StateStore) {
    let partition = new_partition();
    let names = ["b", "a", "B", "a/b", "ä", ""].map(|name| format!("n{name}"));
    store.commit(&partition, puts(names.iter().map(|name| put(name, Expect::Absent, name.clone())))).await.unwrap();
    let asked = ["nb", "missing", "na", "nb"].map(String::from);
    assert_eq!(store.read(&partition, &asked).await.unwrap(), [doc(1, "nb"), None, doc(1, "na"), doc(1, "nb")]);
    let all: Vec<String> = store.read_all(&partition).await.unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(all, ["n", "nB", "na", "na/b", "nb", "nä"]);
    store.delete(&partition).await.unwrap();
}

pub(super) async fn any_name_and_any_bytes_come_back(store: &dyn StateStore) {
    let partition = new_partition();
    for (at, name) in ODD_NAMES.into_iter().enumerate() {
        let mut change = puts([put(name, Expect::Absent, at.to_string())]);
        change.arrivals = vec![arrival(name, "m", at.to_string()), arrival("members", name, at.to_string())];
        let committed = store.commit(&partition, change).await.unwrap();
        assert_eq!(committed.arrived, [1, at as u64 + 1], "{name:?}");
    }
    for (at, name) in ODD_NAMES.into_iter().enumerate() {
        assert_eq!(read_one(store, &partition, name).await, doc(1, at.to_string()), "{name:?}");
        let members = store.arrivals(&partition, name).await.unwrap();
        assert_eq!(members, [("m".to_owned(), Bytes::from(at.to_string()))], "{name:?}");
    }
    let mut sorted = ODD_NAMES;
    sorted.sort_unstable();
    let members = store.arrivals(&partition, "members").await.unwrap();
    assert_eq!(members.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), sorted);
    let every: Vec<u8> = (0..=255).collect();
    for bytes in [Vec::new(), every, vec![7; 1 << 20]] {
        store.commit(&partition, puts([put("bytes", Expect::Any, bytes.clone())])).await.unwrap();
        assert!(read_one(store, &partition, "bytes").await.unwrap().bytes == bytes, "{} bytes differ", bytes.len());
    }
    store.delete(&partition).await.unwrap();
}

pub(super) async fn a_conflict_changes_nothing(store: &dyn StateStore) {
    let (run, flow) = (new_run(), new_flow());
    let partition = Partition::of_run(&run);
    let mut first = puts([put("x", Expect::Absent, "x1"), put("y", Expect::Absent, "y1")]);
    first.arrivals = vec![arrival("s", "m1", "1")];
    first.entry = Some(entry(&run, &flow, 1));
    store.commit(&partition, first).await.unwrap();

    let check = |doc: &str, version| vec![Check { doc: doc.into(), version }];
    let conflicts = [
        (vec![], put("x", Expect::Absent, "bad")),
        (vec![], put("x", Expect::Version(2), "bad")),
        (vec![], put("x", Expect::Version(0), "bad")),
        (vec![], put("missing", Expect::Version(1), "bad")),
        (check("x", 2), put("new", Expect::Any, "bad")),
        (check("missing", 1), put("new", Expect::Any, "bad")),
        (check("y", 0), put("new", Expect::Any, "bad")),
    ];
    for (checks, culprit) in conflicts {
        let case = format!("{checks:?} {culprit:?}");
        let change = Change {
            checks,
            puts: vec![put("y", Expect::Version(1), "bad"), put("z", Expect::Any, "bad"), culprit],
            arrivals: vec![arrival("s", "m2", "bad"), arrival("t", "m1", "bad")],
            entry: Some(RunEntry { status: Status::Failed, due: Some(1), ..entry(&run, &flow, 2) }),
        };
        assert_eq!(store.commit(&partition, change).await, Err(CommitError::Conflict), "{case}");
        let docs = store.read_all(&partition).await.unwrap();
        assert_eq!(docs, [("x".into(), doc(1, "x1").unwrap()), ("y".into(), doc(1, "y1").unwrap())], "{case}");
        assert_eq!(
            (store.arrived(&partition, "s").await, store.arrived(&partition, "t").await),
            (Ok(1), Ok(0)),
            "{case}"
        );
        assert_eq!(store.entry(&run).await.unwrap(), Some(entry(&run, &flow, 1)), "{case}");
    }
    let unknown = new_partition();
    let change = puts([put("a", Expect::Any, "bad"), put("b", Expect::Version(1), "bad")]);
    assert_eq!(store.commit(&unknown, change).await, Err(CommitError::Conflict));
    assert_eq!(store.read_all(&unknown).await.unwrap(), []);
    store.delete(&partition).await.unwrap();
}

pub(super) async fn checks_guard_without_writing(store: &dyn StateStore) {
    let partition = new_partition();
    store.commit(&partition, puts([put("x", Expect::Absent, "1")])).await.unwrap();
    let checks = vec![Check { doc: "x".into(), version: 1 }, Check { doc: "missing".into(), version: 0 }];
    let change = Change { checks, ..puts([put("y", Expect::Absent, "1")]) };
    assert_eq!(store.commit(&partition, change.clone()).await.unwrap().versions, [1]);
    assert_eq!(read_one(store, &partition, "x").await, doc(1, "1"));
    // A put of the checked document itself sees the state before the change.
    let checks = vec![Check { doc: "x".into(), version: 1 }];
    let change = Change { checks, ..puts([put("x", Expect::Any, "2")]) };
    assert_eq!(store.commit(&partition, change).await.unwrap().versions, [2]);
    store.delete(&partition).await.unwrap();
}

pub(super) async fn runs_do_not_see_each_other(store: &dyn StateStore) {
    let (one, other) = (new_partition(), new_partition());
    for (partition, bytes) in [(&one, "1"), (&other, "2")] {
        let mut change = puts([put("x", Expect::Absent, bytes)]);
        change.arrivals = vec![arrival("s", "m", bytes)];
        assert_eq!(store.commit(partition, change).await.unwrap(), Committed { versions: vec![1], arrived: vec![1] });
    }
    store.delete(&one).await.unwrap();
    assert_eq!(read_one(store, &one, "x").await, None);
    assert_eq!(read_one(store, &other, "x").await, doc(1, "2"));
    assert_eq!(store.arrivals(&other, "s").await.unwrap(), [("m".into(), "2".into())]);
    store.delete(&other).await.unwrap();
}

pub(super) async fn the_first_arrival_of_a_member_wins(store: &dyn StateStore) {
    // In a commit with arrivals only, and in one that creates the run.
    for creates in [false, true] {
        let (run, flow) = (new_run(), new_flow());
        let partition = Partition::of_run(&run);
        let mut first =
            arrivals([arrival("s", "b", "1"), arrival("s", "a", "1"), arrival("t", "a", "1"), arrival("s", "b", "2")]);
        first.entry = creates.then(|| entry(&run, &flow, 1));
        first.puts.extend(creates.then(|| put("x", Expect::Absent, "0")));
        let versions = vec![1; first.puts.len()];
        assert_eq!(store.commit(&partition, first).await.unwrap(), Committed { versions, arrived: vec![2, 2, 1, 2] });
        let again = Change {
            puts: vec![put("x", Expect::Any, "1")],
            ..arrivals([arrival("s", "a", "3"), arrival("s", "c", "")])
        };
        assert_eq!(store.commit(&partition, again).await.unwrap().arrived, [3, 3]);
        let members = store.arrivals(&partition, "s").await.unwrap();
        assert_eq!(members, [("a".into(), "1".into()), ("b".into(), "1".into()), ("c".into(), Bytes::new())]);
        assert_eq!((store.arrived(&partition, "s").await, store.arrived(&partition, "t").await), (Ok(3), Ok(1)));
        assert_eq!(store.read_all(&partition).await.unwrap().len(), 1, "a set is not a document");
        store.delete(&partition).await.unwrap();
        assert_eq!(store.arrived(&partition, "s").await.unwrap(), 0, "deleted with its run");
    }
}

pub(super) async fn concurrent_increments_lose_nothing(store: Arc<dyn StateStore>) {
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

pub(super) async fn one_of_many_creators_wins(store: Arc<dyn StateStore>) {
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
pub(super) async fn concurrent_arrivals_count_exactly(store: Arc<dyn StateStore>) {
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

pub(super) async fn a_read_never_sees_half_a_commit(store: Arc<dyn StateStore>) {
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

pub(super) async fn runs_are_listed_newest_first(store: &dyn StateStore) {
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
    let query =
        |status, limit| RunQuery { flow: Some(flow.clone()), status, limit, labels: faas_flow_core::Labels::new() };
    assert_eq!(store.runs(&query(None, 10)).await.unwrap(), [row(3), row(2), row(1), row(0)]);
    assert_eq!(store.runs(&query(None, 2)).await.unwrap(), [row(3), row(2)]);
    assert_eq!(store.runs(&query(None, 0)).await.unwrap(), []);
    assert_eq!(store.runs(&query(Some(Status::Running), 10)).await.unwrap(), [row(2), row(0)]);
    assert_eq!(store.runs(&query(Some(Status::Failed), 10)).await.unwrap(), []);
    let everything = RunQuery { flow: None, status: None, limit: usize::MAX, labels: faas_flow_core::Labels::new() };
    assert!(store.runs(&everything).await.unwrap().contains(&row(4)));

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
        assert_eq!(store.runs(&query(Some(status), 10)).await.unwrap(), [changed]);
    }
    for run in &runs {
        store.delete(&Partition::of_run(run)).await.unwrap();
    }
    assert_eq!(store.runs(&query(None, 10)).await.unwrap(), []);
}

pub(super) async fn runs_are_found_by_their_labels(store: &dyn StateStore) {
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
    let query = |labels: &str, limit| RunQuery { flow: None, status: None, labels: of(labels), limit };
    let ours = format!("order={tag}");
    assert_eq!(store.runs(&query(&ours, 10)).await.unwrap(), [row(1), row(0)]);
    assert_eq!(store.runs(&query(&ours, 1)).await.unwrap(), [row(1)]);
    assert_eq!(store.runs(&query(&odd, 10)).await.unwrap(), [row(1)], "all labels must be there");
    assert_eq!(store.runs(&query(&format!("{ours},other=1"), 10)).await.unwrap(), []);
    let of_flow = RunQuery { flow: Some(new_flow()), ..query(&ours, 10) };
    assert_eq!(store.runs(&of_flow).await.unwrap(), []);
    // A label gets another value, and one is added; a commit without an entry keeps them.
    let changed = RunEntry { labels: of(&format!("order={tag}x,new=1")), status: Status::Failed, ..row(0) };
    put(changed.clone()).await;
    store.commit(&Partition::of_run(&runs[0]), puts([self::put("x", Expect::Any, "")])).await.unwrap();
    assert_eq!(store.runs(&query(&ours, 10)).await.unwrap(), [row(1)]);
    assert_eq!(store.runs(&query(&format!("{ours}x"), 10)).await.unwrap(), [row(2), changed.clone()]);
    let failed = RunQuery { status: Some(Status::Failed), ..query(&format!("{ours}x"), 10) };
    assert_eq!(store.runs(&failed).await.unwrap(), [changed]);
    for run in &runs {
        store.delete(&Partition::of_run(run)).await.unwrap();
    }
    for labels in [ours.clone(), format!("{ours}x"), odd] {
        assert_eq!(store.runs(&query(&labels, 10)).await.unwrap(), []);
    }
}

pub(super) async fn due_runs_come_earliest_first(store: &dyn StateStore) {
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

/// A read of the progress of a run returns all documents but those that hold data.
pub(super) async fn progress_is_read_without_data(store: &dyn StateStore) {
    let partition = new_partition();
    assert_eq!(store.read_progress(&partition).await.unwrap(), []);
    let progress = ["a", "context", "data", "d", "run", "scope:", "scope:C[c1]", "scope:data:x", "zz"];
    let data = ["context:", "context:a", "data:", "data:n/0/1", "data:z"];
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
pub(super) async fn what_has_changed_is_read(store: &dyn StateStore) {
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

pub(super) async fn a_deleted_run_starts_again_at_version_1(store: &dyn StateStore) {
    let (run, flow) = (new_run(), new_flow());
    let partition = Partition::of_run(&run);
    let mut change = puts([put("x", Expect::Any, "1")]);
    change.arrivals = vec![arrival("s", "m", "1")];
    change.entry = Some(RunEntry { due: Some(1), ..entry(&run, &flow, 1) });
    for _ in 0..2 {
        store.commit(&partition, change.clone()).await.unwrap();
    }
    for _ in 0..2 {
        store.delete(&partition).await.unwrap();
        assert_eq!(store.read_all(&partition).await.unwrap(), []);
        assert_eq!((store.arrived(&partition, "s").await, store.entry(&run).await), (Ok(0), Ok(None)));
    }
    let stale = puts([put("x", Expect::Version(2), "stale")]);
    assert_eq!(store.commit(&partition, stale).await, Err(CommitError::Conflict));
    assert_eq!(store.commit(&partition, change).await.unwrap(), Committed { versions: vec![1], arrived: vec![1] });
    store.delete(&partition).await.unwrap();
}

/// What belongs to a flow, and a run that has not ended, never expire.
pub(super) async fn only_a_run_that_has_ended_expires<Asked>(store: &dyn StateStore, left: impl Fn(Partition) -> Asked)
where
    Asked: Future<Output = Option<Duration>>,
{
    let partition = Partition::of_flow(&new_flow());
    for _ in 0..2 {
        store.commit(&partition, puts([put("active", Expect::Any, "1")])).await.unwrap();
        assert_eq!(left(partition.clone()).await, None);
    }
    store.delete(&partition).await.unwrap();

    let (run, flow) = (new_run(), new_flow());
    let partition = Partition::of_run(&run);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as Millis;
    for status in [Status::Running, Status::Paused, Status::Running] {
        let mut change = puts([put("x", Expect::Any, "1")]);
        change.arrivals = vec![arrival("s", status.as_str(), "1")];
        change.entry = Some(RunEntry { status, due: Some(now), ..entry(&run, &flow, now) });
        store.commit(&partition, change).await.unwrap();
        assert_eq!(left(partition.clone()).await, None, "{status}");
    }
    // It is kept until it is due to be deleted.
    let ended = RunEntry { ended: Some(now), due: Some(now + 60_000), ..entry(&run, &flow, now) };
    store.commit(&partition, Change { entry: Some(ended), ..Change::default() }).await.unwrap();
    assert!(left(partition.clone()).await.is_none_or(|left| left > Duration::from_secs(50)));
    assert_eq!(read_one(store, &partition, "x").await, doc(3, "1"));
    store.delete(&partition).await.unwrap();
}
