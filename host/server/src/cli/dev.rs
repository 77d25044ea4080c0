//! `faas-flow dev`: the author's loop. Sources change, they are built, and the flow is swapped while it is served.

mod build;
mod watch;

use super::common::{self, listen, load_brought};
use super::serve::Queues;
use super::{guards, progress, stop};
use crate::config::{Defaults, Group, LISTEN, Options, PORT, Takes, Values, resolve_stores};
use crate::modules::{By, Loader, Upload};
use crate::signature::Trusted;
use crate::{Brought, Error, Flow, Host, local_router};
use build::Build;
use clap::Args;
use faas_flow_core::{Code, Digest, FlowName};
use faas_flow_graph::{Colours, Difference};
use faas_flow_guest::Guests;
use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watch::Watch;

/// Versions that are kept besides those that runs need: whoever undoes an edit goes back to one of them.
const KEPT: usize = 5;
/// Lines of the difference that a swap shows.
const LINES: usize = 20;

#[derive(Args)]
pub(super) struct Dev {
    /// The folder of the flow's sources
    #[arg(default_value = ".")]
    path: PathBuf,
    /// How to build it there, where it is not built by cargo: a command for the shell
    #[arg(long, value_name = "COMMAND", requires = "module")]
    build: Option<String>,
    /// The module that this makes, in the folder
    #[arg(long, value_name = "FILE", requires = "build")]
    module: Option<PathBuf>,
    /// What the flow is called [default: as its module's file]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    queues: Queues,
    #[command(flatten)]
    keys: Options<DevKeys>,
}

/// The keys of a local server, but for signatures: what was built a moment ago has none.
struct DevKeys;

impl Takes for DevKeys {
    const GROUPS: &'static [Group] =
        &[Group::Address, Group::Calls, Group::Stores, Group::Limits, Group::Access, Group::Guest];
    const DEFAULTS: Defaults = Defaults::Local;
}

impl Dev {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let mut values = self.keys.read()?;
        // Runs of versions that nobody can build again are of no use later: they stay in memory.
        resolve_stores(&mut values, true)?;
        let at = values.some(&LISTEN).unwrap_or_else(|| format!("127.0.0.1:{}", values.port(&PORT)));
        let (listener, address) = listen(&at).await?;
        let guards = guards::of(&values, address.ip())?;
        let build = Build::of(&self.path, self.build, self.module)?;
        let watch = Watch::new(&self.path, build.module())?;
        let name = self.name.map(FlowName::new).transpose()?;
        let guests = common::guests(&values)?;
        let mut author = Author { build, watch, guests, name, made: VecDeque::new() };
        let mut signals = stop::Signals::new()
            .map_err(|error| Error::new(Code::INTERNAL, format!("cannot listen to signals: {error}")))?;
        let (flow, brought) = tokio::select! {
            first = author.first() => first?,
            () = signals.any() => return Ok(ExitCode::SUCCESS),
        };
        let host = host(&values, &author.guests, guards.keys.clone()).await?;
        author.put(&host, &flow, brought).await;
        let gateway = self.queues.gateway().await?;
        gateway.start();
        let router = local_router(&host, guards, &gateway)?;
        let shown = progress::show(host.watch(), progress::Stdout::Nothing);
        tokio::spawn(host.clone().sweep());
        say(&format!("serves http://{address}/function/{}", flow.name));
        for name in host.functions().names() {
            say(&format!("serves http://{address}/function/{name} (a step function)"));
        }
        say("ready");
        let served = tokio::select! {
            served = stop::serve(listener, router, host.clone(), Duration::ZERO, None) => served,
            failed = author.go_on(&host, flow) => failed,
        };
        gateway.stop(Duration::from_secs(1)).await;
        shown.finish().await;
        served?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn host(values: &Values, guests: &Arc<Guests>, keys: Option<crate::events::Keys>) -> Result<Arc<Host>, Error> {
    common::empty_host(values, keys, Loader::new(guests.clone(), Trusted::default())).await
}

/// Whoever edits the sources.
struct Author {
    build: Build,
    watch: Watch,
    guests: Arc<Guests>,
    /// The flow's name, once somebody said it or the first module has.
    name: Option<FlowName>,
    /// The versions that were made, the newest first.
    made: VecDeque<Digest>,
}

impl Author {
    /// The first version that can be served.
    async fn first(&mut self) -> Result<(Flow, Brought), Error> {
        loop {
            match self.version().await {
                Ok((flow, brought, _)) => {
                    self.name = Some(flow.name.clone());
                    return Ok((flow, brought));
                }
                Err(refused) => refused.say("nothing is served yet: the next change is built again"),
            }
            self.watch.changed().await?;
        }
    }

