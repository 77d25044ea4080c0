//! A chain of ten nodes, each of which calls a function over HTTP.

use faas_flow::{Context, Heap, Result, Workflow, flow};

#[global_allocator]
static HEAP: Heap = Heap::new();

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    for i in 1..=10 {
        dag.node(format!("n{i}")).apply("echo");
    }
    for i in 1..10 {
        dag.edge(format!("n{i}"), format!("n{}", i + 1));
    }
    Ok(())
}

flow!(define);
