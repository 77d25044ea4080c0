//! `faas-flow build`

use super::host::{ModuleKeys, guests_of, load};
use super::output::complain;
use super::project::{Build, Refused};
use crate::Error;
use crate::config::Options;
use clap::Args;
use faas_flow_guest::preinitialized;
use faas_flow_versions::read_module;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// The file of the module, in the folder of the sources.
const MODULE: &str = "flow.wasm";

#[derive(Args)]
pub(super) struct BuildFlow {
    /// Folder of the flow's sources
    #[arg(default_value = ".")]
    path: PathBuf,
    /// File of the module [default: flow.wasm in the folder]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    guest: Options<ModuleKeys>,
}

impl BuildFlow {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let started = Instant::now();
        let made = match Build::of(&self.path, None)?.run().await {
            Ok(made) => made,
            // Its output has said why.
            Err(Refused::Build) => return Ok(ExitCode::FAILURE),
            Err(Refused::Error(error)) => return Err(error),
        };
        let mut bytes = read_module(&made).await?;
        if let Some(started) = preinitialized(&bytes) {
            bytes = started.into();
            std::fs::write(&made, &bytes).map_err(|source| Error::OutputUnwritable { path: made.clone(), source })?;
        }
        // What the host would refuse is no module.
        load(&guests_of(self.guest)?, &made).await?;
        let output = self.output.unwrap_or_else(|| self.path.join(MODULE));
        std::fs::write(&output, &bytes).map_err(|source| Error::OutputUnwritable { path: output.clone(), source })?;
        let (kib, seconds) = (bytes.len().div_ceil(1024), started.elapsed().as_secs_f64());
        complain(format_args!("{}: {kib} KiB, built in {seconds:.1} s", output.display()));
        Ok(ExitCode::SUCCESS)
    }
}
