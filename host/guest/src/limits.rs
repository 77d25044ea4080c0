//! What a flow's code may use.

use std::time::Duration;

/// What a flow's code may use. Each limit holds for one instance or one call, whatever other instances do.
#[derive(Debug, Clone)]
pub struct Limits {
    /// All linear memories of an instance together, in bytes.
    pub memory_bytes: usize,
    /// The elements of one table.
    pub table_elements: usize,
    /// The stack of WebAssembly frames, in bytes.
    pub stack_bytes: usize,
    /// How many instances may live at once.
    pub instances: u32,
    /// The longest that one call may take, on the clock of the wall.
    pub call_timeout: Duration,
    /// How often a call that runs lets others run. Not below a millisecond.
    pub tick: Duration,
    /// All that one call returns, or hands to one function of the host, in bytes of host memory. The values that a
    /// call sets in its context are bound by it too, together.
    pub output_bytes: usize,
    /// The largest module file, in bytes.
    pub module_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            stack_bytes: 512 << 10,
            instances: 1000,
            call_timeout: Duration::from_secs(10),
            tick: Duration::from_millis(10),
            output_bytes: 32 << 20,
            module_bytes: 100 << 20,
        }
    }
}
