//! Failures that do not end the run: those that a `recover-from` handler catches, and those that a for-each tolerates.

use faas_flow_core::definition::{Branches, Dag, Definition, Exhausted, RecoverNode, Tolerate};
use faas_flow_core::run::{Effect, Ended, Event, Evidence, Outcome, Progress, Refusal, Report, Task, Withdrawn};
use faas_flow_core::testing::{
    Driver, branched, condition, failed, flow, for_each, graph, lone, node, path, payload, reported, sub_dag,
};
use faas_flow_core::{Code, Failure, ScopePath, Status};

/// A dag whose failures the handler `h` catches.
fn catching(dag: Dag) -> Dag {
    Dag { recover: Some("h".to_owned()), ..dag }
}

/// A dag in which the handler `h` catches the failure of this node.
fn catching_at(id: &str, dag: Dag) -> Dag {
    Dag { recover_nodes: vec![RecoverNode { node: id.to_owned(), recover: "h".to_owned() }], ..dag }
}

/// `a`, then `b`.
fn chain() -> Dag {
    graph(vec![node("a"), node("b")], [("a", "b")])
}

/// A sub-dag `S` with two nodes that run at the same time after `s`.
fn two_at_once() -> Dag {
    graph(vec![node("s"), node("x"), node("y"), node("end")], [("s", "x"), ("s", "y"), ("x", "end"), ("y", "end")])
}

/// A for-each `F`, whose items have a node `n`, with these settings.
fn items(branches: Branches) -> Definition {
    flow(graph(vec![for_each("F", lone(), branches)], []))
}

fn gathering(tolerate: Tolerate) -> Branches {
    Branches { tolerate: Some(tolerate), gather: Some("h".to_owned()), ..Branches::default() }
}

/// What a claim of a node is to catch.
fn to_catch(run: &mut Driver, node: &str) -> (Failure, Evidence) {
    let work = run.claim(node).unwrap();
    let Task::Catch { caught, .. } = work.task else { panic!("{:?}", work.task) };
    (caught.failure, caught.evidence)
}

/// CATCH-1.
#[test]
fn what_the_handler_of_a_node_makes_of_a_failure_is_the_output_of_the_node() {
    let mut run = Driver::new(flow(catching_at("a", chain())));
    run.execute("a", failed(false));
    assert_eq!((run.status(), run.node("a").progress), (Status::Running, Progress::Ready));
    let work = run.claim("a").unwrap();
    let Task::Catch { caught, .. } = &work.task else { panic!("{:?}", work.task) };
    assert_eq!((caught.failure.code, caught.failure.path.clone()), (Code::CALL_STATUS, Some(path("a"))));
    run.report(&work, Outcome::Done(payload("instead"))).unwrap();
    let next = run.claim("b").unwrap();
    assert_eq!(next.inputs[0].payload, payload("instead"));
    run.report(&next, Outcome::Done(payload(""))).unwrap();
    assert_eq!(
        (run.status(), run.shown("a").caught.map(|failure| failure.code)),
        (Status::Succeeded, Some(Code::CALL_STATUS))
    );
}

/// CATCH-1: for nodes of any kind.
#[test]
fn the_handler_of_a_node_catches_what_fails_inside_it() {
    let dag = catching_at("S", graph(vec![sub_dag("S", two_at_once()), node("b")], [("S", "b")]));
    let mut run = Driver::new(flow(dag));
    run.execute("S", Outcome::Branched(vec![(None, payload("in"))]));
    run.done("S/s", "");
    let y = run.claim("S/y").unwrap();
    let effects = run.execute("S/x", failed(false));
    assert!(matches!(&effects[0], Effect::Withdraw(Withdrawn::Branches(at)) if *at == path("S")), "{effects:?}");
    assert_eq!(run.ready(), ["S"]);
    assert_eq!(run.report(&y, Outcome::Done(payload("late"))).unwrap_err(), Refusal::Stale);
    let (failure, _) = to_catch(&mut run, "S");
    assert_eq!(failure.path, Some(path("S/x")));
    let shown = ["S/s", "S/x", "S/y", "S/end"].map(|node| run.shown(node).progress);
    assert_eq!(shown, [Progress::Done, Progress::Failed, Progress::Cancelled, Progress::Waiting]);
}

