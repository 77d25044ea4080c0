//! Three nodes in a chain, and a finally handler that runs at the end, whatever the outcome.

use faas_flow::{Context, Outcome, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, context: &Context) -> Result {
    let dag = workflow.dag();
    dag.node("n1").apply("func1");
    dag.node("n2").apply("func2").modify(quote);
    dag.node("n3").apply("fake-storage");
    dag.edge("n1", "n2");
    dag.edge("n2", "n3");

    let context = context.clone();
    workflow.finally(move |outcome| {
        context.info(match outcome {
            Outcome::Success => "the chain is done",
            Outcome::Failure => "the chain broke",
        });
        Ok(())
    });
    Ok(())
}

flow!(define);

fn quote(data: Vec<u8>) -> Result<Vec<u8>> {
    Ok([b"you said \"", data.as_slice(), b"\""].concat())
}

#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::testing::{Fake, Flow};
    use faas_flow::{Level, Outcome};

    #[test]
    fn the_second_node_quotes() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.modify("n2/1", "hi").unwrap(), b"you said \"hi\"");
    }

    #[test]
    fn the_end_is_logged_once() {
        let fake = Fake::new();
        Flow::with(&fake, define).unwrap().finally(Outcome::Failure).unwrap();
        assert_eq!(fake.logs(), [(Level::Info, "the chain broke".to_owned())]);
    }
}
