//! What the history says of tries and times.

use faas_flow_core::definition::{Branches, Definition, Exhausted};
use faas_flow_core::run::{
    Actor, Attempt, Event, KeptLog, KeptOperations, Outcome, Progress, Refusal, Report, RunView, Suspended, Try, Work,
};
use faas_flow_core::testing::{Driver, branched, failed, flow, for_each, graph, lone, node, path, payload, reported};
use faas_flow_core::{Code, Failure, Millis, PolicyOf, Spent, Status};

/// A run of one node `n`, whose work it has claimed.
fn claimed() -> (Driver, Work) {
    let mut run = Driver::new(flow(lone()));
    let work = run.claim("n").unwrap();
    (run, work)
}

/// HIST-12: with what it does, and not if it is refused.
#[test]
fn a_run_remembers_who_has_asked_for_what() {
    let (mut run, _) = claimed();
    let alice = Actor { who: Some("alice".to_owned()), reason: Some("too slow".to_owned()), ..Actor::default() };
    run.step(Event::Pause.by(Some(&alice))).unwrap();
    run.step(Event::Resume.by(None)).unwrap();
    run.step(Event::Stop.by(Some(&alice))).unwrap();
    run.step(Event::Pause.by(Some(&alice))).unwrap_err();
    let actions = RunView::head(run.state.run()).actions;
    let words: Vec<&str> = actions.iter().map(|action| action.action.as_str()).collect();
    assert_eq!(words, ["pause", "stop"]);
    assert!(actions.iter().all(|action| action.actor == alice));
    assert!(actions[1].to_string().ends_with("Z stop by alice: too slow"), "{}", actions[1]);
}

/// HIST-12: the latest ones.
#[test]
fn a_run_forgets_the_oldest_actions() {
    let (mut run, _) = claimed();
    for number in 0..60 {
        let actor = Actor { who: Some(number.to_string()), ..Actor::default() };
        run.step(Event::Pause.by(Some(&actor))).unwrap();
    }
    let actions = RunView::head(run.state.run()).actions;
    assert_eq!((actions.len(), actions[0].actor.who.as_deref()), (50, Some("10")));
}

/// A try that failed, after which the next one is due at this moment, or none.
fn busy(number: u32, ended: Millis, next: Option<Millis>) -> Try {
    let failure = Failure::retry(Code::CALL_STATUS, "busy");
    Try { next, ..Try::begin(0, number, 4, ended - 1).failed(ended, Some(503), &failure) }
}

/// Reports what came of a claim, with the attempt that has ended, if one has, and tries that are not noted.
fn report(run: &mut Driver, work: &Work, outcome: Outcome, attempt: Option<Attempt>, tries: Vec<Try>) {
    let attempts = attempt.into_iter().collect();
    let report = Report { attempts, tries, ..reported(outcome) };
    run.step(Event::Complete { path: work.path.clone(), token: work.token, report }).unwrap();
}

fn succeeded(started: Millis, ended: Millis) -> Option<Attempt> {
    Some(Attempt { started, ended, failure: None, next: None })
}

/// HIST-6, HIST-7: four failures and a recovery are four tries of one attempt.
#[test]
fn a_call_that_was_tried_four_times_and_recovered_has_four_tries() {
    let (mut run, work) = claimed();
    let mut tries: Vec<Try> = (1..=3).map(|number| busy(number, 10 * u64::from(number), Some(99))).collect();
    tries.push(Try { recovered: true, ..busy(4, 40, None) });
    report(&mut run, &work, Outcome::Done(payload("instead")), succeeded(5, 41), tries);
    let shown = run.shown("n");
    assert_eq!((shown.tried(), shown.attempts.len(), shown.has_failed()), (4, 1, false));
    let seen: Vec<_> = shown.tries.kept.iter().map(|one| (one.number, one.status, one.next, one.recovered)).collect();
    let again = |number| (number, Some(503), Some(99), false);
    assert_eq!(seen, [again(1), again(2), again(3), (4, Some(503), None, true)]);
    let happened = shown.happened();
    assert!(happened.len() == 4 && happened[3].ends_with("busy; recovered"), "{happened:?}");
}

