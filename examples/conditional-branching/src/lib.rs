//! Nested branches: a condition, one of whose branches has a for-each followed by another condition.

use faas_flow::{Context, Dag, Inputs, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    dag.node("n1").modify(append(" n1"));

    let branches = dag.condition("C", ["c1", "c2"], |_| Ok(["c1", "c2"])).aggregator(join);
    items_and_choices(&branches.branch("c1"));
    branches.branch("c2").node("n1").apply("func1").modify(append(" c2/n1"));

    dag.node("n2").apply("fake-storage");
    dag.edge("n1", "C");
    dag.edge("C", "n2");
    Ok(())
}

flow!(define);

/// The branch `c1`: the for-each `F`, then the condition `X`.
fn items_and_choices(dag: &Dag) {
    let items = dag.for_each("F", |data| Ok(["f1", "f2"].map(|key| (key, data.clone())))).aggregator(join);
    items.dag().node("n1").modify(append(" F/n1"));

    let branches = dag.condition("X", ["x1", "x2", "x3"], |_| Ok(["x2", "x3"])).aggregator(join);
    branches.branch("x1").node("n1").modify(append(" x1/n1"));
    let x2 = branches.branch("x2");
    x2.node("n1").apply("func1");
    x2.node("n2").modify(append(" x2/n2"));
    x2.edge("n1", "n2");
    branches.branch("x3").node("n1").apply("func1").apply("func2");

    dag.edge("F", "X");
}

fn append(suffix: &'static str) -> impl Fn(Vec<u8>) -> Result<Vec<u8>> {
    move |data| Ok([data.as_slice(), suffix.as_bytes()].concat())
}

/// Joins results as `[key=data, key=data]`. The brackets keep nested joins apart.
fn join(results: Inputs) -> Result<Vec<u8>> {
    let parts: Vec<_> = results.iter().map(|(key, data)| [key.as_bytes(), b"=", data].concat()).collect();
    Ok([b"[", parts.join(&b", "[..]).as_slice(), b"]"].concat())
}

#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::testing::Flow;

    #[test]
    fn two_of_the_three_inner_branches_are_chosen() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.condition("C[c1]/X/condition", "").unwrap(), ["x2", "x3"]);
    }

    #[test]
    fn handlers_are_named_by_their_position() {
        let expected = [
            "C/aggregate-branches",
            "C/condition",
            "C[c1]/F/aggregate-branches",
            "C[c1]/F/for-each",
            "C[c1]/F[]/n1/0",
            "C[c1]/X/aggregate-branches",
            "C[c1]/X/condition",
            "C[c1]/X[x1]/n1/0",
            "C[c1]/X[x2]/n2/0",
            "C[c2]/n1/1",
            "n1/0",
        ];
        assert_eq!(Flow::new(define).unwrap().handlers(), expected);
    }

    #[test]
    fn results_of_nested_branches_are_joined_in_brackets() {
        let flow = Flow::new(define).unwrap();
        let inner = flow.aggregate("C[c1]/X/aggregate-branches", [("x2", "a"), ("x3", "b")]).unwrap();
        assert_eq!(flow.aggregate("C/aggregate-branches", [("c1", inner)]).unwrap(), b"[c1=[x2=a, x3=b]]");
    }
}
