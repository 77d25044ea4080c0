//! One node, then a for-each over ten items with an aggregator, then another node. Each item is a copy of the data.

use faas_flow::{Context, Heap, Inputs, Result, Workflow, flow};

#[global_allocator]
static HEAP: Heap = Heap::new();

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
