//! Runs as text.

use crate::Error;
use faas_flow_core::run::{Awaited, Called, NodeView, Parent, RunView, WaitView};
use faas_flow_core::text::{indented, printable};
use faas_flow_core::{Millis, RunId, moment};
use faas_flow_http::{ListedFailure, ListedRun};
use serde_json::Value;
use std::fmt::Write as _;

/// How many characters of a failure's message a list has.
const MESSAGE: usize = 80;

/// A table of runs.
pub(super) fn list(runs: &[ListedRun]) -> String {
    let mut text = format!("{:<33} {:<24} {:<10} {:<20} {:>9}\n", "REQUEST ID", "FLOW", "STATUS", "STARTED", "TOOK");
    for run in runs {
        let ListedRun { request_id: id, flow, status, .. } = &run;
        let took = run.ended.map_or(String::new(), |ended| took(run.started, ended));
        let started = moment(run.started);
        // Writing to a string cannot fail.
        let labels = if run.labels.is_empty() { String::new() } else { format!("  {}", run.labels) };
        let failure = run.failure.as_ref().map_or(String::new(), |ListedFailure { code, message }| {
            let message: String = message.chars().take(MESSAGE).collect();
            format!("  {code} {}", printable(&message))
        });
        let _ = writeln!(
            text,
            "{:<33} {:<24} {:<10} {started:<20} {took:>9}{labels}{failure}",
            id.as_str(),
            flow.as_str(),
            status.as_str()
        );
    }
    text
}

/// Whether it has started, as far as its nodes show that.
fn starts(view: &RunView) -> &'static str {
    if view.waits_for_start() { "starts" } else { "started" }
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
    let again = view.rerun.map_or(String::new(), |again| format!(", run again {}", moment(again)));
    let total = view.ended.map_or(String::new(), |ended| format!(", took {} ms", view.took(ended)));
    let mut text = format!("request id  {}\nflow        {} ({})\n", view.request_id, view.flow, view.digest);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "status      {}\n{:<11} {}{again}{total}", view.status, starts(&view), moment(view.started));
    if !view.labels.is_empty() {
        let _ = writeln!(text, "labels      {}", view.labels);
    }
    if let Some(response) = &view.response {
        let _ = writeln!(text, "answer      status {}", response.status);
    }
    if let Some(Parent { flow, run, node, .. }) = &view.parent {
        let _ = writeln!(text, "called by   run {run} of flow {flow}, node {}", printable(node));
    }
    if let Some(failure) = &view.failure {
        let _ = writeln!(text, "failure     {}", indented(failure, 12));
    }
    if let Some(callback) = &view.callback {
        let _ = writeln!(text, "callback    {}: {}", printable(&callback.url), printable(&callback.described()));
    }
    for action in &view.actions {
        let _ = writeln!(text, "asked       {}", printable(&action.to_string()));
    }
    if let Some(waits_for) = waits_for {
        let _ = writeln!(text, "waits for   version {}", printable(&waits_for));
    }
    let _ =
        writeln!(text, "\n{:<36} {:<10} {:>9} {:>5} {:>10} {:>10}", "NODE", "PROGRESS", "TOOK", "TRIES", "IN", "OUT");
    for node in &view.nodes {
        let took = node.took().map_or(String::new(), |took| format!("{took} ms"));
        let size = |size: Option<u64>| size.map_or(String::new(), |size| size.to_string());
        let _ = writeln!(
            text,
            "{:<36} {:<10} {took:>9} {:>5} {:>10} {:>10}",
            printable(&node.path).to_string(),
            node.progress.as_str(),
            node.tried(),
            size(node.known_input_size()),
            size(node.output_size)
        );
        if node.rounds > 0 {
            let next = node.waits_until.map_or(String::new(), |until| format!(", the next one {}", moment(until)));
            let _ = writeln!(text, "    round {}{next}", node.rounds);
        }
        if let Some(wait) = &node.waits_for {
            let until =
                node.waits_until.map_or(String::new(), |until| format!(", until {} at the latest", moment(until)));
            let _ = writeln!(text, "    waits for {} since {}{until}", printable(wait), moment(wait.since));
        }
        if let (Some(since), Some(until)) = (node.sleeps_since, node.waits_until) {
            let _ = writeln!(text, "    sleeps until {}, since {}", moment(until), moment(since));
        }
        let ended = node.called.iter().filter(|called| !waits_for_run(node, &called.run));
        for Called { flow, run } in ended {
            let _ = writeln!(text, "    called run {run} of flow {}", printable(flow));
        }
        for sentence in node.happened() {
            let _ = writeln!(text, "    {}", indented(&sentence, 6));
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
            // Its input is not known before an attempt has ended.
            json!({ "path": "d", "progress": "running", "started": 1_000, "since": 1_000, "input_size": 0,
                "output_size": null, "attempts": [] }),
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
        assert_eq!(columns("d "), "running 0", "{text}");
    }

    /// HIST-6, HIST-7, HIST-10.
    #[test]
    fn tries_of_calls_are_shown_between_the_failures_of_attempts() {
        let failure = |message: &str| json!({ "code": "FF0207", "message": message, "retry": true });
        let one = |number: u64, ended: u64, more: Value| {
            let mut one = json!({ "operation": 0, "number": number, "of": 3, "started": ended - 5, "ended": ended });
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            one
        };
        let tries = [
            one(1, 2_010, json!({ "status": 503, "failure": failure("busy"), "next": 3_000 })),
            one(2, 3_005, json!({ "failure": failure("gone"), "recovered": true })),
        ];
        let attempts = [
            json!({ "started": 1_000, "ended": 1_900, "failure": failure("first"), "next": 2_000 }),
            json!({ "started": 2_000, "ended": 3_010, "failure": null }),
        ];
        let node = json!({ "path": "n", "progress": "done", "started": 1_000, "since": 3_010, "input_size": 3,
            "output_size": null, "attempts": attempts, "tries": { "kept": tries, "repeated": 1 } });
        let view = json!({ "request_id": "r", "flow": "shop", "digest": "0".repeat(64), "status": "succeeded",
            "started": 500, "rerun": 900, "ended": 3_900, "result_size": null, "failure": null, "nodes": [node] });
        let text = run(view).unwrap();
        let shown: Vec<&str> = text.lines().rev().take(4).map(str::trim).collect();
        let expected = [
            "try 2 of 3 of operation 0, 1970-01-01T00:00:03Z, took 5 ms: FF0207: gone; recovered",
            "try 1 of 3 of operation 0, 1970-01-01T00:00:02Z, took 5 ms: status 503: FF0207: busy; next try \
             1970-01-01T00:00:03Z",
            "FF0207: first; next attempt 1970-01-01T00:00:02Z",
        ];
        assert_eq!(shown[..3], expected, "{text}");
        assert!(shown[3].split_whitespace().eq(["n", "done", "2010", "ms", "3", "3"]), "{text}");
        let started = "started     1970-01-01T00:00:00Z, run again 1970-01-01T00:00:00Z, took 3000 ms";
        assert!(text.lines().any(|line| line == started), "{text}");
    }
}
