//! Pause, resume, stop and re-run.

use faas_flow_core::definition::{Branches, Definition};
use faas_flow_core::run::{ClaimToken, Effect, Event, Outcome, Phase, Progress, Refusal, RerunFrom, Task, Try, Work};
use faas_flow_core::testing::{Driver, branched, condition, failed, flow, for_each, graph, lone, node, path, payload};
use faas_flow_core::{Code, Failure, Status};

/// `a`, then `b` and `c`, then `d`.
fn diamond() -> Definition {
    let nodes = ["a", "b", "c", "d"].map(node).into();
    flow(graph(nodes, [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]))
}

/// PAUSE-1.
#[test]
fn a_paused_run_starts_no_new_nodes_and_nodes_already_running_commit() {
    let mut run = Driver::new(diamond());
    run.done("a", "");
    let work = run.claim("b").unwrap();
    run.step(Event::Pause).unwrap();
    assert_eq!((run.status(), run.ready()), (Status::Paused, vec![]));
    assert_eq!(run.claim("c").unwrap_err(), Refusal::Paused);
    run.report(&work, Outcome::Done(payload("out"))).unwrap();
    assert_eq!((run.node("b").progress, run.node("c").progress), (Progress::Done, Progress::Ready));
}

/// PAUSE-2.
#[test]
fn resuming_starts_everything_that_is_ready() {
    let mut run = Driver::new(diamond());
    run.done("a", "");
    run.step(Event::Pause).unwrap();
    let effects = run.step(Event::Resume).unwrap();
    assert!(matches!(&effects[..], [Effect::Dispatch(b), Effect::Dispatch(c)] if *b == path("b") && *c == path("c")));
    assert_eq!((run.status(), run.ready().len()), (Status::Running, 2));
}

/// STOP-1.
#[test]
fn stopping_ends_a_run_at_once_and_it_can_be_re_run_but_not_resumed() {
    let mut run = Driver::new(diamond());
    run.claim("a").unwrap();
    let effects = run.step(Event::Stop).unwrap();
    assert!(matches!(&effects[..], [Effect::Cancel, Effect::Ended]));
    assert_eq!(run.status(), Status::Stopped);
    assert_eq!(run.state.run().failure.as_ref().unwrap().code, Code::RUN_STOPPED);
    assert_eq!(run.step(Event::Resume).unwrap_err(), Refusal::Ended);
    run.rerun("a").unwrap();
    assert_eq!((run.status(), run.ready()), (Status::Running, vec!["a".to_owned()]));
}

/// STOP-1.
#[test]
fn a_paused_run_can_be_stopped() {
    let mut run = Driver::new(diamond());
    run.step(Event::Pause).unwrap();
    run.step(Event::Stop).unwrap();
    assert_eq!((run.status(), run.state.run().paused), (Status::Stopped, false));
}

/// STOP-2: after a stop it is known who may still be executing what, until each has reported that it does no more.
#[test]
fn each_replica_reports_what_it_has_cut_off_of_a_run_that_has_ended() {
    let mut run = Driver::new(diamond());
    run.done("a", "");
    let (b, c) = (run.claim("b").unwrap(), run.claim("c").unwrap());
    let cut_off = |work: &Work| Event::CutOff { path: work.path.clone(), token: work.token };
    assert_eq!(run.step(cut_off(&b)).unwrap_err(), Refusal::Stale, "the run goes on");
    assert_eq!(run.state.to_cut_off(), []);
    run.step(Event::Stop).unwrap();
    assert_eq!(run.state.to_cut_off(), [(path("b"), "me".into()), (path("c"), "me".into())]);
    assert!(run.step(cut_off(&c)).unwrap().is_empty());
    assert_eq!(run.state.to_cut_off(), [(path("b"), "me".into())]);
    for stale in [
        cut_off(&c),
        Event::CutOff { path: path("b"), token: c.token },
        cut_off(&Work { path: path("a"), ..b.clone() }),
    ] {
        assert_eq!(run.step(stale).unwrap_err(), Refusal::Stale);
    }
    assert_eq!(run.step(cut_off(&Work { path: path("x"), ..b.clone() })).unwrap_err(), Refusal::Unknown);
    run.rerun("c").unwrap();
    assert_eq!((run.ready(), run.state.to_cut_off()), (vec!["b".to_owned(), "c".to_owned()], vec![]));
}

