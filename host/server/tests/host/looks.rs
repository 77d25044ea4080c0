//! Looks at a run that is so wide that it takes long to read.

use crate::slow::Slow;
use faas_flow_core::run::{ClaimToken, Doc, NodeState, Phase, Progress, Run, Scope, encode};
use faas_flow_core::{Digest, FlowName, NodeId, Partition, Payload, RunId, ScopePath, Status};
use faas_flow_replica::{Enough, Functions, Host, Http, Parts, Settings};
use faas_flow_store::{Change, Expect, Put, RunEntry, StateStore as _, open_data};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const ITEMS: u32 = 3000;

fn run(paused: bool) -> Run {
    let run = json!({
        "id": "wide", "flow": "f", "digest": Digest::of(b"f"), "started": 1, "request": {}, "phase": "flow",
        "paused": paused,
    });
    serde_json::from_value(run).unwrap()
}

fn scope(path: ScopePath, index: u32, progress: Progress) -> Scope {
    let started_by = ClaimToken::new(if path.is_root() { 0 } else { 7 });
    let mut node: NodeState = serde_json::from_value(json!({ "id": "F", "progress": progress })).unwrap();
    if path.is_root() {
        let branches = json!({ "total": ITEMS, "epoch": ClaimToken::new(7) });
        node.branches = Some(serde_json::from_value(branches).unwrap());
    }
    Scope { path, input: Payload::empty(), index, siblings: ITEMS, started_by, nodes: vec![node], caught: None }
}

fn put(doc: &Doc, bytes: Vec<u8>) -> Put {
    Put { doc: doc.name(), expect: Expect::Any, bytes: bytes.into() }
}

fn put_scope(scope: &Scope) -> Put {
    put(&Doc::Scope(scope.path.clone()), encode(scope))
}

fn item(index: u32, progress: Progress) -> Scope {
    let path = ScopePath::parse(&format!("F[{index}]")).unwrap();
    scope(path, index, progress)
}

async fn host() -> (Arc<Host>, Arc<Slow>) {
    let settings = Settings::default();
    let slow = Slow::reads().await;
    let functions = Functions::new([], None, &settings, Arc::new(Http::new(&settings).unwrap()));
    let host = Host::new(Parts::new(settings, slow.clone(), open_data("memory").await.unwrap(), functions));
    let root = scope(ScopePath::root(), 0, Progress::Branching);
    let items = (0..ITEMS).map(|index| put_scope(&item(index, Progress::Waiting)));
    let puts = [put(&Doc::Run, encode(&run(false))), put_scope(&root)].into_iter().chain(items);
    commit(&slow, puts.collect()).await;
    (host, slow)
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_run_that_has_ended_is_answered_at_once() {
    let (host, store) = host().await;
    let id = RunId::new("wide").unwrap();
    let (flow, digest) = (FlowName::new("f").unwrap(), Digest::of(b"f"));
    let status = Status::Succeeded;
    let entry = RunEntry {
        run: id.clone(),
        flow,
        digest,
        status,
        labels: faas_flow_core::Labels::new(),
        failure: None,
        started: 1,
        ended: Some(2),
        due: None,
    };
    let ended = Run { phase: Phase::Ended, verdict: Some(status), ended: Some(2), ..run(false) };
    let change = Change { puts: vec![put(&Doc::Run, encode(&ended))], entry: Some(entry), ..Change::default() };
    store.commit(&Partition::of_run(&id), change).await.unwrap();
    let began = Instant::now();
    let end = host.wait(&id, Duration::from_secs(60)).await.unwrap();
    assert_eq!(end.map(|end| end.status), Some(status));
    // The clock only moves when somebody waits.
    assert!(began.elapsed() < Duration::from_millis(5), "{:?}", began.elapsed());
}

async fn commit(store: &Slow, puts: Vec<Put>) {
    let run = Partition::of_run(&RunId::new("wide").unwrap());
    store.commit(&run, Change { puts, ..Change::default() }).await.unwrap();
}

#[tokio::test]
async fn a_part_of_a_wide_run_is_shown_while_it_is_read_and_the_whole_to_those_who_need_it() {
    let (host, store) = host().await;
    let id = RunId::new("wide").unwrap();
    let all = ITEMS as usize + 1;
    // Each read has a thousand documents.
    store.reads.add_permits(3);
    let part = host.look(&id, Enough::Part).await.unwrap().unwrap();
    {
        let shown = part.shown();
        let count = shown.scopes().count(shown.run());
        assert!(!shown.is_whole() && (2000..all).contains(&count), "{count}");
    }
    let whole = tokio::spawn({
        let (host, id) = (host.clone(), id.clone());
        async move { host.look(&id, Enough::Whole).await.unwrap().unwrap() }
    });
    store.reads.add_permits(1);
    let whole = whole.await.unwrap();
    let shown = whole.shown();
    assert!(shown.is_whole());
    assert_eq!(shown.scopes().count(shown.run()), all);
}

#[tokio::test]
async fn a_look_at_a_wide_run_does_not_wait_for_its_nodes() {
    let (host, store) = host().await;
    let id = RunId::new("wide").unwrap();
    store.reads.add_permits(4);
    host.look(&id, Enough::Whole).await.unwrap().unwrap();
    let done = put_scope(&item(5, Progress::Done));
    commit(&store, vec![put(&Doc::Run, encode(&run(true))), done]).await;
    let count = |look: &faas_flow_replica::Look, progress| {
        let shown = look.shown();
        shown.scopes().nodes(shown.run()).filter(|node| node.progress() == progress).count()
    };
    // The store does not answer, but what was done to the run is shown at once.
    let look = host.look(&id, Enough::Whole).await.unwrap().unwrap();
    assert_eq!(look.shown().head().status, Status::Paused);
    assert_eq!(count(&look, Progress::Done), 0);
    store.reads.add_permits(4);
    while count(&host.look(&id, Enough::Whole).await.unwrap().unwrap(), Progress::Done) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(look.shown().scopes().nodes(look.shown().run()).next().unwrap().path().node, NodeId::new("F").unwrap());
}
