//! Re-running a run from one of its nodes.

use super::documents::{Callback, NodeState, Phase, Progress, Redone, Scope};
use super::engine::Followed;
use super::events::{Effect, Refusal, RerunFrom};
use super::state::RunState;
use super::token::ClaimToken;
use crate::plan::{Plan, PlanDag, PlanNode};
use crate::{BranchKey, Millis, NodeId, NodePath, Payload, ScopePath, Status};

impl RunState {
    pub(super) fn rerun(&mut self, plan: &Plan, from: Option<&RerunFrom>, now: Millis) -> Followed {
        let run = self.run();
        let ended = match run.phase {
            Phase::Ended => true,
            Phase::Flow if run.paused => false,
            _ => return Err(Refusal::Running),
        };
        if from.is_none() && (!ended || run.verdict == Some(Status::Succeeded)) {
            return Err(Refusal::Whole);
        }
        let reopened = from.map(|from| self.reopened(plan, &from.path)).transpose()?.unwrap_or_default();
        let failed = run.failure.as_ref().and_then(|failure| failure.path.as_ref());
        if let Some(Err(Refusal::Needs(doc))) = failed.map(|path| self.live(&path.scope)) {
            return Err(Refusal::Needs(doc));
        }
        let was_tolerated = from.is_some_and(|from| self.is_tolerated(plan, &from.path.scope));
        if let Some(RerunFrom { path, input }) = from {
            self.unwind(plan, path, Unwound::Again(input.as_ref()), now)?;
        }
        for (parent, key) in &reopened {
            self.unwind(plan, parent, Unwound::Reopened(key.as_ref()), now)?;
        }
        if let Some((parent, _)) = reopened.first().filter(|_| was_tolerated)
            && let Some(branches) = &mut self.change(parent)?.branches
        {
            branches.failed = branches.failed.saturating_sub(1);
        }
        if ended {
            self.revive(plan, now)?;
        }
        if self.run().start_at.is_some() {
            // Who runs it again does not wait for the moment that was named at first.
            self.change_run().start_at = None;
        }
        self.begin_again(plan, ended, now);
        Ok(self.claimable(now).into_iter().map(Effect::Dispatch).collect())
    }

    /// The nodes of which a branch has ended and is to be reopened, from the innermost outwards, each with the branch's key.
    fn reopened(&self, plan: &Plan, path: &NodePath) -> Result<Vec<(NodePath, Option<BranchKey>)>, Refusal> {
        let mut scope =
            self.begun(&path.scope).map_err(|refusal| self.caught_around(&path.scope).unwrap_or(refusal))?;
        let mut dag = plan.dag(&path.scope).ok_or(Refusal::Unknown)?;
        let node = dag.node(&path.node).ok_or(Refusal::Unknown)?;
        if !node.inputs.iter().all(|input| is_done(scope, input.from)) {
            return Err(Refusal::Unready);
        }
        let mut reopened = Vec::new();
        while let Some((parent, key)) = scope.path.parent().filter(|_| scope.has_ended(dag)) {
            scope = self.begun(&parent.scope)?;
            dag = plan.dag(&parent.scope).ok_or(Refusal::Unknown)?;
            reopened.push((parent, key));
        }
        Ok(reopened)
    }

    /// Whether this is an item that has failed, which the for-each around it tolerates.
    fn is_tolerated(&self, plan: &Plan, path: &ScopePath) -> bool {
        self.scope(path).zip(plan.dag(path)).is_some_and(|(scope, dag)| scope.is_tolerated(dag))
    }

    /// Why a scope cannot be run again, if a failure was caught further out.
    fn caught_around(&self, path: &ScopePath) -> Option<Refusal> {
        let has_caught = |node: &NodePath| {
            let scope = self.scope(&node.scope);
            scope.is_some_and(|scope| {
                scope.caught.is_some() || scope.node(&node.node).is_some_and(|node| node.caught.is_some())
            })
        };
        path.around().any(|(node, _)| has_caught(&node)).then_some(Refusal::Caught)
    }

    /// Undoes a node and everything after it in its dag.
    fn unwind(&mut self, plan: &Plan, path: &NodePath, how: Unwound<'_>, now: Millis) -> Result<(), Refusal> {
        let dag = plan.dag(&path.scope).ok_or(Refusal::Unknown)?;
        let at = dag.position(&path.node).ok_or(Refusal::Unknown)?;
        let round = match how {
            Unwound::Reopened(key) => self.round_begun(path, key),
            Unwound::Again(_) => None,
        };
        let scope = self.change_scope(&path.scope)?;
        let mut undone = Vec::new();
        scope.forget_caught(dag, now);
        for (i, after) in descendants(dag, at).into_iter().enumerate() {
            let Some(node) = scope.nodes.get_mut(i).filter(|_| after) else { continue };
            node.output = None;
            node.caught = None;
            (node.suspended, node.answer) = (None, None);
            node.signals.clear();
            match how {
                Unwound::Reopened(key) if i == at => node.reopen(key, round, now),
                Unwound::Again(input) if i == at => {
                    let begins_branches = dag.nodes.get(at).is_some_and(PlanNode::begins_branches);
                    node.round += u32::from(input.is_some() || begins_branches);
                    node.given = input.cloned().or(node.given.take());
                    node.branches = None;
                    undone.push(path.scope.node(&node.id));
                    node.begin_anew(Progress::Ready, now);
                }
                Unwound::Again(_) | Unwound::Reopened(_) => {
                    // Without its round, its calls would be taken for those of before, which had other inputs.
                    node.round += u32::from(!node.token.is_none());
                    (node.given, node.branches) = (None, None);
                    undone.push(path.scope.node(&node.id));
                    node.begin_anew(Progress::Waiting, now);
                }
            }
        }
        self.unset_response(|by| undone.iter().any(|node| is_within(by, node)));
        Ok(())
    }