    /// Serves each version that can be, as long as sources change.
    async fn go_on(&mut self, host: &Host, mut serves: Flow) -> Result<(), Error> {
        loop {
            let changed = self.watch.changed().await?;
            say(&format!("builds {}: {changed}", serves.name));
            match self.version().await {
                Ok((flow, _, _)) if flow.module.digest() == serves.module.digest() => {
                    say(&format!("{}: the build made the version that is served", serves.name));
                }
                Ok((flow, brought, built)) => {
                    self.put(host, &flow, brought).await;
                    say(&swapped(&serves, &flow, built.elapsed()));
                    serves = flow;
                }
                Err(refused) => {
                    refused.say(&format!(
                        "{} is served as before: version {}",
                        serves.name,
                        serves.module.digest().short()
                    ));
                }
            }
        }
    }

    /// Serves a version, and keeps it for runs that are pinned to it; older ones go that no run needs.
    async fn put(&mut self, host: &Host, flow: &Flow, brought: Brought) {
        let digest = flow.module.digest().clone();
        host.deploy(flow.clone());
        self.made.retain(|made| *made != digest);
        self.made.push_front(digest.clone());
        let by = By { who: "faas-flow dev".to_owned(), message: String::new(), at: host.now() };
        let upload = Upload { digest, bytes: brought.bytes, by, signature: None, again: true };
        if let Err(error) = host.push(&flow.name, upload).await {
            say(&format!("warning: runs that pause may not find this version again: {error}"));
        }
        for old in self.made.split_off(KEPT.min(self.made.len())) {
            if !host.discard(&flow.name, &old).await.unwrap_or_default() {
                self.made.push_back(old);
            }
        }
    }

    /// Builds and loads what the sources are now; with when the build was done.
    async fn version(&self) -> Result<(Flow, Brought, Instant), Refused> {
        let module = self.build.run().await?;
        let built = Instant::now();
        let loaded = load_brought(&self.guests, &Trusted::default(), &module, self.name.clone()).await;
        let (flow, brought) = loaded.map_err(Refused::Error)?;
        Ok((flow, brought, built))
    }
}

/// Why there is no new version.
enum Refused {
    /// The compiler has said why.
    Build,
    Error(Error),
}

impl Refused {
    fn say(&self, then: &str) {
        match self {
            Refused::Build => say(&format!("the build failed; {then}")),
            Refused::Error(error) => {
                let code = error.code();
                say(&format!("error {code}: {error}\nsee: faas-flow explain {code}\n{then}"));
            }
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::Error(error)
    }
}

fn swapped(old: &Flow, new: &Flow, took: Duration) -> String {
    let (was, is) = (old.module.digest().short(), new.module.digest().short());
    let mut text = format!("{}: {was} → {is}, in service {} ms after the build", new.name, took.as_millis());
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
    match std::io::stderr().is_terminal() && common::wants_colours() {
        true => Colours::On,
        false => Colours::Off,
    }
}

/// A line to stderr, above the runs that are shown.
fn say(text: &str) {
    progress::say(text);
}

/// What cannot be watched, or built at all.
fn unusable(message: String) -> Error {
    Error::new(Code::INPUT_UNREADABLE, message)
}
