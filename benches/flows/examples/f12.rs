//! A node that waits for a signal, with whose body it calls a function.

use faas_flow::{Context, Heap, Result, Workflow, flow};

#[global_allocator]
static HEAP: Heap = Heap::new();

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    workflow.dag().node("n").wait_for("go").apply("echo");
    Ok(())
}

flow!(define);