/// HIST-7, HIST-8: what is noted while the node goes on is shown while it waits, and once.
#[test]
fn tries_are_shown_while_the_node_goes_on() {
    let (mut run, work) = claimed();
    assert!(run.tried(&work, &[busy(1, 10, Some(70))]).unwrap().is_empty());
    let shown = run.shown("n");
    let retrying = shown.retrying().unwrap();
    assert_eq!((retrying.ended, retrying.next, retrying.call.unwrap().number), (10, 70, 1));
    assert_eq!((shown.progress, shown.tried(), shown.has_failed()), (Progress::Running, 1, true));
    assert_eq!(run.tried(&work, &[busy(1, 10, Some(70))]).unwrap_err(), Refusal::Stale, "it has it already");
    run.tried(&work, &[busy(2, 71, Some(80))]).unwrap();
    assert_eq!(run.shown("n").tried(), 2);
    let fine = Try { status: Some(200), ..Try::begin(0, 3, 4, 80) };
    report(&mut run, &work, Outcome::Done(payload("")), succeeded(5, 81), vec![fine]);
    let shown = run.shown("n");
    assert_eq!((shown.tried(), shown.has_failed(), shown.retrying().is_none()), (3, false, true));
    assert_eq!(run.tried(&work, &[busy(3, 90, None)]).unwrap_err(), Refusal::Ended);
}

/// HIST-1, HIST-7, CLAIM-5: a claim that is lost adds nothing, and what it has noted stays.
#[test]
fn tries_of_a_lost_claim_stay_and_none_are_added() {
    let (mut run, work) = claimed();
    run.tried(&work, &[busy(1, 10, Some(20))]).unwrap();
    run.now += 200;
    let second = run.claim("n").unwrap();
    assert_eq!(run.tried(&work, &[busy(2, 300, None)]).unwrap_err(), Refusal::Stale);
    let shown = run.shown("n");
    assert_eq!((shown.tries.kept.len(), shown.attempts.len()), (1, 1));
    assert!(shown.retrying().is_none(), "a new attempt begins with its first try");
    run.report(&second, Outcome::Done(payload(""))).unwrap();
    assert_eq!(run.shown("n").tries.kept.len(), 1);
}

/// HIST-1: also what waits as a whole for its next attempt.
#[test]
fn an_attempt_says_when_the_next_one_was_due() {
    let (mut run, work) = claimed();
    let failure = Some(Failure::retry(Code::CALL_STATUS, "busy"));
    let attempts = vec![Attempt { started: 5, ended: 9, failure, next: Some(60) }];
    let event = Event::Tried { path: path("n"), token: work.token, attempts, tries: Vec::new() };
    run.step(event).unwrap();
    let shown = run.shown("n");
    let retrying = shown.retrying().unwrap();
    assert_eq!((retrying.call.is_none(), retrying.ended, retrying.next), (true, 9, 60));
    assert_eq!(shown.happened().len(), 1);
}

/// HIST-1, WAIT-1: a call whose tries are far apart is one attempt, whichever replicas make them.
#[test]
fn an_attempt_goes_on_behind_a_stored_wait() {
    let (mut run, work) = claimed();
    let wait = |begun| Suspended {
        until: 50,
        operation: 0,
        tries: 1,
        begun,
        data: Some(payload("x")),
        wait: None,
        asleep: None,
        failed: 0,
    };
    report(&mut run, &work, Outcome::Suspended(wait(Some(2))), None, vec![busy(1, 10, Some(50))]);
    let shown = run.shown("n");
    assert_eq!((shown.progress, shown.tried(), shown.waits_until), (Progress::Ready, 1, Some(50)));
    assert!(shown.has_failed() && shown.took().is_none() && shown.retrying().unwrap().next == 50);
    run.now = 50;
    let work = run.claim("n").unwrap();
    assert_eq!(work.suspended.clone().unwrap().begun, Some(2));
    // The replica is lost: the attempt ends with that, and another one begins where it was.
    run.now += 200;
    let work = run.claim("n").unwrap();
    let lost = run.node("n").attempts[0].clone();
    assert_eq!((lost.started, lost.ended), (2, run.now), "from its begin, with the wait");
    assert_eq!(work.suspended.unwrap().begun, None);
    assert_eq!(run.node("n").started, Some(2));
}