/// STOP-2: what another replica executes, a claim that was lost and a try without an answer may have called runs that the run
/// does not know.
#[test]
fn nodes_that_may_have_called_unknown_runs_are_named() {
    let mut run = Driver::new(diamond());
    run.done("a", "");
    let unknown_calls = |run: &Driver, owner: &str| -> Vec<_> {
        run.state
            .unknown_calls(&run.plan, owner)
            .into_iter()
            .map(|node| (node.path.to_string(), node.token, node.round))
            .collect()
    };
    let b = run.claim("b").unwrap();
    assert_eq!(unknown_calls(&run, "me"), [], "this replica knows what it has called");
    assert_eq!(unknown_calls(&run, "other"), [("b".to_owned(), b.token, 0)]);
    run.now += 200;
    let again = run.claim("b").unwrap();
    assert_eq!(unknown_calls(&run, "me"), [("b".to_owned(), again.token, 0)], "the lost claim may have called");
    run.report(&again, Outcome::Done(payload("b"))).unwrap();
    assert_eq!(unknown_calls(&run, "other"), []);
    let c = run.claim("c").unwrap();
    let failure = Failure::retry(Code::CALL_UNREACHABLE, "no answer");
    run.tried(&c, &[Try::begin(0, 1, 4, run.now).failed(run.now + 1, None, &failure)]).unwrap();
    assert_eq!(unknown_calls(&run, "me"), [("c".to_owned(), c.token, 0)]);
    run.step(Event::Stop).unwrap();
    assert_eq!(unknown_calls(&run, "me").len(), 1, "it is asked after the stop");
}

/// RERUN-1.
#[test]
fn a_re_run_executes_the_node_and_what_follows_it_and_keeps_what_was_done_before() {
    let mut run = Driver::new(diamond());
    for node in ["a", "b", "c", "d"] {
        run.done(node, "first");
    }
    assert_eq!(run.status(), Status::Succeeded);
    let effects = run.rerun("b").unwrap();
    assert!(matches!(&effects[..], [Effect::Dispatch(b)] if *b == path("b")));
    assert_eq!(run.status(), Status::Running);
    let progress = ["a", "b", "c", "d"].map(|node| run.node(node).progress);
    assert_eq!(progress, [Progress::Done, Progress::Ready, Progress::Done, Progress::Waiting]);
    assert_eq!((&run.node("b").output, &run.node("d").output), (&None, &None));
    assert_eq!(run.node("a").output, Some(payload("first")));
    run.done("b", "second");
    run.done("d", "second");
    assert_eq!(run.state.run().result, Some(payload("second")));
}

/// RERUN-1.
#[test]
fn a_node_whose_predecessors_are_not_done_cannot_be_re_run() {
    let mut run = Driver::new(diamond());
    run.done("a", "");
    run.done("b", "");
    run.step(Event::Stop).unwrap();
    assert_eq!(run.rerun("d").unwrap_err(), Refusal::Unready);
    run.rerun("c").unwrap();
}

/// RERUN-2.
#[test]
fn a_re_run_also_executes_what_had_failed_or_was_cancelled() {
    let mut run = Driver::new(diamond());
    run.done("a", "");
    let cancelled = run.claim("b").unwrap();
    run.execute("c", failed(false));
    run.rerun("c").unwrap();
    assert_eq!(run.ready(), ["b", "c"]);
    assert_eq!(run.report(&cancelled, Outcome::Done(payload(""))).unwrap_err(), Refusal::Stale);
    // A re-run from another node executes what had failed, too.
    run.execute("c", failed(false));
    run.rerun("b").unwrap();
    assert_eq!(run.ready(), ["b", "c"]);
}

/// RERUN-2: what was not part of it any more stays as it is.
#[test]
fn a_re_run_leaves_other_branches_as_they_are() {
    let inner = graph(vec![node("m"), node("n")], [("m", "n")]);
    let each = for_each("F", inner, Branches { carries_nothing: true, ..Branches::default() });
    let mut run = Driver::new(flow(graph(vec![each], [])));
    run.execute("F", branched(&[("x", ""), ("y", ""), ("z", "")]));
    run.claim("F[z]/m").unwrap();
    run.step(Event::Pause).unwrap();
    run.rerun("F").unwrap();
    run.execute("F", branched(&[("x", ""), ("y", "")]));
    run.done("F[x]/m", "");
    run.execute("F[y]/m", failed(false));
    for doc in run.state.loaded() {
        run.state.committed(&doc, 1);
    }
    run.rerun("F[y]/m").unwrap();
    let changed: Vec<String> = run.state.changed().iter().map(|doc| doc.name()).collect();
    assert_eq!(changed, ["run", "scope:F[y]"]);
}

