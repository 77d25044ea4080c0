//! `faas-flow limits`: limits over all runs, changed while runs go on.

use super::existing::{StoreKeys, open_to_change, open_to_read};
use super::output::{print_json, print_text};
use crate::Error;
use crate::config::{Options, Stores, Unspecified, limit_figures, resolve_stores};
use clap::{Args, Subcommand};
use faas_flow_core::limit::{Figures, is_limit_name};
use faas_flow_replica::{limits_set, set_limit};
use std::fmt::Write as _;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct Limits {
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
    /// List the limits that were set in the state store
    List,
    /// Set a limit for all replicas that share the state store. Within a second, it replaces what the configuration and the flows say
    Set {
        /// Name of a limit that flows use, or of a function that they call
        #[arg(value_parser = name)]
        name: String,
        /// How many at a time (10), in a second (2.5/s), or both (10+2.5/s)
        #[arg(value_parser = figures)]
        figures: Figures,
    },
    /// Remove a limit that was set, so that the configuration and the flows apply again
    Unset {
        /// Name of the limit or function
        #[arg(value_parser = name)]
        name: String,
    },
}

fn name(text: &str) -> Result<String, String> {
    let rule = "use 1 to 64 characters of A-Z a-z 0-9 _ . -";
    if is_limit_name(text) { Ok(text.to_owned()) } else { Err(rule.to_owned()) }
}

fn figures(text: &str) -> Result<Figures, String> {
    let figures = limit_figures(text.trim()).ok_or("write 10, 2.5/s or 10+2.5/s")?;
    figures.check().map_err(|bad| bad.to_string())?;
    Ok(figures)
}

impl Limits {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let mut values = self.keys.read()?;
        let Stores { state, .. } = resolve_stores(&mut values, Unspecified::Durable)?;
        let store = match self.what {
            What::List => open_to_read(&state).await?,
            What::Set { .. } | What::Unset { .. } => open_to_change(&state).await?,
        };
        match self.what {
            What::List => {}
            What::Set { name, figures } => set_limit(&*store, &name, Some(figures)).await?,
            What::Unset { name } => {
                if !limits_set(&*store).await?.contains_key(&name) {
                    eprintln!("limit {name} was not set in the state store: nothing changes");
                }
                set_limit(&*store, &name, None).await?;
            }
        }
        let set = limits_set(&*store).await?;
        if self.json {
            print_json(&set)?;
        } else if set.is_empty() {
            eprintln!("no limits are set in the state store: those of the configuration and of the flows apply");
        } else {
            let mut text = String::new();
            for (name, figures) in &set {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{name}: {figures}");
            }
            print_text(&text);
        }
        Ok(ExitCode::SUCCESS)
    }
}
