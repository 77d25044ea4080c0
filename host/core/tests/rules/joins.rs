//! Joins, conditions and for-eaches.

use faas_flow_core::Payload;
use faas_flow_core::definition::{Branches, Dag, NodeKind};
use faas_flow_core::run::{ClaimToken, Effect, Event, Outcome, Progress, Refusal, Task, Work, set_of};
use faas_flow_core::testing::{Driver, branched, condition, flow, for_each, graph, lone, node, path, payload, sub_dag};

/// A for-each `F` whose results are merged, then `b`.
fn merged() -> Driver {
    let branches = Branches { aggregator: Some("a".to_owned()), ..Branches::default() };
    Driver::new(flow(graph(vec![for_each("F", lone(), branches), node("b")], [("F", "b")])))
}

/// A for-each `F` whose results are not merged, then `b`.
fn unmerged(carries_nothing: bool) -> Driver {
    let branches = Branches { carries_nothing, ..Branches::default() };
    Driver::new(flow(graph(vec![for_each("F", lone(), branches), node("b")], [("F", "b")])))
}

/// Says that all branches of a claim have arrived.
fn joined(run: &mut Driver, work: &Work) -> Result<Vec<Effect>, Refusal> {
    run.step(Event::Joined { path: work.path.clone(), started_by: work.token })
}

/// JOIN-1.
#[test]
fn a_node_becomes_ready_when_all_its_predecessors_are_done_and_is_executed_once() {
    let nodes = ["a", "b", "c", "d"].map(node).into();
    let mut run = Driver::new(flow(graph(nodes, [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])));
    run.done("a", "");
    assert_eq!(run.done("b", "").len(), 0, "`c` is not done");
    assert_eq!(run.claim("d").unwrap_err(), Refusal::Stale);
    let effects = run.done("c", "");
    assert!(matches!(&effects[..], [Effect::Dispatch(node)] if *node == path("d")));
    run.done("d", "");
    assert_eq!(run.claim("d").unwrap_err(), Refusal::Ended);
}

