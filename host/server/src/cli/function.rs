//! `faas-flow function`

use super::common::{self, listen};
use super::lock::Lock;
use super::stop::Server;
use super::{guards, metrics, waiting};
use crate::config::{self, Defaults, Group, Options, Source, Takes, Values};
use crate::events::{GatewayEvents, Keys};
use crate::http::{Patience, Starting};
use crate::versions::Loader;
use crate::{Contract, Error, Host, Parts, Settings, function_router};
use clap::Args;
use faas_flow_core::{Code, FlowName};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[derive(Args)]
pub(super) struct Function {
    /// The flow's module, and perhaps the function's name: NAME=FILE [default: flow.wasm]
    #[arg(value_name = "FLOW")]
    module: Option<PathBuf>,
    #[command(flatten)]
    keys: Options<FunctionKeys>,
}

/// The keys of a deployed function: all.
pub(super) struct FunctionKeys;

impl Takes for FunctionKeys {
    const GROUPS: &'static [Group] = &Group::ALL;
    const DEFAULTS: Defaults = Defaults::Deployed;
}

/// The longest that requests are still taken after SIGTERM: with what follows, it ends before Kubernetes ends it.
const LONGEST_SETTLE: Duration = Duration::from_secs(10);
/// of-watchdog hands SIGTERM on at once and requests for as long as it waits itself: the function stays a little longer.
const AFTER_WATCHDOG: Duration = Duration::from_secs(1);

