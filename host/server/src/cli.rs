//! The command line. Data goes to stdout, everything else to stderr.
//!
//! Exit codes: 0 success; 1 the command failed, its error has a code; 2 wrong usage.

mod check;
mod common;
mod explain;
mod graph;
mod progress;
mod requests;
mod run;
mod serve;

use crate::Error;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Composes OpenFaaS functions into flows that are WebAssembly components.
#[derive(Parser)]
#[command(name = "faas-flow", version, arg_required_else_help = true, after_help = AFTER)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str =
    "Exit codes: 0 success, 1 failure (with an error code: see `faas-flow explain FF0012`), 2 wrong usage.";

#[derive(Subcommand)]
enum Command {
    /// Checks a flow, and lists what it imports, its handlers, and warnings
    Check(check::Check),
    /// Draws a flow
    Graph(graph::Graph),
    /// Runs a flow once, and prints its result
    Run(run::Run),
    /// Serves flows and their step functions on this machine
    Serve(serve::Serve),
    /// Shows runs that a state store knows
    Requests(requests::Requests),
    /// Explains an error code
    Explain(explain::Explain),
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        common::start_logging();
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("error: cannot start: {error}");
                return ExitCode::FAILURE;
            }
        };
        let done = runtime.block_on(async {
            match self.command {
                Command::Check(check) => check.run().await,
                Command::Graph(graph) => graph.run().await,
                Command::Run(run) => run.run().await,
                Command::Serve(serve) => serve.run().await,
                Command::Requests(requests) => requests.run().await,
                Command::Explain(explain) => explain.run(),
            }
        });
        runtime.shutdown_background();
        match done {
            Ok(code) => code,
            Err(error) => {
                report(&error);
                ExitCode::FAILURE
            }
        }
    }
}

fn report(error: &Error) {
    let code = error.code();
    eprintln!("error {code}: {error}");
    eprintln!("see: faas-flow explain {code}");
}
