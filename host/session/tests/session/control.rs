//! Runs that somebody pauses, resumes, stops or re-runs, or that have come to their end. The comment of a test names its rules in
//! `docs/concepts.md`.

use crate::replica::{Fate, LEASE, circumstances, perform, rules};
use crate::shared::{HERE, SENT, Shared, chain, command, done, fan, paths, report};
use faas_flow_core::definition::Definition;
use faas_flow_core::run::{Event, Phase, Progress, Refusal, Work};
use faas_flow_core::testing::{failed, flow, path, the_start};
use faas_flow_core::{Code, Status};
use faas_flow_session::{End, Input, Io};

/// END-2, STOP-1.
#[test]
fn work_in_flight_is_cancelled_when_another_replica_has_stopped_the_run() {
    let shared = Shared::new(chain());
    let (mut owner, _) = shared.begin(HERE);
    assert_eq!(shared.input(&mut shared.open(1), 3, command(Event::Stop)).end, Some(End::Ended));
    let ready = shared.input(&mut owner, 1 + LEASE / 3, Input::Check);
    assert_eq!((ready.cancel, ready.end, owner.executing()), (true, Some(End::EndedElsewhere), 0));
}

/// STOP-2: also after it has left the run, and with all nodes in one commit.
#[test]
fn a_replica_reports_once_what_it_no_longer_executes_after_another_one_has_stopped_the_run() {
    let shared = Shared::new(flow(fan()));
    let (mut owner, ready) = shared.begin(HERE);
    let started = shared.input(&mut owner, 2, done(&ready.start[0])).start;
    assert_eq!(started.len(), 3);
    let mut operator = shared.open(1);
    let stopped = shared.input(&mut operator, 3, command(Event::Stop));
    assert_eq!((stopped.end, stopped.cut_off), (Some(End::Ended), vec![]), "it executes nothing itself");
    assert_eq!(shared.stored().to_cut_off().len(), 3);
    // One of them notices since its report is refused.
    let ready = shared.input(&mut owner, 4, done(&started[0]));
    assert!(ready.cancel && owner.has_left());
    assert_eq!(ready.cut_off.len(), 3, "also the one that was executed to its end");
    let cut_off = ready.cut_off.clone();
    owner.input(Input::CutOff(ready.cut_off), &circumstances(5, HERE));
    let mut commits = 0;
    while let Some(io) = owner.io() {
        commits += usize::from(matches!(io, Io::Commit { .. }));
        owner.answer(perform(&the_start().id, io, &*shared.store, Fate::Answered), &circumstances(5, HERE));
    }
    assert_eq!((commits, owner.ready().end), (1, None));
    assert_eq!(shared.stored().to_cut_off(), []);
    // It has nothing to report of a run that goes on.
    shared.input(&mut shared.open(2), 6, command(Event::rerun_from(path("f2"))));
    let before = shared.stored().claims();
    shared.input(&mut owner, 7, Input::CutOff(cut_off));
    assert_eq!(shared.stored().claims(), before);
}

/// STOP-2, CLAIM-4: a replica whose claim is lost is told at its next check, and begins no call under it.
#[test]
fn a_check_says_under_which_claims_calls_may_begin() {
    let shared = Shared::new(flow(fan()));
    let (mut owner, ready) = shared.begin(HERE);
    let started = shared.input(&mut owner, 2, done(&ready.start[0])).start;
    let tokens = |works: &[Work]| works.iter().map(|work| work.token).collect::<Vec<_>>();
    let check = shared.input(&mut owner, 2 + LEASE / 3, Input::Check);
    assert_eq!(check.renewed, Some(tokens(&started)));
    let mut other = shared.open(1);
    shared.input(&mut other, 3 + LEASE, Input::Check);
    let taken = shared.input(&mut other, 3 + 3 * LEASE, Input::Claim(started[0].path.clone()));
    assert_eq!(taken.start.len(), 1);
    let check = shared.input(&mut owner, 4 + 3 * LEASE, Input::Check);
    assert_eq!((check.renewed, owner.executing()), (Some(tokens(&started[1..])), 2));
}

/// END-2.
#[test]
fn work_in_flight_is_cancelled_while_the_handlers_of_the_run_are_executing_elsewhere() {
    let shared = Shared::new(Definition { finally: Some("h".to_owned()), ..chain() });
    let (mut owner, _) = shared.begin(HERE);
    let mut other = shared.open(1);
    assert_eq!(paths(&shared.input(&mut other, 3, command(Event::Stop)).start), ["(finally)"]);
    let ready = shared.input(&mut owner, 1 + LEASE / 3, Input::Check);
    assert_eq!((ready.cancel, ready.end, owner.executing()), (true, None, 0));
}

