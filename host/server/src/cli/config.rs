//! `faas-flow config`

use super::function::{FunctionKeys, read_file_beside};
use super::output::{complain, print_json, print_text};
use crate::Error;
use crate::config::{Options, Row, SECRETS, Source, Unspecified, flow_name, resolve_stores};
use clap::Args;
use faas_flow_core::redact;
use faas_flow_replica::RequestProxy;
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
        if let Some(row) = rows.iter_mut().find(|row| row.key == "request_proxy") {
            row.value.push_str(&proxies(&values.request_proxy.value, |name| std::env::var(name).ok()));
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

/// What the environment says about proxies, as far as that counts.
fn proxies(configured: &RequestProxy, variable: impl Fn(&str) -> Option<String>) -> String {
    let names: &[&str] = match configured {
        RequestProxy::Environment => &["http_proxy", "https_proxy", "all_proxy", "no_proxy"],
        RequestProxy::At(_) => &["no_proxy"],
        RequestProxy::Direct => &[],
    };
    let found = names.iter().filter_map(|name| {
        let names = [name.to_ascii_uppercase(), (*name).to_owned()];
        let (name, value) = names.into_iter().find_map(|name| variable(&name).map(|value| (name, value)))?;
        Some(format!("{name}={}", redact::text(&value)))
    });
    let found: Vec<String> = found.collect();
    if found.is_empty() { String::new() } else { format!(" ({})", found.join(", ")) }
}

fn table(rows: &[Row]) -> String {
    let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0).min(COLUMN);
    let keys = width(|row| row.key);
    let values = width(|row| &row.value);
    rows.iter().map(|Row { key, value, from, .. }| format!("{key:<keys$}  {value:<values$}  {from}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxies_of_the_environment_are_shown_without_their_passwords() {
        assert_eq!(proxies(&RequestProxy::Environment, |_| None), "");
        let shown = |configured| {
            proxies(&configured, |name| match name {
                "HTTPS_PROXY" => Some("http://ann:secret@proxy.example:3128".to_owned()),
                "no_proxy" => Some("10.0.0.0/8,.corp".to_owned()),
                _ => None,
            })
        };
        let all = " (HTTPS_PROXY=http://***@proxy.example:3128, no_proxy=10.0.0.0/8,.corp)";
        assert_eq!(shown(RequestProxy::Environment), all);
        assert_eq!(shown(RequestProxy::At("http://h:1".to_owned())), " (no_proxy=10.0.0.0/8,.corp)");
        assert_eq!(shown(RequestProxy::Direct), "");
    }
}
