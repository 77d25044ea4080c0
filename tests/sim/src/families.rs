//! What holds between a run and those that it has called.

use crate::Weather;
use crate::checks::all_runs;
use crate::replica::Cluster;
use anyhow::Result;
use faas_flow_core::run::{Parent, Progress, RunView};
use faas_flow_core::{RunId, Status};
use faas_flow_store::RunEntry;
use std::collections::HashMap;
use std::sync::Arc;

async fn runs(cluster: &Arc<Cluster>) -> Result<Vec<(RunEntry, RunView)>> {
    let mut runs = Vec::new();
    for entry in all_runs(cluster).await? {
        if let Some(view) = cluster.observer().view(&entry.run).await? {
            runs.push((entry, view));
        }
    }
    Ok(runs)
}

/// What is wrong between the runs that are left: each call has begun one run, or another one after that has not succeeded; no
/// run succeeds before those that it called have ended, and no run goes on that was called beside a failure that was caught.
pub async fn wrong(cluster: &Arc<Cluster>, weather: Weather) -> Result<Vec<String>> {
    let runs = runs(cluster).await?;
    let by_id: HashMap<&RunId, &RunEntry> = runs.iter().map(|(entry, _)| (&entry.run, entry)).collect();
    let mut wrong = Vec::new();
    let mut of_calls: HashMap<String, Vec<&RunEntry>> = HashMap::new();
    for (entry, parent) in runs.iter().filter_map(|(entry, view)| Some((entry, view.parent.as_ref()?))) {
        of_calls.entry(call(parent)).or_default().push(entry);
        let Some(around) = by_id.get(&parent.run) else {
            wrong.push(format!("{} was called by {}, which nobody knows", entry.run, parent.run));
            continue;
        };
        let views = runs.iter().map(|(_, view)| view).find(|view| view.request_id == parent.run);
        let calling = views.and_then(|view| view.nodes.iter().find(|node| node.path == parent.node));
        let is_withdrawn = calling.is_some_and(|node| node.progress == Progress::Cancelled);
        if is_withdrawn && around.status == Status::Succeeded {
            // It was stopped, or had ended by then.
            if entry.status == Status::Succeeded && is_long(entry) {
                wrong.push(format!(
                    "{} went on although {} had caught a failure beside {}",
                    entry.run, around.run, parent.node
                ));
            }
            continue;
        }
        // The clocks agree.
        if weather.skew == 0 && around.status == Status::Succeeded && entry.ended > around.ended {
            wrong.push(format!("{} succeeded before {}, which it called, had ended", around.run, entry.run));
        }
    }
    for (call, runs) in of_calls {
        let in_vain = runs.iter().filter(|run| run.status != Status::Succeeded).count();
        if runs.len() > 1 && runs.len() - in_vain > 1 {
            wrong.push(format!("{call} began {} runs, of which only {in_vain} did not succeed", runs.len()));
        }
    }
    Ok(wrong)
}

/// Whether a run took so long that a run which goes on without it must have stopped it meanwhile.
fn is_long(entry: &RunEntry) -> bool {
    entry.ended.is_some_and(|ended| ended.saturating_sub(entry.started) > 150_000)
}

fn call(parent: &Parent) -> String {
    format!("{}/{}/{}", parent.run, parent.node, parent.to.operation)
}

/// A text about a run, in which runs that it called have no ids: those follow from the moment at which it began.
pub async fn without_ids(cluster: &Arc<Cluster>, run: &RunId, text: String) -> Result<String> {
    let mut text = text;
    for (entry, view) in runs(cluster).await? {
        if view.parent.is_some_and(|parent| parent.run == *run) {
            text = text.replace(entry.run.as_str(), "CHILD");
        }
    }
    Ok(text)
}
