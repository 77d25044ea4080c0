//! Runs what a core module does when it starts, once, and keeps the memory that it leaves behind in the module itself: then each
//! instance begins where that has ended. Go's runtime needs a good part of a millisecond to start otherwise.
//!
//! What the module learns while it starts is the same in each instance from then on: there are no arguments and no environment,
//! it is 2000-01-01, and random numbers are constant. What it asks for later is answered when it asks.

use std::future::Future as _;
use std::pin::pin;
use std::task::{self, Poll, Waker};
use wasmtime::{
    AsContextMut as _, Caller, Config, Engine, Extern, Instance, Linker, Module, Result, Store, Val, format_err,
};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

/// What a module exports to be called once, before everything else.
const INITIALIZE: &str = "_initialize";
/// What it exports to be called after that if its memory is kept, by a convention of Wizer. The SDK for Go records the flow's
/// definition there.
const RECORD: &str = "wizer-initialize";
/// The interface of WASI preview 1.
const PREVIEW1: &str = "wasi_snapshot_preview1";
/// The most instructions that a start may take, which are some seconds.
const FUEL: u64 = 10_000_000_000;
/// The moment of a start, as for every module that initialises itself: 2000-01-01T00:00:00Z, in nanoseconds. Go takes 0 for an
/// error.
const NOW: u64 = 946_684_800_000_000_000;
/// `badf` of WASI preview 1: there is no such file.
const NO_FILE: i32 = 8;

/// The module as it is after it has started, or nothing if it has nothing to do at its start, or cannot be kept as it is then.
pub fn preinitialized(module: &[u8]) -> Option<Vec<u8>> {
    // Components, and files that are not modules at all.
    if !module.starts_with(b"\0asm\x01\0\0\0") {
        return None;
    }
    match started(module) {
        Ok(module) => Some(module),
        Err(error) => {
            tracing::debug!(error = format!("{error:#}"), "the module starts from scratch in each instance");
            None
        }
    }
}

fn started(module: &[u8]) -> Result<Vec<u8>> {
    let mut config = Config::new();
    config.consume_fuel(true).cranelift_nan_canonicalization(true).relaxed_simd_deterministic(true);
    let engine = Engine::new(&config)?;
    let mut wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument(module)?;
    let compiled = Module::new(&engine, instrumented)?;
    let calls = [INITIALIZE, RECORD].into_iter().filter(|name| compiled.get_export(name).is_some());
    // It removes this one, and `_initialize` in any case.
    wizer.init_func(calls.clone().next_back().ok_or_else(|| format_err!("nothing is to be done at the start"))?);
    let mut store = Store::new(&engine, ());
    store.set_fuel(FUEL)?;
    let mut linker = Linker::new(&engine);
    add_system(&mut linker)?;
    // The host of a flow is not there: a start that calls it is not kept.
    linker.define_unknown_imports_as_traps(&compiled)?;
    let instance = linker.instantiate(&mut store, &compiled)?;
    for call in calls {
        instance.get_typed_func::<(), ()>(&mut store, call)?.call(&mut store, ())?;
    }
    let mut state = Started { store, instance };
    match pin!(wizer.snapshot(&context, &mut state)).poll(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(module) => module,
        Poll::Pending => Err(format_err!("the snapshot waits for something")),
    }
}

/// What a start may find out about the system.
fn add_system(linker: &mut Linker<()>) -> Result<()> {
    for sizes in ["args_sizes_get", "environ_sizes_get"] {
        linker.func_wrap(PREVIEW1, sizes, |mut caller: Caller<'_, ()>, count: u32, size: u32| -> Result<i32> {
            write(&mut caller, count, &[0; 4])?;
            write(&mut caller, size, &[0; 4])?;
            Ok(0)
        })?;
    }
    for list in ["args_get", "environ_get"] {
        linker.func_wrap(PREVIEW1, list, |_: u32, _: u32| 0)?;
    }
    linker.func_wrap(
        PREVIEW1,
        "clock_time_get",
        |mut caller: Caller<'_, ()>, _: u32, _: u64, to: u32| -> Result<i32> {
            write(&mut caller, to, &NOW.to_le_bytes())?;
            Ok(0)
        },
    )?;
    linker.func_wrap(PREVIEW1, "random_get", |mut caller: Caller<'_, ()>, to: u32, count: u32| -> Result<i32> {
        let memory = memory(&mut caller)?;
        let (from, count) = (usize::try_from(to)?, usize::try_from(count)?);
        let bytes = memory.data_mut(&mut caller).get_mut(from..).and_then(|bytes| bytes.get_mut(..count));
        for (number, byte) in bytes.ok_or_else(outside)?.iter_mut().enumerate() {
            // Every byte occurs, so that nothing takes them for missing.
            *byte = (number % 256).wrapping_mul(167).wrapping_add(89).to_le_bytes()[0];
        }
        Ok(0)
    })?;
    linker.func_wrap(PREVIEW1, "sched_yield", || 0)?;
    linker.func_wrap(PREVIEW1, "fd_prestat_get", |_: u32, _: u32| NO_FILE)?;
    linker.func_wrap(PREVIEW1, "fd_fdstat_set_flags", |_: u32, _: u32| 0)?;
    linker.func_wrap(PREVIEW1, "fd_fdstat_get", |mut caller: Caller<'_, ()>, _: u32, to: u32| -> Result<i32> {
        // A character device that can be written to.
        let mut stat = [0; 24];
        stat[0] = 2;
        stat[8] = 1 << 6;
        write(&mut caller, to, &stat)?;
        Ok(0)
    })?;
    Ok(())
}

