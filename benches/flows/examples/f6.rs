//! One node, two applies.

use faas_flow::{Context, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    workflow.dag().node("n1").apply("echo").apply("echo");
    Ok(())
}

flow!(define);
