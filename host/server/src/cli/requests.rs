//! `faas-flow requests`

use super::control::Control;
use super::output::{Output, complain, print, print_json, print_text};
use crate::Error;
use crate::config::{Defaults, Group, Options, Scope, Stores, Takes, Unspecified, resolve_stores};
use clap::{Args, Subcommand};
use faas_flow_core::run::RunView;
use faas_flow_core::text::printable;
use faas_flow_core::{FlowName, Millis, RunId, Status, moment, redact};
use faas_flow_store::{RunEntry, RunQuery, StateStore, open_data, open_state};
use faas_flow_versions::runs::read_run;
use faas_flow_versions::{MissingModule, missing_module};
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The keys of the stores.
struct StoreKeys;

impl Takes for StoreKeys {
    const GROUPS: &'static [Group] = &[Group::Stores];
    const DEFAULTS: Defaults = Defaults::Local;
    const SCOPE: Scope = Scope::Subcommands;
}

#[derive(Args)]
pub(super) struct Requests {
    #[command(flatten)]
    keys: Options<StoreKeys>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List runs, newest first
    List {
        /// Only list runs of this flow
        #[arg(long)]
        flow: Option<String>,
        /// Only list runs with this status: running, paused, stopped, succeeded or failed
        #[arg(long, value_parser = status)]
        status: Option<Status>,
        /// Maximum number of runs to list
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show one run with all its nodes
    Show {
        /// Request id of the run
        id: String,
    },
    #[command(flatten)]
    Control(Control),
}

fn status(text: &str) -> Result<Status, String> {
    Status::parse(text).ok_or_else(|| format!("must be one of {}", Status::ALL.map(Status::as_str).join(", ")))
}

impl Requests {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let mut values = self.keys.read()?;
        let stores = resolve_stores(&mut values, Unspecified::Durable)?;
        let store = open_state(&read_only(&stores.state)).await?;
        let output = Output::of_flag(self.json);
        match self.what {
            What::Control(control) => control_run(&*store, &stores, control).await?,
            What::List { flow, status, limit } => list(&*store, flow, status, limit, output).await?,
            What::Show { id } => show(&*store, &stores, &id, output).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn control_run(store: &dyn StateStore, stores: &Stores, control: Control) -> Result<(), Error> {
    let run = control.run()?;
    let entry = store.entry(&run).await?.ok_or_else(|| unknown(&run, stores))?;
    control.ask(&entry.flow).await
}

async fn list(
    store: &dyn StateStore,
    flow: Option<String>,
    status: Option<Status>,
    limit: usize,
    output: Output,
) -> Result<(), Error> {
    let flow = flow.map(FlowName::new).transpose()?;
    let runs = store.runs(&RunQuery { flow, status, limit }).await?;
    if output == Output::Json {
        return print_json(&runs.iter().map(entry).collect::<Vec<_>>());
    }
    print(format!("{:<24} {:<24} {:<10} {:<20} {:>9}\n", "REQUEST ID", "FLOW", "STATUS", "STARTED", "TOOK"));
    for run in runs {
        let RunEntry { run: id, flow, status, .. } = &run;
        let took = run.ended.map_or(String::new(), |ended| took(run.started, ended));
        let started = moment(run.started);
        print(format!("{:<24} {:<24} {:<10} {started:<20} {took:>9}\n", id.as_str(), flow.as_str(), status.as_str()));
    }
    Ok(())
}

async fn show(store: &dyn StateStore, stores: &Stores, id: &str, output: Output) -> Result<(), Error> {
    let run = RunId::new(id)?;
    let view = read_run(store, &run).await?.ok_or_else(|| unknown(&run, stores))?;
    let waits_for = async { Ok(missing_module(store, &*open_data(&read_only(&stores.data)).await?, &view).await?) };
    let waits_for = waits_for.await.unwrap_or_else(|error: Error| {
        let code = error.code();
        complain(format_args!("warning: cannot tell whether the run's version is stored: error {code}: {error}"));
        None
    });
    match output {
        Output::Json => print_json(&MissingModule::shown(waits_for.as_ref(), &view)?)?,
        Output::Text => print_text(described(&view, waits_for.as_ref())),
    }
    Ok(())
}

fn unknown(run: &RunId, stores: &Stores) -> Error {
    Error::UnknownRun { run: run.clone(), store: redact::text(&stores.state) }
}

/// The address of a store that is only read, and for which the right to read is enough.
fn read_only(address: &str) -> String {
    let has_modes = address.starts_with("sqlite:") || address.starts_with("files:");
    if has_modes && !address.contains('?') { format!("{address}?mode=ro") } else { address.to_owned() }
}

fn entry(run: &RunEntry) -> serde_json::Value {
    json!({
        "request_id": run.run, "flow": run.flow, "digest": run.digest, "status": run.status,
        "started": run.started, "ended": run.ended,
    })
}

fn took(started: Millis, ended: Millis) -> String {
    format!("{} ms", ended.saturating_sub(started))
}

/// A run with all its nodes as text.
fn described(view: &RunView, waits_for: Option<&MissingModule>) -> String {
    let total = view.ended.map_or(String::new(), |ended| format!(", took {}", took(view.started, ended)));
    let mut text = format!("request id  {}\nflow        {} ({})\n", view.request_id, view.flow, view.digest);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "status      {}\nstarted     {}{total}", view.status, moment(view.started));
    if let Some(response) = &view.response {
        let _ = writeln!(text, "answer      status {}", response.status);
    }
    if let Some(failure) = &view.failure {
        let _ = writeln!(text, "failure     {}", printable(failure));
    }
    if let Some(MissingModule { version, code, why }) = waits_for {
        let _ = writeln!(text, "waits for   version {version}: {code}: {}", printable(why));
    }
    let _ =
        writeln!(text, "\n{:<36} {:<10} {:>9} {:>5} {:>10} {:>10}", "NODE", "PROGRESS", "TOOK", "TRIES", "IN", "OUT");
    for node in &view.nodes {
        let took = node.started.zip(node.since).map_or(String::new(), |(from, to)| took(from, to));
        let out = node.output_size.map_or(String::new(), |size| size.to_string());
        let _ = writeln!(
            text,
            "{:<36} {:<10} {took:>9} {:>5} {:>10} {out:>10}",
            printable(&node.path).to_string(),
            node.progress.as_str(),
            node.attempts.len(),
            node.input_size
        );
        for failure in node.attempts.iter().filter_map(|attempt| attempt.failure.as_ref()) {
            let _ = writeln!(text, "    {}", printable(failure));
        }
    }
    text
}
