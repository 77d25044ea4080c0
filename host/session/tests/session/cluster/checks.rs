//! What is checked of a run: its history, its answer, and how often its functions were called.

use super::Cluster;
use crate::work;
use faas_flow_core::run::{Attempt, NodeState, Progress, RunState, Scope};
use faas_flow_core::{Code, NodeId, NodePath, ResponseHead, ScopePath, Status};
use std::collections::BTreeSet;

impl Cluster {
    /// HIST-8: no try is in the history twice, and none is missing that failed under the claim with which its node was done.
    pub(super) fn check_tries(&self, state: &RunState) {
        let nodes = state.scopes().flat_map(|scope| scope.nodes.iter().map(move |node| (scope, node)));
        for (scope, node) in nodes {
            let known: Vec<u32> = node.tries.iter().flat_map(|tries| &tries.kept).map(|one| one.number).collect();
            let once: BTreeSet<u32> = known.iter().copied().collect();
            assert_eq!(once.len(), known.len(), "{known:?} of {}", scope.path.node(&node.id));
            let claim = (scope.path.node(&node.id).to_string(), node.token);
            let tried = self.tried.get(&claim).filter(|_| node.progress == Progress::Done);
            for number in tried.into_iter().flatten().rev().take(10) {
                assert!(once.contains(number), "try {number} of {claim:?} is lost: {known:?}");
            }
        }
    }

    /// The answer of the run is as one of the nodes has said that are done, or the failure handler; and if any of them has
    /// said something, it is not lost.
    pub(super) fn check_response(&self, state: &RunState) {
        let run = state.run();
        let is_done = |node: &&NodeState| node.progress == Progress::Done;
        let of_scope = |scope: &Scope| {
            let done = scope.nodes.iter().filter(is_done);
            done.map(|node| scope.path.node(&node.id)).collect::<Vec<NodePath>>()
        };
        let done: Vec<NodePath> = match run.status() {
            Status::Succeeded => {
                // What failed does not count, nor what was cancelled with it.
                let counts = |path: &NodePath| self.rerun || state.goes_on(path);
                state.scopes().flat_map(of_scope).filter(counts).collect()
            }
            Status::Failed => {
                let handler = run.hooks.iter().filter(is_done).filter(|hook| hook.id == NodeId::failure());
                handler.map(|hook| ScopePath::root().node(&hook.id)).collect()
            }
            _ => Vec::new(),
        };
        let said: Vec<ResponseHead> = done.iter().filter_map(work::response).collect();
        match run.response_head() {
            Some(head) => assert!(said.contains(head), "nobody has set {head:?}"),
            // What was set by a node that was executed again, in a branch that was not chosen again, is gone; and what was set last
            // is gone if it was set by something that has failed.
            None => {
                let caught =
                    |scope: &Scope| scope.caught.is_some() || scope.nodes.iter().any(|node| node.caught.is_some());
                assert!(said.is_empty() || self.rerun || state.scopes().any(caught), "{said:?} is lost");
            }
        }
    }

    /// A node whose work has effects is executed once, but for each lease of it that ran out.
    pub(super) fn check_calls(&self) {
        // What is executed again since somebody asked for it is checked by who asked.
        if self.rerun {
            return;
        }
        for (path, times) in &self.calls {
            let lost = self.lost_leases(path);
            assert!(*times <= 1 + lost, "{path} was executed {times} times, and {lost} leases of it ran out");
        }
    }

    /// How many leases of a node ran out, in all of its history.
    pub fn lost_leases(&self, path: &str) -> usize {
        let path = NodePath::parse(path).unwrap();
        let state = self.state().unwrap();
        let of_scope = state.scope(&path.scope).into_iter().flat_map(|scope| &scope.nodes);
        let Some(node) = of_scope.chain(&state.run().hooks).find(|node| node.id == path.node) else { return 0 };
        let is_lost =
            |attempt: &&Attempt| attempt.failure.as_ref().is_some_and(|failure| failure.code == Code::NODE_LOST);
        node.attempts.iter().filter(is_lost).count()
    }
}