    /// Forgets the status and headers of the result if such a node has set them.
    pub(super) fn unset_response(&mut self, is_undone: impl Fn(&NodePath) -> bool) {
        let by = self.run().response.as_ref().map(|response| &response.by);
        if by.is_some_and(is_undone) {
            self.change_run().response = None;
        }
    }

    /// Makes ready what had failed or was cancelled when the run ended. What waited for an answer asks again, since an answer
    /// that came after the end was dropped.
    fn revive(&mut self, plan: &Plan, now: Millis) -> Result<(), Refusal> {
        self.forget_failed_catches(plan, now)?;
        let fell =
            |node: &NodeState| matches!(node.progress, Progress::Failed | Progress::Running) || node.awaits().is_some();
        let goes_on = |scope: &Scope| scope.caught.is_none() && self.live(&scope.path).is_ok();
        let fallen = self.scopes().filter(|scope| scope.nodes.iter().any(fell) && goes_on(scope));
        let fallen: Vec<ScopePath> = fallen.map(|scope| scope.path.clone()).collect();
        for path in fallen {
            for node in self.change_scope(&path)?.nodes.iter_mut().filter(|node| fell(node)) {
                node.begin_anew(Progress::Ready, now);
                node.ask_again(now);
            }
        }
        Ok(())
    }

    /// Where a `recover` handler has failed, what it was to catch is done again.
    fn forget_failed_catches(&mut self, plan: &Plan, now: Millis) -> Result<(), Refusal> {
        let failed = |node: &NodeState| node.progress == Progress::Failed;
        let of_nodes = |scope: &Scope| scope.nodes.iter().any(|node| failed(node) && node.caught.is_some());
        let of_dag = |scope: &Scope| scope.caught.is_some() && scope.node(&NodeId::recover()).is_some_and(failed);
        let scopes = self.scopes().filter(|scope| self.live(&scope.path).is_ok() && (of_nodes(scope) || of_dag(scope)));
        let scopes: Vec<(ScopePath, bool)> = scopes.map(|scope| (scope.path.clone(), of_dag(scope))).collect();
        for (path, of_dag) in scopes {
            let dag = plan.dag(&path).ok_or(Refusal::Unknown)?;
            let scope = self.change_scope(&path)?;
            if of_dag {
                scope.forget_caught(dag, now);
            }
            for node in scope.nodes.iter_mut().filter(|node| failed(node) && node.caught.is_some()) {
                node.caught = None;
                let has_begun = node.branches.is_some();
                node.begin_anew(if has_begun { Progress::Branching } else { Progress::Ready }, now);
            }
        }
        Ok(())
    }

    /// Removes everything that belongs to the end of the run, and starts its deadline and callback anew.
    fn begin_again(&mut self, plan: &Plan, ended: bool, now: Millis) {
        let run = self.change_run();
        run.rerun = if ended { Some(now) } else { run.rerun };
        run.phase = Phase::Flow;
        run.paused = false;
        (run.ended, run.verdict, run.result, run.failure) = (None, None, None, None);
        run.failure_response = None;
        run.deadline = plan.definition().deadline_ms.map(|ms| now.saturating_add(ms));
        for hook in &mut run.hooks {
            hook.begin_anew(Progress::Waiting, now);
        }
        run.callback = run.callback.take().map(|Callback { url, round, .. }| {
            let round = round + u32::from(ended);
            Callback { round, ..Callback::new(url) }
        });
    }
}

/// What is done to the node from which others are undone.
#[derive(Clone, Copy)]
enum Unwound<'a> {
    /// It is done again, with this input if there is one.
    Again(Option<&'a Payload>),
    /// One of its branches goes on: the only one, or the one with this key.
    Reopened(Option<&'a BranchKey>),
}

impl Scope {
    /// Goes on as if no failure in it had been caught.
    fn forget_caught(&mut self, dag: &PlanDag, now: Millis) {
        self.caught = None;
        if let Some(node) = dag.recover.and_then(|at| self.nodes.get_mut(at)) {
            node.output = None;
            node.begin_anew(Progress::Waiting, now);
        }
    }
}

impl NodeState {
    /// Waits for a branch again that had ended. If it is a round, `round` is the claim that began it, and its number.
    fn reopen(&mut self, key: Option<&BranchKey>, round: Option<(ClaimToken, u32)>, now: Millis) {
        let is_joined = self.progress != Progress::Branching;
        if let Some(branches) = &mut self.branches {
            branches.end_again();
            // Later rounds of a repeat began with what this one had yielded.
            (branches.started_by, branches.round) = round.unwrap_or((branches.started_by, branches.round));
            branches.full |= is_joined && branches.total > 1;
            if let Some(key) = key.filter(|_| branches.total > 1) {
                branches.redone.retain(|redone| redone.key != key.as_str());
                branches.redone.push(Redone { key: key.as_str().to_owned(), result: None, failure: None });
            }
        }
        self.clear(Progress::Branching, now);
    }

    /// As [`NodeState::clear`], for a node that is executed again: its time begins with its next claim.
    fn begin_anew(&mut self, progress: Progress, now: Millis) {
        self.clear(progress, now);
        self.started = None;
        if let Some(suspended) = &mut self.suspended {
            suspended.begun = None;
        }
    }

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
    node == outer || node.scope.around().any(|(parent, _)| parent == *outer)
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
