//! One node, a condition that chooses one of two branches, and one node more.

use faas_flow::{Context, Result, Workflow, flow};

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