/// HIST-9, END-3: a failure handler speaks for itself.
#[test]
fn the_failure_of_a_run_says_which_policy_ran_out_unless_a_handler_replaces_it() {
    let spent = Failure {
        exhausted: Some(Spent { policy: PolicyOf::Node, tries: 3 }),
        ..Failure::retry(Code::CALL_STATUS, "busy")
    };
    let mut run = Driver::new(Definition { on_failure: Some("h".to_owned()), ..flow(lone()) });
    run.execute("n", Outcome::Failed(spent));
    let failure = run.state.run().failure.clone().unwrap().to_string();
    assert!(failure.ends_with("busy (the retry policy of the node ran out after 3 attempts)"), "{failure}");
    run.execute("(failure)", Outcome::Failed(Failure::reject(Code::GUEST_REJECTED, "closed")));
    assert!(run.state.run().failure.clone().unwrap().to_string().ends_with(": closed"));
}

/// HIST-2, HIST-10: the time before a re-run does not count.
#[test]
fn a_node_that_runs_again_begins_anew() {
    let mut run = Driver::new(flow(graph(vec![node("a"), node("b")], [("a", "b")])));
    run.done("a", "");
    run.now = 100;
    run.execute("b", failed(false));
    let took = |run: &Driver, node: &str| run.shown(node).took();
    assert_eq!((took(&run, "a"), took(&run, "b")), (Some(1), Some(1)));
    run.now = 1_000_000;
    run.step(Event::Rerun { from: None }).unwrap();
    assert_eq!((run.shown("b").started, took(&run, "a")), (None, Some(1)));
    run.done("b", "");
    assert_eq!(took(&run, "b"), Some(1));
    assert_eq!(run.shown("b").attempts.len(), 2, "the history has both");
    let view = RunView::new(run.state.run(), run.state.scopes());
    assert_eq!((view.rerun, view.took(0)), (Some(1_000_001), 2));
    run.now = 2_000_000;
    run.rerun("a").unwrap();
    assert_eq!((run.shown("a").started, run.shown("b").started), (None, None));
    run.done("a", "");
    assert_eq!(took(&run, "a"), Some(1));
    // What waited for its turn in the re-run has not begun.
    run.step(Event::Stop).unwrap();
    assert_eq!((run.shown("b").progress, run.shown("b").started), (Progress::Waiting, None));
}

/// HIST-2, HIST-10: what was cut off goes on in the re-run, and its branches with it.
#[test]
fn a_node_whose_branches_go_on_in_a_re_run_began_with_it() {
    let each = for_each("F", lone(), Branches { aggregator: Some("a".to_owned()), ..Branches::default() });
    let mut run = Driver::new(flow(graph(vec![each], [])));
    run.execute("F", branched(&[("x", ""), ("y", "")]));
    run.done("F[x]/n", "");
    run.execute("F[y]/n", failed(false));
    run.now = 1_000_000;
    run.step(Event::Rerun { from: None }).unwrap();
    assert_eq!(run.shown("F").started, Some(1_000_001));
    run.done("F[y]/n", "");
    let claimed = run.now;
    run.step(Event::Joined { path: path("F"), started_by: run.node("F").branches.clone().unwrap().started_by })
        .unwrap();
    run.done("F", "merged");
    assert_eq!(run.status(), Status::Succeeded);
    assert_eq!(run.shown("F").took(), Some(run.now - 1_000_001));
    assert!(run.shown("F[x]/n").started.unwrap() < 100, "what was done before is as it was");
    assert!(run.shown("F[y]/n").started.unwrap() < claimed);
    // One item is run again, long after that.
    run.now = 5_000_000;
    run.rerun("F[x]/n").unwrap();
    assert_eq!(run.shown("F").started, Some(5_000_001));
    run.done("F[x]/n", "");
    run.done("F", "merged again");
    assert_eq!(run.shown("F").took(), Some(run.now - 5_000_001));
    assert_eq!(run.shown("F[x]/n").took(), Some(1));
}

/// HIST-10: waits and pauses are part of the time from the start of a node to its end.
#[test]
fn the_time_of_a_node_contains_its_waits_and_pauses() {
    let (mut run, work) = claimed();
    let wait = Suspended {
        until: 50,
        operation: 0,
        tries: 1,
        begun: Some(2),
        data: Some(payload("x")),
        wait: None,
        asleep: None,
        failed: 0,
    };
    report(&mut run, &work, Outcome::Suspended(wait), None, Vec::new());
    run.step(Event::Pause).unwrap();
    run.now = 700;
    run.step(Event::Resume).unwrap();
    assert_eq!((run.shown("n").took(), run.shown("n").started), (None, Some(2)));
    run.done("n", "");
    assert_eq!(run.shown("n").took(), Some(run.now - 2));
    assert_eq!(run.now, 703);
}

