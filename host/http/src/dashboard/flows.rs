//! The first page: the flows, and the states of their latest runs.

use super::Dashboard;
use super::page::{Page, Took, badge, time};
use crate::Error;
use faas_flow_core::{Millis, Status};
use faas_flow_graph::escaped;
use faas_flow_store::{RunEntry, RunQuery};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How many of the latest runs are counted.
const COUNTED: usize = 1000;
/// How many of them are listed.
const LISTED: usize = 20;

impl Dashboard {
    /// The page; its links begin with `up`.
    pub(super) async fn flows(&self, up: &str) -> Result<Page, Error> {
        let up = escaped(up);
        let runs = self
            .host
            .list(&RunQuery { flow: None, status: None, limit: COUNTED, labels: faas_flow_core::Labels::new() })
            .await?;
        let mut flows: BTreeMap<String, Vec<&RunEntry>> = BTreeMap::new();
        for flow in self.host.versions().all_active() {
            flows.entry(flow.name.to_string()).or_default();
        }
        for run in &runs {
            flows.entry(run.flow.to_string()).or_default().push(run);
        }
        let mut main = String::from("<h1>Flows</h1>\n<div class=\"cards\">");
        let mut lines = Vec::new();
        for (name, runs) in &flows {
            let count = |status| runs.iter().filter(|run| run.status == status).count();
            let counts = Status::ALL.map(|status| (status, count(status)));
            let badges: String = counts
                .iter()
                .filter(|(_, count)| *count > 0)
                .map(|(status, count)| format!("<span class=\"badge {0}\">{count} {0}</span> ", status.as_str()))
                .collect();
            let badges = if badges.is_empty() { "<span class=\"quiet\">no runs yet</span>".to_owned() } else { badges };
            let shown = escaped(name);
            // Writing to a string cannot fail.
            let _ = writeln!(main, "<a class=\"card\" href=\"{up}flows/{shown}\"><h2>{shown}</h2><p>{badges}</p></a>");
            let counts: serde_json::Map<_, _> =
                counts.iter().map(|(status, count)| (status.as_str().to_owned(), json!(count))).collect();
            lines.push(json!({ "flow": name, "runs": counts, "latest": runs.first().map(|run| &run.run) }));
        }
        main.push_str("</div>\n");
        if flows.is_empty() {
            main.push_str("<p class=\"quiet\">The store has no runs yet.</p>\n");
        }
        if runs.len() == COUNTED {
            let _ = writeln!(main, "<p class=\"quiet\">Counts cover the latest {COUNTED} runs.</p>");
        }
        if !runs.is_empty() {
            main.push_str("<h1>Latest runs</h1>\n");
            main.push_str(&table(runs.iter().take(LISTED), &up, self.host.now()));
        }
        let json = json!({ "flows": lines, "counted": runs.len() });
        Ok(Page { title: "Flows".to_owned(), trail: Vec::new(), main, aside: String::new(), live: true, json })
    }
}

/// A table of runs; its links begin with `up`.
pub(super) fn table<'a>(runs: impl Iterator<Item = &'a RunEntry>, up: &str, now: Millis) -> String {
    let mut table = String::from(
        "<table><thead><tr><th>Run</th><th>Flow</th><th>State</th><th>Version</th><th>Started (UTC)</th><th>Duration</th></tr></thead><tbody>\n",
    );
    for run in runs {
        let id = escaped(run.run.as_str());
        let flow = escaped(run.flow.as_str());
        let version = run.digest.short();
        let labels = if run.labels.is_empty() {
            String::new()
        } else {
            format!(" <span class=\"quiet\">{}</span>", escaped(&run.labels.to_string()))
        };
        let state = badge(run.status);
        let started = time(run.started);
        let took = Took(run.ended.unwrap_or(now).saturating_sub(run.started)).to_string();
        // A run with a start time may not have started.
        let starts_later = run.started > now && !run.status.is_final();
        let (starts, took) = if starts_later { ("starts ", String::new()) } else { ("", took) };
        let _ = writeln!(
            table,
            "<tr><td><a href=\"{up}runs/{id}\"><code>{id}</code></a>{labels}</td><td><a href=\"{up}flows/{flow}\">{flow}</a></td>\
             <td>{state}</td><td><code>{version}</code></td><td>{starts}{started}</td><td class=\"number\">{took}</td></tr>"
        );
    }
    table + "</tbody></table>\n"
}
