//! Two nodes in parallel, and one that waits for both and merges their outputs.

use faas_flow::{Context, Inputs, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    dag.node("n1").modify(append(" n1"));
    dag.node("n2").apply("func1");
    dag.node("n3").apply("func2").modify(append(" n3"));
    dag.node("n4").aggregator(join).apply("fake-storage");
    dag.edge("n1", "n2");
    dag.edge("n1", "n3");
    dag.edge("n2", "n4");
    dag.edge("n3", "n4");
    Ok(())
}

flow!(define);

fn append(suffix: &'static str) -> impl Fn(Vec<u8>) -> Result<Vec<u8>> {
    move |data| Ok([data.as_slice(), suffix.as_bytes()].concat())
}

fn join(inputs: Inputs) -> Result<Vec<u8>> {
    let parts: Vec<_> = inputs.iter().map(|(name, data)| [name.as_bytes(), b"=", data].concat()).collect();
    Ok(parts.join(&b", "[..]))
}

#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::testing::Flow;

    #[test]
    fn the_inputs_of_the_last_node_are_joined_in_order() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.aggregate("n4/aggregate", [("n2", "a"), ("n3", "b")]).unwrap(), b"n2=a, n3=b");
    }

    #[test]
    fn each_modifier_appends_its_node() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.modify("n1/0", "hi").unwrap(), b"hi n1");
        assert_eq!(flow.modify("n3/1", "hi n1").unwrap(), b"hi n1 n3");
    }
}
