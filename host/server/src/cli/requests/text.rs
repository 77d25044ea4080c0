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
    if let Some(callback) = &view.callback {
        let _ = writeln!(text, "callback    {}: {}", printable(&callback.url), printable(&callback.described()));
    }
    if let Some(waits_for) = waits_for {
        let _ = writeln!(text, "waits for   version {}", printable(&waits_for));
    }
    let _ =
        writeln!(text, "\n{:<36} {:<10} {:>9} {:>5} {:>10} {:>10}", "NODE", "PROGRESS", "TOOK", "TRIES", "IN", "OUT");
    for node in &view.nodes {
        let took = node.took().map_or(String::new(), |took| format!("{took} ms"));
        let out = node.output_size.map_or(String::new(), |size| size.to_string());
        let _ = writeln!(
            text,
            "{:<36} {:<10} {took:>9} {:>5} {:>10} {out:>10}",
            printable(&node.path).to_string(),
            node.progress.as_str(),
            node.tries(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_is_shown_with_its_callback_and_the_tries_and_times_of_its_nodes() {
        let failure = json!({ "code": "FF0207", "message": "nobody is there", "retry": true });
        let failed = json!({ "started": 1, "ended": 2, "failure": failure });
        let node = |path: &str, progress: &str, since: u64, attempts: Value| {
            json!({ "path": path, "progress": progress, "started": 1_000, "since": since, "input_size": 3,
                "output_size": null, "attempts": attempts })
        };
        let nodes = [
            node("a", "done", 1_250, json!([failed, { "started": 2, "ended": 3, "failure": null }])),
            node("b", "cancelled", 1_500, json!([])),
            node("c", "running", 1_100, json!([failed])),
        ];
        let view = json!({
            "request_id": "r", "flow": "shop", "digest": "0".repeat(64), "status": "stopped",
            "started": 1_000, "ended": 1_500, "result_size": null, "failure": null, "nodes": nodes,
            "callback": { "url": "http://hooks.example/", "tries": 2, "failure": failure },
        });
        let text = run(view).unwrap();
        let callback = "callback    http://hooks.example/: given up after 2 tries: FF0207: nobody is there";
        assert!(text.lines().any(|line| line == callback), "{text}");
        let columns = |node: &str| {
            let line = text.lines().find(|line| line.starts_with(node)).unwrap();
            line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(columns("a "), "done 250 ms 2 3", "{text}");
        assert_eq!(columns("b "), "cancelled 500 ms 0 3", "{text}");
        assert_eq!(columns("c "), "running 1 3", "{text}");
    }
}
