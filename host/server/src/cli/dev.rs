//! `faas-flow dev`: builds a flow whenever its sources change, and serves each new version without a restart.

use super::browser::guarded_and_open;
use super::host::{ProgramOutput, empty_host, guests_of_author, load_brought, warn_of_schedules};
use super::listen::{self, limited, listen, patience};
use super::output::wants_colours;
use super::project::{Build, Refused, Sources};
use super::serve::Queues;
use super::{guards, progress, stop};
use crate::Error;
use crate::config::{Defaults, Group, Options, Takes, Unspecified, resolve_stores};
use clap::Args;
use faas_flow_core::text::{printable, printable_lines};
use faas_flow_core::{Digest, FlowName};
use faas_flow_graph::{Colours, Difference};
use faas_flow_guest::Guests;
use faas_flow_http::local_router;
use faas_flow_replica::Host;
use faas_flow_versions::signature::Trusted;
use faas_flow_versions::{Artifact, By, Flow, IfRemoved, Loader, Upload};
use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The number of versions that are kept besides those that runs need, for edits that are undone.
const KEPT: usize = 5;
/// The maximum number of lines of the difference that is shown for a new version.
const LINES: usize = 20;

#[derive(Args)]
pub(super) struct Dev {
    /// Folder of the flow's sources
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Shell command that builds the flow in that folder [default: as faas-flow build does]
    #[arg(long, value_name = "COMMAND", requires = "module")]
    build: Option<String>,
    /// Module that the command writes, relative to the folder
    #[arg(long, value_name = "FILE", requires = "build")]
    module: Option<PathBuf>,
    /// Name of the flow [default: the name of its module]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    pub(super) queues: Queues,
    #[command(flatten)]
    pub(super) keys: Options<DevKeys>,
}

/// The keys of a local server, except for those about signatures, since a module that was just built is not signed.
pub(super) struct DevKeys;

impl Takes for DevKeys {
    const GROUPS: &'static [Group] = &[
        Group::Address,
        Group::Connections,
        Group::Calls,
        Group::Stores,
        Group::Limits,
        Group::Access,
        Group::Schedule,
        Group::Guest,
    ];
    const DEFAULTS: Defaults = Defaults::Local;
}

impl Dev {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let mut values = self.keys.read()?;
        // In memory, since a run is of no use later if its version cannot be built again.
        let stores = resolve_stores(&mut values, Unspecified::Memory)?;
        let at = listen::address(&values, "127.0.0.1");
        let (listener, address) = listen(&at).await?;
        listen::set_public_url(&mut values, address);
        let guards = guards::of(&values, address.ip())?;
        let build = Build::of(&self.path, self.build.zip(self.module))?;
        let watch = Sources::new(&self.path, build.module())?;
        let name = self.name.map(FlowName::new).transpose()?.or_else(|| build.name());
        let sources = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let guests = guests_of_author(&values, &sources)?;
        let mut author = Author { build, watch, guests, name, made: VecDeque::new() };
        let mut signals = stop::Signals::new()?;
        let (flow, artifact) = tokio::select! {
            first = author.first() => first?,
            _ = signals.any() => return Ok(ExitCode::SUCCESS),
        };
        let loader = Loader::new(author.guests.clone(), Trusted::default());
        let host = empty_host(&values, &stores, guards.keys.clone(), loader, ProgramOutput::Shown).await?;
        author.put(&host, &flow, artifact).await;
        warn_of_schedules(&values, &host);
        let gateway = self.queues.gateway().await?;
        gateway.start();
        let router = limited(local_router(&host, guards, &gateway)?, &host, &values);
        let router = guarded_and_open(&values, address, router);
        let shown = progress::show(host.watch(), progress::Stdout::Nothing);
        tokio::spawn(host.clone().sweep());
        tokio::spawn(host.clone().fire_schedules());
        say(&format!("serving http://{address}/function/{}", flow.name));
        for name in host.functions().names() {
            say(&format!("serving http://{address}/function/{name} (a step function)"));
        }
        say(&format!("serving http://{address}/dashboard/"));
        say("ready");
        let served = tokio::select! {
            served = stop::serve(listener, router, host.clone(), patience(&values)) => served,
            failed = author.go_on(&host, flow) => failed,
        };
        gateway.stop(Duration::from_secs(1)).await;
        shown.finish().await;
        served?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The state of the loop that builds and serves versions.
struct Author {
    build: Build,
    watch: Sources,
    guests: Arc<Guests>,
    /// The flow's name, once it was given or the first module was built.
    name: Option<FlowName>,
    /// The versions that were built, newest first.
    made: VecDeque<Digest>,
}

impl Author {
    /// Builds until there is a version that can be served.
    async fn first(&mut self) -> Result<(Flow, Artifact), Error> {
        loop {
            match self.version().await {
                Ok((flow, artifact, _)) => {
                    self.name = Some(flow.name.clone());
                    return Ok((flow, artifact));
                }
                Err(refused) => complain(&refused, "nothing is being served yet; waiting for the next change"),
            }
            self.watch.changed().await?;
        }
    }

