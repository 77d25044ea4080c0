//! One node that calls a function twice.

use faas_flow::{Context, Heap, Result, Workflow, flow};

#[global_allocator]
static HEAP: Heap = Heap::new();

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    workflow.dag().node("n1").apply("echo").apply("echo");
    Ok(())
}

flow!(define);
