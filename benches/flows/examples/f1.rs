//! One node with one modifier.

use faas_flow::{Context, Heap, Result, Workflow, flow};

#[global_allocator]
static HEAP: Heap = Heap::new();

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    workflow.dag().node("n1").modify(Ok);
    Ok(())
}

flow!(define);
