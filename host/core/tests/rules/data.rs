//! Which node gets what.

use faas_flow_core::definition::{AggregateInputs, Branches, Carries, Dag, Operation, Operations};
use faas_flow_core::definition::{Node, NodeKind};
use faas_flow_core::run::{Outcome, Task, Work};
use faas_flow_core::testing::{Driver, branched, edge, flow, for_each, graph, lone, node, payload, sub_dag};

/// The inputs of a node: from which predecessor, what, and how it is rewritten.
fn inputs(work: &Work) -> Vec<(&str, faas_flow_core::Payload, Option<&str>)> {
    let input = |input: &faas_flow_core::run::Input| input.payload.clone();
    work.inputs.iter().map(|one| (&*one.from, input(one), one.forwarder.as_ref().map(|id| id.as_str()))).collect()
}

/// `a`, then `b` and `c`, then `d`. The edge from `c` is declared before the one from `b`.
fn diamond() -> Dag {
    let nodes = ["a", "b", "c", "d"].map(node).into();
    graph(nodes, [("a", "b"), ("a", "c"), ("c", "d"), ("b", "d")])
}

/// DATA-1.
#[test]
fn the_start_of_the_outermost_dag_gets_the_request_body() {
    let mut run = Driver::new(flow(diamond()));
    let work = run.claim("a").unwrap();
    assert_eq!(inputs(&work), [("", payload("in"), None)]);
}

/// DATA-2.
#[test]
fn the_start_of_a_branch_gets_the_branch_s_input() {
    let mut run = Driver::new(flow(graph(vec![for_each("F", lone(), Branches::default())], [])));
    run.execute("F", branched(&[("x", "first"), ("y", "second")]));
    assert_eq!(inputs(&run.claim("F[x]/n").unwrap()), [("", payload("first"), None)]);
    assert_eq!(inputs(&run.claim("F[y]/n").unwrap()), [("", payload("second"), None)]);
}

/// DATA-3.
#[test]
fn a_node_with_one_data_edge_gets_the_output_of_its_predecessor() {
    let mut run = Driver::new(flow(diamond()));
    run.done("a", "out");
    assert_eq!(inputs(&run.claim("b").unwrap()), [("a", payload("out"), None)]);
}

/// DATA-4.
#[test]
fn a_forwarder_rewrites_what_its_edge_carries_and_no_other_edge() {
    let mut dag = diamond();
    dag.edges[0].carries = Carries::Forwarded("f".to_owned());
    let mut run = Driver::new(flow(dag));
    run.done("a", "out");
    assert_eq!(inputs(&run.claim("b").unwrap()), [("a", payload("out"), Some("f"))]);
    assert_eq!(inputs(&run.claim("c").unwrap()), [("a", payload("out"), None)]);
}

/// DATA-5.
#[test]
fn an_aggregator_gets_all_inputs_in_the_order_in_which_the_edges_were_declared() {
    let aggregate = AggregateInputs { node: "d".to_owned(), aggregator: "a".to_owned() };
    let mut run = Driver::new(flow(Dag { aggregate_inputs: vec![aggregate], ..diamond() }));
    run.done("a", "out");
    run.done("b", "of b");
    run.done("c", "of c");
    let work = run.claim("d").unwrap();
    assert_eq!(inputs(&work), [("c", payload("of c"), None), ("b", payload("of b"), None)]);
    assert_eq!(work.aggregator.unwrap().as_str(), "a");
}

/// DATA-6.
#[test]
fn a_node_with_several_data_edges_and_no_aggregator_has_nothing_to_merge_its_inputs() {
    let mut run = Driver::new(flow(diamond()));
    for node in ["a", "b", "c"] {
        run.done(node, "out");
    }
    let work = run.claim("d").unwrap();
    assert_eq!((work.aggregator, work.inputs.len()), (None, 2));
    assert!(run.plan.warnings().iter().any(|warning| warning.path == "d"), "{:?}", run.plan.warnings());
}

/// DATA-7.
#[test]
fn an_execution_edge_orders_two_nodes_and_carries_nothing() {
    let mut dag = graph(vec![node("a"), node("b")], []);
    dag.edges = vec![faas_flow_core::definition::Edge { carries: Carries::Nothing, ..edge("a", "b") }];
    let mut run = Driver::new(flow(dag));
    assert_eq!(run.ready(), ["a"]);
    run.done("a", "out");
    assert_eq!(inputs(&run.claim("b").unwrap()), []);
}

/// DATA-8.
#[test]
fn the_operations_of_a_node_are_handed_out_in_order() {
    let list = ["h", "f"].map(|handler| Operation::Modify(handler.to_owned()));
    let operations = Operations { list: list.to_vec(), ..Operations::default() };
    let node = Node { id: "a".to_owned(), kind: NodeKind::Operations(operations) };
    let mut run = Driver::new(flow(graph(vec![node], [])));
    let Task::Operations(operations) = run.claim("a").unwrap().task else { panic!("no operations") };
    assert_eq!(operations.list, list);
}

/// DATA-9.
#[test]
fn the_result_of_a_dag_is_the_output_of_its_end() {
    let mut run = Driver::new(flow(graph(vec![sub_dag("S", lone()), node("b")], [("S", "b")])));
    run.execute("S", Outcome::Branched(vec![(None, payload("in"))]));
    run.done("S/n", "of the inner dag");
    assert_eq!(run.node("S").output, Some(payload("of the inner dag")));
    run.done("b", "of the run");
    assert_eq!(run.state.run().result, Some(payload("of the run")));
}

/// DATA-9, DAG-4.
#[test]
fn several_ends_are_given_to_their_aggregator_in_the_order_of_the_nodes() {
    let nodes = ["a", "b", "c"].map(node).into();
    let mut dag = graph(nodes, [("a", "c"), ("a", "b")]);
    dag.aggregate_ends = Some("a".to_owned());
    let mut run = Driver::new(flow(dag));
    run.done("a", "out");
    run.done("c", "of c");
    run.done("b", "of b");
    let work = run.claim("(end)").unwrap();
    assert_eq!(inputs(&work), [("b", payload("of b"), None), ("c", payload("of c"), None)]);
    assert_eq!(work.aggregator.as_ref().unwrap().as_str(), "a");
    run.report(&work, Outcome::Done(payload("merged"))).unwrap();
    assert_eq!(run.state.run().result, Some(payload("merged")));
}
