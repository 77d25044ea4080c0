//! A flow that calls another flow, and then a function that takes long. The node waits for each of them without holding anything.

use faas_flow::{Backoff, Context, Result, Workflow, flow};
use std::time::Duration;

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    // A flow is called like a function: its result is the answer, however long its run takes.
    dag.node("greeting").apply("greet").modify(invite);
    // A function that takes long is called through the queue. An engraver who has not answered by tomorrow is asked again.
    let engraving = dag.node("engraving").apply("engraver");
    engraving.asynchronous().timeout(Duration::from_secs(24 * 3600)).retry(Backoff::attempts(2));
    dag.edge("greeting", "engraving");
    Ok(())
}

flow!(define);

fn invite(greeting: Vec<u8>) -> Result<Vec<u8>> {
    Ok([greeting.as_slice(), b" Please come on Saturday."].concat())
}

#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::testing::Flow;

    #[test]
    fn the_greeting_becomes_an_invitation() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.modify("greeting/1", "Hello, Ada!").unwrap(), b"Hello, Ada! Please come on Saturday.");
    }
}
