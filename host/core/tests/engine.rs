//! How events change the state of a run, one rule at a time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use faas_flow_core::run::{ClaimToken, Effect, Event, HeldClaim, Outcome, Progress, Refusal, RunState};
use faas_flow_core::testing::{reported, the_start};
use faas_flow_core::{NodePath, Payload, Plan, Status};

fn chain() -> Plan {
    use faas_flow_core::definition::*;
    let node = |id: &str| Node { id: id.to_owned(), kind: NodeKind::Operations(Operations::default()) };
    let edge = Edge { from: "a".to_owned(), to: "b".to_owned(), carries: Carries::Output };
    let dag = Dag { nodes: vec![node("a"), node("b")], edges: vec![edge], ..Dag::default() };
    Plan::new(faas_flow_core::Definition { dag, ..Default::default() }).unwrap()
}

fn claim(path: &str, until: u64) -> Event {
    let token = ClaimToken::new(1);
    Event::Claim { path: NodePath::parse(path).unwrap(), owner: "me".into(), token, until, lost: None }
}

fn done(path: &str, token: u32) -> Event {
    let token = ClaimToken::new(token);
    let report = reported(Outcome::Done(Payload::empty()));
    Event::Complete { path: NodePath::parse(path).unwrap(), token, report }
}

#[test]
fn a_paused_run_commits_what_runs_and_starts_nothing_until_resumed() {
    let plan = chain();
    let (mut state, _) = RunState::start(&plan, the_start());
    state.step(&plan, &claim("a", 100), 2).unwrap();
    state.step(&plan, &Event::Pause, 3).unwrap();
    assert_eq!(state.run().status(), Status::Paused);
    state.step(&plan, &done("a", 1), 4).unwrap();
    assert_eq!(state.step(&plan, &claim("b", 100), 5).unwrap_err(), Refusal::Paused);
    let effects = state.step(&plan, &Event::Resume, 6).unwrap();
    assert!(matches!(&effects[..], [Effect::Dispatch(path)] if path.to_string() == "b"));
    state.step(&plan, &claim("b", 100), 7).unwrap();
    state.step(&plan, &done("b", 1), 8).unwrap();
    assert_eq!(state.run().status(), Status::Succeeded);
}

#[test]
fn a_stale_fencing_token_cannot_commit() {
    let plan = chain();
    let (mut state, _) = RunState::start(&plan, the_start());
    let other = |until| match claim("a", until) {
        Event::Claim { path, until, .. } => {
            let lost = Some(HeldClaim { token: ClaimToken::new(1), until: Some(10) });
            Event::Claim { path, owner: "other".into(), token: ClaimToken::new(2), until, lost }
        }
        _ => unreachable!(),
    };
    state.step(&plan, &claim("a", 10), 2).unwrap();
    assert_eq!(state.step(&plan, &other(20), 9).unwrap_err(), Refusal::Leased);
    state.step(&plan, &other(20), 10).unwrap();
    assert_eq!(state.step(&plan, &done("a", 1), 11).unwrap_err(), Refusal::Stale);
    state.step(&plan, &done("a", 2), 12).unwrap();
    let node = &state.scopes().next().unwrap().nodes[0];
    assert_eq!(node.progress, Progress::Done);
    assert_eq!(node.attempts[0].failure.as_ref().unwrap().code, faas_flow_core::Code::NODE_LOST);
}

#[test]
fn of_two_claims_that_race_only_the_one_that_was_committed_may_report() {
    let plan = chain();
    let (mut winner, mut loser) = (RunState::start(&plan, the_start()).0, RunState::start(&plan, the_start()).0);
    // Both replicas claim the node, each in its own copy of the same state.
    let claimed = |token| Event::Claim {
        path: NodePath::parse("a").unwrap(),
        owner: "a replica".into(),
        token: ClaimToken::new(token),
        until: 100,
        lost: None,
    };
    winner.step(&plan, &claimed(1), 2).unwrap();
    loser.step(&plan, &claimed(2), 2).unwrap();
    // The loser's commit conflicts, so it loads what the winner committed.
    let scope = winner.scopes().next().unwrap().clone();
    loser.load_scope(scope, 1);
    assert_eq!(loser.step(&plan, &claimed(2), 3).unwrap_err(), Refusal::Leased);
    assert_eq!(loser.step(&plan, &done("a", 2), 4).unwrap_err(), Refusal::Stale);
    loser.step(&plan, &done("a", 1), 4).unwrap();
}

#[test]
fn a_node_that_was_released_may_be_claimed_at_once() {
    let plan = chain();
    let (mut state, _) = RunState::start(&plan, the_start());
    state.step(&plan, &claim("a", 10), 2).unwrap();
    let release = |token| {
        let token = ClaimToken::new(token);
        Event::Release { path: NodePath::parse("a").unwrap(), token }
    };
    assert_eq!(state.step(&plan, &release(2), 3).unwrap_err(), Refusal::Stale);
    state.step(&plan, &release(1), 3).unwrap();
    assert_eq!(state.claimable(3).len(), 1);
    assert_eq!(state.step(&plan, &done("a", 1), 4).unwrap_err(), Refusal::Stale);
}

#[test]
fn a_stopped_run_ends_at_once_and_takes_no_more_reports() {
    let plan = chain();
    let (mut state, _) = RunState::start(&plan, the_start());
    state.step(&plan, &claim("a", 100), 2).unwrap();
    let effects = state.step(&plan, &Event::Stop, 3).unwrap();
    assert!(matches!(&effects[..], [Effect::Cancel, Effect::Ended]));
    assert_eq!(state.step(&plan, &done("a", 1), 4).unwrap_err(), Refusal::Ended);
    assert_eq!(state.step(&plan, &Event::Stop, 4).unwrap_err(), Refusal::Ended);
    assert_eq!(state.run().status(), Status::Stopped);
}

#[test]
fn a_deadline_fails_the_run() {
    let plan = chain();
    let (state, _) = RunState::start(&plan, the_start());
    let mut state = RunState::load(faas_flow_core::run::Run { deadline: Some(3), ..state.run().clone() }, 1);
    state.step(&plan, &Event::Deadline, 3).unwrap();
    assert_eq!(state.run().failure.as_ref().unwrap().code, faas_flow_core::Code::DEADLINE_PASSED);
}
