//! Options that several commands have.

use crate::{Error, Flow, Function, Functions, Host, Settings, load_flow};
use clap::Args;
use faas_flow_core::{Code, FlowName};
use faas_flow_guest::{Guests, Limits};
use faas_flow_store::{open_data, open_state};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Ended runs that a state store in memory keeps.
const MEMORY_HISTORY: usize = 1000;

/// Limits of the flow's code.
#[derive(Args)]
pub(super) struct GuestOptions {
    /// Memory that an instance of a flow may have, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, help_heading = "Limits of the flow's code")]
    guest_memory: usize,
    /// The longest that one call of the flow's code may take, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000, help_heading = "Limits of the flow's code")]
    guest_timeout: u64,
    /// Where compiled code is kept
    #[arg(long, value_name = "DIR", env = "FAAS_FLOW_CACHE", help_heading = "Limits of the flow's code")]
    cache: Option<PathBuf>,
}

impl GuestOptions {
    pub(super) fn guests(&self) -> Result<Arc<Guests>, Error> {
        let limits = Limits {
            memory_bytes: self.guest_memory.saturating_mul(1024 * 1024),
            call_timeout: Duration::from_millis(self.guest_timeout),
            ..Limits::default()
        };
        let cache = self.cache.clone().or_else(|| Some(home_cache()?.join("faas-flow/compiled")));
        Ok(Arc::new(Guests::new(limits, cache)?))
    }
}

fn home_cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))
}

/// What a host works with.
#[derive(Args)]
pub(super) struct HostOptions {
    /// A function that flows may apply: NAME=./program, NAME=http://… or NAME=echo
    #[arg(long = "function", value_name = "NAME=TARGET")]
    functions: Vec<String>,
    /// The OpenFaaS gateway that has all other functions
    #[arg(long, value_name = "URL", env = "FAAS_FLOW_GATEWAY")]
    gateway: Option<String>,
    /// Where the state of runs is kept: memory, or sqlite:PATH
    #[arg(long, value_name = "STORE", env = "FAAS_FLOW_STATE")]
    state: Option<String>,
    /// Where payloads over 32 KiB are kept: memory, or files:DIR
    #[arg(long, value_name = "STORE", env = "FAAS_FLOW_DATA")]
    data_store: Option<String>,
    /// The largest body of a request, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    body_limit: usize,
    /// Nodes of all runs together that execute at a time
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    max_inflight: usize,
    /// How long a claim holds a node before another replica may take it, in milliseconds; it is renewed in time
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    lease: u64,
    /// How long the history and result of a run are kept after its end, in hours
    #[arg(long, value_name = "HOURS", default_value_t = 168)]
    history_ttl: u64,
    #[command(flatten)]
    pub(super) guest: GuestOptions,
}

impl HostOptions {
    /// A host, and its flows loaded. Without other word, state and data are where `state` and `data` say.
    pub(super) async fn host(
        &self,
        flows: &[PathBuf],
        state: &str,
        data: &str,
    ) -> Result<(Arc<Host>, Vec<Flow>), Error> {
        let (state, data) = (self.state.as_deref().unwrap_or(state), self.data_store.as_deref().unwrap_or(data));
        let settings = Settings {
            body_limit: self.body_limit.saturating_mul(1024 * 1024),
            max_inflight: self.max_inflight.max(1),
            lease: Duration::from_millis(self.lease.max(100)),
            history_ttl: Duration::from_secs(self.history_ttl.saturating_mul(3600)),
            history_limit: if state == "memory" { MEMORY_HISTORY } else { usize::MAX },
            ..Settings::default()
        };
        let functions = self.functions.iter().map(|option| Function::parse(option));
        let functions = functions.collect::<Result<Vec<_>, _>>()?;
        let gateway = self.gateway.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        let functions = Functions::new(functions, gateway, &settings)?;
        let guests = self.guest.guests()?;
        let mut loaded = Vec::new();
        for path in flows {
            loaded.push(load(&guests, path).await?);
        }
        let (state, data) = (open_state(state).await?, open_data(data).await?);
        let host = Host::new(settings, state, data, functions);
        for flow in &loaded {
            if host.flow(&flow.name).is_some() {
                let message = format!("two flows have the name {}: give one another with NAME=FILE", flow.name);
                return Err(Error::new(Code::DUPLICATE_FLOW, message));
            }
            host.deploy(flow.clone());
        }
        Ok((host, loaded))
    }

    pub(super) fn state_url(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Loads `FILE` or `NAME=FILE`.
pub(super) async fn load(guests: &Arc<Guests>, path: &Path) -> Result<Flow, Error> {
    let text = path.to_string_lossy();
    match text.split_once('=').filter(|_| !path.exists()) {
        Some((name, file)) => load_flow(guests.clone(), Path::new(file), Some(FlowName::new(name)?)).await,
        None => load_flow(guests.clone(), path, None).await,
    }
}

/// Logs go to stderr, as `RUST_LOG` says; warnings and what flows log by default.
pub(super) fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,flow=info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| super::progress::AboveBoard);
    // A second subscriber in one process (a test) is no reason to fail.
    let _ = logs.with_ansi(std::io::stderr().is_terminal()).try_init();
}

/// Reads `@file`, `@-` for stdin, or the text itself.
pub(super) fn read_data(data: &str) -> Result<Vec<u8>, Error> {
    let Some(file) = data.strip_prefix('@') else { return Ok(data.as_bytes().to_vec()) };
    let read = match file {
        "-" => {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).map(|_| bytes)
        }
        file => std::fs::read(file),
    };
    read.map_err(|error| Error::new(Code::INPUT_UNREADABLE, format!("cannot read {file}: {error}")))
}

/// JSON for people and tools alike.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(value);
    let json = json.map_err(|error| Error::new(Code::INTERNAL, format!("cannot write JSON: {error}")))?;
    print(format!("{json}\n"));
    Ok(())
}

/// Writes to stdout; a reader that went away is no error.
pub(super) fn print(text: impl AsRef<[u8]>) {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_ref()).and_then(|()| stdout.flush());
}
