//! What a flow's code costs: to load, a fresh instance, a call into a live one.
//!
//! Needs the module `greet`: `cargo xtask modules` builds it and `FAAS_FLOW_MODULES` says where it is.

#![allow(clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use faas_flow_guest::{CallContext, Guests, Limits, Module, NoContext};
use std::path::PathBuf;
use std::sync::Arc;

fn bytes() -> Vec<u8> {
    let modules = std::env::var_os("FAAS_FLOW_MODULES").map(PathBuf::from);
    let modules =
        modules.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/faas-flow/modules"));
    std::fs::read(modules.join("greet.wasm")).unwrap()
}

fn module() -> Module {
    Guests::new(Limits::default(), None).unwrap().load(&bytes()).unwrap()
}

/// What a second start, or a second replica on the same disk, does with a module.
fn loading(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (guests, bytes) = (Guests::new(Limits::default(), Some(folder.path().to_owned())).unwrap(), bytes());
    guests.load(&bytes).unwrap().keep_code();
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
        bencher.to_async(&runtime).iter(|| module.instantiate(context.clone()));
    });
    criterion.bench_function("fresh instance and modify", |bencher| {
        bencher.to_async(&runtime).iter(async || {
            let mut instance = module.instantiate(context.clone()).await.unwrap();
            instance.enter(CallContext::default());
            instance.modify("greet/0", name.clone()).await.unwrap()
        });
    });

    let mut group = criterion.benchmark_group("modify in a live instance");
    for size in [16, 64 * 1024] {
        let data = Bytes::from(vec![b'a'; size]);
        let mut instance = runtime.block_on(module.instantiate(context.clone())).unwrap();
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                instance.enter(CallContext::default());
                runtime.block_on(instance.modify("greet/0", data.clone())).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, guest, loading);
criterion_main!(benches);
