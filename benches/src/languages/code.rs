//! A module: how long it takes to load, to make an instance of it, and to call that; and how much memory an instance has.

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use faas_flow_core::Digest;
use faas_flow_guest::{Guests, Instance, Limits, Module, NoContext, waiting};
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The handler of `greet`.
const HANDLER: &str = "greet/0";
const SMALL: usize = 64;
const LARGE: usize = 64 << 10;
/// How long each time is measured, at least.
const MEASURED: Duration = Duration::from_millis(500);
/// The fewest samples of a time.
const SAMPLES: usize = 20;
/// How often a module is compiled.
const COMPILES: usize = 3;
/// How many instances there are at once while their memory is measured.
const INSTANCES: u32 = 50;

#[derive(Serialize)]
pub struct Code {
    pub module_bytes: usize,
    /// Of the whole module, on all processors, in this process.
    pub compile_ms: f64,
    /// From the module's bytes, whose digest is known, to a module with code from the cache.
    pub cached_load_ms: f64,
    /// A fresh instance alone.
    pub instance_us: f64,
    /// A fresh instance with its first call.
    pub first_call_us: f64,
    pub first_call_64k_us: f64,
    /// A call of an instance that has been called before.
    pub warm_call_us: f64,
    pub warm_call_64k_us: f64,
    /// What an instance has of its own after its first call.
    pub instance_kib: f64,
}

/// Measures a module of `greet`.
pub fn measure(module: &[u8]) -> Result<Code> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let folder = tempfile::tempdir().context("cannot make a folder for the code")?;
    let mut compiles = Vec::new();
    for _ in 0..COMPILES {
        let guests = guests(None)?;
        compiles.push(timed(|| guests.load(module))?.0);
    }
    guests(Some(folder.path()))?.load(module)?.keep_code();
    let digest = Digest::of(module);
    let loads = {
        let guests = guests(Some(folder.path()))?;
        let (_waiting, waited) = waiting();
        samples(|| Ok(timed(|| guests.load_as(module, &digest, &waited))?.0))?
    };
    // In an engine of its own, whose slots nobody has used before.
    let instance_kib = memory(&runtime, &guests(Some(folder.path()))?.load(module)?)?;
    let loaded = guests(Some(folder.path()))?.load(module)?;
    let context = Arc::new(NoContext::new("greet"));
    let fresh = || runtime.block_on(loaded.instantiate(context.clone(), Arc::default()));
    let first = |size: usize| {
        let data = data(size);
        samples(|| Ok(timed(|| call(&runtime, fresh()?, &data))?.0))
    };
    let warm = |size: usize| {
        let data = data(size);
        let mut instance = call(&runtime, fresh()?, &data)?;
        samples(|| {
            if instance.has_grown_much() {
                instance = call(&runtime, fresh()?, &data)?;
            }
            let began = Instant::now();
            call_in(&runtime, &mut instance, &data)?;
            Ok(began.elapsed())
        })
    };
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    Ok(Code {
        module_bytes: module.len(),
        compile_ms: median(compiles).as_secs_f64() * 1e3,
        cached_load_ms: loads.as_secs_f64() * 1e3,
        instance_us: micros(samples(|| Ok(timed(fresh)?.0))?),
        first_call_us: micros(first(SMALL)?),
        first_call_64k_us: micros(first(LARGE)?),
        warm_call_us: micros(warm(SMALL)?),
        warm_call_64k_us: micros(warm(LARGE)?),
        instance_kib,
    })
}

fn guests(cache: Option<&Path>) -> Result<Guests> {
    Ok(Guests::new(Limits::default(), cache.map(Path::to_owned))?)
}

fn data(size: usize) -> Bytes {
    vec![b'a'; size].into()
}

fn call(runtime: &Runtime, mut instance: Instance, data: &Bytes) -> Result<Instance> {
    call_in(runtime, &mut instance, data)?;
    Ok(instance)
}

fn call_in(runtime: &Runtime, instance: &mut Instance, data: &Bytes) -> Result<()> {
    instance.enter(Arc::default(), Vec::new());
    let answer = runtime.block_on(instance.modify(HANDLER, data.clone().into()));
    let answer = answer.map_err(|failure| anyhow!("{HANDLER} fails: {}", failure.message))?;
    anyhow::ensure!(answer.bytes.len() > data.len(), "{HANDLER} does not greet");
    Ok(())
}

/// How long something takes, without what it takes to let go of its result.
fn timed<T, E: Into<anyhow::Error>>(work: impl FnOnce() -> Result<T, E>) -> Result<(Duration, T)> {
    let began = Instant::now();
    let result = work();
    let took = began.elapsed();
    Ok((took, result.map_err(Into::into)?))
}

/// The median of many samples.
fn samples(mut sample: impl FnMut() -> Result<Duration>) -> Result<Duration> {
    let began = Instant::now();
    let mut times = Vec::new();
    while times.len() < SAMPLES || began.elapsed() < MEASURED {
        times.push(sample()?);
    }
    Ok(median(times))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// What each of many instances adds to the memory of this process that is its own, in KiB.
fn memory(runtime: &Runtime, module: &Module) -> Result<f64> {
    let context = Arc::new(NoContext::new("greet"));
    let data = data(SMALL);
    let one = || -> Result<Instance> {
        call(runtime, runtime.block_on(module.instantiate(context.clone(), Arc::default()))?, &data)
    };
    // What the first one makes for all of them.
    let mut instances = vec![one()?];
    let before = anonymous_kib()?;
    for _ in 0..INSTANCES {
        instances.push(one()?);
    }
    Ok((anonymous_kib()? - before) / f64::from(INSTANCES))
}

/// The memory of this process that no file has.
fn anonymous_kib() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("the kernel says no RssAnon")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
