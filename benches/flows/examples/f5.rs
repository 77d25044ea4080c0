//! One node, then a condition that chooses one of two branches, then another node.

use faas_flow::{Context, Heap, Result, Workflow, flow};

#[global_allocator]
static HEAP: Heap = Heap::new();

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    dag.node("first").modify(Ok);
    let branches = dag.condition("choose", ["left", "right"], |_| Ok(["right"]));
    branches.branch("left").node("n1").modify(Ok);
    branches.branch("right").node("n1").modify(Ok);
    dag.node("last").modify(Ok);
    dag.edge("first", "choose");
    dag.edge("choose", "last");
    Ok(())
}

flow!(define);
