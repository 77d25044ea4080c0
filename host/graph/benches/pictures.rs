//! What drawing and comparing large flows costs, by their shape: the time is to grow with their size and hardly faster.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking, and is no library")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use faas_flow_core::testing::large;
use faas_flow_graph::{Difference, Format, render};
use std::hint::black_box;

fn pictures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("draw");
    group.sample_size(10);
    let formats = [("svg", Format::Svg), ("mermaid", Format::Mermaid), ("dot", Format::Dot), ("json", Format::Json)];
    for nodes in [1_000, 10_000] {
        group.throughput(Throughput::Elements(nodes as u64));
        for (shape, definition) in large::all(nodes) {
            for (name, format) in formats {
                group.bench_function(BenchmarkId::new(format!("{shape} as {name}"), nodes), |bencher| {
                    bencher.iter(|| black_box(render(&definition, "large", format)));
                });
            }
        }
    }
    group.finish();
}

fn differences(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compare");
    group.sample_size(10);
    for nodes in [1_000, 10_000] {
        group.throughput(Throughput::Elements(nodes as u64));
        for (shape, new) in large::all(nodes) {
            // The old version has every second node of the outermost dag.
            let mut old = new.clone();
            let mut keep = false;
            old.dag.nodes.retain(|_| {
                keep = !keep;
                keep
            });
            group.bench_function(BenchmarkId::new(shape, nodes), |bencher| {
                bencher.iter(|| black_box(Difference::between(&old, &new)));
            });
            let difference = Difference::between(&old, &new);
            group.bench_function(BenchmarkId::new(format!("{shape} as svg"), nodes), |bencher| {
                bencher.iter(|| black_box(difference.svg(&old, &new, "large")));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, pictures, differences);
criterion_main!(benches);
