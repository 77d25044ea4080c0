//! `faas-flow config`

use super::function::{FunctionKeys, read_file_beside};
use super::output::{complain, print_json, print_text};
use crate::Error;
use crate::config::{Options, Row, SECRETS, Source, Unspecified, flow_name, resolve_stores};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// The maximum width to which a column is padded.
const COLUMN: usize = 60;

#[derive(Args)]
pub(super) struct Config {
    /// Validate this flow.yml and show its values instead of the environment's
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keys: Options<FunctionKeys>,
}

impl Config {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let mut values = if let Some(file) = &self.file {
            self.keys.read_over_file(file)?
        } else {
            let mut values = self.keys.read()?;
            read_file_beside(&mut values)?;
            values
        };
        // A store that is not configured here may be configured in the container, so this is only a warning.
        let missing = resolve_stores(&mut values, Unspecified::Durable).err();
        let mut rows = values.rows();
        if self.file.is_none()
            && let Ok((name, source)) = flow_name(&values, |name| std::env::var(name).ok())
            && let Some(row) = rows.iter_mut().find(|row| row.key == "flow_name")
        {
            *row = Row::of(row.key, name.as_str(), &source);
        }
        let secrets = SECRETS.map(|name| (name, values.secret_mount_path.value.join(name)));
        let secrets = secrets.into_iter().filter(|(_, path)| path.exists());
        rows.extend(secrets.map(|(name, path)| Row::of(name, "(a secret)", &Source::Secret(path))));
        if self.json {
            print_json(&rows)?;
        } else {
            print_text(table(&rows));
        }
        for warning in &values.warnings {
            complain(format_args!("warning: {warning}"));
        }
        if let Some(missing) = missing {
            complain(format_args!("warning: {missing}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(rows: &[Row]) -> String {
    let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0).min(COLUMN);
    let keys = width(|row| row.key);
    let values = width(|row| &row.value);
    rows.iter().map(|Row { key, value, from, .. }| format!("{key:<keys$}  {value:<values$}  {from}\n")).collect()
}