/// JOIN-2.
#[test]
fn a_node_with_branches_is_done_when_all_have_ended_and_each_counts_once() {
    let mut run = unmerged(false);
    let work = run.claim("F").unwrap();
    run.report(&work, branched(&[("x", ""), ("y", "")])).unwrap();
    let branch = run.claim("F[x]/n").unwrap();
    let effects = run.report(&branch, Outcome::Done(payload("of x"))).unwrap();
    let [Effect::Arrive { node, started_by, total: 2, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(
        set_of(node, *started_by),
        set_of(&path("F"), work.token),
        "the branches of one claim arrive in one set"
    );
    let other = ClaimToken::new(77);
    assert_ne!(set_of(node, *started_by), set_of(node, other), "and those of another claim in another one");
    assert_eq!(run.report(&branch, Outcome::Done(payload("again"))).unwrap_err(), Refusal::Stale);
    assert_eq!(run.node("F").progress, Progress::Branching);
    run.done("F[y]/n", "of y");
    joined(&mut run, &work).unwrap();
    assert_eq!((run.node("F").progress, run.ready()), (Progress::Done, vec!["b".to_owned()]));
    assert_eq!(joined(&mut run, &work).unwrap_err(), Refusal::Stale, "it is reported twice");
}

/// JOIN-2: a replica that recovers a run counts the branches of these nodes.
#[test]
fn it_is_known_which_nodes_wait_for_branches_and_for_how_many() {
    let mut run = unmerged(false);
    assert_eq!(run.state.branching(), []);
    let work = run.claim("F").unwrap();
    run.report(&work, branched(&[("x", ""), ("y", "")])).unwrap();
    assert_eq!(run.state.branching(), [(path("F"), work.token, 2)]);
    run.step(Event::Stop).unwrap();
    assert_eq!(run.state.branching(), [], "nothing waits in a run that has ended");
    let mut run = unmerged(false);
    let work = run.claim("F").unwrap();
    run.report(&work, branched(&[("x", ""), ("y", "")])).unwrap();
    run.done("F[x]/n", "");
    run.done("F[y]/n", "");
    joined(&mut run, &work).unwrap();
    assert_eq!(run.state.branching(), [], "its branches have ended");
}

/// JOIN-3.
#[test]
fn the_results_of_branches_are_merged_in_the_order_in_which_they_were_yielded() {
    let mut run = merged();
    let work = run.claim("F").unwrap();
    run.report(&work, branched(&[("x", ""), ("y", "")])).unwrap();
    for (key, place) in [("y", 1), ("x", 0)] {
        let effects = run.done(&format!("F[{key}]/n"), key);
        let [Effect::Arrive { key: name, index, result: Ok(result), .. }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((name.as_str(), *index, result), (key, place, &payload(key)));
    }
    joined(&mut run, &work).unwrap();
    let Task::Merge { handler, gathers: false, only, started_by, redone } = run.claim("F").unwrap().task else {
        panic!("no merge")
    };
    assert_eq!((handler.as_str(), only, started_by, redone), ("a", None, work.token, vec![]));
}

/// JOIN-4.
#[test]
fn a_condition_that_chose_one_branch_and_a_sub_dag_yield_its_result() {
    let mut run = Driver::new(flow(graph(vec![condition("C", &["x", "y"]), sub_dag("S", lone())], [("C", "S")])));
    run.execute("C", branched(&[("y", "in")]));
    run.done("C[y]/n", "of y");
    assert_eq!(run.node("C").output, Some(payload("of y")));
    run.execute("S", Outcome::Branched(vec![(None, payload("in"))]));
    run.done("S/n", "of the dag");
    assert_eq!(run.node("S").output, Some(payload("of the dag")));
}

/// JOIN-4.
#[test]
fn a_condition_that_chose_several_branches_and_any_for_each_yield_empty_data() {
    let mut run = Driver::new(flow(graph(vec![condition("C", &["x", "y"]), node("b")], [("C", "b")])));
    let work = run.claim("C").unwrap();
    run.report(&work, branched(&[("x", ""), ("y", "")])).unwrap();
    for key in ["x", "y"] {
        run.done(&format!("C[{key}]/n"), key);
    }
    joined(&mut run, &work).unwrap();
    assert_eq!(run.node("C").output, Some(Payload::empty()));
    let mut run = unmerged(false);
    run.execute("F", branched(&[("x", "")]));
    run.done("F[x]/n", "of the only item");
    assert_eq!(run.node("F").output, Some(Payload::empty()));
}

/// COND-1, COND-3.
#[test]
fn a_condition_chooses_some_of_its_branches_and_the_others_do_not_run() {
    let mut run = Driver::new(flow(graph(vec![condition("C", &["x", "y", "z"])], [])));
    let work = run.claim("C").unwrap();
    let Task::Choose { handler, keys, carries_nothing: false } = &work.task else { panic!("{:?}", work.task) };
    let keys: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
    assert_eq!((handler.as_str(), &keys[..]), ("h", &["x", "y", "z"][..]));
    run.report(&work, branched(&[("z", "data"), ("x", "data")])).unwrap();
    assert_eq!(run.ready(), ["C[x]/n", "C[z]/n"]);
    assert_eq!(run.claim("C[x]/n").unwrap().inputs[0].payload, payload("data"));
}

/// COND-2: the host fails the node; the engine refuses a report that it could not follow.
#[test]
fn a_branch_that_does_not_exist_is_refused() {
    let mut run = Driver::new(flow(graph(vec![condition("C", &["x"])], [])));
    let work = run.claim("C").unwrap();
    assert_eq!(run.report(&work, branched(&[("x", ""), ("w", "")])).unwrap_err(), Refusal::Unknown);
    assert_eq!(run.node("C").progress, Progress::Running, "a refusal changes nothing");
}

/// EACH-2.
#[test]
fn each_item_runs_the_same_dag_in_a_branch_of_its_own() {
    let inner = graph(vec![node("m"), node("n")], [("m", "n")]);
    let mut run = Driver::new(flow(graph(vec![for_each("F", inner, Branches::default())], [])));
    let work = run.claim("F").unwrap();
    assert!(matches!(&work.task, Task::Split { carries_nothing: false, handler } if handler.as_str() == "h"));
    run.report(&work, branched(&[("x", ""), ("y", "")])).unwrap();
    run.done("F[y]/m", "");
    assert_eq!(run.ready(), ["F[x]/m", "F[y]/n"]);
}

/// EACH-3.
#[test]
fn without_items_the_aggregator_is_not_called_the_output_is_empty_and_the_run_continues() {
    let mut run = merged();
    let effects = run.execute("F", branched(&[]));
    assert!(matches!(&effects[..], [Effect::Dispatch(node)] if *node == path("b")));
    assert_eq!(run.node("F").output, Some(Payload::empty()));
}

/// EACH-6.
#[test]
fn the_results_of_branches_that_carry_nothing_are_dropped() {
    let mut run = unmerged(true);
    let work = run.claim("F").unwrap();
    assert!(matches!(work.task, Task::Split { carries_nothing: true, .. }));
    run.report(&work, branched(&[("x", ""), ("y", "")])).unwrap();
    let effects = run.done("F[x]/n", "a result");
    assert!(matches!(&effects[..], [Effect::Arrive { result: Ok(result), .. }] if *result == Payload::empty()));

    let mut dag = Dag { nodes: vec![condition("C", &["x"])], ..Dag::default() };
    let NodeKind::Condition(branches) = &mut dag.nodes[0].kind else { unreachable!() };
    (branches.carries_nothing, branches.aggregator) = (true, Some("a".to_owned()));
    let mut run = Driver::new(flow(dag));
    run.execute("C", branched(&[("x", "")]));
    run.done("C[x]/n", "a result");
    let Task::Merge { only, .. } = run.claim("C").unwrap().task else { panic!("no merge") };
    assert_eq!(only, Some(("x".to_owned(), Ok(Payload::empty()))), "an empty value for each branch");
}
