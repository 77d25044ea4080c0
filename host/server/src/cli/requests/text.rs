//! Runs as text.

use crate::Error;
use faas_flow_core::run::{Awaited, Called, NodeView, Parent, RunView, WaitView};
use faas_flow_core::text::printable;
use faas_flow_core::{Millis, RunId, moment};
use faas_flow_http::ListedRun;
use serde_json::Value;
use std::fmt::Write as _;

/// A table of runs.
pub(super) fn list(runs: &[ListedRun]) -> String {
    let mut text = format!("{:<33} {:<24} {:<10} {:<20} {:>9}\n", "REQUEST ID", "FLOW", "STATUS", "STARTED", "TOOK");
    for run in runs {
        let ListedRun { request_id: id, flow, status, .. } = &run;
        let took = run.ended.map_or(String::new(), |ended| took(run.started, ended));
        let started = moment(run.started);
        // Writing to a string cannot fail.
        let _ =
            writeln!(text, "{:<33} {:<24} {:<10} {started:<20} {took:>9}", id.as_str(), flow.as_str(), status.as_str());
    }
    text
}

fn took(started: Millis, ended: Millis) -> String {
    format!("{} ms", ended.saturating_sub(started))
}

fn waits_for_run(node: &NodeView, run: &RunId) -> bool {
    matches!(&node.waits_for, Some(WaitView { of: Awaited::Run { run: awaited, .. }, .. }) if awaited == run)
}

/// A run with its nodes, from its JSON.
pub(super) fn run(run: Value) -> Result<String, Error> {
    let waits_for = waits_for(&run);
    let view: RunView = serde_json::from_value(run)
        .map_err(|error| Error::System { what: "read the run that the server sent", source: error.into() })?;
    let total = view.ended.map_or(String::new(), |ended| format!(", took {}", took(view.started, ended)));
    let mut text = format!("request id  {}\nflow        {} ({})\n", view.request_id, view.flow, view.digest);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "status      {}\nstarted     {}{total}", view.status, moment(view.started));
    if let Some(response) = &view.response {
        let _ = writeln!(text, "answer      status {}", response.status);
    }
    if let Some(Parent { flow, run, node, .. }) = &view.parent {
        let _ = writeln!(text, "called by   run {run} of flow {flow}, node {}", printable(node));
    }
    if let Some(failure) = &view.failure {
        let _ = writeln!(text, "failure     {}", printable(failure));
    }
    if let Some(waits_for) = waits_for {
        let _ = writeln!(text, "waits for   version {}", printable(&waits_for));
    }
    let _ =
        writeln!(text, "\n{:<36} {:<10} {:>9} {:>5} {:>10} {:>10}", "NODE", "PROGRESS", "TOOK", "TRIES", "IN", "OUT");
    for node in &view.nodes {
        let took = node.started.zip(node.since).map_or(String::new(), |(from, to)| took(from, to));
        let out = node.output_size.map_or(String::new(), |size| size.to_string());
        let _ = writeln!(
            text,
            "{:<36} {:<10} {took:>9} {:>5} {:>10} {out:>10}",
            printable(&node.path).to_string(),
            node.progress.as_str(),
            node.attempts.len(),
            node.input_size
        );
        if let Some(wait) = &node.waits_for {
            let until =
                node.waits_until.map_or(String::new(), |until| format!(", until {} at the latest", moment(until)));
            let _ = writeln!(text, "    waits for {} since {}{until}", printable(wait), moment(wait.since));
        }
        let ended = node.called.iter().filter(|called| !waits_for_run(node, &called.run));
        for Called { flow, run } in ended {
            let _ = writeln!(text, "    called run {run} of flow {}", printable(flow));
        }
        for failure in node.attempts.iter().filter_map(|attempt| attempt.failure.as_ref()) {
            let _ = writeln!(text, "    {}", printable(failure));
        }
    }
    Ok(text)
}

/// The version that a run waits for, and why it cannot be loaded.
fn waits_for(run: &Value) -> Option<String> {
    let field = |name| run.get(name).and_then(Value::as_str);
    Some(format!("{}: {}: {}", field("waits-for")?, field("waits-code")?, field("waits-because")?))
}
