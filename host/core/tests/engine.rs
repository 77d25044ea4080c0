//! The engine over random dags, nested, in random orders, with repeated events and lost replicas.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::simulation::{Faults, Simulation, Trace};
use common::{Random, definition};
use faas_flow_core::run::{Event, Progress};
use faas_flow_core::{Plan, Status};
use proptest::prelude::*;

fn plan(seed: u64) -> Plan {
    Plan::new(definition(&mut Random(seed | 1), 2 + (seed % 2) as usize)).unwrap()
}

/// One replica, no faults.
fn calm(plan: &Plan, seed: u64) -> Trace {
    Simulation::new(plan, seed, Faults::default()).run()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_node_commits_once_and_the_order_of_branches_does_not_matter(shape in any::<u64>(), orders in prop::array::uniform3(any::<u64>())) {
        let plan = plan(shape);
        let traces = orders.map(|seed| calm(&plan, seed));
        prop_assert_eq!(traces[0].status, Some(Status::Succeeded));
        let counts = [&traces[0].commits, &traces[0].merges, &traces[0].joins];
        prop_assert!(counts.iter().all(|counts| counts.values().all(|n| *n == 1)), "{:?}", traces[0]);
        for node in &plan.root().nodes {
            prop_assert!(traces[0].commits.contains_key(node.id.as_str()), "{} never ran", node.id);
        }
        prop_assert_eq!(&traces[0], &traces[1]);
        prop_assert_eq!(&traces[0], &traces[2]);
    }

    #[test]
    fn replicas_that_crash_hang_wait_and_hear_late_or_twice_change_nothing(shape in any::<u64>(), order in any::<u64>(), more_replicas in 0..3usize, odds in 4..30usize) {
        let plan = plan(shape);
        let faults = Faults { more_replicas, odds, crash_at: None };
        prop_assert_eq!(Simulation::new(&plan, order.rotate_left(7), faults).run(), calm(&plan, order));
    }

    #[test]
    fn replicas_side_by_side_change_nothing(shape in any::<u64>(), order in any::<u64>()) {
        let plan = plan(shape);
        let faults = Faults { more_replicas: 2, ..Faults::default() };
        prop_assert_eq!(Simulation::new(&plan, order.rotate_left(7), faults).run(), calm(&plan, order));
    }

    #[test]
    fn one_failing_node_fails_the_run_once(shape in any::<u64>(), order in any::<u64>(), which in any::<prop::sample::Index>()) {
        let plan = plan(shape);
        let failing = any_of(&calm(&plan, order), &which);
        let mut simulation = Simulation::new(&plan, order, Faults::default());
        simulation.failing = Some(failing);
        let trace = simulation.run();
        prop_assert_eq!(trace.status, Some(Status::Failed));
        let hooks = |path: &str| trace.commits.get(path).copied().unwrap_or(0);
        prop_assert_eq!(hooks("(failure)"), usize::from(plan.definition().on_failure.is_some()));
        prop_assert_eq!(hooks("(finally)"), usize::from(plan.definition().finally.is_some()));
        if plan.definition().on_failure.is_some() {
            prop_assert_eq!(trace.result.as_deref(), Some("recovered FF0012"));
        }
    }
}

/// One of the nodes that a run executed, and whether it is to fail when it merges.
fn any_of(trace: &Trace, which: &prop::sample::Index) -> (String, bool) {
    let own = trace.commits.keys().filter(|path| !path.starts_with('(')).map(|path| (path.clone(), false));
    let nodes: Vec<_> = own.chain(trace.merges.keys().map(|path| (path.clone(), true))).collect();
    which.get(&nodes).clone()
}

#[test]
fn a_crash_at_any_point_changes_nothing() {
    for shape in 0..24u64 {
        let plan = Plan::new(definition(&mut Random(shape.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), 1)).unwrap();
        let mut first = Simulation::new(&plan, shape, Faults { more_replicas: 1, ..Faults::default() });
        let calm = first.run();
        for point in 1..=first.points {
            let faults = Faults { more_replicas: 1, crash_at: Some(point), ..Faults::default() };
            assert_eq!(Simulation::new(&plan, shape, faults).run(), calm, "shape {shape}, point {point}");
        }
    }
}

fn chain() -> Plan {
    use faas_flow_core::definition::*;
    let node = |id: &str| Node { id: id.to_owned(), kind: NodeKind::Operations(Operations::default()) };
    let edge = Edge { from: "a".to_owned(), to: "b".to_owned(), carries: Carries::Output };
    let dag = Dag { nodes: vec![node("a"), node("b")], edges: vec![edge], ..Dag::default() };
    Plan::new(faas_flow_core::Definition { dag, ..Default::default() }).unwrap()
}

mod control {
    use super::*;
    use faas_flow_core::run::{ClaimToken, Effect, Outcome, Refusal, Report};
    use faas_flow_core::{NodePath, Payload};

    fn claim(path: &str, until: u64) -> Event {
        let token = ClaimToken::new(1);
        Event::Claim { path: NodePath::parse(path).unwrap(), owner: "me".into(), token, until }
    }

    fn done(path: &str, token: u32) -> Event {
        let token = ClaimToken::new(token);
        let report = Report { outcome: Outcome::Done(Payload::empty()), input_size: 0, attempts: Vec::new() };
        Event::Complete { path: NodePath::parse(path).unwrap(), token, report }
    }

    #[test]
    fn a_paused_run_commits_what_runs_and_starts_nothing_until_resumed() {
        let plan = chain();
        let (mut state, _) = common::start(&plan);
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
        let (mut state, _) = common::start(&plan);
        let other = |until| match claim("a", until) {
            Event::Claim { path, until, .. } => {
                Event::Claim { path, owner: "other".into(), token: ClaimToken::new(2), until }
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
        let (mut winner, mut loser) = (common::start(&plan).0, common::start(&plan).0);
        // Both replicas claim the node, each in its own copy of the same state.
        let claimed = |token| Event::Claim {
            path: NodePath::parse("a").unwrap(),
            owner: "a replica".into(),
            token: ClaimToken::new(token),
            until: 100,
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
    fn a_node_that_was_given_back_may_be_claimed_at_once() {
        let plan = chain();
        let (mut state, _) = common::start(&plan);
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
        let (mut state, _) = common::start(&plan);
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
        let (mut state, _) = common::start(&plan);
        state.step(&plan, &Event::Deadline, 3).unwrap();
        assert_eq!(state.run().failure.as_ref().unwrap().code, faas_flow_core::Code::DEADLINE_PASSED);
    }
}