/// END-5.
#[test]
fn history_and_result_are_kept_for_a_while_after_the_end() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    let ready = shared.input(&mut owner, 2, done(&ready.start[0]));
    shared.input(&mut owner, 3, done(&ready.start[0]));
    let mut caller = shared.open(1);
    assert_eq!(shared.entry().due, Some(3), "its callback is due first");
    shared.input(&mut caller, 4, command(Event::CallBack { until: 40 }));
    shared.input(&mut caller, 5, command(Event::CalledBack { tries: 1, failure: None, next: None }));
    let entry = shared.entry();
    assert_eq!((entry.status, entry.due), (Status::Succeeded, Some(3 + rules(0).history_ttl)));
}

/// END-5.
#[test]
fn a_run_that_has_failed_is_kept_for_a_time_of_its_own_and_listed_with_its_failure() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    shared.input(&mut owner, 2, report(&ready.start[0], failed(false)));
    let mut caller = shared.open(1);
    shared.input(&mut caller, 4, command(Event::CallBack { until: 40 }));
    shared.input(&mut caller, 5, command(Event::CalledBack { tries: 1, failure: None, next: None }));
    let entry = shared.entry();
    assert_eq!((entry.status, entry.due), (Status::Failed, Some(2 + rules(0).history_ttl_failed)));
    let failure = entry.failure.unwrap();
    assert_eq!((failure.code, failure.message.is_empty()), (Code::CALL_STATUS, false));
}

/// PAUSE-1.
#[test]
fn nodes_that_are_running_commit_when_another_replica_has_paused_the_run() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    assert_eq!(shared.input(&mut shared.open(1), 3, command(Event::Pause)).end, Some(End::Paused));
    assert_eq!(shared.entry().due, None, "an operator resumes it");
    let check = shared.input(&mut owner, 1 + LEASE / 3, Input::Check);
    assert!(!check.cancel && check.end.is_none());
    let ready = shared.input(&mut owner, 12, done(&ready.start[0]));
    assert_eq!((ready.start.len(), ready.end), (0, Some(End::Paused)));
    assert_eq!((shared.node("f1").progress, shared.node("f2").progress), (Progress::Done, Progress::Ready));
}

/// PAUSE-2.
#[test]
fn any_replica_resumes_a_run_and_starts_everything_that_is_ready() {
    let shared = Shared::new(flow(fan()));
    let (mut owner, ready) = shared.begin(HERE);
    shared.input(&mut shared.open(1), 3, command(Event::Pause));
    shared.input(&mut owner, 4, done(&ready.start[0]));
    let ready = shared.input(&mut shared.open(1), 5, command(Event::Resume));
    assert_eq!(paths(&ready.start), ["f2", "f3", "f4"]);
}

/// FAIL-9.
#[test]
fn the_owner_fails_a_run_whose_deadline_has_passed() {
    let shared = Shared::new(Definition { deadline_ms: Some(5), ..chain() });
    let (mut owner, _) = shared.begin(HERE);
    let ready = shared.input(&mut owner, 1 + LEASE / 3, Input::Check);
    assert_eq!((ready.cancel, ready.end), (true, Some(End::Ended)));
    assert_eq!(shared.stored().run().failure.as_ref().unwrap().code, Code::DEADLINE_PASSED);
}

/// FAIL-9.
#[test]
fn a_paused_run_is_due_at_its_deadline_and_the_replica_that_finds_it_fails_it() {
    let limited = Definition { deadline_ms: Some(50), finally: Some("h".to_owned()), ..chain() };
    let shared = Shared::new(limited);
    shared.begin(HERE);
    let mut operator = shared.open(1);
    assert_eq!(operator.deadline(), Some(51));
    assert_eq!(shared.input(&mut operator, 3, command(Event::Pause)).end, Some(End::Paused));
    assert_eq!((shared.entry().due, operator.deadline()), (Some(51), Some(51)));
    let early = shared.input(&mut shared.open(2), 50, command(Event::Deadline));
    assert_eq!(early.refused, Some(Refusal::Early { until: 51 }));
    let ready = shared.input(&mut shared.open(2), 51, Input::Recover);
    assert_eq!(paths(&ready.start), ["(finally)"]);
    let run = shared.stored().run().clone();
    assert_eq!((run.status(), run.failure.unwrap().code), (Status::Running, Code::DEADLINE_PASSED));
}