/// RERUN-3.
#[test]
fn in_a_re_run_deadline_handlers_and_callback_start_anew() {
    let handlers = Definition { on_failure: Some("h".to_owned()), finally: Some("h".to_owned()), ..diamond() };
    let mut run = Driver::new(Definition { deadline_ms: Some(1_000), ..handlers });
    run.execute("a", failed(false));
    run.done("(failure)", "instead");
    run.done("(finally)", "");
    run.step(Event::CallBack { until: 900 }).unwrap();
    run.step(Event::CalledBack { tries: 1, failure: None, next: None }).unwrap();
    run.now = 500;
    run.rerun("a").unwrap();
    let now = run.state.run();
    assert_eq!((now.phase, now.deadline, now.ended), (Phase::Flow, Some(1_501), None));
    assert_eq!((&now.verdict, &now.failure, &now.result), (&None, &None, &None));
    let anew = faas_flow_core::run::Callback::new("http://127.0.0.1/done".to_owned());
    assert_eq!(now.callback, Some(faas_flow_core::run::Callback { round: 1, ..anew }), "it is another callback");
    run.execute("a", failed(false));
    run.done("(failure)", "instead, again");
    run.done("(finally)", "");
    assert_eq!(run.state.run().result, Some(payload("instead, again")));
    assert_eq!(run.state.callback_due(), run.state.run().ended, "it is sent again");
}

#[test]
fn a_callback_is_shown_with_its_tries_until_it_is_delivered_or_given_up() {
    let shown = |run: &Driver| {
        let callback = run.state.run().callback.clone().unwrap();
        (callback.state(), callback.described())
    };
    let pending = |text: &str| ("pending", text.to_owned());
    let away = Failure::retry(Code::NODE_LOST, "nobody is there");
    let called_back = |tries, failure, next| Event::CalledBack { tries, failure, next };
    for delivered in [true, false] {
        let mut run = Driver::new(flow(lone()));
        assert_eq!(shown(&run), pending("to be sent when the run has ended"));
        run.done("n", "");
        assert_eq!(shown(&run), pending("about to be sent"));
        run.step(Event::CallBack { until: 900 }).unwrap();
        assert_eq!(shown(&run), pending("not delivered after 1 try, next try 1970-01-01T00:00:00Z"));
        run.step(called_back(1, Some(away.clone()), Some(2_000))).unwrap();
        let next = format!("not delivered after 1 try, next try 1970-01-01T00:00:02Z: {away}");
        assert_eq!(shown(&run), pending(&next));
        run.now = 2_000;
        run.step(Event::CallBack { until: 2_900 }).unwrap();
        let failure = (!delivered).then(|| away.clone());
        run.step(called_back(2, failure, None)).unwrap();
        let end = if delivered {
            ("delivered", "delivered 1970-01-01T00:00:02Z after 2 tries".to_owned())
        } else {
            ("given-up", format!("given up after 2 tries: {away}"))
        };
        assert_eq!(shown(&run), end);
    }
}

/// RERUN-4.
#[test]
fn a_branch_that_ended_beside_others_is_reopened_and_its_new_result_replaces_the_earlier_one() {
    let each = for_each("F", lone(), Branches { aggregator: Some("a".to_owned()), ..Branches::default() });
    let mut run = Driver::new(flow(graph(vec![each, node("b")], [("F", "b")])));
    let split = run.claim("F").unwrap();
    run.report(&split, branched(&[("x", ""), ("y", ""), ("z", "")])).unwrap();
    run.done("F[x]/n", "x");
    run.done("F[y]/n", "y");
    run.execute("F[z]/n", failed(false));
    let joined = Event::Joined { path: path("F"), started_by: split.token };
    let redone = |run: &Driver| run.node("F").branches.clone().unwrap().redone;
    let results = |run: &mut Driver| {
        let work = run.claim("F").unwrap();
        let Task::Merge { redone, .. } = work.task.clone() else { panic!("no merge") };
        (work, redone)
    };
    // Before all have ended: the set of results may be full before the branch has ended again.
    run.rerun("F[x]/n").unwrap();
    assert_eq!(run.ready(), ["F[x]/n", "F[z]/n"]);
    assert!(matches!(run.done("F[z]/n", "z")[..], [Effect::Arrive { .. }]));
    assert!(run.step(joined.clone()).unwrap().is_empty());
    assert_eq!(run.step(joined).unwrap_err(), Refusal::Stale, "an event may come twice");
    assert!(run.state.branching().is_empty(), "nothing is to be counted any more");
    let effects = run.done("F[x]/n", "x again");
    assert!(matches!(&effects[..], [Effect::Returned { .. }, Effect::Dispatch(f)] if *f == path("F")));
    let (work, merged) = results(&mut run);
    assert_eq!(merged, [("x".to_owned(), Ok(payload("x again")))]);
    run.report(&work, Outcome::Done(payload("merged"))).unwrap();
    run.done("b", "first");
    assert_eq!(run.status(), Status::Succeeded);
    // After the end: one that was run again before, and another one.
    run.rerun("F[x]/n").unwrap();
    assert_eq!(
        (run.ready(), run.node("F").progress, run.node("b").progress),
        (vec!["F[x]/n".to_owned()], Progress::Branching, Progress::Waiting)
    );
    run.step(Event::Pause).unwrap();
    run.rerun("F[y]/n").unwrap();
    assert_eq!(redone(&run).iter().map(|redone| redone.result.is_some()).collect::<Vec<_>>(), [false, false]);
    run.done("F[x]/n", "x, third");
    assert_eq!(run.node("F").progress, Progress::Branching);
    run.done("F[y]/n", "y again");
    let (work, merged) = results(&mut run);
    assert_eq!(merged, [("x".to_owned(), Ok(payload("x, third"))), ("y".to_owned(), Ok(payload("y again")))]);
    run.report(&work, Outcome::Done(payload("merged"))).unwrap();
    run.done("b", "second");
    assert_eq!((run.status(), &run.state.run().result), (Status::Succeeded, &Some(payload("second"))));
    // The node that began them begins them anew.
    run.rerun("F").unwrap();
    run.execute("F", branched(&[("x", ""), ("y", "")]));
    assert_eq!(redone(&run), []);
}

