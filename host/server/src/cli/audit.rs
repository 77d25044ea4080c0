//! `faas-flow audit`: what operators have asked for.

use super::client::{Client, Target};
use super::output::{Output, print_json, print_text};
use crate::Error;
use clap::{Args, Subcommand};
use faas_flow_core::moment;
use faas_flow_core::text::printable;
use faas_flow_http::AuditList;
use faas_flow_replica::audit::AuditEntry;
use std::fmt::Write as _;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List who has changed runs, schedules and versions of a flow, or has tried to, the latest first
    List(List),
}

#[derive(Args)]
struct List {
    /// Maximum number of entries
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// Only entries before this place, as printed at the end of the previous list
    #[arg(long, value_name = "PLACE")]
    after: Option<u64>,
    #[command(flatten)]
    target: Target,
}

impl Audit {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let What::List(List { limit, after, target }) = self.what;
        let output = target.output();
        let client = Client::new(target)?;
        let mut query = vec![("limit", limit.to_string())];
        query.extend(after.map(|after| ("after", after.to_string())));
        let list = client.get("audit", &query).await?;
        if output == Output::Json {
            print_json(&list)?;
            return Ok(ExitCode::SUCCESS);
        }
        let list: AuditList = serde_json::from_value(list).map_err(|_| Error::NotAFlow { url: client.place() })?;
        print_text(text(&list));
        Ok(ExitCode::SUCCESS)
    }
}

/// A line for each entry.
fn text(list: &AuditList) -> String {
    let mut text = String::new();
    for AuditEntry { at, action, actor, run, target, outcome, code, .. } in &list.entries {
        let run = run.as_ref().map_or(String::new(), |run| format!(" {run}"));
        let target = if target.is_empty() { String::new() } else { format!(" {target}") };
        let code = code.map_or(String::new(), |code| format!(" {code}"));
        let line = format!("{} {}{code}: {action}{run}{target} {actor}", moment(*at), outcome.as_str());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", printable(&line));
    }
    if let Some(next) = list.next {
        let _ = writeln!(text, "There are more entries. To see the next ones, add --after {next}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_entry_is_a_line() {
        let entry = json!({ "at": 0, "action": "stop", "who": "alice", "via": "token", "from": "10.0.0.7",
            "reason": "too\nslow", "flow": "greet", "run": "r1", "outcome": "refused", "code": "FF0518" });
        let list: AuditList = serde_json::from_value(json!({ "entries": [entry], "next": 7 })).unwrap();
        assert_eq!(
            text(&list),
            "1970-01-01T00:00:00Z refused FF0518: stop r1 by alice (token) from 10.0.0.7: too\\nslow\nThere are more entries. To see the next ones, add --after 7\n"
        );
    }
}
