//! `faas-flow requests`

use super::common;
use super::control::Control;
use crate::config::{DATA_STORE, Defaults, Group, Options, STATE_STORE, Takes, resolve_stores};
use crate::modules::{Missing, waits_for};
use crate::network::redacted;
use crate::{Error, read_run};
use clap::{Args, Subcommand};
use faas_flow_core::run::RunView;
use faas_flow_core::{Code, FlowName, RunId, Status, moment};
use faas_flow_store::{RunEntry, RunQuery, open_data, open_state};
use serde_json::json;
use std::process::ExitCode;

/// The keys that say where runs are kept.
struct StoreKeys;

impl Takes for StoreKeys {
    const GROUPS: &'static [Group] = &[Group::Stores];
    const DEFAULTS: Defaults = Defaults::Local;
    const GLOBAL: bool = true;
}

#[derive(Args)]
pub(super) struct Requests {
    #[command(flatten)]
    keys: Options<StoreKeys>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Lists runs, the newest first
    List {
        /// Only those of this flow
        #[arg(long)]
        flow: Option<String>,
        /// Only those that are running, paused, stopped, succeeded or failed
        #[arg(long, value_parser = status)]
        status: Option<Status>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Shows one run with all its nodes
    Show {
        /// Its request id
        id: String,
    },
    #[command(flatten)]
    Control(Control),
}

fn status(text: &str) -> Result<Status, String> {
    Status::parse(text).ok_or_else(|| format!("one of {}", Status::ALL.map(Status::as_str).join(", ")))
}

impl Requests {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let mut values = self.keys.read()?;
        resolve_stores(&mut values, false)?;
        let state = values.text(&STATE_STORE);
        let url = reading(state.clone());
        let store = open_state(&url).await?;
        match self.what {
            What::Control(control) => {
                let run = control.run()?;
                let entry = store.entry(&run).await?;
                let entry = entry.ok_or_else(|| {
                    Error::new(Code::RUN_UNKNOWN, format!("there is no run {run} in {}", redacted(&url)))
                })?;
                control.ask(&entry.flow).await?;
            }
            What::List { flow, status, limit } => {
                let flow = flow.map(FlowName::new).transpose()?;
                let runs = store.runs(&RunQuery { flow, status, limit }).await?;
                if self.json {
                    common::print_json(&runs.iter().map(entry).collect::<Vec<_>>())?;
                    return Ok(ExitCode::SUCCESS);
                }
                common::print(format!(
                    "{:<24} {:<24} {:<10} {:<20} {:>9}\n",
                    "REQUEST ID", "FLOW", "STATUS", "STARTED", "TOOK"
                ));
                for run in runs {
                    let took =
                        run.ended.map_or(String::new(), |ended| format!("{} ms", ended.saturating_sub(run.started)));
                    let (flow, status) = (run.flow.as_str(), run.status.as_str());
                    let row = format!(
                        "{:<24} {flow:<24} {status:<10} {:<20} {took:>9}\n",
                        run.run.as_str(),
                        moment(run.started)
                    );
                    common::print(row);
                }
            }
            What::Show { id } => {
                let run = RunId::new(&id)?;
                let view = read_run(&*store, &run).await?;
                let view = view.ok_or_else(|| {
                    Error::new(
                        Code::RUN_UNKNOWN,
                        format!(
                            "{} knows no run {run}: `faas-flow requests list` shows those it knows",
                            redacted(&state)
                        ),
                    )
                })?;
                let data = reading(values.text(&DATA_STORE));
                let waits_for = async { waits_for(&*store, &*open_data(&data).await?, &view).await };
                let waits_for = waits_for.await.unwrap_or_else(|error| {
                    eprintln!(
                        "warning: cannot tell whether the run's version is there: error {}: {error}",
                        error.code()
                    );
                    None
                });
                if self.json {
                    common::print_json(&Missing::shown(waits_for.as_ref(), &view)?)?;
                } else {
                    show(&view, waits_for.as_ref());
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Looking changes nothing, so it needs no right to.
fn reading(url: String) -> String {
    let takes_a_mode = url.starts_with("sqlite:") || url.starts_with("files:");
    if takes_a_mode && !url.contains('?') { format!("{url}?mode=ro") } else { url }
}

fn entry(run: &RunEntry) -> serde_json::Value {
    json!({
        "request_id": run.run, "flow": run.flow, "digest": run.digest, "status": run.status,
        "started": run.started, "ended": run.ended,
    })
}

fn show(view: &RunView, waits_for: Option<&Missing>) {
    let took = view.ended.map_or(String::new(), |ended| format!(", took {} ms", ended.saturating_sub(view.started)));
    common::print(format!("request id  {}\nflow        {} ({})\n", view.request_id, view.flow, view.digest));
    common::print(format!("status      {}\nstarted     {}{took}\n", view.status, moment(view.started)));
    if let Some(failure) = &view.failure {
        common::print(format!("failure     {failure}\n"));
    }
    if let Some(Missing { version, why }) = waits_for {
        common::print(format!("waits for   version {version}: {why}\n"));
    }
    common::print(format!(
        "\n{:<36} {:<10} {:>9} {:>5} {:>10} {:>10}\n",
        "NODE", "PROGRESS", "TOOK", "TRIES", "IN", "OUT"
    ));
    for node in &view.nodes {
        let took =
            node.started.zip(node.since).map_or(String::new(), |(from, to)| format!("{} ms", to.saturating_sub(from)));
        let progress = node.progress.as_str();
        let out = node.output_size.map_or(String::new(), |size| size.to_string());
        let (path, tries, size) = (node.path.to_string(), node.attempts.len(), node.input_size);
        common::print(format!("{path:<36} {progress:<10} {took:>9} {tries:>5} {size:>10} {out:>10}\n"));
        for failure in node.attempts.iter().filter_map(|attempt| attempt.failure.as_ref()) {
            common::print(format!("    {failure}\n"));
        }
    }
}