/// RERUN-4.
#[test]
fn an_only_branch_is_reopened() {
    let mut run = Driver::new(flow(graph(vec![condition("C", &["x"]), node("b")], [("C", "b")])));
    run.execute("C", branched(&[("x", "")]));
    run.done("C[x]/n", "first");
    run.done("b", "");
    run.rerun("C[x]/n").unwrap();
    assert_eq!((run.ready(), run.node("C").progress), (vec!["C[x]/n".to_owned()], Progress::Branching));
    assert_eq!((&run.node("C").output, run.node("b").progress), (&None, Progress::Waiting));
    assert_eq!(run.node("C").branches.as_ref().unwrap().only, None, "what it returned before is gone");
    run.done("C[x]/n", "second");
    assert_eq!(run.node("C").output, Some(payload("second")));
    run.done("b", "");
    assert_eq!(run.status(), Status::Succeeded);
}

/// RERUN-5, CALL-5.
#[test]
fn what_is_done_anew_since_something_before_it_was_is_another_round() {
    let inner = graph(vec![node("m"), node("n")], [("m", "n")]);
    let each = for_each("F", inner, Branches { carries_nothing: true, ..Branches::default() });
    let nodes = vec![node("a"), node("b"), each, node("z")];
    let mut run = Driver::new(flow(graph(nodes, [("a", "b"), ("b", "F"), ("F", "z")])));
    let round = |run: &mut Driver, node: &str| {
        let work = run.claim(node).unwrap();
        run.report(&work, Outcome::Done(payload(""))).unwrap();
        work.round
    };
    let split = |run: &mut Driver| drop(run.execute("F", branched(&[("x", "")])));
    assert_eq!((round(&mut run, "a"), round(&mut run, "b")), (0, 0));
    split(&mut run);
    assert_eq!(round(&mut run, "F[x]/m"), 0);
    run.execute("F[x]/n", failed(false));
    // What failed gets what it got before, and is the same piece of work.
    run.step(Event::Rerun { from: None }).unwrap();
    assert_eq!((run.ready(), round(&mut run, "F[x]/n"), round(&mut run, "z")), (vec!["F[x]/n".to_owned()], 0, 0));
    // What follows a node that is run again is not; the node itself gets what it got before.
    run.rerun("F[x]/m").unwrap();
    assert_eq!(["F[x]/m", "F[x]/n", "z"].map(|node| round(&mut run, node)), [0, 1, 1]);
    run.rerun("b").unwrap();
    assert_eq!(round(&mut run, "b"), 0);
    split(&mut run);
    assert_eq!(["F[x]/m", "F[x]/n", "z"].map(|node| round(&mut run, node)), [1, 2, 2]);
    // Branches that are begun anew are others, too.
    run.rerun("F").unwrap();
    split(&mut run);
    assert_eq!(["F[x]/m", "F[x]/n", "z"].map(|node| round(&mut run, node)), [2, 3, 3]);
    // Not so if they are begun again since the replica was lost.
    run.rerun("a").unwrap();
    assert_eq!((round(&mut run, "a"), round(&mut run, "b")), (0, 1));
    run.claim("F").unwrap();
    run.now += 200;
    split(&mut run);
    assert_eq!(round(&mut run, "F[x]/m"), 3);
    run.step(Event::Stop).unwrap();
    run.step(Event::Rerun { from: None }).unwrap();
    // What had not begun has made no calls, so it needs no other keys.
    assert_eq!(round(&mut run, "F[x]/n"), 4);
}

