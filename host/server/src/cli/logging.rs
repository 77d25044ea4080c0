//! The log, which goes to stderr.

use super::output::wants_colours;
use super::progress::AboveBoard;
use faas_flow_gateway::{Logs, log};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged if `RUST_LOG` does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verbosity {
    /// Warnings, what flows log, and what schedules do.
    Warnings,
    /// Besides, a line for each request, as of-watchdog writes one.
    Requests,
}

/// Starts logging. What flows log is kept in `logs` too, if that is given.
pub(super) fn start_logging(verbosity: Verbosity, logs: Option<Logs>) {
    let default = match verbosity {
        Verbosity::Warnings => "warn,flow=info,schedule=info",
        Verbosity::Requests => "warn,flow=info,schedule=info,request=info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt::layer().fmt_fields(log::fields()).with_writer(|| AboveBoard);
    let lines = lines.with_ansi(std::io::stderr().is_terminal() && wants_colours());
    // A process that logs already, as a test may, keeps its subscriber.
    let _ = tracing_subscriber::registry().with(filter).with(lines).with(logs).try_init();
}
