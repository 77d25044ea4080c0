//! Rounds of a repeat: branches of one node, each of which begins with the result of the one before.

use super::documents::{Attempt, Branches, NodeState, Scope};
use super::events::{Refusal, Task};
use super::state::RunState;
use super::token::ClaimToken;
use crate::plan::{PlanKind, PlanNode, round_of};
use crate::{BranchKey, NodePath, Payload};

/// What a repeat is to do after the latest round has ended. `None` for nodes of other kinds, and before the first round.
pub(super) fn after_round(node: &PlanNode, state: &NodeState) -> Option<Task> {
    let branches = state.branches.as_ref()?;
    let (_, result) = branches.only.clone()?;
    repeat(node, Some((branches.round, result)))
}

/// The task of a repeat, with the number and the result of the round that has ended.
pub(super) fn repeat(node: &PlanNode, ended: Option<(u32, Payload)>) -> Option<Task> {
    let PlanKind::Repeat(repeat) = &node.kind else { return None };
    Some(Task::Repeat { handler: repeat.handler.clone(), most: repeat.most, wait_ms: repeat.wait_ms, ended })
}

/// The number of the round that a node is about to begin, from 1; 0 for nodes of other kinds.
pub(super) fn begun_round(node: &PlanNode, begun: &[(Option<BranchKey>, Payload)]) -> u32 {
    match (&node.kind, begun) {
        (PlanKind::Repeat(_), [(Some(key), _)]) => round_of(key).unwrap_or_default(),
        _ => 0,
    }
}

impl RunState {
    /// Begins a round. If there was a round with this number before, from which a re-run has gone back, what its nodes did was
    /// another piece of work.
    pub(super) fn begin_round(&mut self, scope: Scope) -> Result<(), Refusal> {
        let path = scope.path.clone();
        let earlier = self.scope(&path).map(|earlier| &*earlier.nodes).unwrap_or_default();
        let executed: Vec<bool> = earlier.iter().map(|node| !node.token.is_none()).collect();
        self.begin_scope(scope);
        for (node, executed) in self.change_scope(&path)?.nodes.iter_mut().zip(executed) {
            node.round += u32::from(executed);
        }
        Ok(())
    }

    /// The claim that began a round, and its number; `None` if this branch of the node is no round.
    pub(super) fn round_begun(&self, node: &NodePath, key: Option<&BranchKey>) -> Option<(ClaimToken, u32)> {
        let is_repeat = self.scope(&node.scope)?.node(&node.node)?.branches.as_ref()?.round > 0;
        let round = self.scope(&node.scope.branch(&node.node, key)).filter(|_| is_repeat)?;
        Some((round.started_by, round.index + 1))
    }
}

impl Branches {
    /// Whether a branch is shown: it is one of these, or an earlier round.
    pub(super) fn have_begun(&self, branch: &Scope) -> bool {
        // A later round may be stored: a re-run has gone back to an earlier one.
        self.started_by == branch.started_by || branch.index + 1 < self.round
    }
}

impl NodeState {
    /// Forgets the attempts that asked after earlier rounds whether there is another one, so that the node does not grow with
    /// the number of its rounds.
    pub(super) fn forget_rounds(&mut self) {
        if self.branches.as_ref().is_some_and(|branches| branches.round > 1) {
            let mut is_first = true;
            let stays = |attempt: &Attempt| attempt.failure.is_some() || std::mem::take(&mut is_first);
            self.attempts.retain(stays);
        }
    }
}
