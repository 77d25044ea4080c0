//! The one wasmtime configuration, and the thread that moves its clock.

use crate::{GuestError, Limits};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// A component is many core instances: those of Python have about twenty.
const CORE_INSTANCES: u32 = 64;
/// Modules that are linked into one component share their memory; adapters bring their own.
const MEMORIES: u32 = 4;
/// Shared like memories; `wit-component` adds one for its shims.
const TABLES: u32 = 8;

/// Everything that decides what code is compiled and how it runs. Invariants:
///
/// - Guests are deterministic: NaNs are canonical, relaxed SIMD gives one answer, there are no threads.
/// - A guest cannot hold a thread: epochs are on and every call is async.
/// - A guest's stack fits into the fiber that it runs on, with room for the host's own frames.
/// - What changes the generated code is part of `Engine::precompile_compatibility_hash`, so cached code is never run
///   under another configuration. Pooled or not is no such change: memories are laid out alike in both.
fn config(limits: &Limits, pooled: bool) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .epoch_interruption(true)
        .max_wasm_stack(limits.stack_bytes)
        .async_stack_size(limits.stack_bytes + (1 << 20))
        .memory_init_cow(true)
        // An image up to this size is mapped rather than copied, however sparse it is.
        .memory_guaranteed_dense_image_size(64 << 20)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    if pooled {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    }
    config
}

/// Slots for `limits.instances` components. It reserves address space, not memory.
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
        // What small guests touch stays mapped and is cleaned by hand: no `madvise`, no page faults, at the next use.
        // The kernel says which pages were touched, where it can.
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(32 << 10)
        .max_unused_warm_slots(100);
    pool
}

/// Tries to reserve the pool, and does without when the address space is not to be had.
pub(crate) fn engine(limits: &Limits) -> Result<Engine, GuestError> {
    Engine::new(&config(limits, true)).or_else(|reason| {
        tracing::warn!(%reason, "no room for a pool of instances: each is allocated when it is needed, which is slower");
        Engine::new(&config(limits, false)).map_err(|reason| GuestError::Engine { reason: reason.to_string() })
    })
}

/// An engine that compiles the same code as [`engine`]'s, and runs none.
pub(crate) fn compiling_engine(limits: &Limits) -> Result<Engine, GuestError> {
    Engine::new(&config(limits, false)).map_err(|reason| GuestError::Engine { reason: reason.to_string() })
}

/// Moves the engine's epoch on until it is dropped.
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: std::thread::Thread,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine, tick: Duration) -> Result<Self, GuestError> {
        let (engine, stop) = (engine.weak(), Arc::new(AtomicBool::new(false)));
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
