//! A node that sleeps until the moment that is its payload.

use faas_flow::{Context, Heap, Result, Wake, Workflow, flow};

#[global_allocator]
static HEAP: Heap = Heap::new();

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    workflow.dag().node("n").sleep_until(|data| Ok(Wake::at(String::from_utf8_lossy(&data))));
    Ok(())
}

flow!(define);
