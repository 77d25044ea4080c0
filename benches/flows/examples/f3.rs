//! One node, ten side by side, and one that aggregates what they made.

use faas_flow::{Context, Inputs, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    dag.node("first").modify(|data| Ok(data));
    for i in 1..=10 {
        dag.node(format!("n{i}")).modify(|data| Ok(data));
        dag.edge("first", format!("n{i}"));
        dag.edge(format!("n{i}"), "last");
    }
    dag.node("last").aggregator(|inputs: Inputs| Ok(inputs.concat())).modify(|data| Ok(data));
    Ok(())
}

flow!(define);
