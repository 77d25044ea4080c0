//! `faas-flow function`

use super::browser::{guarded_and_open, rules};
use super::host::{functions, guests, load_brought, traces, trusted, warn, warn_of_schedules};
use super::listen::{self, listen};
use super::lock::Lock;
use super::logging::LogFormat;
use super::stop::Server;
use super::{guards, metrics, waiting};
use crate::Error;
use crate::config::settings_of;
use crate::config::{
    self, Defaults, Group, Options, Source, Stores, Takes, Unspecified, Values, flow_name, resolve_stores,
};
use clap::Args;
use faas_flow_core::{FlowName, ShownDuration};
use faas_flow_http::{Contract, function_router};
use faas_flow_http::{Patience, Starting};
use faas_flow_replica::events::{GatewayEvents, Keys};
use faas_flow_replica::{Counters, Host, Parts, Settings};
use faas_flow_versions::Loader;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[derive(Args)]
pub(super) struct Function {
    /// Module of the flow, optionally with the name of the function: NAME=FILE [default: flow.wasm]
    #[arg(value_name = "FLOW")]
    module: Option<PathBuf>,
    #[command(flatten)]
    keys: Options<FunctionKeys>,
}

/// The keys of a deployed function: all keys.
pub(super) struct FunctionKeys;

impl Takes for FunctionKeys {
    const GROUPS: &'static [Group] = &Group::ALL;
    const DEFAULTS: Defaults = Defaults::Deployed;
}

/// The maximum time that requests are accepted after SIGTERM. With what follows, the process ends before Kubernetes kills it.
const LONGEST_SETTLE: Duration = Duration::from_secs(10);
/// of-watchdog forwards SIGTERM at once, and goes on forwarding requests for as long as it waits itself. The function accepts
/// requests a little longer than that.
const AFTER_WATCHDOG: Duration = Duration::from_secs(1);

