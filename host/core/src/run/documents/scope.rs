//! The documents of the instances of dags.

use super::{NodeState, Progress, is_zero};
use crate::run::caught::Caught;
use crate::run::token::ClaimToken;
use crate::{Millis, NodeId, Payload, PlanDag, ScopePath};
use serde::{Deserialize, Serialize};

/// One instance of a dag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// Its path.
    pub path: ScopePath,
    /// What its start gets.
    pub input: Payload,
    /// Its position among its siblings, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub index: u32,
    /// The number of siblings, including itself.
    pub siblings: u32,
    /// The claim that started it. It distinguishes this scope from one that a lost claim of the same node started.
    #[serde(rename = "epoch")]
    pub started_by: ClaimToken,
    /// In the order of the definition.
    pub nodes: Vec<NodeState>,
    /// The failure in it that was caught, by its `recover` handler or by the for-each around it. Nothing else of it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caught: Option<Box<Caught>>,
}

impl Scope {
    /// A scope whose start is ready. `place` is its position among its siblings, and their number.
    pub fn new(
        dag: &PlanDag,
        path: ScopePath,
        input: Payload,
        place: (u32, u32),
        started_by: ClaimToken,
        now: Millis,
    ) -> Self {
        let mut nodes: Vec<_> = dag.nodes.iter().map(|node| NodeState::new(node.id.clone())).collect();
        if let Some(start) = nodes.get_mut(dag.start) {
            start.progress = Progress::Ready;
            start.since = now;
        }
        Self { path, input, index: place.0, siblings: place.1, started_by, nodes, caught: None }
    }

    /// Copies from the scope that this one replaces the attempts and tries, for the history, and the rounds, so that no round
    /// of a node comes twice.
    pub(crate) fn follow(&mut self, earlier: &Scope) {
        for (node, earlier) in self.nodes.iter_mut().zip(&earlier.nodes) {
            node.attempts.clone_from(&earlier.attempts);
            node.tries.clone_from(&earlier.tries);
            node.round = earlier.round;
            node.called.clone_from(&earlier.called);
        }
    }

    /// A node's state, by its id.
    pub fn node(&self, id: &NodeId) -> Option<&NodeState> {
        self.nodes.iter().find(|node| node.id == *id)
    }

    /// Whether a node of this scope started `branch`, which is shown: it was not replaced, although it may be an earlier round of
    /// a repeat, of which nothing goes on.
    pub(in crate::run) fn began(&self, branch: &Scope) -> bool {
        let node = branch.path.parent().and_then(|(parent, _)| self.node(&parent.node));
        node.and_then(|node| node.branches.as_ref()).is_some_and(|branches| branches.have_begun(branch))
    }

    /// Whether a node of this scope started `branch` and has not replaced it since.
    pub fn started(&self, branch: &Scope) -> bool {
        let node = branch.path.parent().and_then(|(parent, _)| self.node(&parent.node));
        node.and_then(|node| node.branches.as_ref()).is_some_and(|branches| branches.started_by == branch.started_by)
    }
}