/// HIST-2, HIST-10: the operator's time to answer does not count.
#[test]
fn a_node_whose_failure_paused_the_run_begins_anew_after_it() {
    let mut run = Driver::new(Definition { on_exhausted: Exhausted::Pause, ..flow(lone()) });
    run.execute("n", failed(true));
    assert_eq!((run.status(), run.shown("n").started), (Status::Paused, Some(2)));
    run.now = 9_000;
    run.step(Event::Resume).unwrap();
    run.done("n", "");
    assert_eq!((run.shown("n").took(), run.shown("n").tried()), (Some(1), 2));
}

/// HIST-2: a node that a lost replica was executing has the time since its first claim.
#[test]
fn a_node_whose_lease_ran_out_has_the_time_since_its_first_claim() {
    let (mut run, _) = claimed();
    run.now += 300;
    run.done("n", "");
    assert_eq!((run.shown("n").started, run.shown("n").took()), (Some(2), Some(302)));
}

/// HIST-11: a node has a part of the log for each claim under which its code has logged something; what does not fit is counted.
#[test]
fn a_node_keeps_what_it_has_logged_under_each_claim() {
    let (mut run, mut work) = claimed();
    let mut logs = |mark, lines, dropped, outcome| {
        let report = Report { log: Some(KeptLog { mark, lines, dropped }), ..reported(outcome) };
        run.step(Event::Complete { path: work.path.clone(), token: work.token, report }).unwrap();
        run.now = 100;
        if let Ok(again) = run.claim("n") {
            work = again;
        }
        (run.node("n").logs.clone(), run.shown("n").log_lines)
    };
    let first = KeptLog { mark: 1, lines: 3, dropped: 0 };
    let waits = || Outcome::Suspended(Suspended::until(50));
    assert_eq!(logs(1, 3, 0, waits()), (vec![first], 3));
    let second = KeptLog { mark: 2, lines: 2, dropped: 1 };
    assert_eq!(logs(2, 2, 1, waits()), (vec![first, second], 5));
    let counted = KeptLog { dropped: 8, ..second };
    assert_eq!(
        logs(3, 0, 7, Outcome::Done(payload("out"))),
        (vec![first, counted], 5),
        "without lines it has no document"
    );
    assert_eq!(first.doc().as_deref(), Some("log:0000000000000001"));
    assert_eq!(KeptLog { mark: 1, lines: 0, dropped: 1 }.doc(), None);
}

/// HIST-13: a node has a part for each claim under which its operations got or yielded something. However often it is claimed, its
/// history stays small: the first parts and the latest are kept, and what is left out between them is counted.
#[test]
fn a_node_keeps_what_its_operations_got_and_yielded_under_each_claim() {
    let (mut run, mut work) = claimed();
    let waits = || Outcome::Suspended(Suspended::until(50));
    let mut operations = |mark, kept, dropped, outcome| {
        let report = Report { operations: Some(KeptOperations { mark, kept, dropped }), ..reported(outcome) };
        run.step(Event::Complete { path: work.path.clone(), token: work.token, report }).unwrap();
        run.now = 100;
        if let Ok(again) = run.claim("n") {
            work = again;
        }
        (run.node("n").operations.clone(), run.shown("n").operation_data)
    };
    let first = KeptOperations { mark: 1, kept: 3, dropped: 1 };
    assert_eq!(operations(1, 3, 1, waits()), (vec![first], 3));
    assert_eq!(operations(2, 0, 7, waits()), (vec![KeptOperations { dropped: 8, ..first }], 3));
    assert_eq!(first.doc().as_deref(), Some("operations:0000000000000001"));
    assert_eq!(KeptOperations { mark: 1, kept: 0, dropped: 1 }.doc(), None);
    for mark in 2..100 {
        operations(mark, 2, 0, waits());
    }
    let (parts, count) = operations(100, 2, 0, Outcome::Done(payload("out")));
    assert_eq!((parts.len(), count), (64, 3 + 63 * 2));
    let marks: Vec<u64> = parts.iter().map(|part| part.mark).collect();
    assert_eq!(marks, (1..=8).chain(45..=100).collect::<Vec<_>>());
    assert_eq!(parts.iter().map(|part| part.dropped).sum::<u32>(), 8 + 36 * 2, "what is left out is counted");
}
