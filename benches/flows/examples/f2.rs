//! A chain of ten nodes, one modify each.

use faas_flow::{Context, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    for i in 1..=10 {
        dag.node(format!("n{i}")).modify(Ok);
    }
    for i in 1..10 {
        dag.edge(format!("n{i}"), format!("n{}", i + 1));
    }
    Ok(())
}

flow!(define);
