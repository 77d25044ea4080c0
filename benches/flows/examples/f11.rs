//! A chain of ten nodes with one modifier each, which logs a line.

use faas_flow::{Context, Heap, Result, Workflow, flow};

#[global_allocator]
static HEAP: Heap = Heap::new();

/// Describes the flow.
pub fn define(workflow: &mut Workflow, context: &Context) -> Result {
    let dag = workflow.dag();
    for i in 1..=10 {
        let context = context.clone();
        dag.node(format!("n{i}")).modify(move |data| {
            context.info("a line of the usual length, with an id 0123456789 and what was done with it");
            Ok(data)
        });
    }
    for i in 1..10 {
        dag.edge(format!("n{i}"), format!("n{}", i + 1));
    }
    Ok(())
}

flow!(define);
