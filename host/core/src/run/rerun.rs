//! Re-running a run from one of its nodes.

use super::documents::{Callback, NodeState, Phase, Progress, Scope};
use super::engine::Followed;
use super::events::{Effect, Refusal};
use super::state::RunState;
use crate::plan::{Plan, PlanDag};
use crate::{Millis, NodePath, ScopePath};

impl RunState {
    pub(super) fn rerun(&mut self, plan: &Plan, path: &NodePath, now: Millis) -> Followed {
        let run = self.run();
        let ended = match run.phase {
            Phase::Ended => true,
            Phase::Flow if run.paused => false,
            _ => return Err(Refusal::Running),
        };
        let reopened = self.reopened(plan, path)?;
        let failed = run.failure.as_ref().and_then(|failure| failure.path.as_ref());
        if let Some(Err(Refusal::Needs(doc))) = failed.map(|path| self.live(&path.scope)) {
            return Err(Refusal::Needs(doc));
        }
        self.unwind(plan, path, Progress::Ready, now)?;
        for parent in &reopened {
            self.unwind(plan, parent, Progress::Branching, now)?;
        }
        if ended {
            self.revive(now)?;
        }
        self.begin_again(plan, now);
        Ok(self.claimable(now).into_iter().map(Effect::Dispatch).collect())
    }

    /// The nodes whose only branch has ended and is to be reopened, from the innermost outwards. Refused if the branch has
    /// siblings, since the set that collects their results takes each member once.
    fn reopened(&self, plan: &Plan, path: &NodePath) -> Result<Vec<NodePath>, Refusal> {
        let mut scope = self.live(&path.scope)?;
        let mut dag = plan.dag(&path.scope).ok_or(Refusal::Unknown)?;
        let node = dag.node(&path.node).ok_or(Refusal::Unknown)?;
        if !node.inputs.iter().all(|input| is_done(scope, input.from)) {
            return Err(Refusal::Unready);
        }
        let mut reopened = Vec::new();
        while let Some((parent, _)) = scope.path.parent().filter(|_| is_done(scope, dag.end)) {
            if scope.siblings > 1 {
                return Err(Refusal::Arrived { node: parent });
            }
            scope = self.live(&parent.scope)?;
            dag = plan.dag(&parent.scope).ok_or(Refusal::Unknown)?;
            reopened.push(parent);
        }
        Ok(reopened)
    }

    /// Undoes a node and everything after it in its dag.
    fn unwind(&mut self, plan: &Plan, path: &NodePath, progress: Progress, now: Millis) -> Result<(), Refusal> {
        let dag = plan.dag(&path.scope).ok_or(Refusal::Unknown)?;
        let at = dag.position(&path.node).ok_or(Refusal::Unknown)?;
        let reopens = progress == Progress::Branching;
        let scope = self.change_scope(&path.scope)?;
        let mut undone = Vec::new();
        for (i, after) in descendants(dag, at).into_iter().enumerate() {
            let Some(node) = scope.nodes.get_mut(i).filter(|_| after) else { continue };
            let branches = node.branches.take();
            node.clear(if i == at { progress } else { Progress::Waiting }, now);
            node.output = None;
            (node.suspended, node.answer) = (None, None);
            if i == at && reopens {
                node.branches = branches.map(|branches| super::Branches { only: None, ..branches });
            } else {
                undone.push(path.scope.node(&node.id));
            }
        }
        self.unset_response(&undone);
        Ok(())
    }

    /// Forgets the status and headers of the result if a node has set them that is undone.
    fn unset_response(&mut self, undone: &[NodePath]) {
        let by = self.run().response.as_ref().map(|response| &response.by);
        if by.is_some_and(|by| undone.iter().any(|node| is_within(by, node))) {
            self.change_run().response = None;
        }
    }

    /// Makes ready what had failed or was cancelled when the run ended. What waited for an answer asks again, since an answer
    /// that came after the end was dropped.
    fn revive(&mut self, now: Millis) -> Result<(), Refusal> {
        let fell =
            |node: &NodeState| matches!(node.progress, Progress::Failed | Progress::Running) || node.awaits().is_some();
        let fallen = self.scopes().filter(|scope| scope.nodes.iter().any(fell) && self.live(&scope.path).is_ok());
        let fallen: Vec<ScopePath> = fallen.map(|scope| scope.path.clone()).collect();
        for path in fallen {
            for node in self.change_scope(&path)?.nodes.iter_mut().filter(|node| fell(node)) {
                node.clear(Progress::Ready, now);
                node.ask_again(now);
            }
        }
        Ok(())
    }

    /// Removes everything that belongs to the end of the run, and starts its deadline and callback anew.
    fn begin_again(&mut self, plan: &Plan, now: Millis) {
        let run = self.change_run();
        run.phase = Phase::Flow;
        run.paused = false;
        (run.ended, run.verdict, run.result, run.failure) = (None, None, None, None);
        run.failure_response = None;
        run.deadline = plan.definition().deadline_ms.map(|ms| now.saturating_add(ms));
        for hook in &mut run.hooks {
            hook.clear(Progress::Waiting, now);
        }
        run.callback = run.callback.take().map(|callback| Callback::new(callback.url));
    }
}

impl NodeState {
    /// Takes the node from the replica that executes it, whose report will be refused as stale.
    fn clear(&mut self, progress: Progress, now: Millis) {
        self.progress = progress;
        self.since = now;
        self.lease = None;
    }

    /// Ends the wait for an answer that has not come, so that the node continues at the operation that asked for it.
    fn ask_again(&mut self, now: Millis) {
        let is_answered = self.answer.is_some();
        if let Some(suspended) = self.suspended.as_mut().filter(|suspended| suspended.wait.is_some() && !is_answered) {
            (suspended.until, suspended.wait) = (now, None);
        }
    }
}

fn is_done(scope: &Scope, node: usize) -> bool {
    scope.nodes.get(node).is_some_and(|node| node.progress == Progress::Done)
}

/// Whether a node is this one, or in a branch of it.
fn is_within(node: &NodePath, outer: &NodePath) -> bool {
    let around = std::iter::successors(node.scope.parent(), |(parent, _)| parent.scope.parent());
    node == outer || around.into_iter().any(|(parent, _)| parent == *outer)
}

/// For each node of the dag, whether it is `at` or follows it.
fn descendants(dag: &PlanDag, at: usize) -> Vec<bool> {
    let mut after = vec![false; dag.nodes.len()];
    let mut open = vec![at];
    while let Some(i) = open.pop() {
        let Some(seen) = after.get_mut(i).filter(|seen| !**seen) else { continue };
        *seen = true;
        open.extend(dag.nodes.get(i).into_iter().flat_map(|node| &node.successors));
    }
    after
}
