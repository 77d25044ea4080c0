//! `faas-flow requests`: runs on a server, asked over HTTP, or in a state store.

mod bulk;
mod data;
mod operations;
mod servers;
mod stored;
mod text;

use super::control::Control;
use super::existing::StoreKeys;
use super::output::{Output, complain, print, print_json, print_text};
use super::token::AdminToken;
use crate::Error;
use crate::config::{Options, Source, Stores, Unspecified, Values, resolve_stores};
use bulk::Bulk;
use clap::{Args, Subcommand};
use data::{About, Data};
use faas_flow_core::{Code, FlowName, Labels, Millis, RunId, Status, past_moment};
use faas_flow_http::remote::Asking;
use faas_flow_http::{BulkAction, ListedRun, ListedRuns, RunFilter};
use faas_flow_store::Cursor;
use serde_json::{Value, json};
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
    /// Name of the flow: list lists its runs only; needed if the gateway does not list its flows
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
        #[command(flatten)]
        find: Find,
        /// Maximum number of runs to list
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Continue after this run, as printed at the end of the previous page
        #[arg(long, value_name = "PLACE", value_parser = place_in_list)]
        after: Option<Cursor>,
    },
    /// Show one run with all its nodes, or what one of them, or its operations, got and yielded
    Show {
        /// Request id of the run
        id: String,
        /// Only show nodes that have failed or whose latest attempt failed
        #[arg(long, conflicts_with = "node")]
        failed: bool,
        #[command(flatten)]
        data: Data,
    },
    /// Pause, resume, stop, run again or delete all runs that match
    ///
    /// The command counts the runs first and asks for confirmation. It changes a hundred at a time; runs that begin meanwhile may be left out. Stop it with Ctrl-C at any time, and run it again to continue. It exits with status 1 if a run could not be changed.
    Bulk {
        /// What to do: pause (those that are running), resume (those that are paused), stop (those that have not ended), rerun (what failed or was cut off, of those that failed or were stopped) or delete (those that have ended)
        #[arg(value_parser = bulk_action)]
        action: BulkAction,
        /// Only runs with this status
        #[arg(long, value_parser = status)]
        status: Option<Status>,
        #[command(flatten)]
        find: Find,
        /// Change all runs, without any condition
        #[arg(long)]
        all: bool,
        /// Only show how many runs there are
        #[arg(long)]
        dry_run: bool,
        /// Do not ask for confirmation
        #[arg(long, short, conflicts_with = "dry_run")]
        yes: bool,
    },
    /// Delete a run that has ended, with everything that is stored of it
    Delete {
        /// Request id of the run
        id: String,
    },
    #[command(flatten)]
    Control(Control),
}

fn bulk_action(text: &str) -> Result<BulkAction, String> {
    let known = || format!("must be one of {}", BulkAction::ALL.map(BulkAction::as_str).join(", "));
    BulkAction::parse(text).ok_or_else(known)
}

/// Which runs to find, besides their status.
#[derive(Args, Clone)]
struct Find {
    /// Only runs with this label, such as order=42; may be repeated, for runs that have all of them
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Only runs that have failed with this code, such as FF0208
    #[arg(long, value_parser = code)]
    code: Option<Code>,
    /// Only runs that have failed with a message that contains this, ignoring case; only the first 256 bytes are searched
    #[arg(long)]
    text: Option<String>,
    /// Only runs that started at this time or later: a time ago such as 2h or 7d, a day such as 2026-12-24, or a moment such as 2026-12-24T18:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<String>,
    /// Only runs that started before this time, written as for --since
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<String>,
    /// Only runs whose request id begins with this
    #[arg(long, value_name = "BEGINNING")]
    id: Option<String>,
    /// Only runs of the version whose digest begins with this
    #[arg(long, value_name = "BEGINNING")]
    digest: Option<String>,
}

