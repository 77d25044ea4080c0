//! A flow with one node, which runs the flow's own code. Call functions with `apply`, and connect nodes with `edge`.
//! The repository of faas-flow explains the concepts in docs/concepts.md, and has larger flows in examples/.

use faas_flow::{Context, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    workflow.dag().node("greet").modify(greet);
    Ok(())
}

flow!(define);

fn greet(data: Vec<u8>) -> Result<String> {
    match String::from_utf8(data)?.trim() {
        "" => Err("there is no name to greet: send one as the body".into()),
        name => Ok(format!("Hello, {name}!")),
    }
}

// `faas-cli build` runs these tests.
#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::{Failure, testing::Flow};

    #[test]
    fn greets_by_name() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.modify("greet/0", "Adam\n").unwrap(), b"Hello, Adam!");
    }

    #[test]
    fn an_empty_name_is_rejected() {
        let flow = Flow::new(define).unwrap();
        assert!(matches!(flow.modify("greet/0", " "), Err(Failure::Reject(_))));
    }
}
