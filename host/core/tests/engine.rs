//! The engine over random dags, nested, in random orders, with repeated events and lost replicas.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Driver, Random, definition};
use faas_flow_core::run::{Event, Progress};
use faas_flow_core::{Plan, Status};
use proptest::prelude::*;

fn plan(seed: u64) -> Plan {
    Plan::new(definition(&mut Random(seed | 1), 2 + (seed % 2) as usize)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_node_commits_once_and_the_order_of_branches_does_not_matter(shape in any::<u64>(), orders in prop::array::uniform3(any::<u64>())) {
        let plan = plan(shape);
        let traces = orders.map(|seed| Driver::new(&plan, seed).run());
        prop_assert_eq!(traces[0].status, Some(Status::Succeeded));
        prop_assert!(traces[0].commits.values().chain(traces[0].merges.values()).all(|n| *n == 1), "{:?}", traces[0]);
        for node in &plan.root().nodes {
            prop_assert!(traces[0].commits.contains_key(node.id.as_str()), "{} never ran", node.id);
        }
        prop_assert_eq!(&traces[0], &traces[1]);
        prop_assert_eq!(&traces[0], &traces[2]);
    }

    #[test]
    fn repeated_events_and_lost_replicas_change_nothing(shape in any::<u64>(), order in any::<u64>()) {
        let plan = plan(shape);
        let calm = Driver::new(&plan, order).run();
        let mut driver = Driver::new(&plan, order.rotate_left(7));
        driver.faults = true;
        prop_assert_eq!(driver.run(), calm);
    }

    #[test]
    fn one_failing_node_fails_the_run_once(shape in any::<u64>(), order in any::<u64>(), which in any::<prop::sample::Index>()) {
        let plan = plan(shape);
        let calm = Driver::new(&plan, order).run();
        let nodes: Vec<&String> = calm.commits.keys().filter(|path| !path.contains('(')).collect();
        let mut driver = Driver::new(&plan, order);
        driver.failing = Some((*which.get(&nodes)).clone());
        let trace = driver.run();
        prop_assert_eq!(trace.status, Some(Status::Failed));
        let hooks = |path: &str| trace.commits.get(path).copied().unwrap_or(0);
        prop_assert_eq!(hooks("(failure)"), usize::from(plan.definition().on_failure.is_some()));
        prop_assert_eq!(hooks("(finally)"), usize::from(plan.definition().finally.is_some()));
        if plan.definition().on_failure.is_some() {
            prop_assert_eq!(trace.result.as_deref(), Some("recovered FF0012"));
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
    use faas_flow_core::run::{Effect, Outcome, Refusal, Report};
    use faas_flow_core::{NodePath, Payload};

    fn claim(path: &str, until: u64) -> Event {
        Event::Claim { path: NodePath::parse(path).unwrap(), owner: "me".to_owned(), until }
    }

    fn done(path: &str, token: u32) -> Event {
        let report = Report { outcome: Outcome::Done(Payload::empty()), input_size: 0, attempts: Vec::new() };
        Event::Complete { path: NodePath::parse(path).unwrap(), token, report }
    }

    #[test]
    fn a_paused_run_commits_what_runs_and_starts_nothing_until_resumed() {
        let plan = chain();
        let (mut state, _) = common::start(&plan);
        state.step(&plan, claim("a", 100), 2).unwrap();
        state.step(&plan, Event::Pause, 3).unwrap();
        assert_eq!(state.run().status(), Status::Paused);
        state.step(&plan, done("a", 1), 4).unwrap();
        assert_eq!(state.step(&plan, claim("b", 100), 5).unwrap_err(), Refusal::Paused);
        let effects = state.step(&plan, Event::Resume, 6).unwrap();
        assert!(matches!(&effects[..], [Effect::Dispatch(path)] if path.to_string() == "b"));
        state.step(&plan, claim("b", 100), 7).unwrap();
        state.step(&plan, done("b", 1), 8).unwrap();
        assert_eq!(state.run().status(), Status::Succeeded);
    }

    #[test]
    fn a_stale_fencing_token_cannot_commit() {
        let plan = chain();
        let (mut state, _) = common::start(&plan);
        state.step(&plan, claim("a", 10), 2).unwrap();
        assert_eq!(state.step(&plan, claim("a", 20), 9).unwrap_err(), Refusal::Leased);
        state.step(&plan, claim("a", 20), 10).unwrap();
        assert_eq!(state.step(&plan, done("a", 1), 11).unwrap_err(), Refusal::Stale);
        state.step(&plan, done("a", 2), 12).unwrap();
        let node = &state.scopes().next().unwrap().nodes[0];
        assert_eq!(node.progress, Progress::Done);
        assert_eq!(node.attempts[0].failure.as_ref().unwrap().code, faas_flow_core::Code::NODE_LOST);
    }

    #[test]
    fn a_stopped_run_ends_at_once_and_takes_no_more_reports() {
        let plan = chain();
        let (mut state, _) = common::start(&plan);
        state.step(&plan, claim("a", 100), 2).unwrap();
        let effects = state.step(&plan, Event::Stop, 3).unwrap();
        assert!(matches!(&effects[..], [Effect::Cancel, Effect::Ended]));
        assert_eq!(state.step(&plan, done("a", 1), 4).unwrap_err(), Refusal::Ended);
        assert_eq!(state.step(&plan, Event::Stop, 4).unwrap_err(), Refusal::Ended);
        assert_eq!(state.run().status(), Status::Stopped);
    }

    #[test]
    fn a_deadline_fails_the_run() {
        let plan = chain();
        let (mut state, _) = common::start(&plan);
        state.step(&plan, Event::Deadline, 3).unwrap();
        assert_eq!(state.run().failure.as_ref().unwrap().code, faas_flow_core::Code::DEADLINE_PASSED);
    }
}
