//! One node, one modify.

use faas_flow::{Context, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    workflow.dag().node("n1").modify(Ok);
    Ok(())
}

flow!(define);