/// RERUN-6.
#[test]
fn the_input_of_a_node_can_be_replaced_until_what_comes_before_it_is_done_anew() {
    let mut run = Driver::new(diamond());
    for node in ["a", "b", "c", "d"] {
        run.done(node, node);
    }
    let given = |run: &mut Driver, node: &str| {
        let work = run.claim(node).unwrap();
        run.report(&work, Outcome::Done(payload(""))).unwrap();
        let inputs: Vec<_> = work.inputs.into_iter().map(|input| (input.from, input.payload)).collect();
        (inputs, work.aggregator.is_some(), work.round)
    };
    let replaced = |text: &str| vec![(String::new(), payload(text))];
    run.step(Event::Rerun { from: Some(RerunFrom { path: path("d"), input: Some(payload("new")) }) }).unwrap();
    assert_eq!(given(&mut run, "d"), (replaced("new"), false, 1));
    run.rerun("d").unwrap();
    assert_eq!(given(&mut run, "d"), (replaced("new"), false, 1), "it gets the same again");
    run.step(Event::Rerun { from: Some(RerunFrom { path: path("a"), input: Some(payload("other")) }) }).unwrap();
    assert_eq!(given(&mut run, "a"), (replaced("other"), false, 1));
    run.done("b", "b");
    run.done("c", "c");
    let (inputs, _, round) = given(&mut run, "d");
    assert_eq!((inputs.len(), round), (2, 2), "what comes before it counts again");
}

/// RERUN-7.
#[test]
fn a_re_run_without_a_node_goes_on_from_what_failed_or_was_cut_off() {
    let mut run = Driver::new(diamond());
    let go_on = || Event::Rerun { from: None };
    run.done("a", "");
    assert_eq!(run.step(go_on()).unwrap_err(), Refusal::Running);
    run.step(Event::Pause).unwrap();
    assert_eq!(run.step(go_on()).unwrap_err(), Refusal::Whole);
    run.step(Event::Resume).unwrap();
    let cut_off = run.claim("b").unwrap();
    run.execute("c", failed(false));
    run.step(go_on()).unwrap();
    assert_eq!(run.ready(), ["b", "c"]);
    assert_eq!(run.report(&cut_off, Outcome::Done(payload(""))).unwrap_err(), Refusal::Stale);
    run.done("b", "");
    run.step(Event::Stop).unwrap();
    run.step(go_on()).unwrap();
    run.done("c", "");
    run.done("d", "");
    assert_eq!(run.step(go_on()).unwrap_err(), Refusal::Whole);
    assert_eq!(run.status(), Status::Succeeded);
}

/// CTRL-1.
#[test]
fn a_command_that_does_not_fit_the_state_of_the_run_is_refused_and_changes_nothing() {
    let mut run = Driver::new(diamond());
    assert_eq!(run.rerun("a").unwrap_err(), Refusal::Running);
    run.step(Event::Stop).unwrap();
    let ended = run.state.run().clone();
    for command in [Event::Pause, Event::Resume, Event::Stop, Event::Deadline] {
        assert_eq!(run.step(command.clone()).unwrap_err(), Refusal::Ended, "{command:?}");
    }
    assert_eq!(run.rerun("nowhere").unwrap_err(), Refusal::Unknown);
    assert_eq!(run.rerun("F[x]/n").unwrap_err(), Refusal::Needs(faas_flow_core::run::Doc::Scope(path("F[x]/n").scope)));
    assert_eq!(*run.state.run(), ended);
}

/// CTRL-1: the handlers of a run that is ending run to their end.
#[test]
fn a_run_whose_handlers_are_executing_cannot_be_stopped_or_re_run() {
    let mut run = Driver::new(Definition { finally: Some("h".to_owned()), ..diamond() });
    run.step(Event::Stop).unwrap();
    assert_eq!(run.status(), Status::Running);
    assert_eq!(run.step(Event::Stop).unwrap_err(), Refusal::Ended);
    assert_eq!(run.rerun("a").unwrap_err(), Refusal::Running);
    let token = ClaimToken::NONE;
    assert_eq!(run.step(Event::Release { path: path("a"), token }).unwrap_err(), Refusal::Ended);
    run.done("(finally)", "");
    assert_eq!(run.status(), Status::Stopped);
}
