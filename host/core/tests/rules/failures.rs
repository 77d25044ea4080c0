//! Failures, retries and history.

use faas_flow_core::definition::{Backoff, Branches, Definition, Exhausted};
use faas_flow_core::run::{ClaimToken, Effect, Event, Outcome, Progress, Refusal, RunView, Suspended};
use faas_flow_core::testing::{Driver, branched, failed, flow, for_each, graph, lone, node, path, payload, reported};
use faas_flow_core::{Code, Status};

/// `a`, then `b`.
fn chain(definition: Definition) -> Driver {
    let dag = graph(vec![node("a"), node("b")], [("a", "b")]);
    Driver::new(Definition { dag, ..definition })
}

fn pausing() -> Definition {
    Definition { on_exhausted: Exhausted::Pause, ..flow(lone()) }
}

/// A for-each `F` with a node `n`, whose results are merged.
fn merged() -> Definition {
    let branches = Branches { aggregator: Some("a".to_owned()), ..Branches::default() };
    flow(graph(vec![for_each("F", lone(), branches)], []))
}

/// FAIL-4.
#[test]
fn a_run_fails_with_the_failure_of_its_node() {
    let mut run = chain(flow(lone()));
    run.execute("a", failed(true));
    let failure = run.state.run().failure.clone().unwrap();
    assert_eq!((run.status(), failure.code, failure.path), (Status::Failed, Code::CALL_STATUS, Some(path("a"))));
    assert_eq!(run.node("a").progress, Progress::Failed);
}

/// FAIL-4.
#[test]
fn a_run_pauses_instead_if_the_flow_says_so_and_executes_the_node_again_after_a_resume() {
    let mut run = chain(pausing());
    run.execute("a", failed(true));
    assert_eq!((run.status(), run.node("a").progress), (Status::Paused, Progress::Ready));
    assert_eq!(run.node("a").lease, None);
    run.step(Event::Resume).unwrap();
    run.done("a", "");
    assert_eq!(run.ready(), ["b"]);
}

/// FAIL-5.
#[test]
fn a_reject_never_pauses_a_run() {
    let mut run = chain(pausing());
    run.execute("a", failed(false));
    assert_eq!((run.status(), run.node("a").progress), (Status::Failed, Progress::Failed));
}

/// FAIL-4: it is about the nodes of the flow, not about the run's handlers.
#[test]
fn a_handler_of_the_run_that_fails_does_not_pause_it() {
    let mut run = chain(Definition { finally: Some("h".to_owned()), ..pausing() });
    run.execute("a", failed(false));
    run.execute("(finally)", failed(true));
    assert_eq!(run.status(), Status::Failed);
}

/// FAIL-6.
#[test]
fn the_wait_before_a_try_grows_by_the_factor_up_to_the_longest_less_up_to_half_at_random() {
    let backoff = Backoff { attempts: 9, first_delay_ms: 100, factor: 2.0, max_delay_ms: 500 };
    assert_eq!([2, 3, 4, 5, 6].map(|attempt| backoff.delay_ms(attempt, 0.0)), [100, 200, 400, 500, 500]);
    assert_eq!(backoff.delay_ms(4, 0.5), 300);
    assert_eq!(backoff.delay_ms(4, 1.0), 200);
}

/// FAIL-9.
#[test]
fn the_deadline_counts_from_the_start_of_the_run_and_fails_it() {
    let mut run = chain(Definition { deadline_ms: Some(1_000), ..flow(lone()) });
    assert_eq!(run.state.run().deadline, Some(1_001));
    run.step(Event::Pause).unwrap();
    run.step(Event::Resume).unwrap();
    assert_eq!(run.state.run().deadline, Some(1_001), "pauses are included");
    let work = run.claim("a").unwrap();
    run.now = 999;
    assert_eq!(run.step(Event::Deadline).unwrap_err(), Refusal::Early { until: 1_001 });
    assert!(run.state.is_overdue(1_001) && !run.state.is_overdue(1_000));
    run.step(Event::Deadline).unwrap();
    assert_eq!((run.state.run().ended, run.state.deadline_due()), (Some(1_001), None));
    let failure = run.state.run().failure.clone().unwrap();
    assert_eq!((run.status(), failure.code, failure.retry), (Status::Failed, Code::DEADLINE_PASSED, false));
    assert_eq!(run.report(&work, Outcome::Done(payload(""))).unwrap_err(), Refusal::Ended);
    assert_eq!(run.step(Event::Deadline).unwrap_err(), Refusal::Ended);
}

