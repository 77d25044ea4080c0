//! `faas-flow check`

use super::common::{self, ModuleKeys};
use crate::Error;
use crate::config::Options;
use crate::versions;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct Check {
    /// The flow's module
    flow: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    guest: Options<ModuleKeys>,
}

impl Check {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let loaded = common::load(&common::guests_of(self.guest)?, &self.flow).await;
        let flow = match loaded {
            Err(Error::Versions(versions::Error::InvalidDefinition(problems))) if self.json => {
                common::print_json(&json!({ "valid": false, "problems": problems }))?;
                return Ok(ExitCode::FAILURE);
            }
            Err(error) if self.json => {
                let problem = json!({ "code": error.code(), "path": "", "message": error.to_string() });
                common::print_json(&json!({ "valid": false, "problems": [problem] }))?;
                return Ok(ExitCode::FAILURE);
            }
            other => other?,
        };
        let warnings = faas_flow_core::Plan::new((*flow.definition).clone())
            .map_err(versions::Error::InvalidDefinition)?
            .warnings()
            .to_vec();
        let (module, handlers) = (&flow.module, &flow.definition.handlers);
        if self.json {
            common::print_json(&json!({
                "valid": true, "flow": flow.name, "digest": module.digest(), "imports": module.imports(),
                "exports": module.exports(), "handlers": handlers, "per-request": flow.plan.is_none(), "warnings": warnings,
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        common::print(format!("flow      {}\ndigest    {}\n", flow.name, module.digest()));
        let list = |title: &str, names: &[String]| match names.is_empty() {
            true => common::print(format!("{title:<10}none\n")),
            false => common::print(format!("{title:<10}{}\n", names.join(", "))),
        };
        list("imports", module.imports());
        list("handlers", handlers);
        if flow.plan.is_none() {
            common::print("defined   for each request, since `define` reads the context\n");
        }
        for warning in &warnings {
            common::print(format!("warning   {warning}\n"));
        }
        common::print("valid\n");
        Ok(ExitCode::SUCCESS)
    }
}
