//! One node, a for-each over ten items with an aggregator, and one node more. Each item is the whole data.

use faas_flow::{Context, Inputs, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    dag.node("first").modify(Ok);
    let items = dag.for_each("each", |data| Ok((0..10).map(move |i| (format!("item-{i}"), data.clone()))));
    items.aggregator(|inputs: Inputs| Ok(inputs.concat())).dag().node("n1").modify(Ok);
    dag.node("last").modify(Ok);
    dag.edge("first", "each");
    dag.edge("each", "last");
    Ok(())
}

flow!(define);