/// FAIL-9: the first event after the deadline fails the run, of any kind.
#[test]
fn nothing_goes_on_after_the_deadline() {
    let limited = || Definition { deadline_ms: Some(10), ..flow(graph(vec![node("a"), node("b")], [("a", "b")])) };
    let in_time = |run: &mut Driver| run.claim("a").unwrap();
    let late = |run: &Driver| {
        let failure = run.state.run().failure.clone().unwrap();
        assert_eq!((run.status(), failure.code), (Status::Failed, Code::DEADLINE_PASSED));
    };
    for outcome in [Outcome::Done(payload("")), failed(true), failed(false)] {
        let mut run = Driver::new(limited());
        let work = in_time(&mut run);
        run.now = 10;
        let effects = run.report(&work, outcome).unwrap();
        assert!(matches!(&effects[..], [Effect::Cancel, Effect::Ended]));
        assert_eq!(
            (run.node("a").progress, run.node("a").attempts.len()),
            (Progress::Running, 0),
            "its end is dropped"
        );
        late(&run);
    }
    for event in [Event::Pause, Event::Resume, Event::Joined { path: path("a"), started_by: ClaimToken::NONE }] {
        let mut run = Driver::new(limited());
        run.now = 10;
        run.step(event).unwrap();
        late(&run);
    }
    let mut run = Driver::new(limited());
    run.now = 10;
    let claim = |until| {
        let token = ClaimToken::new(7);
        Event::Claim { path: path("a"), owner: "me".into(), token, until, lost: None }
    };
    let effects = run.step(claim(99)).unwrap();
    assert!(matches!(&effects[..], [Effect::Cancel, Effect::Ended]), "nothing is executed");
    late(&run);
    // What was done in time stays so, however long the handlers of the run take.
    let mut run = Driver::new(Definition { finally: Some("h".to_owned()), ..limited() });
    run.done("a", "");
    run.done("b", "out");
    run.now = 50;
    run.done("(finally)", "");
    assert_eq!((run.status(), run.state.run().ended), (Status::Succeeded, Some(52)));
    // A stop comes first if it does.
    let mut run = Driver::new(limited());
    run.now = 10;
    run.step(Event::Stop).unwrap();
    assert_eq!(run.status(), Status::Stopped);
}

/// FAIL-9: a paused run fails at its deadline like any other, unless a re-run begins the deadline anew.
#[test]
fn a_paused_run_fails_at_its_deadline() {
    let mut run = chain(Definition { deadline_ms: Some(10), ..flow(lone()) });
    run.step(Event::Pause).unwrap();
    run.now = 20;
    run.rerun("a").unwrap();
    assert_eq!((run.status(), run.state.deadline_due()), (Status::Running, Some(31)));
    run.step(Event::Pause).unwrap();
    run.now = 30;
    run.step(Event::Deadline).unwrap();
    assert_eq!((run.status(), run.state.run().paused), (Status::Failed, false));
}

/// FAIL-10.
#[test]
fn a_failing_for_each_handler_or_aggregator_fails_the_run_and_its_handlers_are_called_once() {
    let handlers =
        |definition| Definition { on_failure: Some("h".to_owned()), finally: Some("h".to_owned()), ..definition };
    for merges in [false, true] {
        let mut run = Driver::new(handlers(merged()));
        if merges {
            run.execute("F", branched(&[("x", "")]));
            run.done("F[x]/n", "");
        }
        run.execute("F", failed(true));
        assert_eq!(run.ready(), ["(failure)"]);
        run.done("(failure)", "");
        assert_eq!(run.ready(), ["(finally)"]);
        run.done("(finally)", "");
        assert_eq!(run.status(), Status::Failed);
        assert_eq!(run.claim("(failure)").unwrap_err(), Refusal::Ended);
        assert_eq!(run.claim("(finally)").unwrap_err(), Refusal::Ended);
    }
}

