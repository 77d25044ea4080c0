//! Repeats: rounds, their results, and going back to one.

use faas_flow_core::definition::{Dag, NodeKind};
use faas_flow_core::run::{Effect, Event, Outcome, Progress, Refusal, RunView, Suspended, Task};
use faas_flow_core::testing::{Driver, failed, flow, graph, lone, node, path, payload, repeat, round, sub_dag};
use faas_flow_core::{Code, Payload, Status};

/// `a`, then a repeat `R` of at most three rounds, then `b`.
fn repeated() -> Driver {
    let nodes = vec![node("a"), repeat("R", lone(), 3), node("b")];
    Driver::new(flow(graph(nodes, [("a", "R"), ("R", "b")])))
}

/// A run whose repeat has begun its first round.
fn begun() -> Driver {
    let mut run = repeated();
    run.done("a", "of a");
    run.execute("R", round(1, "of a"));
    run
}

/// A run whose repeat has done this number of rounds, with the results `1`, `2` and so on, and asks whether there is another.
fn after(rounds: u32) -> Driver {
    let mut run = begun();
    for number in 1..=rounds {
        if number > 1 {
            run.execute("R", round(number, &(number - 1).to_string()));
        }
        run.done(&format!("R[{number}]/n"), &number.to_string());
    }
    run
}

fn shown(run: &Driver) -> Vec<String> {
    let view = RunView::new(run.state.run(), run.state.scopes());
    view.nodes.iter().map(|node| format!("{} {}", node.path, node.progress.as_str())).collect()
}

/// The number and the result of the round after which the claim of a repeat asks.
fn ended(task: &Task) -> Option<(u32, Payload)> {
    let Task::Repeat { handler, most: 3, wait_ms: 0, ended } = task else { panic!("{task:?}") };
    assert_eq!(handler.as_str(), "h");
    ended.clone()
}

/// REPEAT-1.
#[test]
fn each_round_begins_with_the_result_of_the_one_before_and_the_last_result_is_the_output() {
    let mut run = repeated();
    run.done("a", "of a");
    let work = run.claim("R").unwrap();
    assert_eq!((ended(&work.task), &work.inputs[0].payload), (None, &payload("of a")));
    let effects = run.report(&work, round(1, "of a")).unwrap();
    assert!(matches!(&effects[..], [Effect::Dispatch(node)] if *node == path("R[1]/n")));
    assert_eq!(run.node("R").progress, Progress::Branching);
    assert_eq!(run.claim("R[1]/n").unwrap().inputs[0].payload, payload("of a"));
    let mut run = after(2);
    let work = run.claim("R").unwrap();
    assert_eq!(ended(&work.task), Some((2, payload("2"))));
    run.report(&work, Outcome::Done(payload("2"))).unwrap();
    assert_eq!((run.node("R").output.clone(), run.ready()), (Some(payload("2")), vec!["b".to_owned()]));
}

/// REPEAT-2.
#[test]
fn a_repeat_has_no_more_rounds_than_it_may_have() {
    let mut run = after(3);
    let work = run.claim("R").unwrap();
    assert_eq!(run.report(&work, round(4, "3")).unwrap_err(), Refusal::Unknown);
    run.report(&work, failed(false)).unwrap();
    assert_eq!(run.status(), Status::Failed);
    for key in ["0", "03", "x"] {
        assert!(run.plan.dag(&path(&format!("R[{key}]/n")).scope).is_none(), "{key}");
    }
}

/// REPEAT-3.
#[test]
fn between_rounds_a_repeat_waits_and_nobody_holds_it() {
    let mut run = after(1);
    let work = run.claim("R").unwrap();
    let until = run.now + 100;
    let wait = Suspended { data: Some(payload("1")), ..Suspended::until(until) };
    run.report(&work, Outcome::Suspended(wait)).unwrap();
    assert_eq!((run.ready(), run.state.next_wake()), (vec![], Some(until)));
    assert_eq!(run.claim("R").unwrap_err(), Refusal::Early { until });
    assert_eq!(run.shown("R").waits_until, Some(until));
    run.step(Event::Pause).unwrap();
    assert_eq!(run.state.next_wake(), None);
    run.now = until;
    assert_eq!(run.claim("R").unwrap_err(), Refusal::Paused);
    let effects = run.step(Event::Resume).unwrap();
    assert!(matches!(&effects[..], [Effect::Dispatch(node)] if *node == path("R")));
    let work = run.claim("R").unwrap();
    assert!(work.suspended.is_some() && ended(&work.task) == Some((1, payload("1"))));
    run.report(&work, round(2, "1")).unwrap();
    assert_eq!((run.ready(), run.node("R").suspended.clone()), (vec!["R[2]/n".to_owned()], None));
}

