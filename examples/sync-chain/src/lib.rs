//! Two functions and a modifier, one after the other in a single node. The caller gets the result as the answer.

use faas_flow::{Context, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    workflow.sync_node().apply("func1").apply("func2").modify(quote);
    Ok(())
}

flow!(define);

fn quote(data: Vec<u8>) -> Result<Vec<u8>> {
    Ok([b"you said \"", data.as_slice(), b"\""].concat())
}

#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::testing::Flow;

    #[test]
    fn the_modifier_quotes_the_output_of_the_functions() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.modify("sync/2", "hi").unwrap(), b"you said \"hi\"");
    }
}
