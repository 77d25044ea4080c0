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
    use faas_flow::testing::run;

    #[test]
    fn greets_by_name() {
        assert_eq!(run(define, "Adam\n").result(), b"Hello, Adam!");
    }

    // Once the flow calls functions, say what they answer: `.answers("translate", ["Bonjour"])`.
    #[test]
    fn an_empty_name_is_rejected() {
        let run = run(define, " ");
        assert_eq!(run.response().unwrap().status(), 422);
    }
}
