//! `faas-flow check`

use super::host::{ModuleKeys, guests_of, load};
use super::output::{print_json, print_text};
use crate::Error;
use crate::config::Options;
use clap::Args;
use faas_flow_core::definition::HandlerKind;
use faas_flow_core::schedule::Schedule;
use faas_flow_core::text::printable;
use faas_flow_core::{Millis, Plan, Warning, moment};
use faas_flow_replica::Error as HostError;
use faas_flow_versions as versions;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// How many moments of a schedule are shown.
const NEXT: usize = 5;

#[derive(Args)]
pub(super) struct Check {
    /// Module of the flow
    flow: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    guest: Options<ModuleKeys>,
}

impl Check {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let loaded = load(&guests_of(self.guest)?, &self.flow).await;
        let flow = match loaded {
            Err(Error::Host(HostError::Versions(versions::Error::InvalidDefinition(problems)))) if self.json => {
                print_json(&json!({ "valid": false, "problems": problems }))?;
                return Ok(ExitCode::FAILURE);
            }
            Err(error) if self.json => {
                let problem = json!({ "code": error.code(), "path": "", "message": error.to_string() });
                print_json(&json!({ "valid": false, "problems": [problem] }))?;
                return Ok(ExitCode::FAILURE);
            }
            other => other?,
        };
        let plan = Plan::new((*flow.definition).clone()).map_err(versions::Error::InvalidDefinition)?;
        let module = &flow.module;
        let mut warnings = plan.warnings().to_vec();
        let kinds = flow.definition.kinds();
        let lacking = module.lacks(kinds.keys().copied()).await.map_err(versions::Error::from)?;
        warnings.extend(lacking.iter().filter_map(|kind| Some(lacks(*kind, kinds.get(kind)?))));
        let handlers = &flow.definition.handlers;
        if self.json {
            print_json(&json!({
                "valid": true, "flow": flow.name, "digest": module.digest(), "imports": module.imports(),
                "virtual": module.wasi().has, "missing": module.wasi().lacks, "exports": module.exports(), "handlers": handlers, "per-request": flow.plan.is_none(), "warnings": warnings,
                "schedules": flow.definition.schedules.iter().map(schedule).collect::<Vec<_>>(),
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        print_text(format_args!("flow      {}\ndigest    {}\n", flow.name, module.digest()));
        print_text(format_args!("imports   {}\n", list(&module.imports())));
        let wasi = module.wasi();
        if !wasi.has.is_empty() {
            let names: Vec<&str> = wasi.has.iter().copied().collect();
            print_text(format_args!("virtual   {}\n", list(&names)));
        }
        if !wasi.lacks.is_empty() {
            let names: Vec<&str> = wasi.lacks.iter().map(String::as_str).collect();
            print_text(format_args!("missing   {}: calls fail\n", list(&names)));
        }
        print_text(format_args!("handlers  {}\n", list(handlers)));
        for schedule in &flow.definition.schedules {
            print_text(format_args!("schedule  {}\n", printable(&described(schedule))));
        }
        if flow.plan.is_none() {
            print_text("defined   for each request, because `define` reads the context\n");
        }
        for warning in warnings {
            print_text(format_args!("warning   {}\n", printable(&warning)));
        }
        print_text("valid\n");
        Ok(ExitCode::SUCCESS)
    }
}

/// That the module lacks a kind of handlers, which this handler is of.
fn lacks(kind: HandlerKind, handler: &str) -> Warning {
    let message = format!(
        "the module seems to have no handlers of the kind `{kind}`, as `{handler}` is: a call with an id that no handler has \
         crashed instead of being rejected"
    );
    Warning { path: String::new(), message }
}

/// The next moments of a schedule.
fn next(schedule: &Schedule) -> Vec<Millis> {
    // The definition has been checked.
    schedule.timed().map(|timed| timed.when.following(super::now()).take(NEXT).collect()).unwrap_or_default()
}

/// A schedule as JSON, without its input.
fn schedule(schedule: &Schedule) -> Value {
    json!({
        "name": schedule.name, "when": schedule.when, "time-zone": schedule.time_zone, "missed": schedule.missed,
        "overlap": schedule.overlap, "next": next(schedule),
    })
}

/// `nightly: 0 30 2 * * * Europe/Berlin; next 2026-12-01T01:30:00Z, …`
fn described(schedule: &Schedule) -> String {
    let zone = schedule.time_zone.as_ref().map_or(String::new(), |zone| format!(" {zone}"));
    let next: Vec<String> = next(schedule).into_iter().map(moment).collect();
    format!("{}: {}{zone}; next {}", schedule.name, schedule.when, next.join(", "))
}

fn list(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { "none".to_owned() } else { printable(&names.join(", ")).to_string() }
}
