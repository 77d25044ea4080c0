//! Answers to nodes that wait for something outside of the run.

use super::caught::Withdrawn;
use super::documents::{Answer, Awaited, Progress, Said, Wait, WaitId};
use super::engine::Followed;
use super::events::{Effect, Refusal};
use super::state::RunState;
use crate::{Millis, NodePath};

/// Whether this may end the wait. A node may wait for a permit, and then ask under the same claim, so their ids may be the same.
pub(super) fn fits(wait: &Wait, said: &Said) -> bool {
    matches!(wait.of, Awaited::Limit { .. }) == matches!(said, Said::Permit)
}

/// Whether this counts, although there is an answer that no wait has been reported for yet.
fn overrides(said: &Said, to: WaitId, answer: &Answer) -> bool {
    match (said, &answer.said) {
        (Said::Permit, Said::Response { .. } | Said::Failed(_)) => false,
        (Said::Response { .. } | Said::Failed(_), Said::Permit) => true,
        _ => answer.to != to,
    }
}

impl RunState {
    /// Takes the first answer to the present question of a node. The node may be claimed at once if it is suspended. If it is
    /// still running, it finds the answer when it reports that it waits.
    pub(super) fn answer(&mut self, path: &NodePath, to: WaitId, said: &Said, now: Millis) -> Followed {
        let node = self.node(path)?;
        let asks = match node.progress {
            Progress::Ready => node.awaits().is_some_and(|wait| wait.id == to && fits(wait, said)),
            // Its replica is about to report that it waits, or is looking for the answer.
            Progress::Running => {
                let is_asked = node.token == to.claim || node.asked().is_some_and(|wait| wait.id == to);
                is_asked && node.answer.as_ref().is_none_or(|answer| overrides(said, to, answer))
            }
            _ => false,
        };
        if !asks {
            return Err(Refusal::Stale);
        }
        let waits = node.progress == Progress::Ready;
        let node = self.change(path)?;
        node.answer = Some(Box::new(Answer { to, at: now, said: said.clone() }));
        Ok(waits.then(|| Effect::Dispatch(path.clone())).into_iter().collect())
    }

    /// The nodes of withdrawn parts of the run that waited for an answer, in loaded scopes.
    pub fn withdrawn(&self, parts: &[Withdrawn]) -> Vec<(NodePath, &Wait)> {
        let nodes = self.scopes().flat_map(|scope| scope.nodes.iter().map(|node| (scope.path.node(&node.id), node)));
        let waits = nodes.filter(|(path, _)| parts.iter().any(|part| part.contains(path)));
        waits.filter_map(|(path, node)| Some((path, node.asked()?))).collect()
    }

    /// The nodes that waited for an answer when a part of the run around them was withdrawn or replaced, in loaded scopes.
    pub fn forgotten(&self) -> Vec<(NodePath, &Wait)> {
        self.awaiting().into_iter().filter(|(path, _)| !self.goes_on(path)).collect()
    }

    /// The nodes that wait for an answer, or have waited for one when a part of the run around them was withdrawn or replaced, in
    /// loaded scopes, whatever the phase of the run.
    pub fn awaiting(&self) -> Vec<(NodePath, &Wait)> {
        let nodes = self.scopes().flat_map(|scope| scope.nodes.iter().map(|node| (scope.path.node(&node.id), node)));
        nodes.filter_map(|(path, node)| Some((path, node.asked()?))).collect()
    }
}
