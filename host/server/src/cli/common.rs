//! What several commands do.

use super::cache;
use crate::config::{self, Defaults, Group, Options, Takes, Values};
use crate::events::Keys;
use crate::flows::{Brought, load_module, name_of, read_module};
use crate::modules::Loader;
use crate::signature::Trusted;
use crate::{Answers, Error, Flow, Function, Functions, Host, Http, Network, Parts, Settings, Traces, load_flow};
use faas_flow_core::{Code, FlowName};
use faas_flow_guest::{Compiler, Guests, Limits};
use faas_flow_store::{open_data, open_state};
use std::io::{ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;

/// The keys of a command that only loads a module.
pub(super) struct ModuleKeys;

impl Takes for ModuleKeys {
    const GROUPS: &'static [Group] = &[Group::Guest];
    const DEFAULTS: Defaults = Defaults::Local;
}

/// What loads modules, under the limits of the options.
pub(super) fn guests_of(options: Options<ModuleKeys>) -> Result<Arc<Guests>, Error> {
    guests(&options.read()?)
}

/// What loads modules.
pub(super) fn guests(values: &Values) -> Result<Arc<Guests>, Error> {
    let limits = Limits {
        memory_bytes: values.bytes(&config::GUEST_MEMORY),
        instances: u32::try_from(values.count(&config::GUEST_INSTANCES)).unwrap_or(u32::MAX),
        call_timeout: values.time(&config::GUEST_TIMEOUT),
        ..Limits::default()
    };
    let cache = values.some(&config::CACHE).map(PathBuf::from).or_else(cache::folder);
    // This very program, even if another one lies in its place by now.
    let program = match cfg!(target_os = "linux") {
        true => Ok(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe(),
    };
    let guests = Guests::new(limits, cache)?;
    let at_most = values.time(&config::COMPILE_TIMEOUT);
    Ok(Arc::new(match program {
        Ok(program) => guests.with_compiler(Compiler { program, arguments: vec!["compile".to_owned()], at_most }),
        Err(_) => guests,
    }))
}

/// Who may sign modules.
pub(super) fn trusted(values: &Values) -> Result<Trusted, Error> {
    let secrets = PathBuf::from(values.text(&config::SECRET_MOUNT_PATH));
    let keys = values.list(&config::MODULE_KEYS);
    let files = keys.iter().map(PathBuf::from).map(|key| {
        let secret = secrets.join(&key);
        // A name is that of a secret, unless a file here has it.
        if !key.exists() && secret.exists() { secret } else { key }
    });
    Trusted::read(&files.collect::<Vec<_>>())
}

/// A host of this machine, without flows.
pub(super) async fn empty_host(values: &Values, keys: Option<Keys>, loader: Loader) -> Result<Arc<Host>, Error> {
    warn(values);
    // Who serves flows here writes functions here.
    let settings = Settings { answers: Answers::Quoted, ..Settings::of(values) };
    let (functions, network) = functions(values, &settings)?;
    let traces = traces(values, "faas-flow", network)?;
    let state = open_state(&values.text(&config::STATE_STORE)).await?;
    let data = open_data(&values.text(&config::DATA_STORE)).await?;
    Ok(Host::new(Parts { keys, modules: Some(loader), traces, ..Parts::new(settings, state, data, functions) }))
}

/// What takes the spans of runs, as those of this service.
pub(super) fn traces(values: &Values, service: &str, network: Arc<dyn Network>) -> Result<Option<Traces>, Error> {
    if !values.switch(&config::ENABLE_TRACING) {
        return Ok(None);
    }
    let Some(server) = values.url(&config::TRACE_SERVER) else { return Ok(None) };
    Traces::new(&server, service.to_owned(), network).map(Some)
}

/// A host of this machine, and its flows loaded.
pub(super) async fn local_host(
    values: &Values,
    flows: &[PathBuf],
    keys: Option<Keys>,
) -> Result<(Arc<Host>, Vec<(Flow, Brought)>), Error> {
    let (guests, trusted) = (guests(values)?, trusted(values)?);
    let host = empty_host(values, keys, Loader::new(guests.clone(), trusted.clone())).await?;
    let mut loaded = Vec::new();
    for path in flows {
        let (name, file) = named(path)?;
        let (flow, brought) = load_brought(&guests, &trusted, &file, name).await?;
        if host.flow(&flow.name).is_some() {
            let message = format!("two flows have the name {}: give one another with NAME=FILE", flow.name);
            return Err(Error::new(Code::DUPLICATE_FLOW, message));
        }
        host.deploy(flow.clone());
        loaded.push((flow, brought));
    }
    Ok((host, loaded))
}

/// Puts the modules that the host came with into its module store, and follows what is in service from here on.
pub(super) async fn bring(host: &Arc<Host>, loaded: Vec<(Flow, Brought)>) -> Result<(), Error> {
    for (flow, brought) in loaded {
        let (name, digest) = (flow.name.clone(), flow.module.digest().clone());
        if !host.bring(flow, brought).await? {
            let serves = host.flow(&name).map(|flow| flow.module.digest().short().to_owned()).unwrap_or_default();
            eprintln!(
                "flow {name}: version {serves} was put into service and is served, not {}, which this host came with",
                digest.short()
            );
        }
    }
    tokio::spawn(host.clone().follow());
    Ok(())
}

/// What flows may call.
pub(super) fn functions(values: &Values, settings: &Settings) -> Result<(Functions, Arc<dyn Network>), Error> {
    let functions = values.list(&config::FUNCTIONS);
    let functions = functions.iter().map(|option| Function::parse(option)).collect::<Result<Vec<_>, _>>()?;
    let network: Arc<dyn Network> = Arc::new(Http::new(settings)?);
    Ok((Functions::new(functions, values.url(&config::GATEWAY), settings, network.clone()), network))
}

/// What whoever starts a host should know.
pub(super) fn warn(values: &Values) {
    for warning in &values.warnings {
        eprintln!("warning: {warning}");
    }
}

/// Takes an address to listen on.
pub(crate) async fn listen(address: &str) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AddrInUse => {
            let message = format!(
                "{address} is taken by another process: choose another with --listen (port, for a function), or port 0 for a free one"
            );
            Error::new(Code::ADDRESS_IN_USE, message)
        }
        _ => Error::new(Code::BAD_ADDRESS, format!("cannot listen on {address}: {error}")),
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

/// Loads `FILE` or `NAME=FILE`.
pub(super) async fn load(guests: &Arc<Guests>, path: &Path) -> Result<Flow, Error> {
    let (name, file) = named(path)?;
    load_flow(guests.clone(), &file, name).await
}

/// Loads a module that one of the keys has signed, if there are any, and keeps what it is made of for the module store.
pub(super) async fn load_brought(
    guests: &Arc<Guests>,
    trusted: &Trusted,
    path: &Path,
    name: Option<FlowName>,
) -> Result<(Flow, Brought), Error> {
    let brought = Brought::new(read_module(path).await?, trusted.beside(path)?);
    let flow = load_module(guests.clone(), trusted, &brought, name_of(path, name)?).await?;
    Ok((flow, brought))
}

/// The name and the file of `FILE` or `NAME=FILE`.
fn named(path: &Path) -> Result<(Option<FlowName>, PathBuf), Error> {
    let text = path.to_string_lossy();
    Ok(match text.split_once('=').filter(|_| !path.exists()) {
        Some((name, file)) => (Some(FlowName::new(name)?), PathBuf::from(file)),
        None => (None, path.to_owned()),
    })
}

/// Logs go to stderr, as `RUST_LOG` says. By default these are warnings, what flows log, and of a deployed function a line
/// for each request, as of-watchdog writes one.
pub(super) fn start_logging(requests: bool) {
    let default = if requests { "warn,flow=info,request=info" } else { "warn,flow=info" };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| super::progress::AboveBoard);
    // A second subscriber in one process (a test) is no reason to fail.
    let _ = logs.with_ansi(std::io::stderr().is_terminal() && wants_colours()).try_init();
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

/// Whether the user has nothing against colours.
pub(super) fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|off| off.is_empty())
}

/// JSON for people and tools alike.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Error> {
    print(json(value)?);
    Ok(())
}

/// JSON as text.
pub(super) fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    let json = serde_json::to_string_pretty(value);
    let json = json.map_err(|error| Error::new(Code::INTERNAL, format!("cannot write JSON: {error}")))?;
    Ok(json + "\n")
}

/// Writes to stdout; a reader that went away is no error.
pub(super) fn print(text: impl AsRef<[u8]>) {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_ref()).and_then(|()| stdout.flush());
}