/// FAIL-9: what is done too late is not done, and another replica's copy of the run may be older than a re-run.
#[test]
fn of_two_replicas_that_see_the_deadline_pass_each_cuts_off_its_own_work() {
    let shared = Shared::new(Definition { deadline_ms: Some(50), ..flow(fan()) });
    let (mut owner, ready) = shared.begin(SENT);
    assert!(ready.start.is_empty());
    let ready = shared.input(&mut owner, 2, Input::Claim(path("f1")));
    let ready = shared.input_with(&mut owner, 3, SENT, done(&ready.start[0]));
    assert_eq!(ready.send.len(), 3);
    let mut helper = shared.open(1);
    let started = shared.input(&mut helper, 4, Input::Claim(path("f2"))).start;
    let kept = shared.input(&mut owner, 4, Input::Claim(path("f3"))).start;
    assert_eq!((started.len(), kept.len()), (1, 1));
    for session in [&mut owner, &mut helper] {
        session.input(command(Event::Deadline), &circumstances(51, HERE));
    }
    let (first, second) = (shared.settle(&mut owner, 51, HERE), shared.settle(&mut helper, 51, HERE));
    assert_eq!((first.cancel, first.end), (true, Some(End::Ended)));
    assert_eq!((second.cancel, second.end, second.refused), (true, Some(End::EndedElsewhere), None));
}

/// CTRL-1.
#[test]
fn of_two_commands_at_the_same_moment_the_one_that_comes_too_late_is_refused() {
    let shared = Shared::new(chain());
    shared.begin(HERE);
    let (mut one, mut other) = (shared.open(1), shared.open(2));
    for session in [&mut one, &mut other] {
        session.input(command(Event::Stop), &circumstances(3, HERE));
    }
    let (first, second) = (shared.settle(&mut one, 3, HERE), shared.settle(&mut other, 3, HERE));
    assert_eq!((first.refused, first.abandoned), (None, None));
    assert_eq!((second.refused, second.abandoned), (Some(Refusal::Ended), None));
}

/// RERUN-1: a replica whose copy of the run is old looks at what is stored before it refuses.
#[test]
fn a_run_is_re_run_from_a_node_that_was_not_ready_when_the_replica_read_it() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    let mut asked = shared.open(1);
    let second = shared.input(&mut owner, 2, done(&ready.start[0])).start;
    assert_eq!(shared.input(&mut owner, 3, report(&second[0], failed(false))).end, Some(End::Ended));
    let ready = shared.input(&mut asked, 4, command(Event::rerun_from(path("f2"))));
    assert_eq!((ready.refused, paths(&ready.start)), (None, vec!["f2".to_owned()]));
}

/// BACK-7.
#[test]
fn a_callback_is_sent_again_once_though_two_replicas_are_asked() {
    let shared = Shared::new(chain());
    shared.begin(HERE);
    shared.input(&mut shared.open(1), 3, command(Event::Stop));
    let mut first = shared.open(1);
    shared.input(&mut first, 4, command(Event::CallBack { until: 40 }));
    shared.input(&mut first, 5, command(Event::CalledBack { tries: 1, failure: None, next: None }));
    let (mut one, mut other) = (shared.open(2), shared.open(3));
    for session in [&mut one, &mut other] {
        session.input(command(Event::SendCallback), &circumstances(6, HERE));
    }
    let (first, second) = (shared.settle(&mut one, 6, HERE), shared.settle(&mut other, 6, HERE));
    assert_eq!((first.refused, first.abandoned), (None, None));
    assert_eq!((second.refused, second.abandoned), (Some(Refusal::Sending), None));
    let delivery = shared.input(&mut one, 7, command(Event::CallBack { until: 40 })).call_back.unwrap();
    assert_eq!((delivery.tries, delivery.earlier), (2, 0));
}

/// BACK-4.
#[test]
fn only_one_replica_at_a_time_sends_the_callback() {
    let shared = Shared::new(chain());
    shared.begin(HERE);
    shared.input(&mut shared.open(1), 3, command(Event::Stop));
    assert_eq!(shared.stored().run().phase, Phase::Ended);
    let (mut first, mut second) = (shared.open(1), shared.open(2));
    for session in [&mut first, &mut second] {
        session.input(command(Event::CallBack { until: 40 }), &circumstances(4, HERE));
    }
    let delivery = shared.settle(&mut first, 4, HERE).call_back.unwrap();
    assert_eq!((&*delivery.url, delivery.tries), ("http://127.0.0.1/done", 1));
    assert_eq!(shared.settle(&mut second, 4, HERE).call_back, None);
    let mut third = shared.open(3);
    let early = shared.input(&mut third, 39, command(Event::CallBack { until: 70 }));
    assert_eq!((early.call_back, early.refused), (None, Some(Refusal::Early { until: 40 })));
    assert_eq!(shared.input(&mut third, 40, command(Event::CallBack { until: 70 })).call_back.unwrap().tries, 2);
}
