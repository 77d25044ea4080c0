//! What the engine costs: a chain of ten nodes, from its start to its end, with and without the stored form.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking, and is no library")]

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use faas_flow_core::definition::{Carries, Dag, Edge, Node, NodeKind, Operation, Operations};
use faas_flow_core::run::{ClaimToken, Effect, Event, Outcome, Request, RunState, Start};
use faas_flow_core::testing::reported;
use faas_flow_core::{Definition, Digest, FlowName, NodePath, Payload, Plan, RunId};
use std::hint::black_box;

const NODES: usize = 10;

fn plan() -> Plan {
    let operations = || Operations { list: vec![Operation::Modify("h".to_owned())], ..Operations::default() };
    let nodes = (0..NODES).map(|i| Node { id: format!("n{i}"), kind: NodeKind::Operations(operations()) }).collect();
    let edges = (1..NODES).map(|i| Edge { from: format!("n{}", i - 1), to: format!("n{i}"), carries: Carries::Output });
    let dag = Dag { nodes, edges: edges.collect(), ..Dag::default() };
    Plan::new(Definition { dag, handlers: vec!["h".to_owned()], ..Definition::default() }).unwrap()
}

fn begin(plan: &Plan, input: Bytes) -> (RunState, Option<NodePath>) {
    let start = Start {
        id: RunId::new("run").unwrap(),
        flow: FlowName::new("chain").unwrap(),
        digest: Digest::of(b"module"),
        request: Request::default(),
        definition: None,
        input: Payload::inline(input),
        callback: None,
        parent: None,
        labels: faas_flow_core::Labels::new(),
        start_at: None,
        now: 1,
    };
    let (state, effects) = RunState::start(plan, start);
    let path = ready(effects);
    (state, path)
}

fn ready(effects: Vec<Effect>) -> Option<NodePath> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Dispatch(path) => Some(path),
        _ => None,
    })
}

/// Claims and completes every node; `commit` sees the state as often as a store would.
fn run(plan: &Plan, (mut state, mut next): (RunState, Option<NodePath>), mut commit: impl FnMut(&mut RunState)) {
    while let Some(path) = next.take() {
        let claim =
            Event::Claim { path, owner: "replica".into(), token: ClaimToken::new(1), until: 10_000, lost: None };
        let Some(Effect::Execute(work)) = state.step(plan, &claim, 1).unwrap().pop() else { return };
        commit(&mut state);
        let output = work.inputs.into_iter().next().map_or_else(Payload::empty, |input| input.payload);
        let report = reported(Outcome::Done(output));
        let complete = Event::Complete { path: work.path, token: work.token, report };
        next = ready(state.step(plan, &complete, 2).unwrap());
    }
    commit(&mut state);
}

fn write(state: &mut RunState) {
    let mut written = Vec::with_capacity(2);
    state.write_changed(|doc, version, bytes| {
        black_box(bytes);
        written.push((doc.clone(), version + 1));
    });
    for (doc, version) in written {
        state.committed(&doc, version);
    }
}

fn engine(criterion: &mut Criterion) {
    let plan = plan();
    let mut group = criterion.benchmark_group("a chain of ten");
    for size in [64, 16 * 1024] {
        let input = Bytes::from(vec![b'a'; size]);
        group.throughput(Throughput::Elements(NODES as u64));
        group.bench_function(BenchmarkId::new("steps", size), |bencher| {
            bencher.iter_batched(
                || begin(&plan, input.clone()),
                |begun| run(&plan, begun, |_| ()),
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("steps and stored form", size), |bencher| {
            bencher.iter_batched(
                || begin(&plan, input.clone()),
                |begun| run(&plan, begun, write),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, engine);
criterion_main!(benches);