impl Function {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let mut values = self.keys.read()?;
        given(&mut values, self.module);
        put_beside(&mut values)?;
        config::resolve_stores(&mut values, false)?;
        let (name, source) = config::flow_name(&values, |name| std::env::var(name).ok())?;
        common::warn(&values);
        no_watchdog_is_missed(&values)?;
        let settle = settle(&values);
        let (listener, address) = listen(&place(&values)).await?;
        let guards = guards::of(&values, address.ip())?;
        let metrics = metrics::listen(&values, address.ip()).await?;
        let (starting, measured) = (Starting::default(), Starting::default());
        let patience = patience(&values);
        let mut server = Server::start(listener, starting.router(), patience)?;
        if let Some(metrics) = metrics {
            metrics::serve(metrics, measured.router(), patience);
        }
        eprintln!("serves flow {name} at http://{address}/ (called so by {source})");
        let host = begin(&values, &starting, &name, guards.keys.clone());
        let Some(host) = server.unless_stopped(host).await? else { return Ok(ExitCode::SUCCESS) };
        tokio::spawn(host.clone().sweep());
        let exec_timeout = values.limit(&config::EXEC_TIMEOUT);
        let contract = Contract::new(host.clone(), exec_timeout, values.count(&config::MAX_INFLIGHT));
        starting.serves(contract.over(function_router(host.clone(), name, guards)));
        measured.serves(metrics::routes(contract));
        let lock = Lock::take(&values);
        eprintln!("ready");
        server.until_stopped(host, settle, lock).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The host with its flow, as soon as the stores let it: what is wrong with the module is told before.
async fn begin(values: &Values, starting: &Starting, name: &FlowName, keys: Option<Keys>) -> Result<Arc<Host>, Error> {
    let settings = Settings { read_timeout: patience(values).read, ..Settings::of(values) };
    let (functions, network) = common::functions(values, &settings)?;
    let (guests, trusted) = (common::guests(values)?, common::trusted(values)?);
    let flow = common::load_brought(&guests, &trusted, &module(values), Some(name.clone())).await?;
    let (state, data) = (values.text(&config::STATE_STORE), values.text(&config::DATA_STORE));
    let (state, data) = waiting::stores(starting, &state, &data).await?;
    let traces = common::traces(values, name.as_str(), network.clone())?;
    let mut parts = Parts { keys: keys.clone(), traces, ..Parts::new(settings, state, data, functions) };
    if let Some(gateway) = values.url(&config::GATEWAY) {
        parts.events = Some(Arc::new(GatewayEvents::new(network, gateway, keys, parts.clock.clone())));
    }
    parts.modules = Some(Loader::new(guests, trusted));
    let host = Host::new(parts);
    waiting::bring(starting, &host, flow).await?;
    Ok(host)
}

/// How long requests are still taken after SIGTERM.
fn settle(values: &Values) -> Duration {
    let watchdog = values.some(&config::UPSTREAM_URL).is_some();
    let asked = match watchdog && values.given(&config::HEALTHCHECK_INTERVAL).is_none() {
        // So long it waits itself.
        true => values.time(&config::WRITE_TIMEOUT),
        false => values.time(&config::HEALTHCHECK_INTERVAL),
    };
    if asked > LONGEST_SETTLE {
        eprintln!(
            "warning: requests are taken for 10s after SIGTERM, not {}s, so that the function ends before it is killed: set \
             healthcheck_interval to 10s or less{}",
            asked.as_secs(),
            if watchdog { ", or of-watchdog sends requests to nobody" } else { "" }
        );
    }
    asked.min(LONGEST_SETTLE) + if watchdog { AFTER_WATCHDOG } else { Duration::ZERO }
}

/// Whoever says `jwt_auth` wants of-watchdog to check tokens: without it, the function would be open.
fn no_watchdog_is_missed(values: &Values) -> Result<(), Error> {
    let wanted = std::env::var("jwt_auth").is_ok_and(|set| matches!(set.trim(), "1" | "true"));
    match wanted && values.some(&config::UPSTREAM_URL).is_none() {
        true => Err(Error::new(
            Code::BAD_CONFIGURATION,
            "jwt_auth is true, but it is of-watchdog that checks tokens: put it in front and say upstream_url, or leave \
             jwt_auth out",
        )),
        false => Ok(()),
    }
}

/// `FILE` or `NAME=FILE` of the command line are the keys `flow` and `flow_name`.
fn given(values: &mut Values, module: Option<PathBuf>) {
    let Some(module) = module else { return };
    let text = module.to_string_lossy().into_owned();
    let file = match text.split_once('=').filter(|_| !module.exists()) {
        Some((name, file)) => {
            values.set(&config::FLOW_NAME, vec![name.to_owned()], Source::Option("NAME=FILE".to_owned()));
            file.to_owned()
        }
        None => text,
    };
    values.set(&config::FLOW, vec![file], Source::Option("FLOW".to_owned()));
}

/// A `flow.yml` beside the module has the settings that the environment does not.
pub(super) fn put_beside(values: &mut Values) -> Result<(), Error> {
    let file = module(values).with_file_name("flow.yml");
    if file.is_file() {
        values.put_below(config::file_layer(&file)?);
    }
    Ok(())
}

/// The module: a relative name is looked for in the working directory, then beside the program.
fn module(values: &Values) -> PathBuf {
    let file = PathBuf::from(values.text(&config::FLOW));
    if file.exists() {
        return file;
    }
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(&file)));
    beside.filter(|beside| beside.exists()).unwrap_or(file)
}

/// How slow callers may be. Where of-watchdog stands in front, it looks after that.
fn patience(values: &Values) -> Patience {
    match values.some(&config::UPSTREAM_URL) {
        Some(_) => Patience::default(),
        None => Patience { read: values.limit(&config::READ_TIMEOUT), write: values.limit(&config::WRITE_TIMEOUT) },
    }
}

/// Where to listen.
fn place(values: &Values) -> String {
    let upstream = values.url(&config::UPSTREAM_URL).and_then(|url| reqwest::Url::parse(&url).ok());
    let upstream = upstream.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    let listen = values.some(&config::LISTEN).or(upstream);
    listen.unwrap_or_else(|| format!("0.0.0.0:{}", values.port(&config::PORT)))
}
