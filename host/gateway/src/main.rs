//! `faas-flow-gateway`: the gateway as a program of its own, for set-ups with several processes.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::response::IntoResponse;
use clap::{Parser, ValueEnum};
use faas_flow_gateway::{BrowserRules, Config, Faults, Gateway, Patience, Profile, QueueConfig, Retry, Upstream};
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

/// A small OpenFaaS gateway with its queue-worker. Prints its address as one line of JSON when it is ready.
#[derive(Parser)]
#[command(name = "faas-flow-gateway", version)]
struct Cli {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: std::net::IpAddr,
    /// The port to listen on; 0 for any free port.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Another name of the gateway, as NAME or NAME:PORT, if it listens on a loopback address. Can be given more than once.
    #[arg(long = "allowed-host", value_name = "NAME")]
    allowed_hosts: Vec<String>,
    /// The edition of OpenFaaS to imitate.
    #[arg(long, value_enum, default_value_t = Edition::Ce)]
    profile: Edition,
    /// A function and the URLs of its replicas. Can be given more than once.
    #[arg(long = "function", value_name = "NAME=URL[,URL…]", value_parser = function)]
    functions: Vec<(String, Vec<Url>)>,
    /// Use a NATS server with JetStream as the queue, instead of memory.
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// The name of the stream in the NATS server.
    #[arg(long, default_value = "faas-request")]
    stream: String,
    /// Number of asynchronous calls to make at a time, instead of the profile's number.
    #[arg(long)]
    inflight: Option<usize>,
    /// How long a call may take before it is delivered again.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ack_wait: Option<Duration>,
    /// The delay before the first retry, in the pro profile.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    retry_wait: Option<Duration>,
    /// The longest delay between retries, in the pro profile.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    max_retry_wait: Option<Duration>,
    /// How long a function may take.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    upstream_timeout: Duration,
    /// The largest body of a request, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    body_limit: usize,
    /// How long the head of a request may take to arrive, and again its body; also how long an idle connection stays open.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    read_timeout: Duration,
    /// How long a slow caller may take to read its response.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    write_timeout: Duration,
    /// How many connections there may be at a time; further ones wait.
    #[arg(long, value_name = "COUNT", default_value_t = 512)]
    max_connections: usize,
    /// How long to wait for calls in flight after SIGTERM.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    stop_limit: Duration,
    /// The seed of the random faults.
    #[arg(long)]
    seed: Option<u64>,
    /// The probability that a message is lost, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = chance)]
    drop: f64,
    /// The probability that a message is delivered twice, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = chance)]
    duplicate: f64,
    /// The probability that a delivery is delayed by `--delay-by`, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = chance)]
    delay: f64,
    /// By how much a delivery is delayed.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "90s")]
    delay_by: Duration,
    /// The number of waiting messages from which the next one is picked at random.
    #[arg(long, default_value_t = 0)]
    reorder: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Edition {
    /// OpenFaaS Community Edition.
    Ce,
    /// OpenFaaS Pro.
    Pro,
}

fn duration(text: &str) -> anyhow::Result<Duration> {
    faas_flow_core::parse_duration(text).context("write whole seconds or a duration, as in 30, 500ms, 1m30s")
}

fn function(text: &str) -> anyhow::Result<(String, Vec<Url>)> {
    let Some((name, urls)) = text.split_once('=') else { bail!("expected NAME=URL, with commas between several URLs") };
    let urls = urls.split(',').map(|url| Url::parse(url).with_context(|| format!("`{url}` is not a URL")));
    Ok((name.to_owned(), urls.collect::<Result<_, _>>()?))
}

fn chance(text: &str) -> anyhow::Result<f64> {
    let chance = text.parse()?;
    if !(0.0..=1.0).contains(&chance) {
        bail!("a probability is a number from 0 to 1");
    }
    Ok(chance)
}

impl Cli {
    fn config(&self) -> Config {
        let profile = match self.profile {
            Edition::Ce => Profile::Ce,
            Edition::Pro => Profile::Pro,
        };
        let defaults = Config::new(profile);
        let retry = defaults.retry.clone().map(|retry| Retry {
            initial: self.retry_wait.unwrap_or(retry.initial),
            max: self.max_retry_wait.unwrap_or(retry.max),
            ..retry
        });
        let queue = match &self.nats {
            Some(url) => QueueConfig::Nats { url: url.clone(), stream: self.stream.clone() },
            None => QueueConfig::Memory,
        };
        Config {
            queue,
            inflight: self.inflight.unwrap_or(defaults.inflight),
            ack_wait: self.ack_wait.unwrap_or(defaults.ack_wait),
            retry,
            upstream_timeout: self.upstream_timeout,
            request_limit: self.body_limit,
            read_timeout: Some(self.read_timeout),
            faults: Faults {
                seed: self.seed,
                drop: self.drop,
                duplicate: self.duplicate,
                delay: (self.delay, self.delay_by),
                reorder: self.reorder,
            },
            ..defaults
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let logs = tracing_subscriber::fmt().fmt_fields(faas_flow_gateway::log::fields());
    logs.with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).init();
    match serve(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(cli: Cli) -> anyhow::Result<()> {
    let gateway = Gateway::new(cli.config());
    for (name, urls) in &cli.functions {
        gateway.set(name, Arc::new(Upstream::new(urls.clone())));
    }
    gateway.connect().await?;
    let address = SocketAddr::new(cli.host, cli.port);
    let listener =
        tokio::net::TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    let patience = Patience {
        read: Some(cli.read_timeout),
        write: Some(cli.write_timeout),
        connections: Some(cli.max_connections),
    };
    let mut terminated = signal(SignalKind::terminate())?;
    gateway.start();
    println!("{}", serde_json::json!({ "address": format!("http://{address}") }));
    let ended = async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    let mut router = gateway.router().merge(gateway.metrics_router());
    if address.ip().to_canonical().is_loopback() {
        let rules = BrowserRules::new(address, cli.allowed_hosts, Vec::new());
        router = rules.over(router, |_, fault| fault.into_response());
    }
    faas_flow_gateway::serve(listener, router, patience, ended).await;
    let stopped = gateway.stop(cli.stop_limit).await;
    tracing::info!(stopped.cut_off, stopped.queued, "stopped");
    Ok(())
}
