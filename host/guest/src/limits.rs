//! Resource limits of a flow's code.

use std::time::Duration;

/// Resource limits of a flow's code. Each applies to one instance or one call, independently of other instances.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The total size of an instance's linear memories, in bytes.
    pub memory_bytes: usize,
    /// The largest number of elements in one table.
    pub table_elements: usize,
    /// The size of the stack for WebAssembly frames, in bytes.
    pub stack_bytes: usize,
    /// How many instances may exist at once, over all modules.
    pub instances: u32,
    /// How long one call may take, in wall-clock time.
    pub call_timeout: Duration,
    /// How often a running call yields to other tasks. At least a millisecond.
    pub tick: Duration,
    /// The most data that one call may return, or pass to one host function, in bytes of host memory. It also limits the
    /// total size of the context values that a node sets.
    pub output_bytes: usize,
    /// The largest size of a module file, in bytes.
    pub module_bytes: usize,
    /// The largest size of a module's machine code, in bytes.
    pub code_bytes: u64,
    /// The largest number of nodes in a flow, with those of all dags inside it. Other parts of a definition are limited in
    /// proportion to it.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            table_elements: 100_000,
            stack_bytes: 512 << 10,
            instances: 1000,
            call_timeout: Duration::from_secs(10),
            tick: Duration::from_millis(10),
            output_bytes: 32 << 20,
            module_bytes: 100 << 20,
            code_bytes: 256 << 20,
            nodes: 20_000,
        }
    }
}
