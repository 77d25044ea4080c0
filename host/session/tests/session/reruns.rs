//! Running a part of a run again.

use crate::cluster::{Cluster, Faults, Trace};
use crate::properties::{calm, plan};
use faas_flow_core::run::{Event, Refusal};
use faas_flow_core::{NodePath, Status};
use proptest::prelude::*;

fn path(text: &str) -> NodePath {
    NodePath::parse(text).unwrap()
}

/// One of the nodes that a run executed.
fn any_of(trace: &Trace, which: &prop::sample::Index) -> String {
    which.get(&trace.done.iter().collect::<Vec<_>>()).to_string()
}

/// Asks to re-run from a node, or from the one that the refusal names instead.
fn rerun_from_or_around(cluster: &mut Cluster, at: &str) {
    let mut at = path(at);
    while let Err(refusal) = cluster.ask(Event::rerun_from(at.clone())) {
        at = match refusal {
            // It is behind the node that failed, or in branches that are not begun.
            Refusal::Unready | Refusal::Stale | Refusal::Unknown => path("n0"),
            refusal => panic!("{at}: {refusal}"),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn from_the_node_that_failed_the_rest_runs_once(shape in any::<u64>(), order in any::<u64>(), which in any::<prop::sample::Index>(), more_replicas in 0..3usize) {
        let plan = plan(shape, 2);
        let calm = calm(&plan, order);
        let failing = any_of(&calm, &which);
        let mut cluster = Cluster::new(&plan, order, Faults { more_replicas, ..Faults::default() });
        cluster.failing = Some((failing.clone(), false));
        prop_assert_eq!(cluster.run().status, Some(Status::Failed));
        cluster.failing = None;
        cluster.ask(Event::rerun_from(path(&failing))).unwrap();
        prop_assert_eq!(cluster.run(), calm);
    }

    #[test]
    fn two_operators_who_re_run_in_the_same_moment_begin_each_node_once(shape in any::<u64>(), order in any::<u64>()) {
        let plan = plan(shape, 1);
        let calm = calm(&plan, order);
        let mut cluster = Cluster::new(&plan, order, Faults { more_replicas: 2, ..Faults::default() });
        cluster.run();
        cluster.forget_calls();
        cluster.ask_twice_at_once(&Event::rerun_from(path("n0")));
        prop_assert_eq!(cluster.run(), calm);
        for (node, times) in cluster.calls() {
            let lost = cluster.lost_leases(node);
            prop_assert!(*times <= 1 + lost, "{} was executed {} times, and {} leases of it ran out", node, times, lost);
        }
    }

    #[test]
    fn from_any_node_after_any_failure_the_result_is_as_without(shape in any::<u64>(), order in any::<u64>(), whiches in prop::array::uniform3(any::<prop::sample::Index>()), merging in any::<bool>(), odds in 4..30usize) {
        let plan = plan(shape, 2);
        let calm = calm(&plan, order);
        let mut cluster = Cluster::new(&plan, order, Faults::all(1, odds));
        cluster.failing = Some((any_of(&calm, &whiches[0]), merging));
        cluster.run();
        cluster.failing = None;
        // And once more when the run has succeeded.
        for which in &whiches[1..] {
            rerun_from_or_around(&mut cluster, &any_of(&calm, which));
            prop_assert_eq!(cluster.run(), calm.clone());
        }
    }
}