/// FAIL-10, FAIL-4.
#[test]
fn a_failing_aggregator_may_pause_the_run_and_merges_again_after_a_resume() {
    let mut run = Driver::new(Definition { on_exhausted: Exhausted::Pause, ..merged() });
    run.execute("F", branched(&[("x", "")]));
    run.done("F[x]/n", "of x");
    run.execute("F", failed(true));
    assert_eq!(run.status(), Status::Paused);
    run.step(Event::Resume).unwrap();
    run.done("F", "merged");
    assert_eq!((run.status(), run.state.run().result.clone()), (Status::Succeeded, Some(payload("merged"))));
}

/// HIST-1.
#[test]
fn the_history_of_a_node_contains_all_its_attempts() {
    let mut run = chain(pausing());
    run.claim("a").unwrap();
    run.now += 200;
    run.execute("a", failed(true));
    run.step(Event::Resume).unwrap();
    run.done("a", "");
    let attempts = &run.node("a").attempts;
    let codes: Vec<_> = attempts.iter().map(|attempt| attempt.failure.as_ref().map(|failure| failure.code)).collect();
    assert_eq!(codes, [Some(Code::NODE_LOST), Some(Code::CALL_STATUS), None]);
    assert_eq!((attempts[0].started, attempts[0].ended), (2, 203), "from its claim to the next one");
}

/// HIST-2.
#[test]
fn a_node_started_when_it_was_claimed_for_the_first_time() {
    let mut run = chain(flow(lone()));
    run.claim("a").unwrap();
    run.now += 200;
    run.done("a", "");
    assert_eq!(run.node("a").started, Some(2));
}

/// HIST-3.
#[test]
fn merging_the_results_of_its_branches_does_not_change_the_input_size_of_a_node() {
    let mut run = Driver::new(merged());
    run.execute("F", branched(&[("x", "")]));
    assert_eq!(run.node("F").input_size, 3);
    run.done("F[x]/n", "");
    let work = run.claim("F").unwrap();
    let report = faas_flow_core::run::Report { input_size: 77, ..reported(Outcome::Done(payload(""))) };
    run.step(Event::Complete { path: work.path, token: work.token, report }).unwrap();
    assert_eq!(run.node("F").input_size, 3);
}

/// HIST-4.
#[test]
fn branches_that_were_replaced_are_not_shown_and_their_attempts_stay() {
    let mut run = Driver::new(merged());
    run.execute("F", branched(&[("x", ""), ("y", "")]));
    run.execute("F[x]/n", failed(false));
    run.rerun("F").unwrap();
    let shown = |run: &Driver| {
        let view = RunView::new(run.state.run(), run.state.scopes());
        view.nodes.iter().map(|node| node.path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&run), ["F"]);
    run.execute("F", branched(&[("x", "")]));
    assert_eq!(shown(&run), ["F", "F[x]/n"]);
    run.done("F[x]/n", "");
    assert_eq!(run.node("F[x]/n").attempts.len(), 2);
}

/// WAIT-1.
#[test]
fn a_stored_wait_is_continued_by_any_replica_at_the_operation_that_the_node_had_reached() {
    let mut run = chain(flow(lone()));
    let wait = Suspended {
        until: 50,
        operation: 2,
        tries: 3,
        begun: None,
        data: Some(payload("so far")),
        wait: None,
        asleep: None,
        failed: 0,
    };
    run.execute("a", Outcome::Suspended(wait.clone()));
    assert_eq!((run.node("a").lease.clone(), run.ready()), (None, vec![]), "nobody holds it meanwhile");
    assert_eq!(run.claim("a").unwrap_err(), Refusal::Early { until: 50 });
    assert_eq!(run.state.next_wake(), Some(50));
    run.now = 50;
    assert_eq!(run.claim("a").unwrap().suspended.as_deref(), Some(&wait));
}

