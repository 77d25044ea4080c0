//! The command line. Data goes to stdout, everything else to stderr.
//!
//! Exit codes: 0 for success; 1 for a failure, which has an error code; 2 for wrong usage.

mod audit;
mod browser;
mod build;
mod cache;
mod check;
mod client;
mod completions;
mod config;
mod control;
mod dashboard;
mod dev;
mod existing;
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
mod logs;
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
mod test;
mod token;
mod tokens;
mod top;
mod waiting;
mod watch;

use crate::Error;
use clap::error::ContextValue;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use faas_flow_core::{Millis, redact};
use faas_flow_replica::end_programs;
use logging::Verbosity;
use output::{Output, complain, print_json};
use serde_json::json;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use listen::listen;
pub(crate) use logging::LogFormat;
pub(crate) use stop::serve as serve_until_stopped;

/// Composes OpenFaaS functions into flows, which are WebAssembly components
#[derive(Parser)]
#[command(name = "faas-flow", version, arg_required_else_help = true, after_help = AFTER)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How a failure is reported.
    #[arg(skip = Output::Text)]
    output: Output,
}

const AFTER: &str = "Exit codes: 0 for success, 1 for a failure (with an error code, which faas-flow explain CODE explains), 2 for \
                     wrong usage";

#[derive(Subcommand)]
enum Command {
    /// Create the project of a flow in the language of your choice
    New(new::New),
    /// Build the module of a flow
    Build(build::BuildFlow),
    /// Check a flow and list its imports, handlers and warnings
    Check(check::Check),
    /// Draw a flow
    Graph(graph::Graph),
    /// Run a flow once and print its result
    Run(run::Run),
    /// Test a flow with scenarios, in virtual time
    Test(test::Test),
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
    /// List, show, pause, resume, stop and re-run runs, or send their callbacks again
    Requests(requests::Requests),
    /// Show flows and their runs as a live view in the terminal
    Top(top::Top),
    /// Print what the code of a run has logged
    Logs(logs::Logs),
    /// Send a signal to a run that waits for it
    Signal(signal::SignalRun),
    /// List, pause, resume, trigger and backfill the schedules of a flow on a server
    Schedules(schedules::Schedules),
    /// List, set and remove limits over all runs, without a restart
    Limits(limits::Limits),
    /// Push a new version of a flow to a running server and activate it
    Push(modules::Push),
    /// List, show, activate, roll back, download and remove the versions of a flow on a server
    Modules(modules::Modules),
    /// Show what a new version of a flow would change
    Plan(plan::Plan),
    /// List who has changed runs, schedules and versions of a flow
    Audit(audit::Audit),
    /// Create, list and remove tokens with names and rights
    Token(tokens::Token),
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
    /// Print the script with which a shell completes commands
    Completions(completions::Completions),
    /// Write the manual pages of the commands
    Man(completions::Man),
    /// Explain an error code
    Explain(explain::Explain),
}

impl Cli {
    /// Reads the command line. If something is wrong with it, that is reported and the process ends.
    pub fn read() -> Self {
        Self::of(std::env::args_os()).unwrap_or_else(|error| without_secrets(error).exit())
    }

    fn of(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(arguments)?;
        let output = Output::of_flag(asks_for_json(&matches));
        Ok(Self { output, ..Self::from_arg_matches(&matches)? })
    }

    /// Runs the command, and reports its error.
    pub fn run(self) -> ExitCode {
        if let Command::Compile = self.command {
            return compile();
        }
        match &self.command {
            Command::Function(function) => {
                logging::start_logging(Verbosity::Requests, function.log_format(), None);
            }
            Command::Serve(serve) => {
                let logs = Some(serve.queues.logs.clone());
                logging::start_logging(Verbosity::Warnings, LogFormat::of(serve.keys.peek()), logs);
            }
            Command::Dev(dev) => {
                let logs = Some(dev.queues.logs.clone());
                logging::start_logging(Verbosity::Warnings, LogFormat::of(dev.keys.peek()), logs);
            }
            _ => logging::start_logging(Verbosity::Warnings, LogFormat::Text, None),
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
                report(&error, self.output);
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
            Command::Test(test) => test.run().await,
            Command::Serve(serve) => serve.run().await,
            Command::Dev(dev) => dev.run().await,
            Command::Function(function) => function.run().await,
            Command::Dashboard(shown) => shown.run().await,
            Command::Health(health) => health.run(),
            Command::Requests(requests) => requests.run().await,
            Command::Top(top) => top.run().await,
            Command::Logs(logs) => logs.run().await,
            Command::Signal(signal) => signal.run().await,
            Command::Schedules(schedules) => schedules.run().await,
            Command::Limits(limits) => limits.run().await,
            Command::Push(push) => push.run().await,
            Command::Modules(modules) => modules.run().await,
            Command::Plan(plan) => plan.run().await,
            Command::Audit(audit) => audit.run().await,
            Command::Token(token) => token.run(),
            Command::Keygen(keygen) => keygen.run(),
            Command::Sign(sign) => sign.run().await,
            Command::Verify(verify) => verify.run().await,
            Command::Config(config) => config.run(),
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
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

/// Whether the command has the flag `--json`, which several commands have.
fn asks_for_json(matches: &ArgMatches) -> bool {
    let given = matches.try_get_one::<bool>("json").ok().flatten().is_some_and(|json| *json);
    given || matches.subcommand().is_some_and(|(_, matches)| asks_for_json(matches))
}

/// Reports a failure on stderr, and with `--json` also as JSON on stdout.
fn report(error: &Error, output: Output) {
    let code = error.code();
    if output == Output::Json {
        // It has a code and a text, so it can be written.
        let _ = print_json(&json!({ "failure": { "code": code, "message": error.to_string() } }));
    }
    complain(format_args!("error {code}: {error}\nsee: faas-flow explain {code}"));
}

/// The time, in milliseconds since the Unix epoch.
fn now() -> Millis {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(now.as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_no_markdown(command: &mut clap::Command) {
        let help = command.render_long_help().to_string();
        assert!(!help.contains('`') && !help.contains("](") && !help.contains("**"), "{help}");
        command.get_subcommands_mut().for_each(has_no_markdown);
    }

    #[test]
    fn a_command_with_the_flag_json_reports_failures_as_json() {
        let output = |line: &str| Cli::of(line.split(' ').map(OsString::from)).ok().unwrap().output;
        for line in
            ["signal r ok --json", "requests list --json", "schedules list --to f --json", "check f.wasm --json"]
        {
            assert_eq!(output(&format!("faas-flow {line}")), Output::Json, "{line}");
        }
        for line in ["signal r ok", "signal r ok --data=--json", "explain FF0012", "health"] {
            assert_eq!(output(&format!("faas-flow {line}")), Output::Text, "{line}");
        }
    }

    #[test]
    fn help_has_no_markdown_in_any_command() {
        let mut command = Cli::command();
        command.build();
        has_no_markdown(&mut command);
    }
}