fn outside() -> wasmtime::Error {
    format_err!("the address is outside the memory")
}

fn memory(caller: &mut Caller<'_, ()>) -> Result<wasmtime::Memory> {
    caller.get_export("memory").and_then(Extern::into_memory).ok_or_else(|| format_err!("there is no memory"))
}

fn write(caller: &mut Caller<'_, ()>, to: u32, bytes: &[u8]) -> Result<()> {
    Ok(memory(caller)?.write(caller.as_context_mut(), usize::try_from(to)?, bytes)?)
}

/// An instance after its start.
struct Started {
    store: Store<()>,
    instance: Instance,
}

impl InstanceState for Started {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        match self.instance.get_global(&mut self.store, name).map(|global| global.get(&mut self.store)) {
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(value)) => SnapshotVal::F32(value),
            Some(Val::F64(value)) => SnapshotVal::F64(value),
            Some(Val::V128(value)) => SnapshotVal::V128(value.as_u128()),
            // Wizer exports exactly the globals for which it asks, and refuses modules with others that can change.
            _ => SnapshotVal::I32(0),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut self.store, name);
        contents(memory.map_or(&[], |memory| memory.data(&self.store)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module whose start counts and does something else, and whose instances say what they find.
    const TEXT: &str = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "faas-flow:flow/context@0.2.0" "node" (func $node (param i32)))
        (global $starts (mut i32) (i32.const 0))
        (memory (export "memory") 1)
        (func (export "_initialize")
            (global.set $starts (i32.add (global.get $starts) (i32.const 1)))
            START)
        (func (export "starts") (result i32) (global.get $starts))
        (func (export "kept") (result i32) (i32.load (i32.const 8))))"#;

    fn module(start: &str) -> Vec<u8> {
        wat::parse_str(TEXT.replace("START", start)).unwrap()
    }

    fn found(module: &[u8], name: &str) -> i32 {
        let engine = Engine::default();
        let module = Module::new(&engine, module).unwrap();
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&module).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &module).unwrap();
        instance.get_typed_func::<(), i32>(&mut store, name).unwrap().call(&mut store, ()).unwrap()
    }

    #[test]
    fn an_instance_begins_where_the_start_has_ended() {
        let before = module("(drop (call $random (i32.const 8) (i32.const 4)))");
        let after = preinitialized(&before).unwrap();
        assert_eq!((found(&before, "starts"), found(&before, "kept")), (0, 0));
        assert_eq!(found(&after, "starts"), 1);
        assert_ne!(found(&after, "kept"), 0);
        let exports = Module::new(&Engine::default(), &after).unwrap();
        assert!(exports.get_export(INITIALIZE).is_none(), "it starts only once");
        assert_eq!(preinitialized(&before).unwrap(), after, "the same sources give the same module");
        let records = "(func (export \"wizer-initialize\") (global.set $starts (i32.const 7)))";
        let text = wat::parse_str(TEXT.replace("START", "").replace("(memory", &format!("{records} (memory"))).unwrap();
        let after = preinitialized(&text).unwrap();
        assert_eq!(found(&after, "starts"), 7);
        assert!(Module::new(&Engine::default(), &after).unwrap().exports().all(|export| export.name() != RECORD));
    }

    #[test]
    fn what_cannot_be_kept_stays_as_it_is() {
        assert_eq!(preinitialized(&module("(call $node (i32.const 0))")), None, "it calls the host");
        assert_eq!(preinitialized(&module("(loop (br 0))")), None, "it does not end");
        assert_eq!(preinitialized(&module("(drop (call $random (i32.const -1) (i32.const 4)))")), None, "it is wrong");
        assert_eq!(preinitialized(&wat::parse_str("(module)").unwrap()), None, "it has no start");
        assert_eq!(preinitialized(b"no module"), None);
    }
}
