//! Joins: branches arrive in a set, and the node that started them continues when all of them have.

use crate::batch::{Arriving, Basis};
use crate::session::{Session, Todo};
use faas_flow_core::NodePath;
use faas_flow_core::run::{ClaimToken, Event};

impl Session {
    pub(crate) fn arrive(&mut self, arriving: Arriving) {
        self.queue.branch_ended(&self.plan, &arriving.node, &arriving.branch);
        // If the branch is not stored, neither are its siblings, so all of them arrive in this batch.
        let counts = !self.state.is_stored(&arriving.branch);
        let (node, started_by, total) = (arriving.node.clone(), arriving.started_by, arriving.total);
        let set = arriving.member.set.clone();
        self.batch.arrivals.push(arriving);
        if counts && self.batch.arrived(&set).count() == total as usize {
            self.join(node, started_by, Basis::Arrivals(total));
        }
    }

    /// Notes that all branches of a node have ended, unless that is noted already: each of several branches that arrive in
    /// the same commit may complete the set, and a replay applies the join that it contains.
    pub(crate) fn join(&mut self, node: NodePath, started_by: ClaimToken, basis: Basis) {
        let to_be_applied =
            |todo: &Todo| matches!(todo, Todo::Apply(applying) if is_join(&applying.event, &node, started_by));
        let is_next = self.joined.iter().any(|(path, of, _)| (path, *of) == (&node, started_by));
        if is_next || self.todo.iter().any(to_be_applied) {
            return;
        }
        self.queue.joined(&node);
        self.joined.push_back((node, started_by, basis));
    }
}

/// Whether the event says that all branches which this claim of the node started have ended.
pub(crate) fn is_join(event: &Event, node: &NodePath, claim: ClaimToken) -> bool {
    matches!(event, Event::Joined { path, started_by } if path == node && *started_by == claim)
}