/// CATCH-2.
#[test]
fn what_the_handler_of_a_dag_makes_of_a_failure_is_the_result_of_the_dag() {
    let dag = graph(vec![condition("C", &["k"]), node("b")], [("C", "b")]);
    let mut definition = flow(dag);
    let faas_flow_core::definition::NodeKind::Condition(branches) = &mut definition.dag.nodes[0].kind else { panic!() };
    branches.dags[0].dag = catching(two_at_once());
    let mut run = Driver::new(definition);
    run.execute("C", branched(&[("k", "in")]));
    run.done("C[k]/s", "");
    run.claim("C[k]/y").unwrap();
    let effects = run.execute("C[k]/x", failed(false));
    let scope = ScopePath::parse("C[k]").unwrap();
    assert!(matches!(&effects[0], Effect::Withdraw(Withdrawn::Scope(at)) if *at == scope), "{effects:?}");
    assert_eq!(run.ready(), ["C[k]/(recover)"]);
    run.done("C[k]/(recover)", "instead");
    assert_eq!(run.claim("b").unwrap().inputs[0].payload, payload("instead"));
}

/// CATCH-2: the outermost dag is one, too.
#[test]
fn the_handler_of_the_outermost_dag_makes_the_result_of_the_run() {
    let mut run = Driver::new(flow(catching(chain())));
    run.execute("a", failed(false));
    run.done("(recover)", "instead");
    assert_eq!((run.status(), run.state.run().result.clone()), (Status::Succeeded, Some(payload("instead"))));
}

/// CATCH-3.
#[test]
fn the_innermost_handler_catches_and_one_that_fails_itself_leaves_its_failure_to_the_next() {
    let inner = catching(catching_at("x", two_at_once()));
    let dag = catching_at("S", graph(vec![sub_dag("S", inner)], []));
    let mut run = Driver::new(flow(catching(dag)));
    run.execute("S", Outcome::Branched(vec![(None, payload("in"))]));
    run.done("S/s", "");
    for (at, next) in [("S/x", "S/x"), ("S/x", "S/(recover)"), ("S/(recover)", "S"), ("S", "(recover)")] {
        run.execute(at, failed(false));
        assert!(run.ready().contains(&next.to_owned()), "{at}: {:?}", run.ready());
    }
    run.execute("(recover)", failed(false));
    assert_eq!(
        (run.status(), run.state.run().failure.clone().unwrap().path),
        (Status::Failed, Some(path("(recover)")))
    );
}

/// CATCH-4.
#[test]
fn the_handler_gets_the_data_and_the_response_of_what_failed() {
    let mut run = Driver::new(flow(catching_at("a", chain())));
    let work = run.claim("a").unwrap();
    let evidence = Evidence { input: payload("order"), body: Some(payload("declined")), status: Some(402) };
    let report = Report { evidence: Some(Box::new(evidence.clone())), ..reported(failed(false)) };
    run.step(Event::Complete { path: work.path, token: work.token, report }).unwrap();
    assert_eq!(to_catch(&mut run, "a").1, evidence);
}

/// CATCH-5.
#[test]
fn a_failure_that_is_caught_pauses_nothing_and_a_stop_is_not_caught() {
    let paused = Definition { on_exhausted: Exhausted::Pause, ..flow(catching(catching_at("a", chain()))) };
    let mut run = Driver::new(paused);
    run.execute("a", failed(true));
    assert_eq!((run.status(), run.ready()), (Status::Running, vec!["a".to_owned()]));
    run.step(Event::Stop).unwrap();
    assert_eq!(run.status(), Status::Stopped);
    // Where nobody catches it, it pauses as before.
    let mut run = Driver::new(Definition { on_exhausted: Exhausted::Pause, ..flow(catching_at("a", chain())) });
    run.done("a", "");
    run.execute("b", failed(true));
    assert_eq!(run.status(), Status::Paused);
}

