//! Random dags, nested, in random orders, with repeated events, a failing store and lost replicas.

use crate::cluster::{Cluster, Faults, Trace};
use faas_flow_core::run::{Event, NodeState, Progress};
use faas_flow_core::testing::{Random, definition, with_calls, with_catches, with_repeats, with_signals};
use faas_flow_core::{Code, Definition, Plan, Status};
use proptest::prelude::*;
use std::sync::Arc;

pub fn plan(seed: u64, depth: usize) -> Arc<Plan> {
    let definition = without_repeats(seed, depth);
    Arc::new(Plan::new(with_repeats(definition, &mut Random(seed.rotate_left(17) | 1))).unwrap())
}

/// What `plan` made before there were repeats, for the seeds that were found then.
fn without_repeats(seed: u64, depth: usize) -> Definition {
    let mut random = Random(seed | 1);
    let definition = definition(&mut random, depth);
    with_calls(definition, &mut random)
}

/// One replica, no faults.
pub fn calm(plan: &Arc<Plan>, seed: u64) -> Trace {
    Cluster::new(plan, seed, Faults::default()).run()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_in_which_nodes_end_does_not_matter(shape in any::<u64>(), orders in prop::array::uniform3(any::<u64>())) {
        let plan = plan(shape, 2);
        let traces = orders.map(|seed| calm(&plan, seed));
        prop_assert_eq!(traces[0].status, Some(Status::Succeeded));
        for node in &plan.root().nodes {
            prop_assert!(traces[0].done.contains(node.id.as_str()), "{} never ran", node.id);
        }
        prop_assert_eq!(&traces[0], &traces[1]);
        prop_assert_eq!(&traces[0], &traces[2]);
    }

    #[test]
    fn replicas_that_crash_wait_hear_late_or_twice_and_lose_answers_change_nothing(shape in any::<u64>(), order in any::<u64>(), more_replicas in 0..3usize, odds in 4..30usize) {
        let plan = plan(shape, 2);
        let faulty = Cluster::new(&plan, order.rotate_left(7), Faults::all(more_replicas, odds)).run();
        prop_assert_eq!(faulty, calm(&plan, order));
    }

    /// COMMIT-4.
    #[test]
    fn while_no_replica_is_lost_each_node_with_calls_is_executed_once(shape in any::<u64>(), order in any::<u64>(), odds in 2..10usize) {
        let plan = plan(shape, 2);
        let faults = Faults { more_replicas: 2, events: odds, store: odds * 4, ..Faults::default() };
        let mut cluster = Cluster::new(&plan, order, faults);
        prop_assert_eq!(cluster.run(), calm(&plan, order));
    }

    #[test]
    fn two_operators_who_resume_in_the_same_moment_begin_each_node_once(shape in any::<u64>(), order in any::<u64>()) {
        let plan = plan(shape, 1);
        let mut cluster = Cluster::new(&plan, order, Faults { more_replicas: 2, ..Faults::default() });
        cluster.run_some(5);
        if cluster.state().is_some_and(|state| state.run().status() == Status::Running) {
            cluster.ask(Event::Pause).unwrap();
            cluster.run();
            cluster.ask_twice_at_once(&Event::Resume);
        }
        prop_assert_eq!(cluster.run(), calm(&plan, order));
    }

    /// FAIL-9.
    #[test]
    fn whatever_goes_wrong_no_node_ends_after_the_deadline(shape in any::<u64>(), order in any::<u64>(), deadline in 1..600u64, more_replicas in 0..3usize, odds in 4..30usize) {
        let plan = plan(shape, 2);
        let limited = Definition { deadline_ms: Some(deadline), ..Definition::clone(plan.definition()) };
        let limited = Arc::new(Plan::new(limited).unwrap());
        let mut cluster = Cluster::new(&limited, order, Faults::all(more_replicas, odds));
        let trace = cluster.run();
        let state = cluster.state().unwrap();
        // Who begins the run again after it was lost begins its deadline anew.
        let passed = state.run().deadline.unwrap();
        let done = |node: &&NodeState| node.progress == Progress::Done;
        let late = state.scopes().flat_map(|scope| scope.nodes.iter()).filter(done).find(|node| node.since >= passed);
        prop_assert!(late.is_none(), "{:?} ended after {}", late, passed);
        if trace.status == Some(Status::Succeeded) {
            prop_assert_eq!(trace, calm(&plan, order));
        } else {
            prop_assert_eq!(state.run().failure.as_ref().map(|failure| failure.code), Some(Code::DEADLINE_PASSED));
        }
    }

    #[test]
    fn one_failing_node_fails_the_run_once(shape in any::<u64>(), order in any::<u64>(), which in any::<prop::sample::Index>()) {
        let plan = plan(shape, 2);
        let done: Vec<String> = calm(&plan, order).done.into_iter().collect();
        let mut cluster = Cluster::new(&plan, order, Faults::default());
        cluster.failing = Some((which.get(&done).clone(), false));
        let trace = cluster.run();
        let handlers = |path: &str| cluster.calls().get(path).copied().unwrap_or(0);
        if trace.status == Some(Status::Failed) {
            prop_assert_eq!(handlers("(failure)"), usize::from(plan.definition().on_failure.is_some()));
            prop_assert_eq!(handlers("(finally)"), usize::from(plan.definition().finally.is_some()));
            if plan.definition().on_failure.is_some() {
                prop_assert_eq!(trace.result.as_deref(), Some("recovered FF0012"));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// CATCH-3, TOLERATE-1: who catches a failure, and what comes of it, does not depend on what else goes wrong.
    #[test]
    fn a_failure_is_caught_by_the_same_handler_whatever_goes_wrong(shape in any::<u64>(), order in any::<u64>(), more_replicas in 0..3usize, odds in 4..30usize, which in any::<prop::sample::Index>()) {
        let mut random = Random(shape | 1);
        let definition = definition(&mut random, 2);
        let definition = with_repeats(with_calls(definition, &mut random), &mut random);
        let definition = with_catches(definition, &mut random);
        let plan = Arc::new(Plan::new(definition).unwrap());
        let done: Vec<String> = calm(&plan, order).done.into_iter().collect();
        let run = |seed, faults| {
            let mut cluster = Cluster::new(&plan, seed, faults);
            cluster.failing = Some((which.get(&done).clone(), false));
            let trace = cluster.run();
            (trace.status, trace.result)
        };
        let faulty = run(order.rotate_left(7), Faults::all(more_replicas, odds));
        prop_assert_eq!(faulty, run(order, Faults::default()));
    }
}

/// A plan in which many nodes wait for signals.
fn plan_with_signals(seed: u64) -> Arc<Plan> {
    let mut random = Random(seed.rotate_left(29) | 1);
    let definition = Definition::clone(plan(seed, 2).definition());
    Arc::new(Plan::new(with_signals(definition, &mut random)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// SIGNAL-1, SIGNAL-2, SIGNAL-7: each signal is the output of one node, whatever is lost, repeated or late, and however
    /// often its sender sends it.
    #[test]
    fn each_signal_is_taken_once_whatever_goes_wrong(shape in any::<u64>(), order in any::<u64>(), more_replicas in 0..3usize, odds in 4..30usize) {
        let plan = plan_with_signals(shape);
        let faulty = Cluster::new(&plan, order.rotate_left(7), Faults::all(more_replicas, odds)).run();
        let calm = calm(&plan, order);
        prop_assert_eq!(calm.status, Some(Status::Succeeded));
        prop_assert_eq!(faulty, calm);
    }
}

#[test]
fn a_crash_at_any_step_changes_nothing() {
    for shape in 0..24u64 {
        let plan = plan(shape.wrapping_mul(0x9e37_79b9_7f4a_7c15), 1);
        let mut first = Cluster::new(&plan, shape, Faults { more_replicas: 1, ..Faults::default() });
        let calm = first.run();
        for step in 1..=first.steps {
            let faults = Faults { more_replicas: 1, crash_at: Some(step), ..Faults::default() };
            assert_eq!(Cluster::new(&plan, shape, faults).run(), calm, "shape {shape}, step {step}");
        }
    }
}

/// A replica with an old copy claimed the node that was to merge its branches, took it for the node that was to start them,
/// and started them a second time when its commit conflicted.
#[test]
fn a_claim_that_would_mean_something_else_is_not_replayed() {
    let plan = Arc::new(Plan::new(without_repeats(12_610_405_320_339_937_554, 2)).unwrap());
    let faults = Faults { more_replicas: 2, events: 5, store: 20, ..Faults::default() };
    let order = 6_632_879_963_064_696_036;
    assert_eq!(Cluster::new(&plan, order, faults).run(), calm(&plan, order));
}

/// Branches had arrived in a batch whose commit conflicted with a pause, so their ends were refused, and their join was not.
#[test]
fn a_join_whose_branches_did_not_arrive_is_not_replayed() {
    let plan = Arc::new(Plan::new(without_repeats(3_203_635_887_047_295_200, 1)).unwrap());
    let order = 2_145_708_317_390_036_968;
    let mut cluster = Cluster::new(&plan, order, Faults { more_replicas: 2, ..Faults::default() });
    cluster.run_some(5);
    cluster.ask(Event::Pause).unwrap();
    cluster.run();
    cluster.ask_twice_at_once(&Event::Resume);
    assert_eq!(cluster.run(), calm(&plan, order));
}

/// REPEAT-1: otherwise the properties above would say nothing about rounds.
#[test]
fn some_runs_have_several_rounds() {
    let seeds = (0..64u64).map(|seed| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let rounds = seeds.map(|seed| calm(&plan(seed, 2), seed).done.iter().any(|path| path.contains("[3]/")));
    let many = rounds.filter(|has_rounds| *has_rounds).count();
    assert!(many >= 4, "{many} of 64");
}
