//! The log, which goes to stderr.

use super::output::wants_colours;
use super::progress::AboveBoard;
use faas_flow_gateway::log;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// What is logged if `RUST_LOG` does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verbosity {
    /// Warnings, and what flows log.
    Warnings,
    /// Besides, a line for each request, as of-watchdog writes one.
    Requests,
}

/// Starts logging.
pub(super) fn start_logging(verbosity: Verbosity) {
    let default = match verbosity {
        Verbosity::Warnings => "warn,flow=info",
        Verbosity::Requests => "warn,flow=info,request=info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt().fmt_fields(log::fields()).with_env_filter(filter).with_writer(|| AboveBoard);
    // A process that logs already, as a test may, keeps its subscriber.
    let _ = logs.with_ansi(std::io::stderr().is_terminal() && wants_colours()).try_init();
}
