//! `faas-flow requests`: runs on a server, asked over HTTP, or in a state store.

mod servers;
mod stored;
mod text;

use super::control::Control;
use super::existing::StoreKeys;
use super::output::{Output, print, print_json, print_text};
use super::token::AdminToken;
use crate::Error;
use crate::config::{Options, Source, Stores, Unspecified, Values, resolve_stores};
use clap::{Args, Subcommand};
use faas_flow_core::{FlowName, Labels, RunId, Status};
use faas_flow_http::ListedRun;
use serde_json::Value;
pub(super) use servers::Servers;
use std::process::ExitCode;
pub(super) use stored::{list as stored_list, logs as stored_logs, show as stored_show};

#[derive(Args)]
pub(super) struct Requests {
    #[command(flatten)]
    keys: Options<StoreKeys>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    /// URL of the flow, for example http://gateway:8080/function/greet, or its name on the gateway at $OPENFAAS_URL; or URL of a gateway or server [default: list and show read the state store, the others ask $OPENFAAS_URL or http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "FAAS_FLOW_TO", hide_env_values = true, global = true)]
    to: Option<String>,
    /// Name of the flow: list lists its runs only; needed for a gateway that does not say which flows it has
    #[arg(long, value_name = "NAME", global = true)]
    flow: Option<String>,
    #[command(flatten)]
    admin: AdminToken,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List runs, newest first
    List {
        /// Only list runs with this status: running, paused, stopped, succeeded or failed
        #[arg(long, value_parser = status)]
        status: Option<Status>,
        /// Only list runs with this label, such as order=42; may be repeated, for runs that have all of them
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
        /// Maximum number of runs to list
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show one run with all its nodes
    Show {
        /// Request id of the run
        id: String,
        /// Only show nodes that have failed or whose latest attempt failed
        #[arg(long)]
        failed: bool,
    },
    #[command(flatten)]
    Control(Control),
}

fn status(text: &str) -> Result<Status, String> {
    Status::parse(text).ok_or_else(|| format!("must be one of {}", Status::ALL.map(Status::as_str).join(", ")))
}

fn label(text: &str) -> Result<(String, String), String> {
    let mut label = Labels::new();
    label.add(text).map_err(|error| error.to_string())?;
    let (key, value) = label.iter().next().ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Which runs to list.
pub(super) struct Listed {
    pub(super) flow: Option<FlowName>,
    pub(super) status: Option<Status>,
    pub(super) labels: Labels,
    pub(super) limit: usize,
}

/// Which nodes of a run to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nodes {
    All,
    Failed,
}

/// Where the runs are that a command is about.
pub(super) enum Place {
    Servers(Servers),
    Store(Stores),
}

impl Requests {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let Self { keys, json, to, flow, admin, what } = self;
        let output = Output::of_flag(json);
        let flow = flow.map(FlowName::new).transpose()?;
        let values = keys.read()?;
        let token = admin.token;
        match what {
            What::Control(control) => change(values, (to, flow), token, &control).await?,
            What::List { status, labels: given, limit } => {
                let mut labels = Labels::new();
                for (key, value) in given {
                    labels.insert(&key, &value)?;
                }
                let runs = Listed { flow: flow.clone(), status, labels, limit };
                let runs = match place(values, (to, flow), token)? {
                    Place::Servers(servers) => servers.list(&runs).await?,
                    Place::Store(stores) => stored::list(&stores, runs).await?,
                };
                list(&runs, output)?;
            }
            What::Show { id, failed } => {
                let run = RunId::new(&id)?;
                let nodes = if failed { Nodes::Failed } else { Nodes::All };
                let shown = match place(values, (to, flow), token)? {
                    Place::Servers(servers) => servers.show(&run, nodes).await?,
                    Place::Store(stores) => stored::show(&stores, &run, nodes).await?,
                };
                show(shown, output)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Where `list` and `show` look: on the server, unless there is none or the store is an option of this command.
pub(super) fn place(
    mut values: Values,
    (to, flow): (Option<String>, Option<FlowName>),
    token: Option<String>,
) -> Result<Place, Error> {
    match to {
        Some(to) if !matches!(values.state_store.source, Source::Option(_)) => {
            Ok(Place::Servers(Servers::new(to, flow, token)))
        }
        _ => Ok(Place::Store(resolve_stores(&mut values, Unspecified::Durable)?)),
    }
}

/// Asks the server to change a run. If nothing on the command line says of which flow it is, a store that was given does,
/// and otherwise the server.
async fn change(
    mut values: Values,
    (to, flow): (Option<String>, Option<FlowName>),
    token: Option<String>,
    control: &Control,
) -> Result<(), Error> {
    let (run, action) = (control.run()?, control.action()?);
    let to = to.unwrap_or_else(super::client::gateway);
    let mut servers = Servers::new(to, flow, token);
    if !servers.name_the_flow() && values.state_store.is_given() {
        let stores = resolve_stores(&mut values, Unspecified::Durable)?;
        servers.flow = Some(stored::flow_of(&stores, &run).await?);
    }
    let said = servers.control(&run, &action).await?;
    print_text(format_args!("{said}\n"));
    Ok(())
}

fn list(runs: &[ListedRun], output: Output) -> Result<(), Error> {
    match output {
        Output::Json => print_json(&runs)?,
        Output::Text => print(text::list(runs)),
    }
    Ok(())
}

fn show(run: Value, output: Output) -> Result<(), Error> {
    match output {
        Output::Json => print_json(&run)?,
        Output::Text => print_text(text::run(run)?),
    }
    Ok(())
}