/// REPEAT-3.
#[test]
fn a_run_that_is_stopped_or_too_late_between_rounds_ends() {
    let wait = |now| Suspended::until(now + 9_000);
    let mut run = after(1);
    let work = run.claim("R").unwrap();
    let suspended = Outcome::Suspended(wait(run.now));
    run.report(&work, suspended).unwrap();
    run.step(Event::Stop).unwrap();
    assert_eq!((run.status(), run.shown("b").progress), (Status::Stopped, Progress::Waiting));
    // The wait goes on where it was.
    run.step(Event::Rerun { from: None }).unwrap();
    assert_eq!(run.ready(), Vec::<String>::new());
    run.now += 9_000;
    assert_eq!(run.ready(), ["R"]);
}

/// REPEAT-4.
#[test]
fn earlier_rounds_are_shown_and_nothing_of_them_goes_on() {
    let mut run = begun();
    let first = run.claim("R[1]/n").unwrap();
    run.report(&first, Outcome::Done(payload("1"))).unwrap();
    run.execute("R", round(2, "1"));
    assert_eq!(shown(&run), ["a done", "R branching", "b waiting", "R[1]/n done", "R[2]/n ready"]);
    assert_eq!(run.report(&first, Outcome::Done(payload("late"))).unwrap_err(), Refusal::Stale);
    assert_eq!(run.claim("R[1]/n").unwrap_err(), Refusal::Stale);
    assert_eq!(run.ready(), ["R[2]/n"]);
    assert_eq!(run.node("R").output, None);
}

/// REPEAT-4.
#[test]
fn rounds_are_shown_in_their_order_however_many_there_are() {
    let mut run = Driver::new(flow(graph(vec![repeat("R", lone(), 12)], [])));
    run.execute("R", round(1, "in"));
    for number in 1..12 {
        run.done(&format!("R[{number}]/n"), "");
        run.execute("R", round(number + 1, ""));
    }
    let expected: Vec<String> = (1..12).map(|number| format!("R[{number}]/n done")).collect();
    assert_eq!(shown(&run)[1..12], expected);
    assert_eq!((&*shown(&run)[12], run.shown("R").rounds), ("R[12]/n ready", 12));
}

/// REPEAT-5.
#[test]
fn the_hundredth_round_changes_no_more_than_the_second() {
    let changed = |rounds: u32| {
        let mut run = Driver::new(flow(graph(vec![repeat("R", lone(), 1_000)], [])));
        run.execute("R", round(1, "in"));
        for number in 1..rounds {
            run.done(&format!("R[{number}]/n"), "x");
            run.execute("R", round(number + 1, "x"));
        }
        for doc in run.state.loaded() {
            run.state.committed(&doc, 1);
        }
        run.done(&format!("R[{rounds}]/n"), "x");
        run.execute("R", round(rounds + 1, "x"));
        let mut sizes = Vec::new();
        run.state.write_changed(|_, _, bytes| sizes.push(bytes.len()));
        (sizes.len(), sizes.iter().sum::<usize>())
    };
    let ((few, small), (many, large)) = (changed(2), changed(300));
    assert_eq!(few, many);
    // Only numbers and times are longer.
    assert!(large < small + 40, "{small} bytes, then {large}");
}

