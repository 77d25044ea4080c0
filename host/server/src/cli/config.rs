//! `faas-flow config`

use super::common;
use super::function::{FunctionKeys, put_beside};
use crate::Error;
use crate::config::{self, Options, Row, SECRET_MOUNT_PATH, SECRETS, Source};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct Config {
    /// Check this flow.yml strictly, and show it in place of the environment
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keys: Options<FunctionKeys>,
}

impl Config {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let mut values = match &self.file {
            Some(file) => self.keys.over(config::file_layer(file)?),
            None => {
                let mut values = self.keys.read()?;
                put_beside(&mut values)?;
                values
            }
        };
        // What is missing here may be there in the container: it is shown as missing.
        let missing = config::resolve_stores(&mut values, false).err();
        let mut rows = config::rows(&values);
        if let Ok((name, source)) = config::flow_name(&values, |name| std::env::var(name).ok())
            && self.file.is_none()
        {
            for row in rows.iter_mut().filter(|row| row.key == config::FLOW_NAME.name) {
                *row = Row::of(row.key, name.as_str(), &source);
            }
        }
        let folder = values.text(&SECRET_MOUNT_PATH);
        let found = SECRETS.iter().map(|name| (name, Path::new(&folder).join(name))).filter(|(_, path)| path.exists());
        rows.extend(found.map(|(name, path)| Row::of(name, "(a secret)", &Source::Secret(path))));
        if self.json {
            common::print_json(&rows)?;
        } else {
            let width =
                |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0).min(60);
            let (keys, texts) = (width(|row| row.key), width(|row| &row.value));
            for Row { key, value, from, .. } in &rows {
                common::print(format!("{key:<keys$}  {value:<texts$}  {from}\n"));
            }
        }
        values.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        if let Some(missing) = missing {
            eprintln!("warning: {missing}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
