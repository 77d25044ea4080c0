//! `faas-flow serve`

use super::common::{self, listen, local_host};
use super::progress::{self, Stdout};
use super::{guards, stop};
use crate::config::{Defaults, Group, LISTEN, Options, PORT, STATE_STORE, Source, Takes, resolve_stores};
use crate::{Error, local_router};
use clap::{Args, ValueEnum};
use faas_flow_core::Code;
use faas_flow_gateway::{Config, Gateway, Profile, QueueConfig};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[derive(Args)]
pub(super) struct Serve {
    /// The flows' modules; a flow is called as its file, or as NAME in NAME=FILE
    #[arg(required = true, value_name = "FLOW")]
    flows: Vec<PathBuf>,
    /// Show each run as it goes
    #[arg(long)]
    watch: bool,
    /// Print each step as a line of JSON, too, once it is shown
    #[arg(long, requires = "watch")]
    json: bool,
    #[command(flatten)]
    queues: Queues,
    #[command(flatten)]
    keys: Options<ServeKeys>,
}

/// The queue of a local server.
#[derive(Args)]
pub(super) struct Queues {
    /// Whose queue stands behind /async-function: one call at a time and no retries, or several with retries
    #[arg(long, value_enum, default_value_t = Queue::Pro)]
    queue: Queue,
    /// Keep that queue in a NATS server with JetStream instead of in memory
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
}

/// The keys of a local server.
struct ServeKeys;

impl Takes for ServeKeys {
    const GROUPS: &'static [Group] = &[
        Group::Address,
        Group::Calls,
        Group::Stores,
        Group::Limits,
        Group::Access,
        Group::Guest,
        Group::Modules,
        Group::Tracing,
    ];
    const DEFAULTS: Defaults = Defaults::Local;
}

#[derive(Clone, Copy, ValueEnum)]
enum Queue {
    /// As OpenFaaS Community Edition
    Ce,
    /// As OpenFaaS Pro
    Pro,
}

impl Serve {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let mut values = self.keys.read()?;
        resolve_stores(&mut values, false)?;
        // The address first: who cannot have it need not compile.
        let at = values.some(&LISTEN).unwrap_or_else(|| format!("127.0.0.1:{}", values.port(&PORT)));
        let (listener, address) = listen(&at).await?;
        let guards = guards::of(&values, address.ip())?;
        if values.source(&STATE_STORE) == Source::Default {
            let made = std::fs::create_dir_all(".faas-flow");
            made.map_err(|error| Error::new(Code::STORE_READ_ONLY, format!("cannot create .faas-flow: {error}")))?;
        }
        let (host, flows) = local_host(&values, &self.flows, guards.keys.clone()).await?;
        let gateway = self.queues.gateway().await?;
        gateway.start();
        let router = local_router(&host, guards, &gateway)?;
        let stdout = if self.json { Stdout::Json } else { Stdout::Nothing };
        let shown = self.watch.then(|| progress::show(host.watch(), stdout));
        tokio::spawn(host.clone().sweep());
        for (flow, _) in &flows {
            eprintln!("serves http://{address}/function/{}", flow.name);
        }
        common::bring(&host, flows).await?;
        for name in host.functions().names() {
            eprintln!("serves http://{address}/function/{name} (a step function)");
        }
        eprintln!("serves http://{address}/dashboard/");
        eprintln!("ready");
        let served = stop::serve(listener, router, host, Duration::ZERO, None).await;
        gateway.stop(Duration::from_secs(1)).await;
        if let Some(shown) = shown {
            shown.finish().await;
        }
        served?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Queues {
    /// The gateway that it belongs to, connected.
    pub(super) async fn gateway(self) -> Result<Arc<Gateway>, Error> {
        let mut config = Config::new(match self.queue {
            Queue::Ce => Profile::Ce,
            Queue::Pro => Profile::Pro,
        });
        if let Some(url) = self.nats {
            config.queue = QueueConfig::Nats { url, stream: "faas-request".to_owned() };
        }
        let gateway = Gateway::new(config);
        gateway.connect().await.map_err(|error| Error::new(error.code(), error.to_string()))?;
        Ok(gateway)
    }
}
