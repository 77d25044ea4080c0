//! Branches that are chosen at run time: a condition, with a for-each in one of its branches.

use faas_flow::{Context, Inputs, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    dag.node("n1").modify(append(" n1"));

    let branches = dag.condition("C", ["c1", "c2"], |_| Ok(["c1", "c2"])).aggregator(join);
    let items = branches.branch("c1").for_each("F", |data| Ok(["f1", "f2"].map(|key| (key, data.clone()))));
    items.aggregator(join).dag().node("n1").modify(append(" F/n1"));
    branches.branch("c2").node("n1").apply("func1").modify(append(" c2/n1"));

    dag.node("n2").apply("fake-storage");
    dag.edge("n1", "C");
    dag.edge("C", "n2");
    Ok(())
}

flow!(define);

fn append(suffix: &'static str) -> impl Fn(Vec<u8>) -> Result<Vec<u8>> {
    move |data| Ok([data.as_slice(), suffix.as_bytes()].concat())
}

fn join(results: Inputs) -> Result<Vec<u8>> {
    let parts: Vec<_> = results.iter().map(|(key, data)| [key.as_bytes(), b"=", data].concat()).collect();
    Ok(parts.join(&b", "[..]))
}

#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::testing::Flow;

    #[test]
    fn handlers_are_named_by_their_position() {
        let expected = [
            "C/aggregate-branches",
            "C/condition",
            "C[c1]/F/aggregate-branches",
            "C[c1]/F/for-each",
            "C[c1]/F[]/n1/0",
            "C[c2]/n1/1",
            "n1/0",
        ];
        assert_eq!(Flow::new(define).unwrap().handlers(), expected);
    }

    #[test]
    fn both_branches_are_chosen() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.condition("C/condition", "hi").unwrap(), ["c1", "c2"]);
    }

    #[test]
    fn every_item_of_the_for_each_is_a_copy_of_the_data() {
        let flow = Flow::new(define).unwrap();
        let items = flow.for_each("C[c1]/F/for-each", "hi").unwrap();
        assert_eq!(items, [("f1".to_owned(), b"hi".to_vec()), ("f2".to_owned(), b"hi".to_vec())]);
    }

    #[test]
    fn results_are_joined_by_key() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.aggregate("C/aggregate-branches", [("c1", "a"), ("c2", "b")]).unwrap(), b"c1=a, c2=b");
    }
}
