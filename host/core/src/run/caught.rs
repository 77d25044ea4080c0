//! Failures that do not end the run: a `recover` handler catches them, or a for-each tolerates them.

use super::documents::{Progress, Scope};
use super::engine::{Followed, planned};
use super::events::{Effect, Refusal};
use super::state::RunState;
use crate::plan::{Plan, PlanDag};
use crate::{Code, Failure, Millis, NodeId, NodePath, Payload, ScopePath, Status};
use serde::{Deserialize, Serialize};

/// A failure that was caught, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caught {
    /// What failed, and where.
    pub failure: Failure,
    /// When.
    pub at: Millis,
    /// What a handler gets to see of it.
    #[serde(default)]
    pub evidence: Evidence,
}

/// The data with which something failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The data that the failed operation had got, or the failed node if none of its operations had begun.
    #[serde(default)]
    pub input: Payload,
    /// The body of the response, if a call failed because of its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Payload>,
    /// The status of that response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// What kind of failure it is, for code that decides how to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The flow's code has rejected its data, or asked for a retry when none was left.
    Rejected,
    /// A call was answered with an error status, or with an answer that cannot be used.
    Answered,
    /// A call could not be made: there was no connection, or no such function.
    Unreachable,
    /// A call, a node or an answer took too long.
    TimedOut,
    /// The flow's code crashed or exceeded a limit.
    Crashed,
    /// A flow that was called did not succeed.
    Child,
    /// Anything else.
    Other,
}

impl FailureKind {
    /// The kind of failures with this code.
    pub fn of(code: Code) -> Self {
        match code {
            Code::GUEST_REJECTED | Code::GUEST_RETRIES => Self::Rejected,
            Code::CALL_STATUS
            | Code::FUNCTION_FAILED
            | Code::RESPONSE_TOO_LARGE
            | Code::REDIRECT
            | Code::BAD_ENCODING
            | Code::CALL_ACCEPTED => Self::Answered,
            Code::CALL_UNREACHABLE | Code::FUNCTION_MISSING | Code::DESTINATION_REFUSED => Self::Unreachable,
            Code::CALL_TIMED_OUT | Code::NODE_TIMED_OUT | Code::ANSWER_TIMED_OUT | Code::SIGNAL_TIMED_OUT => {
                Self::TimedOut
            }
            Code::GUEST_TRAPPED
            | Code::GUEST_OUT_OF_TIME
            | Code::GUEST_OUT_OF_MEMORY
            | Code::GUEST_OUT_OF_STACK
            | Code::OUTPUT_TOO_LARGE
            | Code::BAD_HANDLER_ANSWER => Self::Crashed,
            Code::CHILD_FAILED => Self::Child,
            _ => Self::Other,
        }
    }
}

/// A part of a run that does not go on, since a failure in it was caught: what is executed of it is cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawn {
    /// All branches of a node.
    Branches(NodePath),
    /// The nodes of a scope, and all that they began.
    Scope(ScopePath),
}

impl Withdrawn {
    /// Whether a node belongs to it.
    pub fn contains(&self, node: &NodePath) -> bool {
        let is_recovering = |scope: &ScopePath| node.scope == *scope && node.node == NodeId::recover();
        match self {
            Withdrawn::Branches(of) => node.scope.around().any(|(parent, _)| parent == *of),
            Withdrawn::Scope(scope) => !is_recovering(scope) && node.scope.is_within(scope),
        }
    }
}

/// Who goes on after a failure.
enum Catcher {
    /// The `recover` handler of a node.
    Node(NodePath),
    /// That of a dag.
    Dag(ScopePath),
    /// The for-each of an item, which tolerates it.
    ForEach(NodePath, ScopePath),
}

impl RunState {
    /// Whether somebody catches a failure of this node, should it fail now.
    pub(super) fn is_caught(&self, plan: &Plan, path: &NodePath) -> Result<bool, Refusal> {
        Ok(self.catcher(plan, path)?.is_some())
    }

    /// Who catches a failure of this node: the first one from the inside out. One whose handler has failed catches nothing
    /// more.
    fn catcher(&self, plan: &Plan, path: &NodePath) -> Result<Option<Catcher>, Refusal> {
        let mut at = path.clone();
        loop {
            let dag = plan.dag(&at.scope).ok_or(Refusal::Unknown)?;
            let node = dag.node(&at.node).ok_or(Refusal::Unknown)?;
            let scope = self.live(&at.scope)?;
            let has_caught = scope.node(&at.node).is_some_and(|node| node.caught.is_some());
            if node.recover.is_some() && !has_caught {
                return Ok(Some(Catcher::Node(at)));
            }
            if dag.recover.is_some() && scope.caught.is_none() {
                return Ok(Some(Catcher::Dag(at.scope)));
            }
            let Some((parent, _)) = at.scope.parent() else { return Ok(None) };
            if self.tolerates(plan, &parent)? {
                return Ok(Some(Catcher::ForEach(parent, at.scope)));
            }
            at = parent;
        }
    }

    /// Whether a for-each tolerates one more failed item.
    fn tolerates(&self, plan: &Plan, path: &NodePath) -> Result<bool, Refusal> {
        let Some(branches) = planned(plan, path)?.branches() else { return Ok(false) };
        let state = self.live(&path.scope)?.node(&path.node).and_then(|node| node.branches.as_ref());
        let Some((tolerate, state)) = branches.tolerate.zip(state) else { return Ok(false) };
        Ok(state.failed < tolerate.most(state.total))
    }

