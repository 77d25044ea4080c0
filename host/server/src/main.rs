//! `faas-flow`: the host of flows.

use clap::Parser;
use std::process::ExitCode;

/// A run is many small allocations, made on one thread and freed on another: what this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    faas_flow_host::cli::Cli::parse().run()
}
