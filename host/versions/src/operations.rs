//! What the operations of a node of a stored run got and yielded, as far as it is kept.

use super::error::Error;
use super::runs::{load_around, read};
use faas_flow_core::run::OperationsPart;
use faas_flow_core::{NodePath, Partition, RunId};
use faas_flow_store::StateStore;

/// What is kept of what the operations of a node got and yielded.
#[derive(Debug, Clone, Default)]
pub struct KeptData {
    /// A part for each claim of the node, in their order.
    pub parts: Vec<OperationsPart>,
    /// How many pieces of data were dropped, since they did not fit.
    pub dropped: u64,
}

/// Reads what is kept of what the operations of a node got and yielded; `None` if the store does not know the run, or the run has
/// no such node.
pub async fn read_operations(store: &dyn StateStore, run: &RunId, node: &NodePath) -> Result<Option<KeptData>, Error> {
    let Some(state) = load_around(store, run, node).await? else { return Ok(None) };
    let Some(shown) = state.shown_node(node) else { return Ok(None) };
    let mut kept = KeptData::default();
    let docs: Vec<String> = shown.operations.iter().filter_map(|part| part.doc()).collect();
    kept.dropped = shown.operations.iter().map(|part| u64::from(part.dropped)).sum();
    for document in store.read(&Partition::of_run(run), &docs).await?.into_iter().flatten() {
        kept.parts.push(read::<OperationsPart>(run, &document)?);
    }
    Ok(Some(kept))
}
