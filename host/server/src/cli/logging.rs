//! The log, which goes to stderr.

use super::output::wants_colours;
use super::progress::AboveBoard;
use crate::config::Values;
use faas_flow_gateway::{Logs, log};
use std::io::IsTerminal as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// What is logged if `RUST_LOG` does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verbosity {
    /// Warnings, what flows log, what schedules do, and what operators change.
    Warnings,
    /// Besides, a line for each request, as of-watchdog writes one.
    Requests,
}

/// How lines of the log are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object per line, for programs.
    Json,
}

impl LogFormat {
    /// What these values say, if there are any.
    pub(super) fn of(values: Option<Values>) -> Self {
        values.map(|values| values.log_format.value).unwrap_or_default()
    }
}

/// Starts logging. What flows log is kept in `logs` too, if that is given.
pub(super) fn start_logging(verbosity: Verbosity, format: LogFormat, logs: Option<Logs>) {
    let default = match verbosity {
        Verbosity::Warnings => "warn,flow=info,schedule=info,audit=info",
        Verbosity::Requests => "warn,flow=info,schedule=info,audit=info,request=info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let (text, json) = match format {
        LogFormat::Text => (Some(fmt::layer().fmt_fields(log::fields())), None),
        LogFormat::Json => (None, Some(fmt::layer().event_format(log::Json))),
    };
    let with_colours = std::io::stderr().is_terminal() && wants_colours();
    let text = text.map(|lines| lines.with_writer(|| AboveBoard).with_ansi(with_colours));
    let json = json.map(|lines| lines.with_writer(|| AboveBoard).with_ansi(false));
    // A process that logs already, as a test may, keeps its subscriber.
    let _ = tracing_subscriber::registry().with(filter).with(text).with(json).with(logs).try_init();
}
