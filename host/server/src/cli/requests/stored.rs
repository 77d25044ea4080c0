//! Runs in a state store.

use super::super::existing::{open_to_read, read_only};
use super::super::output::complain;
use super::{Listed, Nodes};
use crate::Error;
use crate::config::Stores;
use faas_flow_core::run::NodeView;
use faas_flow_core::{FlowName, NodePath, RunId, Status, redact};
use faas_flow_http::ListedRuns;
use faas_flow_store::open_data;
use faas_flow_versions::logs::{RunLogLine, read_log};
use faas_flow_versions::runs::read_run;
use faas_flow_versions::{MissingModule, missing_module};
use serde_json::Value;

/// The runs that the store lists.
pub(crate) async fn list(stores: &Stores, Listed { flow, filter, after, limit }: Listed) -> Result<ListedRuns, Error> {
    let query = filter.query(flow.as_ref(), super::super::now(), (after, limit));
    Ok(open_to_read(&stores.state).await?.runs(&query).await?.into())
}

/// A run with its nodes, as JSON.
pub(crate) async fn show(stores: &Stores, run: &RunId, nodes: Nodes) -> Result<Value, Error> {
    let store = open_to_read(&stores.state).await?;
    let mut view = read_run(&*store, run).await?.ok_or_else(|| unknown(run, stores))?;
    if nodes == Nodes::Failed {
        view.nodes.retain(NodeView::has_failed);
    }
    let waits_for = async { Ok(missing_module(&*store, &*open_data(&read_only(&stores.data)).await?, &view).await?) };
    let waits_for = waits_for.await.unwrap_or_else(|error: Error| {
        let code = error.code();
        complain(format_args!("warning: cannot tell whether the run's version is stored: error {code}: {error}"));
        None
    });
    Ok(MissingModule::shown(waits_for.as_ref(), &view)?)
}

/// What a run has logged, and its status.
pub(crate) async fn logs(
    stores: &Stores,
    run: &RunId,
    node: Option<&NodePath>,
) -> Result<(Vec<RunLogLine>, Status), Error> {
    let store = open_to_read(&stores.state).await?;
    let log = read_log(&*store, run, node).await?.ok_or_else(|| unknown(run, stores))?;
    Ok((log.lines, log.head.status))
}

/// The flow of a run.
pub(super) async fn flow_of(stores: &Stores, run: &RunId) -> Result<FlowName, Error> {
    let entry = open_to_read(&stores.state).await?.entry(run).await?;
    entry.map(|entry| entry.flow).ok_or_else(|| unknown(run, stores))
}

fn unknown(run: &RunId, stores: &Stores) -> Error {
    Error::UnknownRun { run: run.clone(), place: redact::text(&stores.state) }
}
