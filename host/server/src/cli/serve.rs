//! `faas-flow serve`

use super::browser::guarded_and_open;
use super::host::{ProgramOutput, bring, local_host, warn_of_schedules};
use super::listen::{self, limited, listen, patience};
use super::progress::{self, Stdout};
use super::{guards, stop};
use crate::Error;
use crate::config::{Defaults, Group, Options, Takes, Unspecified, resolve_stores};
use clap::{Args, ValueEnum};
use faas_flow_gateway::{Config, Gateway, Logs, Profile, QueueConfig};
use faas_flow_http::local_router;
use faas_flow_store::create_private_folder;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[derive(Args)]
pub(super) struct Serve {
    /// Modules of the flows; a flow is named after its file unless given as NAME=FILE
    #[arg(required = true, value_name = "FLOW")]
    flows: Vec<PathBuf>,
    /// Show the progress of runs
    #[arg(long)]
    watch: bool,
    /// Also print each step as a line of JSON
    #[arg(long, requires = "watch")]
    json: bool,
    #[command(flatten)]
    pub(super) queues: Queues,
    #[command(flatten)]
    pub(super) keys: Options<ServeKeys>,
}

/// The queue of a local server.
#[derive(Args)]
pub(super) struct Queues {
    /// Edition of OpenFaaS whose queue /async-function imitates
    #[arg(long, value_enum, default_value_t = Queue::Pro)]
    queue: Queue,
    /// NATS server with JetStream that keeps the queue [default: in memory]
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// What flows log, for `faas-cli logs`.
    #[arg(skip)]
    pub(super) logs: Logs,
}

/// The keys of a local server.
pub(super) struct ServeKeys;

impl Takes for ServeKeys {
    const GROUPS: &'static [Group] = &[
        Group::Address,
        Group::Connections,
        Group::Calls,
        Group::Stores,
        Group::Limits,
        Group::Access,
        Group::Schedule,
        Group::Guest,
        Group::Modules,
        Group::Tracing,
    ];
    const DEFAULTS: Defaults = Defaults::Local;
}

#[derive(Clone, Copy, ValueEnum)]
enum Queue {
    /// One call at a time, without retries, as the Community Edition
    Ce,
    /// Several calls at a time, with retries, as OpenFaaS Pro
    Pro,
}

impl Serve {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let mut values = self.keys.read()?;
        let stores = resolve_stores(&mut values, Unspecified::Durable)?;
        // The address comes first: if it is in use, there is no point in compiling.
        let at = listen::address(&values, "127.0.0.1");
        let (listener, address) = listen(&at).await?;
        listen::set_public_url(&mut values, address);
        let guards = guards::of(&values, address.ip())?;
        if !values.state_store.is_given() {
            let folder = PathBuf::from(".faas-flow");
            create_private_folder(&folder).map_err(|source| Error::NoStoreFolder { folder, source })?;
        }
        let output = if self.watch { ProgramOutput::Shown } else { ProgramOutput::Hidden };
        let (host, flows) = local_host(&values, &stores, &self.flows, guards.keys.clone(), output).await?;
        let gateway = self.queues.gateway().await?;
        gateway.start();
        let router = local_router(&host, guards, &gateway)?;
        let stdout = if self.json { Stdout::Json } else { Stdout::Nothing };
        let shown = self.watch.then(|| progress::show(host.watch(), stdout));
        tokio::spawn(host.clone().sweep());
        for (flow, _) in &flows {
            eprintln!("serving http://{address}/function/{}", flow.name);
        }
        bring(&host, flows).await?;
        warn_of_schedules(&values, &host);
        tokio::spawn(host.clone().fire_schedules());
        for name in host.functions().names() {
            eprintln!("serving http://{address}/function/{name} (a step function)");
        }
        eprintln!("serving http://{address}/dashboard/");
        eprintln!("ready");
        let router = guarded_and_open(&values, address, limited(router, &host, &values));
        let served = stop::serve(listener, router, host, patience(&values)).await;
        gateway.stop(Duration::from_secs(1)).await;
        if let Some(shown) = shown {
            shown.finish().await;
        }
        served?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Queues {
    /// The gateway with this queue, connected.
    pub(super) async fn gateway(self) -> Result<Arc<Gateway>, Error> {
        let mut config = Config::new(match self.queue {
            Queue::Ce => Profile::Ce,
            Queue::Pro => Profile::Pro,
        });
        if let Some(url) = self.nats {
            config.queue = QueueConfig::Nats { url, stream: "faas-request".to_owned() };
        }
        config.logs = Some(self.logs);
        let gateway = Gateway::new(config);
        gateway.connect().await?;
        Ok(gateway)
    }
}
