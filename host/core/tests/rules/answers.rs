//! The status and headers with which the caller of a run is answered.

use faas_flow_core::definition::{Branches, Carries, Dag, Definition, Edge, Node, NodeKind, Operation, Operations};
use faas_flow_core::run::{Event, Outcome};
use faas_flow_core::testing::{
    Driver, condition, failed, flow, for_each, graph, lone, node, path, payload, reported, sub_dag,
};
use faas_flow_core::{Code, Failure, Plan, Status};

fn done() -> Outcome {
    Outcome::Done(payload(""))
}

fn chain() -> Driver {
    let definition = flow(graph(vec![node("a"), node("b")], [("a", "b")]));
    Driver::new(Definition { on_failure: Some("h".to_owned()), finally: Some("f".to_owned()), ..definition })
}

/// ANSWER-1.
#[test]
fn a_run_that_succeeds_is_answered_as_its_node_has_said() {
    let mut run = chain();
    run.respond("a", 201, done());
    assert_eq!(run.answered(), None, "the run has not ended");
    run.done("b", "");
    run.done("(finally)", "");
    assert_eq!((run.status(), run.answered()), (Status::Succeeded, Some(201)));
    let mut silent = Driver::new(flow(lone()));
    silent.done("n", "");
    assert_eq!(silent.answered(), None);
}

/// ANSWER-2.
#[test]
fn what_was_committed_last_counts_and_what_a_failed_node_has_set_does_not() {
    let mut run = chain();
    run.respond("a", 201, done());
    run.respond("b", 404, done());
    assert_eq!(run.answered(), Some(404));
    let mut fails = chain();
    fails.respond("a", 201, done());
    fails.respond("b", 404, failed(false));
    assert_eq!(fails.state.run().response.as_ref().unwrap().head.status, 201);
}

/// ANSWER-2.
#[test]
fn a_node_that_is_executed_again_says_it_anew() {
    let run = |rerun: &str| {
        let dag = graph(vec![sub_dag("a", lone()), node("b"), node("c")], [("a", "b"), ("b", "c")]);
        let mut run = Driver::new(flow(dag));
        run.execute("a", Outcome::Branched(vec![(None, payload(""))]));
        run.respond("a/n", 201, done());
        run.done("b", "");
        run.done("c", "");
        assert_eq!(run.answered(), Some(201));
        run.rerun(rerun).unwrap();
        if rerun == "a" {
            run.execute("a", Outcome::Branched(vec![(None, payload(""))]));
        }
        if rerun.starts_with('a') {
            run.done("a/n", "");
        }
        if rerun != "c" {
            run.done("b", "");
        }
        run.done("c", "");
        run.answered()
    };
    assert_eq!((run("c"), run("b")), (Some(201), Some(201)), "the node that has set it is not executed again");
    assert_eq!((run("a"), run("a/n")), (None, None));
}

/// ANSWER-3.
#[test]
fn what_nodes_have_set_is_not_for_a_failure_and_the_failure_handler_sets_its_own() {
    let mut run = chain();
    run.respond("a", 201, done());
    run.execute("b", failed(false));
    assert_eq!(run.answered(), None);
    run.respond("(failure)", 409, done());
    run.done("(finally)", "");
    assert_eq!((run.status(), run.answered()), (Status::Failed, Some(409)));
    run.rerun("b").unwrap();
    run.done("b", "");
    run.done("(finally)", "");
    assert_eq!((run.status(), run.answered()), (Status::Succeeded, Some(201)));
    let mut stopped = chain();
    stopped.respond("a", 201, done());
    stopped.step(Event::Stop).unwrap();
    stopped.done("(finally)", "");
    assert_eq!((stopped.status(), stopped.answered()), (Status::Stopped, None));
    let mut handler_fails = chain();
    handler_fails.execute("a", failed(false));
    handler_fails.respond("(failure)", 409, failed(false));
    handler_fails.done("(finally)", "");
    assert_eq!(handler_fails.answered(), None);
}

/// ANSWER-6.
#[test]
fn a_failure_handler_that_rejects_with_a_status_replaces_that_of_the_failure() {
    let status = |said: Option<u16>| {
        let mut run = chain();
        let first = Failure { status: Some(422), ..Failure::reject(Code::GUEST_REJECTED, "no") };
        run.execute("a", Outcome::Failed(first));
        let other = Failure { status: said, ..Failure::reject(Code::GUEST_REJECTED, "in other words") };
        run.execute("(failure)", Outcome::Failed(other));
        run.state.run().failure.as_ref().unwrap().status
    };
    assert_eq!((status(Some(404)), status(None)), (Some(404), Some(422)));
}

/// ANSWER-6.
#[test]
fn the_body_of_the_request_is_followed_through_what_does_not_change_it() {
    let works = |id: &str| {
        let list = vec![Operation::Modify("h".to_owned())];
        Node { id: id.to_owned(), kind: NodeKind::Operations(Operations { list, ..Operations::default() }) }
    };
    let alone = || graph(vec![works("n")], []);
    let nodes = vec![
        node("start"),
        works("direct"),
        works("after"),
        sub_dag("S", alone()),
        condition("C", &["x"]),
        for_each("F", alone(), Branches::default()),
        works("join"),
        works("ordered"),
        works("forwarded"),
    ];
    let edges = [
        ("start", "direct"),
        ("direct", "after"),
        ("start", "S"),
        ("start", "C"),
        ("start", "F"),
        ("start", "join"),
        ("direct", "join"),
        ("start", "ordered"),
    ];
    let mut dag: Dag = graph(nodes, edges);
    let edge = |from: &str, to: &str, carries| Edge { from: from.to_owned(), to: to.to_owned(), carries };
    dag.edges.push(edge("direct", "ordered", Carries::Nothing));
    dag.edges.push(edge("start", "forwarded", Carries::Forwarded("f".to_owned())));
    let plan = Plan::new(flow(dag)).unwrap();
    let gets = |node: &str| plan.gets_request_body(&path(node));
    for node in ["start", "direct", "S", "S/n", "C", "C[x]/n", "F", "ordered"] {
        assert!(gets(node), "{node}");
    }
    for node in ["after", "F[1]/n", "join", "forwarded", "(end)", "nowhere", "X/n"] {
        assert!(!gets(node), "{node}");
    }
}

/// LABEL-5.
#[test]
fn labels_are_kept_with_the_output_of_their_node_and_dropped_if_it_fails() {
    let labels = |text: &str| {
        let mut labels = faas_flow_core::Labels::new();
        labels.add_all(text).unwrap();
        labels
    };
    for (outcome, expected) in
        [(Outcome::Done(payload("out")), "order=42"), (faas_flow_core::testing::failed(false), "")]
    {
        let mut run = Driver::new(flow(lone()));
        let work = run.claim("n").unwrap();
        let report = faas_flow_core::run::Report { labels: labels("order=42"), ..reported(outcome) };
        run.step(Event::Complete { path: work.path, token: work.token, report }).unwrap();
        assert_eq!(run.state.run().labels, labels(expected));
    }
}