impl Find {
    fn filter(self, status: Option<Status>) -> Result<RunFilter, Error> {
        let Self { labels: given, code, text, since, until, id, digest } = self;
        let mut labels = Labels::new();
        for (key, value) in given {
            labels.insert(&key, &value)?;
        }
        Ok(RunFilter { status, labels, digest, since, until, code, id, text })
    }
}

fn code(text: &str) -> Result<Code, String> {
    Code::parse(text).ok_or_else(|| "must be the code of an error, such as FF0208".to_owned())
}

fn when(text: &str) -> Result<String, String> {
    let rule =
        "must be a time ago such as 2h or 7d, a day such as 2026-12-24, or a moment such as 2026-12-24T18:00:00Z";
    past_moment(text, Millis::MAX).map(|_| text.to_owned()).ok_or_else(|| rule.to_owned())
}

fn place_in_list(text: &str) -> Result<Cursor, String> {
    Cursor::parse(text).ok_or_else(|| "must be as printed at the end of the previous page".to_owned())
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
    pub(super) filter: RunFilter,
    pub(super) after: Option<Cursor>,
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
        let asking = admin.asking();
        match what {
            What::Control(control) => change(values, (to, flow), asking, &control).await?,
            What::List { status, find, limit, after } => {
                let runs = Listed { flow: flow.clone(), filter: find.filter(status)?, after, limit };
                let ListedRuns { runs, next, .. } = match place(values, (to, flow), asking)? {
                    Place::Servers(servers) => servers.list(&runs).await?,
                    Place::Store(stores) => stored::list(&stores, runs).await?,
                };
                list(&runs, output)?;
                if let Some(next) = next {
                    complain(format_args!("There are more runs. To see the next ones, add --after {next}"));
                }
            }
            What::Bulk { action, status, find, all, dry_run, yes } => {
                let servers = Servers::new(to.unwrap_or_else(super::client::gateway), flow, asking);
                let bulk = Bulk { action, filter: find.filter(status)?, all, dry_run, yes };
                if !bulk.run(&servers, output).await? {
                    return Ok(ExitCode::FAILURE);
                }
            }
            What::Delete { id } => {
                let servers = Servers::new(to.unwrap_or_else(super::client::gateway), flow, asking);
                let run = RunId::new(&id)?;
                servers.delete(&run).await?;
                match output {
                    Output::Json => print_json(&json!({ "deleted": run }))?,
                    Output::Text => print_text(format_args!("deleted run {run}\n")),
                }
            }
            What::Show { id, failed, data } => {
                let run = RunId::new(&id)?;
                if let Some(about) = data.asked()? {
                    let servers = Servers::new(to.unwrap_or_else(super::client::gateway), flow, asking);
                    match about {
                        About::Data(asked) => servers.data(&run, &asked).await?.print(output)?,
                        About::Operations(node) => {
                            operations::show(&servers.operations(&run, &node).await?, output)?;
                        }
                    }
                    return Ok(ExitCode::SUCCESS);
                }
                let nodes = if failed { Nodes::Failed } else { Nodes::All };
                let shown = match place(values, (to, flow), asking)? {
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
    asking: Asking,
) -> Result<Place, Error> {
    match to {
        Some(to) if !matches!(values.state_store.source, Source::Option(_)) => {
            Ok(Place::Servers(Servers::new(to, flow, asking)))
        }
        _ => Ok(Place::Store(resolve_stores(&mut values, Unspecified::Durable)?)),
    }
}

/// Asks the server to change a run. If nothing on the command line says of which flow it is, a store that was given does,
/// and otherwise the server.
async fn change(
    mut values: Values,
    (to, flow): (Option<String>, Option<FlowName>),
    asking: Asking,
    control: &Control,
) -> Result<(), Error> {
    let (run, action) = (control.run()?, control.action()?);
    let to = to.unwrap_or_else(super::client::gateway);
    let mut servers = Servers::new(to, flow, asking);
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