    /// A node has failed. The first who catches that goes on; if there is nobody, the run fails.
    pub(super) fn failed(&mut self, plan: &Plan, path: &NodePath, caught: Caught, now: Millis) -> Followed {
        match self.catcher(plan, path)? {
            None => Ok(self.end(plan, Status::Failed, Some(caught.failure), now)),
            Some(Catcher::Node(at)) => self.catch_at_node(&at, caught, now),
            Some(Catcher::Dag(scope)) => self.catch_at_dag(&scope, caught, now),
            Some(Catcher::ForEach(parent, scope)) => self.tolerate(plan, &parent, &scope, caught, now),
        }
    }

    fn catch_at_node(&mut self, path: &NodePath, caught: Caught, now: Millis) -> Followed {
        let node = self.change(path)?;
        let had_branches = node.progress == Progress::Branching;
        (node.progress, node.since, node.lease) = (Progress::Ready, now, None);
        (node.suspended, node.answer) = (None, None);
        node.caught = Some(Box::new(caught));
        let branches = Withdrawn::Branches(path.clone());
        self.unset_response(|by| by == path || branches.contains(by));
        let withdraw = had_branches.then_some(Effect::Withdraw(branches));
        Ok(withdraw.into_iter().chain([Effect::Dispatch(path.clone())]).collect())
    }

    fn catch_at_dag(&mut self, path: &ScopePath, caught: Caught, now: Millis) -> Followed {
        let scope = self.change_scope(path)?;
        scope.caught = Some(Box::new(caught));
        let recover = NodeId::recover();
        if let Some(node) = scope.nodes.iter_mut().find(|node| node.id == recover) {
            (node.progress, node.since) = (Progress::Ready, now);
        }
        Ok(vec![self.withdraw(path), Effect::Dispatch(path.node(&recover))])
    }

    fn tolerate(&mut self, plan: &Plan, parent: &NodePath, path: &ScopePath, caught: Caught, now: Millis) -> Followed {
        let failure = Failure { answered: caught.evidence.status, ..caught.failure.clone() };
        self.change_scope(path)?.caught = Some(Box::new(caught));
        if let Some(branches) = &mut self.change(parent)?.branches {
            branches.failed += 1;
        }
        let mut effects = vec![self.withdraw(path)];
        effects.extend(self.branch_ended(plan, path, Err(failure), now)?);
        Ok(effects)
    }

    /// What a scope has begun does not go on, and what its nodes have set for the answer of the run does not count.
    fn withdraw(&mut self, path: &ScopePath) -> Effect {
        let scope = Withdrawn::Scope(path.clone());
        self.unset_response(|by| scope.contains(by));
        Effect::Withdraw(scope)
    }

    /// Whether a part of the run does not go on, since a failure in it was caught. Only loaded scopes count.
    pub fn has_withdrawn(&self, part: &Withdrawn) -> bool {
        match part {
            Withdrawn::Branches(of) => {
                let node = self.scope(&of.scope).and_then(|scope| scope.node(&of.node));
                node.is_some_and(|node| node.caught.is_some())
            }
            Withdrawn::Scope(path) => self.scope(path).is_some_and(|scope| scope.caught.is_some()),
        }
    }

    /// Whether a node is part of what goes on, or has come to its end: it was not replaced, and no failure was caught in its
    /// dag or further out.
    pub fn goes_on(&self, path: &NodePath) -> bool {
        self.begun(&path.scope).is_ok_and(|scope| scope.caught.is_none() || path.node == NodeId::recover())
    }

    /// The scope whose nodes may be executed: as [`RunState::live`], and what failed in it was not caught, except by the node
    /// itself that is asked for.
    pub(super) fn going_on(&self, path: &NodePath) -> Result<&Scope, Refusal> {
        let scope = self.live(&path.scope)?;
        if scope.caught.is_some() && path.node != NodeId::recover() { Err(Refusal::Stale) } else { Ok(scope) }
    }
}

impl Scope {
    /// Whether a branch of one of its nodes goes on: no failure in it was caught further out.
    pub(super) fn goes_on_in(&self, branch: &Scope) -> bool {
        let node = branch.path.parent().and_then(|(parent, _)| self.node(&parent.node));
        self.caught.is_none() && node.is_some_and(|node| node.caught.is_none())
    }

    /// Whether it has ended: with the output of its end, with what a `recover` handler made of a failure, or with a failure
    /// that is tolerated.
    pub(super) fn has_ended(&self, dag: &PlanDag) -> bool {
        let is_done = |at: Option<usize>| {
            at.and_then(|at| self.nodes.get(at)).is_some_and(|node| node.progress == Progress::Done)
        };
        is_done(Some(dag.end)) || is_done(dag.recover) || self.is_tolerated(dag)
    }

    /// Whether it has failed and nothing goes on in it, since the for-each around it tolerates that.
    pub(super) fn is_tolerated(&self, dag: &PlanDag) -> bool {
        let recovers = dag.recover.and_then(|at| self.nodes.get(at));
        self.caught.is_some() && recovers.is_none_or(|node| node.progress == Progress::Failed)
    }
}

/// The result of a branch: its output, or why it failed if that is tolerated.
pub type Ended = Result<Payload, Failure>;