/// REPEAT-6.
#[test]
fn a_run_goes_back_to_an_earlier_round() {
    let mut run = after(3);
    run.execute("R", Outcome::Done(payload("3")));
    run.done("b", "end");
    assert_eq!(run.status(), Status::Succeeded);
    run.rerun("R[2]/n").unwrap();
    assert_eq!(run.ready(), ["R[2]/n"]);
    assert_eq!(shown(&run), ["a done", "R branching", "b waiting", "R[1]/n done", "R[2]/n ready"]);
    let again = run.claim("R[2]/n").unwrap();
    assert_eq!(again.round, 0, "it gets the same input, so its calls have the keys of before");
    run.report(&again, Outcome::Done(payload("other"))).unwrap();
    let work = run.claim("R").unwrap();
    assert_eq!(ended(&work.task), Some((2, payload("other"))));
    run.report(&work, round(3, "other")).unwrap();
    assert_eq!(run.claim("R[3]/n").unwrap().round, 1, "it is another piece of work");
    assert_eq!(shown(&run).len(), 6);
}

/// REPEAT-6.
#[test]
fn a_repeat_that_is_done_again_begins_with_its_first_round() {
    let mut run = after(3);
    run.step(Event::Pause).unwrap();
    run.rerun("R").unwrap();
    assert_eq!(shown(&run), ["a done", "R ready", "b waiting"]);
    run.execute("R", round(1, "of a"));
    assert_eq!(shown(&run), ["a done", "R branching", "b waiting", "R[1]/n ready"]);
    assert!(run.claim("R[1]/n").unwrap().round > 0);
    assert_eq!(run.rerun("R[2]/n").unwrap_err(), Refusal::Running);
    run.step(Event::Pause).unwrap();
    assert_eq!(run.rerun("R[2]/n").unwrap_err(), Refusal::Stale, "it is not a round of this time");
}

/// REPEAT-6.
#[test]
fn a_node_deep_inside_an_earlier_round_can_be_re_run() {
    let mut run = Driver::new(flow(graph(vec![repeat("R", graph(vec![sub_dag("S", lone())], []), 3)], [])));
    let inner = |run: &mut Driver, number: u32| {
        run.execute(&format!("R[{number}]/S"), Outcome::Branched(vec![(None, payload("x"))]));
        run.done(&format!("R[{number}]/S/n"), "y");
    };
    run.execute("R", round(1, "x"));
    inner(&mut run, 1);
    run.execute("R", round(2, "y"));
    inner(&mut run, 2);
    run.execute("R", Outcome::Done(payload("y")));
    run.rerun("R[1]/S/n").unwrap();
    assert_eq!(shown(&run), ["R branching", "R[1]/S branching", "R[1]/S/n ready"]);
    run.done("R[1]/S/n", "z");
    assert!(
        matches!(run.claim("R").unwrap().task, Task::Repeat { ended: Some((1, result)), .. } if result == payload("z"))
    );
}

/// REPEAT-7.
#[test]
fn a_repeat_that_cannot_end_or_wait_so_long_is_refused() {
    let problems = |most, wait_ms| {
        let mut inside = repeat("R", lone(), most);
        if let NodeKind::Repeat(repeat) = &mut inside.kind {
            repeat.wait_ms = wait_ms;
        }
        let found = faas_flow_core::Plan::new(flow(graph(vec![inside], []))).err().unwrap_or_default();
        found.into_iter().map(|problem| (problem.code, problem.path)).collect::<Vec<_>>()
    };
    let refused = vec![(Code::BAD_REPEAT, "R".to_owned())];
    assert_eq!(problems(0, 0), refused);
    assert_eq!(problems(1_001, 0), refused);
    assert_eq!(problems(1, 30 * 86_400_000 + 1), refused);
    assert_eq!((problems(1, 0), problems(1_000, 30 * 86_400_000)), (vec![], vec![]));
    let hollow = faas_flow_core::Plan::new(flow(graph(vec![repeat("R", Dag::default(), 1)], []))).unwrap_err();
    assert_eq!((hollow[0].code, &*hollow[0].path), (Code::EMPTY_DAG, "R[]"));
}

/// ANSWER-6.
#[test]
fn the_first_round_gets_the_request_body_and_the_others_do_not() {
    let run = Driver::new(flow(graph(vec![repeat("R", lone(), 3)], [])));
    assert!(run.plan.gets_request_body(&path("R[1]/n")));
    assert!(!run.plan.gets_request_body(&path("R[2]/n")));
}
