//! Runs that start at a moment that their caller names.

use faas_flow_core::definition::Definition;
use faas_flow_core::run::{Effect, Event, Refusal, RunState, Start};
use faas_flow_core::testing::{flow, lone, path, the_start};
use faas_flow_core::{Plan, Status};

const START: u64 = 1_000;

fn starting(definition: Definition) -> (Plan, RunState) {
    let plan = Plan::new(definition).unwrap();
    let (state, effects) = RunState::start(&plan, Start { start_at: Some(START), ..the_start() });
    assert!(effects.is_empty(), "nothing is to be executed yet: {effects:?}");
    (plan, state)
}

fn claim(now: u64) -> Event {
    let token = faas_flow_core::run::ClaimToken::new(1);
    Event::Claim { path: path("n"), owner: "me".into(), token, until: now + 100, lost: None }
}

/// START-1, START-2.
#[test]
fn nothing_of_a_run_is_executed_before_its_moment() {
    let (plan, mut state) = starting(flow(lone()));
    let early = Err(Refusal::Early { until: START });
    assert_eq!(state.step(&plan, &claim(START - 1), START - 1).map(drop), early);
    assert_eq!((state.claimable(START - 1), state.is_claimable(&path("n"), START - 1)), (vec![], false));
    assert_eq!((state.next_wake(), state.starts_later(START - 1)), (Some(START), Some(START)));
    assert_eq!(state.claimable(START), [path("n")]);
    state.step(&plan, &claim(START), START).unwrap();
    assert_eq!((state.next_wake(), state.run().started, state.starts_later(START)), (None, START, None));
}

/// START-3, FAIL-9.
#[test]
fn the_deadline_counts_from_the_moment_of_the_start() {
    let (plan, mut state) = starting(Definition { deadline_ms: Some(50), ..flow(lone()) });
    assert_eq!(state.run().deadline, Some(START + 50));
    assert!(state.step(&plan, &Event::Deadline, START + 49).is_err());
    state.step(&plan, &Event::Deadline, START + 50).unwrap();
    assert_eq!(state.run().status(), Status::Failed);
}

/// START-4: a pause does not move the moment, and who runs a run again does not wait for it.
#[test]
fn a_run_can_be_paused_resumed_stopped_and_run_again_before_it_starts() {
    let (plan, mut state) = starting(Definition { finally: Some("h".to_owned()), ..flow(lone()) });
    state.step(&plan, &Event::Pause, 10).unwrap();
    assert_eq!(state.next_wake(), None);
    assert!(state.step(&plan, &Event::Resume, 20).unwrap().is_empty());
    assert_eq!(state.next_wake(), Some(START));
    let effects = state.step(&plan, &Event::Stop, 30).unwrap();
    assert!(
        matches!(&effects[..], [Effect::Cancel, Effect::Dispatch(_)]),
        "its handler is called at once: {effects:?}"
    );
    assert!(state.is_claimable(&path("(finally)"), 30));
    let (plan, mut state) = starting(flow(lone()));
    state.step(&plan, &Event::Stop, 30).unwrap();
    assert_eq!(state.run().status(), Status::Stopped);
    let effects = state.step(&plan, &Event::Rerun { from: None }, 40).unwrap();
    assert!(matches!(&effects[..], [Effect::Dispatch(node)] if *node == path("n")), "{effects:?}");
    assert_eq!(state.claimable(40), [path("n")]);
}
