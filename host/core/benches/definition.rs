//! What checking a definition costs, by its shape: the time is to grow with its size and not faster. The definitions that are
//! wrong in every node are those of somebody who means harm.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking, and is no library")]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use faas_flow_core::testing::large;
use faas_flow_core::{Definition, Plan};

fn checks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check a definition");
    group.sample_size(10);
    for nodes in [1_000, 10_000] {
        group.throughput(Throughput::Elements(nodes as u64));
        for (shape, definition) in large::all(nodes) {
            let definition: Definition = definition;
            group.bench_function(BenchmarkId::new(shape, nodes), |bencher| {
                bencher.iter_batched(|| definition.clone(), Plan::new, BatchSize::LargeInput);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, checks);
criterion_main!(benches);
