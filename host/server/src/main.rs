//! `faas-flow`: the host of flows.

use clap::Parser;
use std::process::ExitCode;

/// A run is many small allocations, made on one thread and freed on another: what this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages, and so does whoever sets the system so. They bring nothing that could be measured here, and
    // emptying one takes milliseconds, in which a request waits. What this process starts inherits it.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    faas_flow_host::cli::Cli::parse().run()
}
