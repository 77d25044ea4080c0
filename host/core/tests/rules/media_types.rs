//! What the bytes of nodes, branches and results are.

use faas_flow_core::definition::{Branches, Dag};
use faas_flow_core::run::{Effect, Outcome, RunState, Start};
use faas_flow_core::testing::{
    Driver, branched, condition, flow, for_each, graph, lone, node, payload, sub_dag, the_start,
};
use faas_flow_core::{BranchKey, MediaType, Payload, Plan};

fn json(text: &str) -> Payload {
    payload(text).of_type(MediaType::JSON)
}

fn csv(text: &str) -> Payload {
    payload(text).of_type(MediaType::parse("text/csv").unwrap())
}

/// What the only input of a node is.
fn input(run: &mut Driver, node: &str) -> Payload {
    let work = run.claim(node).unwrap();
    assert_eq!(work.inputs.len(), 1);
    work.inputs[0].payload.clone()
}

/// TYPE-1.
#[test]
fn the_start_gets_the_request_body_as_what_it_is() {
    let plan = Plan::new(flow(lone())).unwrap();
    for body in [json("{}"), payload("?")] {
        let (state, _) = RunState::start(&plan, Start { input: body.clone(), ..the_start() });
        assert_eq!(state.scopes().next().unwrap().input, body);
    }
}

/// TYPE-1, TYPE-6.
#[test]
fn what_an_edge_carries_keeps_its_media_type_and_the_result_has_that_of_the_end() {
    let mut run = Driver::new(flow(graph(vec![node("a"), node("b")], [("a", "b")])));
    run.execute("a", Outcome::Done(json("1")));
    assert_eq!(input(&mut run, "b"), json("1"));
    let mut run = Driver::new(flow(graph(vec![node("a"), node("b")], [("a", "b")])));
    run.execute("a", Outcome::Done(json("1")));
    run.execute("b", Outcome::Done(csv("a,b")));
    assert_eq!(run.state.run().result, Some(csv("a,b")));
}

/// TYPE-6.
#[test]
fn sub_dags_and_branches_pass_media_types_in_and_out() {
    let mut run = Driver::new(flow(graph(vec![sub_dag("S", lone())], [])));
    run.execute("S", Outcome::Branched(vec![(None, json("1"))]));
    assert_eq!(input(&mut run, "S/n"), json("1"));

    let mut run = Driver::new(flow(graph(vec![condition("C", &["x", "y"])], [])));
    run.execute("C", Outcome::Branched(vec![(BranchKey::new("x").ok(), json("1"))]));
    run.execute("C[x]/n", Outcome::Done(csv("a")));
    assert_eq!(run.state.run().result, Some(csv("a")), "the only branch, and no aggregator");
}

/// TYPE-6.
#[test]
fn results_of_branches_arrive_as_what_they_are_unless_the_branches_carry_nothing() {
    let arrived = |branches: Branches| {
        let dag: Dag = graph(vec![for_each("F", lone(), branches)], []);
        let mut run = Driver::new(flow(dag));
        run.execute("F", branched(&[("x", "1"), ("y", "2")]));
        let effects = run.execute("F[x]/n", Outcome::Done(csv("a")));
        let [Effect::Arrive { result: Ok(payload), .. }] = &effects[..] else { panic!("{effects:?}") };
        payload.clone()
    };
    assert_eq!(arrived(Branches { aggregator: Some("a".to_owned()), ..Branches::default() }), csv("a"));
    assert_eq!(arrived(Branches { carries_nothing: true, ..Branches::default() }), Payload::empty());
    assert!(Payload::empty().media_type.is_octet_stream());
}
