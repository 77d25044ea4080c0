//! The one wasmtime configuration, and the thread that advances its epoch.

use crate::{GuestError, Limits};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wasmtime::{CacheStore, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The most core instances in one component. Components written in Python have about twenty.
const CORE_INSTANCES: u32 = 64;
/// The most memories in one component. The modules linked into it share one; adapters have their own.
pub(crate) const MEMORIES: u32 = 4;
/// The most tables in one component. The modules linked into it share one; `wit-component` adds one for its shims.
pub(crate) const TABLES: u32 = 8;

/// Every setting that decides which code is generated and how it runs. Invariants:
///
/// - Guests are deterministic: NaNs are canonical, relaxed SIMD has one result, and there are no threads.
/// - A guest cannot block a thread: epoch interruption is on and every call is async.
/// - A guest's stack fits into the fiber it runs on, with room for the host's own frames.
/// - Every setting that changes the generated code is part of `Engine::precompile_compatibility_hash`, so cached code never
///   runs under another configuration. The allocation strategy is not one of them: memories have the same layout in both.
fn config(limits: &Limits, allocation: Allocation) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .epoch_interruption(true)
        .max_wasm_stack(limits.stack_bytes)
        .async_stack_size(limits.stack_bytes + (1 << 20))
        .memory_init_cow(true)
        // A memory image of up to this size is mapped instead of copied, even if most of it is zeros.
        .memory_guaranteed_dense_image_size(64 << 20)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    if allocation == Allocation::Pooled {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    }
    config
}

/// Where instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allocation {
    /// From slots that are reserved when the engine starts.
    Pooled,
    /// From the system, when an instance is created.
    OnDemand,
}

/// Slots for `limits.instances` components. A pool reserves address space, not memory.
fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let count = limits.instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count)
        .total_core_instances(count.saturating_mul(CORE_INSTANCES))
        .total_memories(count.saturating_mul(2))
        .total_tables(count.saturating_mul(3))
        .total_stacks(count)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memories_per_module(2)
        .max_tables_per_module(4)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .max_memory_size(limits.memory_bytes)
        .table_elements(limits.table_elements)
        // Up to these sizes, memory stays mapped and is zeroed by the host, which saves the next instance an `madvise` and
        // page faults.
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(memory_kept())
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(32 << 10)
        .max_unused_warm_slots(100);
    pool
}

/// How many bytes of a linear memory stay mapped. Where the kernel says which pages were written, this is what an instance of a flow
/// in Go or Python writes to in a short call. Elsewhere all of it is zeroed, also what was never written to.
fn memory_kept() -> usize {
    if PoolingAllocationConfig::is_pagemap_scan_available() { 1 << 20 } else { 256 << 10 }
}

/// Creates an engine with a pool of instances, or without one if there is not enough address space.
pub(crate) fn engine(limits: &Limits) -> Result<Engine, GuestError> {
    Engine::new(&config(limits, Allocation::Pooled)).or_else(|reason| {
        tracing::warn!(%reason, "could not reserve a pool of instances; allocating each on demand, which is slower");
        on_demand_engine(limits)
    })
}

/// Creates an engine that compiles the same code as [`engine`]'s, but has no pool, since it runs nothing.
pub(crate) fn compiling_engine(limits: &Limits) -> Result<Engine, GuestError> {
    on_demand_engine(limits)
}

/// Creates an engine like [`compiling_engine`]'s that looks for the code of each function in `functions` before it compiles it.
pub(crate) fn remembering_engine(limits: &Limits, functions: Arc<dyn CacheStore>) -> Result<Engine, GuestError> {
    let mut config = config(limits, Allocation::OnDemand);
    let engine = config.enable_incremental_compilation(functions).and_then(|config| Engine::new(config));
    engine.map_err(|reason| GuestError::Engine { reason: reason.to_string() })
}

fn on_demand_engine(limits: &Limits) -> Result<Engine, GuestError> {
    Engine::new(&config(limits, Allocation::OnDemand))
        .map_err(|reason| GuestError::Engine { reason: reason.to_string() })
}

/// Advances the engine's epoch at every tick, until it is dropped.
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: std::thread::Thread,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine, tick: Duration) -> Result<Self, GuestError> {
        let engine = engine.weak();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let run = move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::park_timeout(tick);
                let Some(engine) = engine.upgrade() else { break };
                engine.increment_epoch();
            }
        };
        let thread = std::thread::Builder::new()
            .name("guest-epochs".into())
            .spawn(run)
            .map_err(|reason| GuestError::Engine { reason: format!("cannot start a thread: {reason}") })?;
        Ok(Self { stop, thread: thread.thread().clone() })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }
}
