//! The first page: the flows, and the states of their latest runs.

use super::Dashboard;
use super::page::{Page, Took, badge, time};
use crate::Error;
use faas_flow_core::{FlowName, Millis};
use faas_flow_graph::escaped;
use faas_flow_store::{RunCounts, RunEntry, RunFailure, RunQuery};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// How many of the latest runs are listed.
const LISTED: usize = 20;

impl Dashboard {
    /// The page; its links begin with `up`.
    pub(super) async fn flows(&self, up: &str) -> Result<Page, Error> {
        let up = escaped(up);
        let active = self.host.versions().all_active();
        let mut flows: BTreeSet<FlowName> = active.iter().map(|flow| flow.name.clone()).collect();
        flows.extend(self.host.flows().await?);
        let overview = self.overview(&flows).await?;
        let mut main = String::from("<h1>Flows</h1>\n<div class=\"cards\">\n");
        let mut lines = Vec::new();
        for name in &flows {
            let counts = self.host.counts(Some(name)).await?;
            let shown = escaped(name.as_str());
            // Writing to a string cannot fail.
            let _ = writeln!(
                main,
                "<div class=\"card\" id=\"flow:{shown}\"><h2><a href=\"{up}flows/{shown}\">{shown}</a></h2><p>{}</p>{}</div>",
                count_links(&counts, &format!("{up}flows/{shown}")),
                overview.rate(name)
            );
            let each = counts.each().map(|(status, count)| (status.as_str().to_owned(), json!(count)));
            let each: serde_json::Map<_, _> = each.collect();
            let latest = self.host.list(&RunQuery { flow: Some(name.clone()), ..RunQuery::latest(1) }).await?.runs;
            let latest = latest.first().map(|run| &run.run);
            lines.push(json!({ "flow": name, "runs": each, "complete": counts.complete, "latest": latest, "rate": overview.rate_json(name) }));
        }
        main.push_str("</div>\n");
        // Writing to a string cannot fail.
        let _ = writeln!(main, "<p><a href=\"{up}audit\">Audit log</a></p>");
        if flows.is_empty() {
            main.push_str("<p class=\"quiet\">The store has no runs yet.</p>\n");
        }
        main.push_str(&overview.html(&up.to_string()));
        let latest = self.host.list(&RunQuery::latest(LISTED)).await?.runs;
        if !latest.is_empty() {
            let _ =
                writeln!(main, "<h2>Latest runs</h2>\n<p class=\"quiet\"><a href=\"{up}runs\">Search all runs</a></p>");
            main.push_str(&table(latest.iter(), &up.to_string(), self.host.now()));
        }
        let json = overview.json(&lines);
        Ok(Page { title: "Flows".to_owned(), trail: Vec::new(), main, aside: String::new(), live: true, json })
    }
}

/// How many runs there are in each state, as links to the page that lists them.
pub(super) fn count_links(counts: &RunCounts, page: &str) -> String {
    let links: String = counts
        .each()
        .filter(|(_, count)| *count > 0)
        .map(|(status, count)| {
            let word = status.as_str();
            format!("<a class=\"badge {word}\" href=\"{page}?status={word}\">{count} {word}</a> ")
        })
        .collect();
    match (links.is_empty(), counts.complete) {
        (true, _) => "<span class=\"quiet\">no runs yet</span>".to_owned(),
        (false, true) => links,
        (false, false) => format!("{links}<span class=\"quiet\">of the latest runs</span>"),
    }
}

/// A table of runs; its links begin with `up`.
pub(super) fn table<'a>(runs: impl Iterator<Item = &'a RunEntry>, up: &str, now: Millis) -> String {
    let mut table = String::from(
        "<table class=\"runs\" aria-label=\"Runs\"><thead><tr><th>Run</th><th>Flow</th><th>State</th><th>Version</th><th>Started (UTC)</th><th>Duration</th></tr></thead><tbody>\n",
    );
    for run in runs {
        let id = escaped(run.run.as_str());
        let flow = escaped(run.flow.as_str());
        let version = run.digest.short();
        let failure = run.failure.as_ref().map_or(String::new(), |RunFailure { code, message }| {
            format!("<br><span class=\"quiet\"><code>{code}</code> {}</span>", escaped(message))
        });
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
            "<tr id=\"run:{id}\"><td><a href=\"{up}runs/{id}\"><code>{id}</code></a>{labels}{failure}</td><td><a href=\"{up}flows/{flow}\">{flow}</a></td>\
             <td>{state}</td><td><code>{version}</code></td><td>{starts}{started}</td><td class=\"number\">{took}</td></tr>"
        );
    }
    table + "</tbody></table>\n"
}
