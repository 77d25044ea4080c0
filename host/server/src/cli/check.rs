//! `faas-flow check`

use super::host::{ModuleKeys, guests_of, load};
use super::output::{print_json, print_text};
use crate::Error;
use crate::config::Options;
use clap::Args;
use faas_flow_core::definition::HandlerKind;
use faas_flow_core::text::printable;
use faas_flow_core::{Plan, Warning};
use faas_flow_replica::Error as HostError;
use faas_flow_versions as versions;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

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
                "exports": module.exports(), "handlers": handlers, "per-request": flow.plan.is_none(), "warnings": warnings,
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        print_text(format_args!("flow      {}\ndigest    {}\n", flow.name, module.digest()));
        print_text(format_args!("imports   {}\n", list(module.imports())));
        print_text(format_args!("handlers  {}\n", list(handlers)));
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

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { printable(&names.join(", ")).to_string() }
}
