//! The command line. Data goes to stdout, everything else to stderr.
//!
//! Exit codes: 0 for success; 1 for a failure, which has an error code; 2 for wrong usage.

mod browser;
mod build;
mod cache;
mod check;
mod client;
mod config;
mod control;
mod dashboard;
mod dev;
mod explain;
mod function;
mod graph;
mod guards;
mod health;
mod host;
mod limits;
mod listen;
mod lock;
mod logging;
mod memory;
mod metrics;
mod modules;
mod new;
mod output;
mod plan;
mod progress;
mod project;
mod requests;
mod run;
mod schedules;
mod serve;
mod sign;
mod signal;
mod stop;
mod token;
mod waiting;

use crate::Error;
use clap::error::ContextValue;
use clap::{Parser, Subcommand};
use faas_flow_core::redact;
use faas_flow_replica::end_programs;
use logging::Verbosity;
use output::complain;
use std::process::ExitCode;

pub(crate) use listen::listen;
pub(crate) use stop::serve as serve_until_stopped;

/// Composes OpenFaaS functions into flows, which are WebAssembly components
#[derive(Parser)]
#[command(name = "faas-flow", version, arg_required_else_help = true, after_help = AFTER)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "Exit codes: 0 for success, 1 for a failure (with an error code, which faas-flow explain CODE explains), 2 for \
                     wrong usage";

#[derive(Subcommand)]
enum Command {
    /// Make a project: a flow in a language of your choice
    New(new::New),
    /// Build the module of a flow
    Build(build::BuildFlow),
    /// Check a flow and list its imports, handlers and warnings
    Check(check::Check),
    /// Draw a flow
    Graph(graph::Graph),
    /// Run a flow once and print its result
    Run(run::Run),
    /// Serve flows and their step functions on this machine
    Serve(serve::Serve),
    /// Serve a flow, and rebuild and swap it whenever its sources change
    Dev(dev::Dev),
    /// Serve a flow as an OpenFaaS function (the entry point of its container)
    Function(function::Function),
    /// Serve a dashboard that shows and controls the runs of a cluster
    Dashboard(dashboard::Shown),
    /// Check whether a server on this machine is healthy (for a container's health check)
    Health(health::Health),
    /// List, show, pause, resume, stop and re-run runs, or send their callbacks once more
    Requests(requests::Requests),
    /// Send a signal to a run, for which a node of it waits
    Signal(signal::SignalRun),
    /// List, pause, resume, trigger and backfill the schedules of a flow on a server
    Schedules(schedules::Schedules),
    /// Change limits over all runs while runs go on
    Limits(limits::Limits),
    /// Push a new version of a flow to a running server and activate it
    Push(modules::Push),
    /// List, show, activate, roll back, download and remove the versions of a flow on a server
    Modules(modules::Modules),
    /// Show what a new version of a flow would change
    Plan(plan::Plan),
    /// Generate a key pair for signing modules
    Keygen(sign::Keygen),
    /// Sign a module for a flow
    Sign(sign::Sign),
    /// Verify the signature of a module
    Verify(sign::Verify),
    /// Show the configuration in force and where each value comes from
    Config(config::Config),
    /// Compile the module on stdin and write the answer to stdout (used by this program itself)
    #[command(hide = true)]
    Compile,
    /// Explain an error code
    Explain(explain::Explain),
}

impl Cli {
    /// Reads the command line. If something is wrong with it, that is reported and the process ends.
    pub fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| without_secrets(error).exit())
    }

    /// Runs the command, and reports its error.
    pub fn run(self) -> ExitCode {
        if let Command::Compile = self.command {
            return compile();
        }
        match &self.command {
            Command::Function(_) => logging::start_logging(Verbosity::Requests, None),
            Command::Serve(serve) => logging::start_logging(Verbosity::Warnings, Some(serve.queues.logs.clone())),
            Command::Dev(dev) => logging::start_logging(Verbosity::Warnings, Some(dev.queues.logs.clone())),
            _ => logging::start_logging(Verbosity::Warnings, None),
        }
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("error: cannot start threads: {error}");
                return ExitCode::FAILURE;
            }
        };
        let done = runtime.block_on(async {
            let done = self.command.run().await;
            end_programs().await;
            done
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

impl Command {
    async fn run(self) -> Result<ExitCode, Error> {
        match self {
            Command::New(new) => new.run(),
            Command::Build(build) => build.run().await,
            Command::Check(check) => check.run().await,
            Command::Graph(graph) => graph.run().await,
            Command::Run(run) => run.run().await,
            Command::Serve(serve) => serve.run().await,
            Command::Dev(dev) => dev.run().await,
            Command::Function(function) => function.run().await,
            Command::Dashboard(shown) => shown.run().await,
            Command::Health(health) => health.run(),
            Command::Requests(requests) => requests.run().await,
            Command::Signal(signal) => signal.run().await,
            Command::Schedules(schedules) => schedules.run().await,
            Command::Limits(limits) => limits.run().await,
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
    }
}

/// The error without the passwords of the addresses that it repeats.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    let shown = error.context().filter_map(|(kind, value)| match value {
        ContextValue::String(text) => Some((kind, ContextValue::String(redact::text(text)))),
        _ => None,
    });
    for (kind, value) in shown.collect::<Vec<_>>() {
        error.insert(kind, value);
    }
    error
}

/// Compiles in a process of its own. Its stderr goes to the host, which reports its end without an answer as an error.
fn compile() -> ExitCode {
    match faas_flow_guest::compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn report(error: &Error) {
    let code = error.code();
    complain(format_args!("error {code}: {error}\nsee: faas-flow explain {code}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn has_no_markdown(command: &mut clap::Command) {
        let help = command.render_long_help().to_string();
        assert!(!help.contains('`') && !help.contains("](") && !help.contains("**"), "{help}");
        command.get_subcommands_mut().for_each(has_no_markdown);
    }

    #[test]
    fn help_has_no_markdown_in_any_command() {
        let mut command = Cli::command();
        command.build();
        has_no_markdown(&mut command);
    }
}
