//! Greets by name. The smallest possible flow: one node with one modifier.

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

#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::{Failure, testing::Flow};

    #[test]
    fn greets_by_name() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.modify("greet/0", " Adam\n").unwrap(), b"Hello, Adam!");
    }

    #[test]
    fn empty_names_and_invalid_utf8_are_rejected() {
        let flow = Flow::new(define).unwrap();
        for bad in [&b" "[..], b"\xff"] {
            assert!(matches!(flow.modify("greet/0", bad), Err(Failure::Reject(_))), "{bad:?}");
        }
    }
}