impl Function {
    /// The form of its log, which begins before all values are read.
    pub(super) fn log_format(&self) -> LogFormat {
        LogFormat::of(self.keys.peek().and_then(|mut values| {
            take_argument(&mut values, self.module.clone());
            read_file_beside(&mut values).ok().map(|()| values)
        }))
    }

    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let mut values = self.keys.read()?;
        take_argument(&mut values, self.module);
        read_file_beside(&mut values)?;
        let stores = resolve_stores(&mut values, Unspecified::Durable)?;
        let (name, source) = flow_name(&values, |name| std::env::var(name).ok())?;
        warn(&values);
        check_watchdog(&values)?;
        let settle = settle(&values);
        let (listener, address) = listen(&listen_address(&values)).await?;
        let guards = guards::of(&values, address.ip())?;
        let metrics = metrics::listen(&values, address.ip()).await?;
        let starting = Starting::default();
        let measured = Starting::default();
        let patience = patience(&values);
        let mut server = Server::start(listener, guarded_and_open(&values, address, starting.router()), patience)?;
        if let Some((metrics, address)) = metrics {
            metrics::serve(metrics, measured.router(), rules(&values, address), patience);
        }
        eprintln!("serving flow {name} at http://{address}/ (name from {source})");
        let host = begin(&values, &stores, &starting, &name, guards.keys.clone());
        let Some(host) = server.unless_stopped(host).await? else { return Ok(ExitCode::SUCCESS) };
        warn_of_schedules(&values, &host);
        tokio::spawn(host.clone().sweep());
        tokio::spawn(host.clone().fire_schedules());
        let contract = Contract::new(host.clone(), values.exec_timeout.value, values.max_inflight.value);
        starting.serves(contract.over(function_router(host.clone(), name, guards)));
        measured.serves(metrics::routes(contract));
        let lock = Lock::take(&values);
        eprintln!("ready");
        server.until_stopped(host, settle, lock).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Sets up the host with its flow. Problems with the module are reported before the stores are waited for.
async fn begin(
    values: &Values,
    stores: &Stores,
    starting: &Starting,
    name: &FlowName,
    keys: Option<Keys>,
) -> Result<Arc<Host>, Error> {
    let settings = Settings { read_timeout: patience(values).read, ..settings_of(values) };
    let (functions, network) = functions(values, &settings)?;
    let guests = guests(values)?;
    let trusted = trusted(values)?;
    let flow = load_brought(&guests, &trusted, &module(values), Some(name.clone())).await?;
    let (state, data) = waiting::open_stores(starting, stores).await?;
    let counters = Arc::<Counters>::default();
    let traces = traces(values, name.as_str(), network.clone(), &counters)?;
    let parts = Parts::new(settings, state, data, functions);
    let mut parts = Parts { keys: keys.clone(), traces, counters, ..parts };
    if let Some(gateway) = values.gateway.value.clone() {
        parts.events = Some(Arc::new(GatewayEvents::new(network, gateway, keys, parts.clock.clone())));
    }
    parts.modules = Some(Loader::new(guests, trusted));
    let host = Host::new(parts);
    waiting::bring(starting, &host, flow).await?;
    Ok(host)
}

fn is_behind_watchdog(values: &Values) -> bool {
    values.upstream_url.value.is_some()
}

/// How long requests are accepted after SIGTERM.
fn settle(values: &Values) -> Duration {
    let behind_watchdog = is_behind_watchdog(values);
    // Without an interval of its own, of-watchdog waits for its write_timeout.
    let asked = if behind_watchdog && !values.healthcheck_interval.is_given() {
        values.write_timeout.value.unwrap_or_default()
    } else {
        values.healthcheck_interval.value
    };
    if asked > LONGEST_SETTLE {
        let consequence = if behind_watchdog { ", or of-watchdog forwards requests that nothing answers" } else { "" };
        eprintln!(
            "warning: requests are accepted for {} after SIGTERM instead of {}, so that the function ends before it is \
             killed: set healthcheck_interval to 10s or less{consequence}",
            ShownDuration(LONGEST_SETTLE),
            ShownDuration(asked),
        );
    }
    asked.min(LONGEST_SETTLE) + if behind_watchdog { AFTER_WATCHDOG } else { Duration::ZERO }
}

/// Refuses to start if `jwt_auth` asks of-watchdog to check tokens and there is none, since the function would be open.
fn check_watchdog(values: &Values) -> Result<(), config::Error> {
    let wanted = std::env::var("jwt_auth").is_ok_and(|set| matches!(set.trim(), "1" | "true"));
    if wanted && !is_behind_watchdog(values) { Err(config::Error::WatchdogMissing) } else { Ok(()) }
}

/// Takes the argument `FILE` or `NAME=FILE` for the keys `flow` and `flow_name`.
fn take_argument(values: &mut Values, module: Option<PathBuf>) {
    let Some(module) = module else { return };
    let text = module.to_string_lossy().into_owned();
    let file = match text.split_once('=').filter(|_| !module.exists()) {
        Some((name, file)) => {
            values.flow_name.set_text(name.to_owned(), Source::Option("NAME=FILE".to_owned()));
            file.to_owned()
        }
        None => text,
    };
    values.flow.set(PathBuf::from(&file), file, Source::Option("FLOW".to_owned()));
}

/// Reads a `flow.yml` next to the module, which sets what neither options nor the environment set.
pub(super) fn read_file_beside(values: &mut Values) -> Result<(), config::Error> {
    let file = module(values).with_file_name("flow.yml");
    if file.is_file() { values.read_file(&file) } else { Ok(()) }
}

/// The module: a relative path is looked up in the working directory, then next to the program.
fn module(values: &Values) -> PathBuf {
    let file = values.flow.value.clone();
    if file.exists() {
        return file;
    }
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(&file)));
    beside.filter(|beside| beside.exists()).unwrap_or(file)
}

/// How slow callers may be. Behind of-watchdog there is no limit, since it has limits itself.
fn patience(values: &Values) -> Patience {
    if is_behind_watchdog(values) { Patience::default() } else { listen::patience(values) }
}

/// The address to listen on: `listen`, or that of `upstream_url`, or `port` on all interfaces.
fn listen_address(values: &Values) -> String {
    let upstream = values.upstream_url.value.as_ref().and_then(|url| reqwest::Url::parse(url).ok());
    let upstream = upstream.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    match upstream {
        Some(upstream) if values.listen.value.is_none() => upstream,
        _ => listen::address(values, "0.0.0.0"),
    }
}
