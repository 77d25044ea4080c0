//! Benchmarks of a flow's code: loading it, creating an instance, and calling a live one.
//!
//! They need the modules of the examples, which `cargo xtask modules` builds in the folder `FAAS_FLOW_MODULES`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking, and is no library")]

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use faas_flow_core::Digest;
use faas_flow_guest::{Guests, Limits, Module, NoContext, waiting};
use std::path::PathBuf;
use std::sync::Arc;

/// The module of an example, if it was built.
fn example(name: &str) -> Option<Vec<u8>> {
    let modules = std::env::var_os("FAAS_FLOW_MODULES").map(PathBuf::from);
    let modules =
        modules.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/faas-flow/modules"));
    std::fs::read(modules.join(name).with_extension("wasm")).ok()
}

fn module() -> Module {
    Guests::new(Limits::default(), None).unwrap().load(&example("greet").unwrap()).unwrap()
}

/// Loading compiled code, as in a second start, or in a second replica on the same disk.
fn loading(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let guests = Guests::new(Limits::default(), Some(folder.path().to_owned())).unwrap();
    let mut group = criterion.benchmark_group("load compiled code");
    // Written in Rust, TypeScript and Python.
    for name in ["greet", "greet-typescript", "greet-python"] {
        let Some(bytes) = example(name) else { continue };
        let digest = Digest::of(&bytes);
        guests.load(&bytes).unwrap().keep_code();
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            let (_waiting, waited) = waiting();
            bencher.iter(|| guests.load_as(&bytes, &digest, &waited).unwrap());
        });
    }
    group.finish();
    let bytes = example("greet").unwrap();
    criterion.bench_function("load compiled code and define", |bencher| {
        bencher.to_async(&runtime).iter(async || {
            let module = guests.load(&bytes).unwrap();
            module.define(Arc::new(NoContext::new("greet"))).await.unwrap()
        });
    });
}

fn guest(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let module = module();
    let context: Arc<NoContext> = Arc::new(NoContext::new("greet"));
    let name = Bytes::from_static(b"Ada");

    criterion.bench_function("fresh instance", |bencher| {
        bencher.to_async(&runtime).iter(|| module.instantiate(context.clone(), Arc::default()));
    });
    criterion.bench_function("fresh instance and modify", |bencher| {
        bencher.to_async(&runtime).iter(async || {
            let mut instance = module.instantiate(context.clone(), Arc::default()).await.unwrap();
            instance.enter(Arc::default(), Vec::new());
            instance.modify("greet/0", name.clone().into()).await.unwrap()
        });
    });

    let mut group = criterion.benchmark_group("modify in a live instance");
    for size in [16, 64 * 1024] {
        let data = Bytes::from(vec![b'a'; size]);
        let mut instance = runtime.block_on(module.instantiate(context.clone(), Arc::default())).unwrap();
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                instance.enter(Arc::default(), Vec::new());
                runtime.block_on(instance.modify("greet/0", data.clone().into())).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, guest, loading);
criterion_main!(benches);
