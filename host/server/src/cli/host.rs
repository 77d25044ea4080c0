//! Sets up hosts and loads flows, as several commands do.

use super::cache;
use super::memory;
use super::output::complain;
use super::progress::say;
use crate::Error;
use crate::config::{Defaults, Group, Options, Stores, Takes, Values, misfits, settings_of, trace_settings_of};
use faas_flow_core::FlowName;
use faas_flow_core::schedule::pointless;
use faas_flow_core::text::printable;
use faas_flow_guest::{Compiler, Guests, Limits, functions_of};
use faas_flow_replica::events::Keys;
use faas_flow_replica::traces::{TlsFiles, TraceExporter};
use faas_flow_replica::{Answers, Counters, Function, Functions, Host, Http, Network, Parts, Settings, Traces};
use faas_flow_store::{open_data, open_state};
use faas_flow_versions::signature::Trusted;
use faas_flow_versions::{Artifact, Flow, Loader, Registered, load_flow, load_module, name_of, read_module};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long the code of a scenario's flow runs before it yields: an endless loop still ends.
const LONG_TICK: Duration = Duration::from_secs(1);

/// The keys of a command that only loads modules.
pub(super) struct ModuleKeys;

impl Takes for ModuleKeys {
    const GROUPS: &'static [Group] = &[Group::Guest];
    const DEFAULTS: Defaults = Defaults::Local;
}

/// What loads modules, with the limits that the options set.
pub(super) fn guests_of(options: Options<ModuleKeys>) -> Result<Arc<Guests>, Error> {
    guests(&options.read()?)
}

/// What loads modules.
pub(super) fn guests(values: &Values) -> Result<Arc<Guests>, Error> {
    limited_guests(values, |limits| limits, None)
}

/// What loads the modules that an author makes of these sources, again and again: functions that stay as they are, are compiled
/// once. Nobody else's modules may be loaded with it.
pub(super) fn guests_of_author(values: &Values, sources: &Path) -> Result<Arc<Guests>, Error> {
    limited_guests(values, |limits| limits, Some(sources))
}

/// What loads the modules of scenarios. Their code does not yield to other tasks, so that what happens does not depend on how fast
/// the machine is.
pub(super) fn scenario_guests(values: &Values) -> Result<Arc<Guests>, Error> {
    limited_guests(values, |limits| Limits { tick: LONG_TICK, ..limits }, None)
}

fn limited_guests(
    values: &Values,
    change: impl FnOnce(Limits) -> Limits,
    of_author: Option<&Path>,
) -> Result<Arc<Guests>, Error> {
    memory::limit(values);
    let limits = Limits {
        memory_bytes: values.guest_memory.value,
        instances: values.guest_instances.value,
        output_bytes: values.guest_output.value,
        call_timeout: values.guest_timeout.value,
        code_bytes: values.compiled_limit.value as u64,
        nodes: values.flow_nodes.value,
        ..Limits::default()
    };
    let cache = values.cache.value.clone().or_else(cache::folder);
    // On Linux this is the running program, even if its file has been replaced since.
    let program = if cfg!(target_os = "linux") { Ok(PathBuf::from("/proc/self/exe")) } else { std::env::current_exe() };
    let program = program.map_err(|source| Error::System { what: "find this program to compile modules", source })?;
    let compiler = Compiler {
        program,
        arguments: vec!["compile".to_owned()],
        at_most: values.compile_timeout.value,
        memory: values.compile_memory.value as u64,
        functions: cache.as_ref().zip(of_author).map(|(folder, sources)| functions_of(folder, sources)),
    };
    Ok(Arc::new(Guests::new(change(limits), cache)?.with_compiler(compiler)))
}

/// The keys that modules must be signed with, if there are any.
pub(super) fn trusted(values: &Values) -> Result<Trusted, Error> {
    let secrets = &values.secret_mount_path.value;
    let files = values.module_keys.value.iter().map(PathBuf::from).map(|key| {
        // A key is the name of a secret unless it is a file.
        let secret = secrets.join(&key);
        if !key.exists() && secret.exists() { secret } else { key }
    });
    Ok(Trusted::read(&files.collect::<Vec<_>>())?)
}

/// Whether what programs used as functions write to stderr is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgramOutput {
    Shown,
    Hidden,
}

/// A host of this machine, without flows.
pub(super) async fn empty_host(
    values: &Values,
    stores: &Stores,
    keys: Option<Keys>,
    loader: Loader,
    output: ProgramOutput,
) -> Result<Arc<Host>, Error> {
    warn(values);
    // An author who serves flows on their own machine may see what the functions answer.
    let settings =
        Settings { answers: Answers::Quoted, read_timeout: values.read_timeout.value, ..settings_of(values) };
    let (mut functions, network) = functions(values, &settings)?;
    if output == ProgramOutput::Shown {
        functions = functions.with_program_lines(Arc::new(|name, line| say(&format!("{name}: {}", printable(line)))));
    }
    let counters = Arc::<Counters>::default();
    let traces = traces(values, "faas-flow", network, &counters)?;
    let state = open_state(&stores.state).await?;
    let data = open_data(&stores.data).await?;
    let parts = Parts::new(settings, state, data, functions);
    Ok(Host::new(Parts { keys, modules: Some(loader), traces, counters, ..parts }))
}