    /// Builds and serves a version after each change.
    async fn go_on(&mut self, host: &Host, mut serves: Flow) -> Result<(), Error> {
        loop {
            let changed = self.watch.changed().await?;
            say(&format!("building {}: {changed}", serves.name));
            match self.version().await {
                Ok((flow, _, _)) if flow.module.digest() == serves.module.digest() => {
                    say(&format!("{}: the build produced the version that is already being served", serves.name));
                }
                Ok((flow, artifact, built)) => {
                    self.put(host, &flow, artifact).await;
                    say(&swapped(&serves, &flow, built.elapsed()));
                    serves = flow;
                }
                Err(refused) => {
                    let version = serves.module.digest().short();
                    complain(&refused, &format!("{} is still being served in version {version}", serves.name));
                }
            }
        }
    }

    /// Serves a version, stores it for runs that are pinned to it, and removes older ones that no run needs.
    async fn put(&mut self, host: &Host, flow: &Flow, artifact: Artifact) {
        let digest = flow.module.digest().clone();
        host.versions().deploy(flow.clone());
        self.made.retain(|made| *made != digest);
        self.made.push_front(digest.clone());
        let by = By { who: "faas-flow dev".to_owned(), message: String::new(), at: host.now() };
        let upload = Upload { digest, bytes: artifact.bytes, by, signature: None, if_removed: IfRemoved::StoreAgain };
        if let Err(error) = host.versions().push(&flow.name, upload).await {
            say(&format!("warning: paused runs may not find this version later: {}", printable(&error)));
        }
        for old in self.made.split_off(KEPT.min(self.made.len())) {
            if !host.versions().discard(&flow.name, &old).await.unwrap_or_default() {
                self.made.push_back(old);
            }
        }
    }

    /// Builds and loads the current sources. The moment is that at which the build ended.
    async fn version(&self) -> Result<(Flow, Artifact, Instant), Refused> {
        let module = self.build.run().await?;
        let built = Instant::now();
        let loaded = load_brought(&self.guests, &Trusted::default(), &module, self.name.clone()).await;
        let (flow, artifact) = loaded.map_err(Refused::Error)?;
        Ok((flow, artifact, built))
    }
}

/// Says why there is no new version.
fn complain(refused: &Refused, then: &str) {
    match refused {
        Refused::Build => say(&format!("the build failed; {then}")),
        Refused::Error(error) => {
            let code = error.code();
            let error = printable_lines(error);
            say(&format!("error {code}: {error}\nsee: faas-flow explain {code}\n{then}"));
        }
    }
}

fn swapped(old: &Flow, new: &Flow, took: Duration) -> String {
    let was = old.module.digest().short();
    let is = new.module.digest().short();
    let mut text = format!("{}: {was} → {is}, active {} ms after the build", new.name, took.as_millis());
    let difference = Difference::between(&old.definition, &new.definition).text(colours());
    let lines = difference.lines().count();
    for line in difference.lines().take(LINES) {
        text.push_str(&format!("\n  {line}"));
    }
    if lines > LINES {
        text.push_str(&format!("\n  … {} more", lines - LINES));
    }
    text
}

fn colours() -> Colours {
    if std::io::stderr().is_terminal() && wants_colours() { Colours::On } else { Colours::Off }
}

/// Writes a line to stderr, above the runs that are shown.
fn say(text: &str) {
    progress::say(text);
}
