//! What must be true of the store and of the functions once all runs have ended.

use crate::PATIENCE;
use crate::replica::Cluster;
use anyhow::Result;
use faas_flow_core::run::Progress;
use faas_flow_store::{RunEntry, RunQuery, every_run};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// All runs that are stored.
pub(crate) async fn all_runs(cluster: &Arc<Cluster>) -> Result<Vec<RunEntry>> {
    Ok(every_run(cluster.truth(), RunQuery::latest(0)).await?)
}

/// What is wrong with what is left in the store: every run in it has ended, though its caller may have gone away.
pub(crate) async fn left(cluster: &Arc<Cluster>) -> Result<Option<String>> {
    let began = tokio::time::Instant::now();
    loop {
        let all = all_runs(cluster).await?;
        let left = all.into_iter().find(|entry| !entry.status.is_final());
        match left {
            Some(left) if began.elapsed() >= PATIENCE => {
                return Ok(Some(format!("run {} is left {}", left.run, left.status)));
            }
            Some(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            None => return Ok(None),
        }
    }
}

/// So many of the first tries of a node are kept in its history. Of those behind them, some may be left out.
const FIRST_TRIES: usize = 5;

/// The tries of calls in the histories that repeat none: whatever is lost, the tries before one that is stored are stored.
pub(crate) async fn tries_out_of_order(cluster: &Arc<Cluster>) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for entry in all_runs(cluster).await? {
        let Some(view) = cluster.observer().view(&entry.run).await? else { continue };
        for node in view.nodes {
            let mut known = BTreeSet::new();
            let complete = if node.tries.left_out > 0 { FIRST_TRIES } else { usize::MAX };
            for one in node.tries.kept.iter().take(complete) {
                if one.number > 1 && !known.contains(&(one.operation, one.number - 1)) {
                    wrong.push(format!("of {} of {}, {one} comes behind no try before it", node.path, entry.run));
                }
                known.insert((one.operation, one.number));
            }
        }
    }
    Ok(wrong)
}

/// The calls that were made more often than their nodes were attempted.
///
/// A node's history has an attempt for each time that it was executed, and for each lease that ran out. So while no replica is
/// lost and no lease runs out, each node calls each of its functions once. Calls that are tried again are not counted.
pub(crate) async fn called_too_often(cluster: &Arc<Cluster>) -> Result<Vec<String>> {
    let calls = cluster.calls();
    let mut wrong = Vec::new();
    for entry in all_runs(cluster).await? {
        let Some(view) = cluster.observer().view(&entry.run).await? else { continue };
        for node in view.nodes {
            // What was cut off when the run ended has no attempt.
            let cut_off = usize::from(node.progress != Progress::Done);
            let name = format!("{}/{}", entry.run, node.path);
            let most = node.attempts.len() + cut_off + cluster.times_cut_off(&name);
            let operations = format!("{name}/");
            for (key, times) in &calls {
                let is_call = key.strip_prefix(&operations).is_some_and(|index| index.parse::<u32>().is_ok());
                if is_call && *times > most {
                    wrong.push(format!("{key} was called {times} times in {most} attempts"));
                }
            }
        }
    }
    Ok(wrong)
}