/// What sends the spans of runs, as those of this service, if tracing is enabled.
pub(super) fn traces(
    values: &Values,
    service: &str,
    network: Arc<dyn Network>,
    counters: &Counters,
) -> Result<Option<Traces>, Error> {
    let Some(settings) = trace_settings_of(values, service)? else { return Ok(None) };
    let network = match &settings.exporter {
        TraceExporter::Otlp(otlp) if otlp.tls != TlsFiles::default() => {
            Arc::new(Http::with_tls_files(&settings_of(values), &otlp.tls)?)
        }
        TraceExporter::Otlp(_) | TraceExporter::JaegerAgent { .. } => network,
    };
    Ok(Some(Traces::new(settings, network, counters)?))
}

/// A host of this machine, with its flows loaded.
pub(super) async fn local_host(
    values: &Values,
    stores: &Stores,
    flows: &[PathBuf],
    keys: Option<Keys>,
    output: ProgramOutput,
) -> Result<(Arc<Host>, Vec<(Flow, Artifact)>), Error> {
    let guests = guests(values)?;
    let trusted = trusted(values)?;
    let host = empty_host(values, stores, keys, Loader::new(guests.clone(), trusted.clone()), output).await?;
    let mut loaded = Vec::new();
    for path in flows {
        let (name, file) = named(path)?;
        let (flow, artifact) = load_brought(&guests, &trusted, &file, name).await?;
        if host.functions().get(flow.name.as_str()).is_some() {
            return Err(Error::FunctionIsFlow { flow: flow.name });
        }
        if host.versions().active(&flow.name).is_some() {
            return Err(Error::DuplicateFlow { flow: flow.name });
        }
        host.versions().deploy(flow.clone());
        loaded.push((flow, artifact));
    }
    Ok((host, loaded))
}

/// Stores the modules that the host was started with, and begins to follow which versions are active.
pub(super) async fn bring(host: &Arc<Host>, loaded: Vec<(Flow, Artifact)>) -> Result<(), faas_flow_versions::Error> {
    for (flow, artifact) in loaded {
        let name = flow.name.clone();
        let digest = flow.module.digest().clone();
        if host.versions().register_image(flow, artifact).await? == Registered::Superseded {
            let active = host.versions().active(&name).map(|flow| flow.digest().short().to_owned()).unwrap_or_default();
            eprintln!(
                "flow {name}: serving version {active}, which is active, instead of {}, with which this host was started",
                digest.short()
            );
        }
    }
    tokio::spawn(host.versions().clone().follow());
    Ok(())
}

/// The functions that flows may call, and the network through which they are called.
pub(super) fn functions(values: &Values, settings: &Settings) -> Result<(Functions, Arc<dyn Network>), Error> {
    let functions = values.functions.value.iter();
    let functions = functions.map(|option| Function::parse(option)).collect::<Result<Vec<_>, _>>()?;
    let network: Arc<dyn Network> = Arc::new(Http::new(settings)?);
    Ok((Functions::new(functions, values.gateway.value.clone(), settings, network.clone()), network))
}

/// Prints the warnings about the configuration.
pub(super) fn warn(values: &Values) {
    let ignored = values.ignored.iter().filter(|_| values.enable_tracing.value);
    for warning in values.warnings.iter().chain(ignored).chain(&misfits(values)) {
        complain(format_args!("warning: {warning}"));
    }
}

/// Warns of schedules in the configuration that concern no flow that is served.
pub(super) fn warn_of_schedules(values: &Values, host: &Host) {
    let flows = host.versions().all_active();
    let served: Vec<_> = flows.iter().map(|flow| (&flow.name, &*flow.definition.schedules)).collect();
    for warning in pointless(&values.schedules.value, &served) {
        complain(format_args!("warning: {warning}"));
    }
}

/// Loads `FILE` or `NAME=FILE`.
pub(super) async fn load(guests: &Arc<Guests>, path: &Path) -> Result<Flow, Error> {
    let (name, file) = named(path)?;
    Ok(load_flow(guests.clone(), &file, name).await?)
}

/// Loads a module, checks its signature if there are trusted keys, and returns it with its bytes for the module store.
pub(super) async fn load_brought(
    guests: &Arc<Guests>,
    trusted: &Trusted,
    path: &Path,
    name: Option<FlowName>,
) -> Result<(Flow, Artifact), Error> {
    let artifact = Artifact::new(read_module(path).await?, trusted.beside(path)?);
    let flow = load_module(guests.clone(), trusted, &artifact, name_of(path, name)?).await?;
    Ok((flow, artifact))
}

/// The name and the file of `FILE` or `NAME=FILE`. A file whose own name has a `=` is `FILE`.
fn named(path: &Path) -> Result<(Option<FlowName>, PathBuf), Error> {
    let text = path.to_string_lossy();
    Ok(match text.split_once('=').filter(|_| !path.exists()) {
        Some((name, file)) => (Some(FlowName::new(name)?), PathBuf::from(file)),
        None => (None, path.to_owned()),
    })
}
