//! `faas-flow`: the program that hosts flows.

use std::process::ExitCode;

/// A run makes many small allocations on one thread and frees them on another, which this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Without huge pages, throughput is the same, and the slowest requests are faster: the kernel takes up to 5 ms to clear
    // one while a request waits. The allocator asks for them, and so may the system's settings. Child processes, such as the
    // compiler, inherit this. Kernels that do not support it are fine without.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    faas_flow_host::cli::Cli::read().run()
}
