//! A for-each over the bytes of the data, each an item, with an aggregator that puts them back together.

use faas_flow::{Context, Inputs, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    let items = dag.for_each("each", |data| {
        Ok(data.into_iter().enumerate().map(|(at, byte)| (format!("{at}"), vec![byte])).collect::<Vec<_>>())
    });
    items.aggregator(|inputs: Inputs| Ok(inputs.concat())).dag().node("n1").modify(Ok);
    Ok(())
}

flow!(define);
