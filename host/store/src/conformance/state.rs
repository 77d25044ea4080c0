//! The cases of a state store.

pub(super) mod find;
pub(super) mod lists;
pub(super) mod races;
pub(super) mod reads;

use super::{ODD_NAMES, new_partition, new_run, of_no_run};
use crate::{Arrival, Change, Check, CommitError, Committed, Document, Expect, Put, RunEntry, RunQuery, StateStore};
use bytes::Bytes;
use faas_flow_core::{Digest, FlowName, Millis, Partition, RunId, Status};
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
        failure: None,
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
    let query = RunQuery { flow: Some(flow), ..RunQuery::latest(9) };
    assert_eq!(store.runs(&query).await.unwrap().runs, []);
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

/// What is not a run's, and a run that has not ended, never expire.
pub(super) async fn only_a_run_that_has_ended_expires<Asked>(store: &dyn StateStore, left: impl Fn(Partition) -> Asked)
where
    Asked: Future<Output = Option<Duration>>,
{
    for partition in of_no_run() {
        for member in ["1", "2"] {
            let mut change = puts([put("x", Expect::Any, "1")]);
            change.arrivals = vec![arrival("s", member, "1")];
            store.commit(&partition, change).await.unwrap();
            assert_eq!(left(partition.clone()).await, None, "{partition}");
        }
        store.delete(&partition).await.unwrap();
    }

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