/// HIST-5.
#[test]
fn what_the_end_of_a_run_cuts_off_is_cancelled_and_what_had_not_begun_is_not() {
    let each = for_each("F", lone(), Branches { aggregator: Some("a".to_owned()), ..Branches::default() });
    let nodes = vec![node("s"), node("a"), each, node("b"), node("c")];
    let edges = [("s", "a"), ("s", "F"), ("a", "b"), ("F", "b"), ("b", "c")];
    let mut run = Driver::new(flow(graph(nodes, edges)));
    run.done("s", "");
    run.claim("a").unwrap();
    run.execute("F", branched(&[("x", ""), ("y", "")]));
    run.claim("F[x]/n").unwrap();
    let shown = |run: &Driver| {
        let view = RunView::new(run.state.run(), run.state.scopes());
        let nodes = view.nodes.into_iter().map(|node| (node.path.to_string(), node.progress, node.took().is_some()));
        nodes.collect::<Vec<_>>()
    };
    assert!(shown(&run).contains(&("a".to_owned(), Progress::Running, false)));
    run.step(Event::Stop).unwrap();
    let ended = run.state.run().ended;
    let expected = [
        ("s", Progress::Done, true),
        ("a", Progress::Cancelled, true),
        ("F", Progress::Cancelled, true),
        ("b", Progress::Waiting, false),
        ("c", Progress::Waiting, false),
        ("F[x]/n", Progress::Cancelled, true),
        ("F[y]/n", Progress::Waiting, false),
    ];
    assert_eq!(shown(&run), expected.map(|(path, progress, took)| (path.to_owned(), progress, took)));
    let view = RunView::new(run.state.run(), run.state.scopes());
    assert_eq!(view.nodes[1].since, ended, "it took until the run ended");
}

/// HIST-5.
#[test]
fn what_is_cut_off_ends_with_the_run_and_not_before_its_handlers_have_ended() {
    let dag = graph(vec![node("s"), node("a"), node("b"), node("e")], [("s", "a"), ("s", "b"), ("a", "e"), ("b", "e")]);
    let mut run = Driver::new(Definition { finally: Some("h".to_owned()), ..flow(dag) });
    run.done("s", "");
    run.claim("a").unwrap();
    run.execute("b", failed(false));
    let of = |run: &Driver, wanted: &str| {
        let view = RunView::new(run.state.run(), run.state.scopes());
        let node = view.nodes.into_iter().find(|node| node.path == path(wanted)).unwrap();
        (node.progress, node.since, node.took().is_some(), node.tried())
    };
    let handled = run.claim("(finally)").unwrap();
    assert_eq!(of(&run, "a"), (Progress::Cancelled, None, false, 0));
    assert_eq!(of(&run, "(finally)").0, Progress::Running, "the end of the flow is not the end of its handlers");
    run.report(&handled, Outcome::Done(payload(""))).unwrap();
    let ended = run.state.run().ended;
    assert!(ended.is_some());
    assert_eq!(of(&run, "a"), (Progress::Cancelled, ended, true, 0));
    assert_eq!(of(&run, "b").0, Progress::Failed);
    run.rerun("b").unwrap();
    assert_eq!(of(&run, "a").0, Progress::Ready, "a re-run executes it");
}

/// HIST-6.
#[test]
fn splitting_and_merging_are_no_tries() {
    let each = for_each("F", lone(), Branches { aggregator: Some("a".to_owned()), ..Branches::default() });
    let mut run = Driver::new(flow(graph(vec![each], [])));
    let split = run.claim("F").unwrap();
    run.report(&split, branched(&[("x", "")])).unwrap();
    let tries = |run: &Driver| {
        let view = RunView::new(run.state.run(), run.state.scopes());
        view.nodes.iter().map(|node| (node.attempts.len(), node.tried())).collect::<Vec<_>>()
    };
    assert_eq!(tries(&run), [(1, 0), (0, 0)], "the branches are in flight");
    run.done("F[x]/n", "");
    run.done("F", "merged");
    assert_eq!(tries(&run), [(2, 1), (1, 1)]);
}
