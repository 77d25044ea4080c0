//! One node, then ten in parallel, then one that merges their outputs.

use faas_flow::{Context, Heap, Inputs, Result, Workflow, flow};

#[global_allocator]
static HEAP: Heap = Heap::new();

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    dag.node("first").modify(Ok);
    for i in 1..=10 {
        dag.node(format!("n{i}")).modify(Ok);
        dag.edge("first", format!("n{i}"));
        dag.edge(format!("n{i}"), "last");
    }
    dag.node("last").aggregator(|inputs: Inputs| Ok(inputs.concat())).modify(Ok);
    Ok(())
}

flow!(define);