/// CATCH-6.
#[test]
fn a_run_again_from_the_node_that_caught_does_its_own_work_again() {
    let dag = catching_at("S", graph(vec![sub_dag("S", chain()), node("b")], [("S", "b")]));
    let mut run = Driver::new(flow(dag));
    run.execute("S", Outcome::Branched(vec![(None, payload("in"))]));
    run.execute("S/a", failed(false));
    run.done("S", "instead");
    run.done("b", "");
    assert_eq!(run.rerun("S/a").unwrap_err(), Refusal::Caught);
    run.rerun("S").unwrap();
    assert!(run.shown("S").caught.is_none());
    run.execute("S", Outcome::Branched(vec![(None, payload("in"))]));
    run.done("S/a", "");
    run.done("S/b", "well");
    assert_eq!(run.claim("b").unwrap().inputs[0].payload, payload("well"));
}

/// CATCH-6.
#[test]
fn a_run_again_from_inside_a_dag_that_caught_forgets_what_was_caught() {
    let mut run = Driver::new(flow(catching(chain())));
    run.execute("a", failed(false));
    run.done("(recover)", "instead");
    run.rerun("a").unwrap();
    run.done("a", "");
    run.done("b", "well");
    assert_eq!((run.status(), run.state.run().result.clone()), (Status::Succeeded, Some(payload("well"))));
}

/// CATCH-6.
#[test]
fn a_run_again_of_what_failed_does_again_what_was_to_be_caught() {
    let dag = catching(catching_at("S", graph(vec![sub_dag("S", chain())], [])));
    let mut run = Driver::new(flow(dag));
    run.execute("S", Outcome::Branched(vec![(None, payload("in"))]));
    run.execute("S/a", failed(false));
    run.execute("S", failed(false));
    run.execute("(recover)", failed(false));
    assert_eq!(run.status(), Status::Failed);
    run.step(Event::Rerun { from: None }).unwrap();
    assert_eq!(run.ready(), ["S/a"]);
    run.done("S/a", "");
    run.done("S/b", "well");
    assert_eq!((run.status(), run.state.run().result.clone()), (Status::Succeeded, Some(payload("well"))));
}

/// How the items that have arrived have ended.
fn arrived(effects: &[Effect]) -> Vec<(String, Ended)> {
    let arrived = effects.iter().filter_map(|effect| match effect {
        Effect::Arrive { key, result, .. } => Some((key.to_string(), result.clone())),
        _ => None,
    });
    arrived.collect()
}

/// TOLERATE-1, TOLERATE-3.
#[test]
fn items_that_fail_arrive_with_their_failures_as_long_as_they_are_tolerated() {
    let mut run = Driver::new(items(gathering(Tolerate::Items(1))));
    run.execute("F", branched(&[("a", ""), ("b", ""), ("c", "")]));
    assert!(matches!(&arrived(&run.done("F[a]/n", "A"))[..], [(_, Ok(_))]));
    let effects = run.execute("F[b]/n", failed(false));
    assert!(
        matches!(&arrived(&effects)[..], [(key, Err(failure))] if key == "b" && failure.path == Some(path("F[b]/n")))
    );
    assert_eq!((run.status(), run.shown("F").tolerated), (Status::Running, 1));
    run.execute("F[c]/n", failed(false));
    let failure = run.state.run().failure.clone().unwrap();
    assert_eq!((run.status(), failure.path), (Status::Failed, Some(path("F[c]/n"))));
}

