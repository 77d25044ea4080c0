//! `faas-flow`: the host of flows.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    faas_flow_host::cli::Cli::parse().run()
}
