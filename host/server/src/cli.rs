//! The command line. Data goes to stdout, everything else to stderr.
//!
//! Exit codes: 0 success; 1 the command failed, its error has a code; 2 wrong usage.

mod cache;
mod check;
mod common;
mod config;
mod control;
mod dashboard;
mod dev;
mod explain;
mod function;
mod graph;
mod guards;
mod health;
mod lock;
mod metrics;
mod modules;
mod plan;
mod progress;
mod requests;
mod run;
mod serve;
mod sign;
mod stop;
mod waiting;

use crate::Error;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

pub(crate) use common::listen;
pub(crate) use stop::serve as serve_until_stopped;

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
    /// Builds a flow whenever its sources change, and swaps it while it is served
    Dev(dev::Dev),
    /// Serves one flow as an OpenFaaS function: what runs in its container
    Function(function::Function),
    /// Shows the flows and runs of a cluster in a browser; pauses, resumes and stops runs
    Dashboard(dashboard::Shown),
    /// Asks a server on this machine whether it is healthy: for the health check of a container
    Health(health::Health),
    /// Shows runs that a state store knows; pauses, resumes, stops and re-runs them
    Requests(requests::Requests),
    /// Puts a new version of a flow into service on a server, while it runs
    Push(modules::Push),
    /// Shows the versions of a flow on a server; activates, rolls back, fetches and removes them
    Modules(modules::Modules),
    /// Compares two versions of a flow: what the new one would change
    Plan(plan::Plan),
    /// Makes a pair of keys that sign modules
    Keygen(sign::Keygen),
    /// Signs a module as a flow
    Sign(sign::Sign),
    /// Checks the signature of a module
    Verify(sign::Verify),
    /// Shows the configuration in force, and where each value comes from
    Config(config::Config),
    /// Compiles the component on stdin to stdout, for another process of this program
    #[command(hide = true)]
    Compile,
    /// Explains an error code
    Explain(explain::Explain),
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        if let Command::Compile = self.command {
            return compile();
        }
        common::start_logging(matches!(self.command, Command::Function(_)));
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
                Command::Dev(dev) => dev.run().await,
                Command::Function(function) => function.run().await,
                Command::Dashboard(shown) => shown.run().await,
                Command::Health(health) => health.run(),
                Command::Requests(requests) => requests.run().await,
                Command::Push(push) => push.run().await,
                Command::Modules(modules) => modules.run().await,
                Command::Plan(plan) => plan.run().await,
                Command::Keygen(keygen) => keygen.run(),
                Command::Sign(sign) => sign.run().await,
                Command::Verify(verify) => verify.run().await,
                Command::Config(config) => config.run(),
                Command::Explain(explain) => explain.run(),
                Command::Compile => Ok(compile()),
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

/// Its reader is the host, which says what went wrong.
fn compile() -> ExitCode {
    match faas_flow_guest::compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(faas_flow_guest::GuestError::CompileFailed { reason }) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn report(error: &Error) {
    let code = error.code();
    eprintln!("error {code}: {error}");
    eprintln!("see: faas-flow explain {code}");
}