/// TOLERATE-1.
#[test]
fn a_share_of_items_is_rounded_down_to_whole_items() {
    let most = |share, items| Tolerate::Share(share).most(items);
    assert_eq!((most(0.05, 30), most(0.05, 100), most(0.05, 19)), (1, 5, 0));
    assert_eq!((most(0.0, 9), most(1.0, 100_000), most(0.1, 10)), (0, 100_000, 1));
    assert_eq!(Tolerate::Items(3).most(2), 3);
}

/// TOLERATE-1: what is caught inside an item is no failure of it.
#[test]
fn an_item_whose_failure_was_caught_has_not_failed() {
    let branches = gathering(Tolerate::Items(0));
    let mut run = Driver::new(flow(graph(vec![for_each("F", catching(lone()), branches)], [])));
    run.execute("F", branched(&[("a", ""), ("b", "")]));
    run.execute("F[a]/n", failed(false));
    assert!(
        matches!(&arrived(&run.done("F[a]/(recover)", "instead"))[..], [(_, Ok(result))] if *result == payload("instead"))
    );
}

/// TOLERATE-2.
#[test]
fn a_gather_handler_gets_the_failure_of_the_only_item() {
    let mut run = Driver::new(items(gathering(Tolerate::Share(1.0))));
    run.execute("F", branched(&[("a", "")]));
    run.execute("F[a]/n", failed(false));
    let work = run.claim("F").unwrap();
    let Task::Merge { gathers: true, only: Some((key, Err(failure))), .. } = work.task else {
        panic!("{:?}", work.task)
    };
    assert_eq!((key.as_str(), failure.code), ("a", Code::CALL_STATUS));
}

/// TOLERATE-2.
#[test]
fn the_failure_of_an_item_has_the_status_because_of_which_its_call_failed() {
    let mut run = Driver::new(items(gathering(Tolerate::Items(2))));
    run.execute("F", branched(&[("a", ""), ("b", "")]));
    let work = run.claim("F[a]/n").unwrap();
    let evidence = Evidence { body: Some(payload("nowhere")), status: Some(404), ..Evidence::default() };
    let report = Report { evidence: Some(Box::new(evidence)), ..reported(failed(false)) };
    let effects = run.step(Event::Complete { path: work.path, token: work.token, report }).unwrap();
    assert!(matches!(&arrived(&effects)[..], [(_, Err(failure))] if failure.answered == Some(404)), "{effects:?}");
    let effects = run.execute("F[b]/n", failed(false));
    assert!(matches!(&arrived(&effects)[..], [(_, Err(failure))] if failure.answered.is_none()), "{effects:?}");
}

/// TOLERATE-3.
#[test]
fn the_failure_of_one_item_too_many_can_be_caught() {
    let dag = graph(vec![for_each("F", lone(), gathering(Tolerate::Items(0)))], []);
    let mut run = Driver::new(flow(catching_at("F", dag)));
    run.execute("F", branched(&[("a", ""), ("b", "")]));
    run.execute("F[a]/n", failed(false));
    assert_eq!(run.ready(), ["F"]);
    assert_eq!(to_catch(&mut run, "F").0.path, Some(path("F[a]/n")));
}

/// TOLERATE-4.
#[test]
fn an_item_that_was_tolerated_can_be_run_again() {
    let mut run = Driver::new(items(gathering(Tolerate::Items(1))));
    run.execute("F", branched(&[("a", ""), ("b", "")]));
    run.execute("F[a]/n", failed(false));
    run.done("F[b]/n", "B");
    let started_by = run.node("F").branches.as_ref().unwrap().started_by;
    run.step(Event::Joined { path: path("F"), started_by }).unwrap();
    run.done("F", "gathered");
    run.rerun("F[a]/n").unwrap();
    run.done("F[a]/n", "A");
    let Task::Merge { redone, .. } = run.claim("F").unwrap().task else { panic!() };
    assert_eq!(redone, [("a".to_owned(), Ok(payload("A")))]);
    assert_eq!(run.shown("F").tolerated, 0);
}
