//! `step(state, event) -> effects`: claims, reports and joins of nodes.

use super::answer::fits;
use super::caught::{Caught, Ended};
use super::documents::{Answer, Attempt, Branches, Lease, NodeState, Phase, Progress, Said, Scope};
use super::events::{Effect, Event, HeldClaim, Input, Outcome, Refusal, Report, Task, Work};
use super::log::add_part;
use super::operations::add_operations;
use super::rounds::{after_round, begun_round, repeat};
use super::state::RunState;
use super::token::ClaimToken;
use super::tries::Try;
use crate::definition::Exhausted;
use crate::plan::{Plan, PlanBranches, PlanCarries, PlanKind, PlanNode};
use crate::{BranchKey, Code, Failure, HandlerId, Millis, NodePath, Payload, ScopePath, Status};

/// The effects of an event, or why it was refused.
pub(super) type Followed = Result<Vec<Effect>, Refusal>;

impl RunState {
    /// Applies one event at the time `now`. An event that is refused changes nothing.
    pub fn step(&mut self, plan: &Plan, event: &Event, now: Millis) -> Followed {
        if self.is_overdue(now) && is_too_late(event) {
            return self.deadline(plan, now);
        }
        match event {
            Event::Claim { path, owner, token, until, lost } => {
                self.claim(plan, path, *token, Lease { owner: owner.clone(), until: *until }, *lost, now)
            }
            Event::Renew { path, token, until } => self.renew(path, *token, *until),
            Event::Release { path, token } => self.release(path, *token, now),
            Event::CutOff { path, token } => self.cut_off(path, *token),
            Event::Tried { path, token, attempts, tries } => self.tried(path, *token, attempts, tries),
            Event::Complete { path, token, report } => self.complete(plan, path, *token, report, now),
            Event::Joined { path, started_by } => self.joined(plan, path, *started_by, now),
            Event::Answer { path, to, said } => self.answer(path, *to, said, now),
            Event::Signal(sent) => self.signal(plan, sent, now),
            Event::Deadline => self.deadline(plan, now),
            Event::Pause => self.pause(),
            Event::Resume => self.resume(now),
            Event::Stop => self.stop(plan, now),
            Event::Rerun { from } => self.rerun(plan, from.as_ref(), now),
            Event::CallBack { until } => self.call_back(*until, now),
            Event::CalledBack { tries, failure, next } => self.called_back(*tries, failure.clone(), *next, now),
            Event::SetCallback { url } => self.set_callback(url),
            Event::SendCallback => self.send_callback(now),
            Event::Asked { actor, event } => {
                let effects = self.step(plan, event, now)?;
                self.note_action(event, actor, now);
                Ok(effects)
            }
        }
    }

    fn claim(
        &mut self,
        plan: &Plan,
        path: &NodePath,
        token: ClaimToken,
        lease: Lease,
        lost: Option<HeldClaim>,
        now: Millis,
    ) -> Followed {
        self.unended()?;
        if self.run().paused {
            return Err(Refusal::Paused);
        }
        if let Some(until) = self.starts_later(now) {
            return Err(Refusal::Early { until });
        }
        let node = self.node(path)?;
        let owner = match (node.progress, &node.lease, node.waits()) {
            (Progress::Ready, _, Some(suspended)) if suspended.until > now => {
                return Err(Refusal::Early { until: suspended.until });
            }
            (Progress::Ready, ..) => None,
            (Progress::Running, Some(held), _) if held.until > now => return Err(Refusal::Leased),
            // Another clock may say that a lease has expired which is renewed all the time.
            (Progress::Running, ..) if lost != Some(node.held()) => return Err(Refusal::Leased),
            (Progress::Running, held, _) => Some(held.as_ref().map(|held| held.owner.clone()).unwrap_or_default()),
            _ => return Err(Refusal::Stale),
        };
        let mut work = self.work(plan, path, node, token)?;
        let node = self.change(path)?;
        if let Some(owner) = owner {
            let failure = Failure::retry(Code::NODE_LOST, format!("replica {owner} did not report in time"));
            node.lose_attempt(failure, now);
            work.suspended = node.suspended.clone().map(Box::new);
        }
        if node.is_exhausted() && node.branches.is_none() {
            node.started = None;
        }
        node.progress = Progress::Running;
        node.since = now;
        node.started.get_or_insert(now);
        node.token = token;
        node.lease = Some(lease);
        Ok(vec![Effect::Execute(work)])
    }

    /// What a claim of a node is to execute.
    fn work(&self, plan: &Plan, path: &NodePath, state: &NodeState, token: ClaimToken) -> Result<Work, Refusal> {
        let mut work = Work {
            path: path.clone(),
            labels: self.run().labels.clone(),
            token,
            inputs: Vec::new(),
            aggregator: None,
            suspended: state.suspended.clone().map(Box::new),
            // A permit answers no operation: one that needs it asks for it again, and gets it.
            answer: state.answer.clone().filter(|answer| !matches!(answer.said, Said::Permit)),
            signals: state.signals.clone(),
            called: u32::try_from(state.called.len()).unwrap_or(u32::MAX),
            task: Task::Enter,
            round: 0,
        };
        if self.run().phase != Phase::Flow {
            work.task = self.hook(plan).ok_or(Refusal::Unknown)?;
            return Ok(work);
        }
        let node = planned(plan, path)?;
        if let Some((caught, handler)) = self.to_catch(path, state, node) {
            work.task = Task::Catch { handler: handler.clone(), caught: Box::new(caught.clone()) };
            return Ok(work);
        }
        if let Some(task) = after_round(node, state) {
            work.task = task;
            return Ok(work);
        }
        let merger = node.branches().and_then(PlanBranches::merger);
        if let (Some(branches), Some((handler, gathers))) = (&state.branches, merger) {
            let (only, started_by) = (branches.only_ended(), branches.started_by);
            let redone = branches.redone.iter().filter_map(|one| Some((one.key.clone(), one.ended()?))).collect();
            work.task = Task::Merge { handler: handler.clone(), gathers, only, started_by, redone };
            return Ok(work);
        }
        work.round = self.round(path, state);
        match &state.given {
            Some(given) => work.inputs = vec![Input { from: String::new(), payload: given.clone(), forwarder: None }],
            None => {
                work.inputs = inputs(node, self.scope(&path.scope).ok_or(Refusal::Unknown)?);
                work.aggregator = node.aggregator.clone();
            }
        }
        work.task = match &node.kind {
            PlanKind::Operations(operations) => Task::Operations(operations.clone()),
            PlanKind::SubDag(_) => Task::Enter,
            PlanKind::Condition(branches) => Task::Choose {
                handler: branches.handler.clone(),
                keys: branches.dags.iter().filter_map(|(key, _)| key.clone()).collect(),
                carries_nothing: branches.carries_nothing,
            },
            PlanKind::ForEach(branches) => {
                Task::Split { handler: branches.handler.clone(), carries_nothing: branches.carries_nothing }
            }
            // Without a failure there is nothing to do for it.
            PlanKind::Recover(_) => return Err(Refusal::Stale),
            PlanKind::Repeat(_) => repeat(node, None).ok_or(Refusal::Unknown)?,
        };
        Ok(work)
    }

    /// The failure that a node is to turn into data, and the handler that does it.
    fn to_catch<'a>(
        &'a self,
        path: &NodePath,
        state: &'a NodeState,
        node: &'a PlanNode,
    ) -> Option<(&'a Caught, &'a HandlerId)> {
        match &node.kind {
            PlanKind::Recover(handler) => self.scope(&path.scope)?.caught.as_deref().zip(Some(handler)),
            _ => state.caught.as_deref().zip(node.recover.as_ref()),
        }
    }

    fn running(&self, path: &NodePath, token: ClaimToken) -> Result<(), Refusal> {
        let node = self.node(path)?;
        if node.progress == Progress::Running && node.token == token { Ok(()) } else { Err(Refusal::Stale) }
    }

    fn renew(&mut self, path: &NodePath, token: ClaimToken, until: Millis) -> Followed {
        self.running(path, token)?;
        if let Some(lease) = &mut self.change(path)?.lease {
            lease.until = lease.until.max(until);
        }
        Ok(Vec::new())
    }

    fn release(&mut self, path: &NodePath, token: ClaimToken, now: Millis) -> Followed {
        self.running(path, token)?;
        let node = self.change(path)?;
        let failure =
            Failure::retry(Code::NODE_LOST, "the replica that executed the node was shutting down and released it");
        node.lose_attempt(failure, now);
        (node.progress, node.since, node.lease) = (Progress::Ready, now, None);
        Ok(Vec::new())
    }

    fn tried(&mut self, path: &NodePath, token: ClaimToken, attempts: &[Attempt], tries: &[Try]) -> Followed {
        self.running(path, token)?;
        if self.node(path)?.has_noted(attempts, tries) {
            return Err(Refusal::Stale);
        }
        self.change(path)?.note(attempts, tries);
        Ok(Vec::new())
    }

    fn complete(&mut self, plan: &Plan, path: &NodePath, token: ClaimToken, report: &Report, now: Millis) -> Followed {
        self.running(path, token)?;
        let hook = self.run().phase != Phase::Flow;
        if let Outcome::Branched(items) = &report.outcome {
            let node = planned(plan, path)?;
            if items.iter().any(|(key, _)| node.branch(key.as_ref()).is_none()) {
                return Err(Refusal::Unknown);
            }
        }
        if let Outcome::Suspended(suspended) = &report.outcome {
            self.may_await_signal(suspended)?;
        }
        if let Some(head) = report.response.as_deref().filter(|_| !matches!(report.outcome, Outcome::Failed(_))) {
            self.respond(path, head);
            if plan.catches(path) {
                self.claim_scopes_around(path);
            }
        }
        if !matches!(report.outcome, Outcome::Failed(_)) {
            self.label(&report.labels);
        }
        let pauses = match &report.outcome {
            Outcome::Failed(failure) if failure.retry && !hook => {
                plan.definition().on_exhausted == Exhausted::Pause && !self.is_caught(plan, path)?
            }
            _ => false,
        };
        let node = self.change(path)?;
        node.forget_rounds();
        node.note(&report.attempts, &report.tries);
        if let Some(part) = report.log {
            add_part(&mut node.logs, part);
        }
        if let Some(part) = report.operations {
            add_operations(&mut node.operations, part);
        }
        if node.branches.is_none() {
            node.input_size = report.input_size;
        }
        node.lease = None;
        node.since = now;
        node.suspended = None;
        let answer = node.answer.take();
        match &report.outcome {
            Outcome::Suspended(suspended) => {
                node.progress = Progress::Ready;
                let is_waited_for = |answer: &Answer| {
                    suspended.wait.as_ref().is_some_and(|wait| wait.id == answer.to && fits(wait, &answer.said))
                };
                node.answer = answer.filter(|answer| is_waited_for(answer));
                node.suspended = Some(suspended.clone());
                node.note_called();
                self.await_signal(path, suspended)?;
                let is_answered = self.node(path)?.answer.is_some();
                Ok(is_answered.then(|| Effect::Dispatch(path.clone())).into_iter().collect())
            }
            Outcome::Failed(_) if pauses => {
                node.progress = Progress::Ready;
                self.pause()
            }
            Outcome::Done(output) if hook => {
                node.progress = Progress::Done;
                Ok(self.hook_ended(plan, Ok(output.clone()), now))
            }
            Outcome::Failed(failure) => {
                node.progress = Progress::Failed;
                let failure = failure.clone();
                if hook {
                    return Ok(self.hook_ended(plan, Err(failure), now));
                }
                let failure = Failure { path: Some(path.clone()), ..failure };
                let evidence = report.evidence.as_deref().cloned().unwrap_or_default();
                self.failed(plan, path, Caught { failure, at: now, evidence }, now)
            }
            Outcome::Branched(items) if items.is_empty() => self.done(plan, path, &Payload::empty(), now),
            Outcome::Branched(items) => self.branch(plan, path, token, items, now),
            Outcome::Done(output) => self.done(plan, path, output, now),
        }
    }

    /// Marks a node as done. This may make successors ready, or end the scope.
    fn done(&mut self, plan: &Plan, path: &NodePath, output: &Payload, now: Millis) -> Followed {
        let dag = plan.dag(&path.scope).ok_or(Refusal::Unknown)?;
        let at = dag.position(&path.node).ok_or(Refusal::Unknown)?;
        let scope = self.change_scope(&path.scope)?;
        if let Some(node) = scope.nodes.get_mut(at) {
            (node.progress, node.since) = (Progress::Done, now);
            node.output = Some(output.clone());
        }
        if at == dag.end || Some(at) == dag.recover {
            return self.scope_ended(plan, &path.scope, output.clone(), now);
        }
        let done = |scope: &Scope, i: usize| scope.nodes.get(i).is_some_and(|node| node.progress == Progress::Done);
        let mut effects = Vec::new();
        for successor in dag.nodes.get(at).into_iter().flat_map(|node| &node.successors) {
            let Some(planned) = dag.nodes.get(*successor) else { continue };
            if !planned.inputs.iter().all(|input| done(scope, input.from)) {
                continue;
            }
            if let Some(node) = scope.nodes.get_mut(*successor).filter(|node| node.progress == Progress::Waiting) {
                (node.progress, node.since) = (Progress::Ready, now);
                effects.push(Effect::Dispatch(path.scope.node(&node.id)));
            }
        }
        Ok(effects)
    }

    fn scope_ended(&mut self, plan: &Plan, path: &ScopePath, result: Payload, now: Millis) -> Followed {
        if path.is_root() {
            self.change_run().result = Some(result);
            return Ok(self.end(plan, Status::Succeeded, None, now));
        }
        self.branch_ended(plan, path, Ok(result), now)
    }

    /// A branch has ended, with its result or with a failure that is tolerated.
    pub(super) fn branch_ended(&mut self, plan: &Plan, path: &ScopePath, result: Ended, now: Millis) -> Followed {
        let (parent, key) = path.parent().ok_or(Refusal::Unknown)?;
        let scope = self.scope(path).ok_or(Refusal::Unknown)?;
        let (started_by, index, total) = (scope.started_by, scope.index, scope.siblings);
        let carries_nothing = planned(plan, &parent)?.branches().is_some_and(|branches| branches.carries_nothing);
        let result = result.map(|result| if carries_nothing { Payload::empty() } else { result });
        match key {
            Some(key) if total > 1 && self.is_redone(&parent, &key) => {
                let Some(branches) = &mut self.change(&parent)?.branches else { return Err(Refusal::Stale) };
                for redone in branches.redone.iter_mut().filter(|redone| redone.key == key.as_str()) {
                    redone.end(result.clone());
                }
                let joins = branches.full && branches.are_redone();
                let mut effects = vec![Effect::Returned { node: parent.clone(), branch: path.clone() }];
                if joins {
                    effects.extend(self.joined(plan, &parent, started_by, now)?);
                }
                Ok(effects)
            }
            Some(key) if total > 1 => Ok(vec![Effect::Arrive { node: parent, started_by, key, index, result, total }]),
            key => {
                if let Some(branches) = &mut self.change(&parent)?.branches {
                    branches.end_only(key.map_or_else(String::new, |key| key.to_string()), result);
                }
                self.joined(plan, &parent, started_by, now)
            }
        }
    }

    fn branch(
        &mut self,
        plan: &Plan,
        path: &NodePath,
        started_by: ClaimToken,
        items: &[(Option<BranchKey>, Payload)],
        now: Millis,
    ) -> Followed {
        let node = planned(plan, path)?;
        let total = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let round = begun_round(node, items);
        let mut effects = Vec::with_capacity(items.len());
        for (index, (key, input)) in (round.saturating_sub(1)..).zip(items) {
            let Some(dag) = node.branch(key.as_ref()) else { return Err(Refusal::Unknown) };
            let scope = path.scope.branch(&path.node, key.as_ref());
            if let Some(start) = dag.nodes.get(dag.start) {
                effects.push(Effect::Dispatch(scope.node(&start.id)));
            }
            let scope = Scope::new(dag, scope, input.clone(), (index, total), started_by, now);
            if round > 0 {
                self.begin_round(scope)?;
            } else {
                self.begin_scope(scope);
            }
        }
        let state = self.change(path)?;
        state.progress = Progress::Branching;
        state.branches = Some(Branches { round, ..Branches::new(total, started_by) });
        Ok(effects)
    }

    /// Whether a branch of a node is run again after it had ended beside others.
    fn is_redone(&self, parent: &NodePath, key: &BranchKey) -> bool {
        let branches = self.node(parent).ok().and_then(|node| node.branches.as_ref());
        branches.is_some_and(|branches| branches.redone.iter().any(|redone| redone.key == key.as_str()))
    }

    /// How often what a node does was begun anew as another piece of work, including what began the branches around it.
    pub(super) fn round(&self, path: &NodePath, state: &NodeState) -> u32 {
        let mut round = state.round;
        let mut scope = path.scope.clone();
        while let Some((parent, _)) = scope.parent() {
            round += self.scope(&parent.scope).and_then(|scope| scope.node(&parent.node)).map_or(0, |node| node.round);
            scope = parent.scope;
        }
        round
    }

    fn joined(&mut self, plan: &Plan, path: &NodePath, started_by: ClaimToken, now: Millis) -> Followed {
        let planned = planned(plan, path)?;
        let node = self.node(path)?;
        let Some(branches) = node.branches.as_ref().filter(|branches| branches.started_by == started_by) else {
            return Err(Refusal::Stale);
        };
        if node.progress != Progress::Branching {
            return Err(Refusal::Stale);
        }
        if !branches.are_redone() {
            if branches.full {
                return Err(Refusal::Stale);
            }
            // The node continues with the last of these.
            if let Some(branches) = &mut self.change(path)?.branches {
                branches.full = true;
            }
            return Ok(Vec::new());
        }
        let is_repeat = matches!(planned.kind, PlanKind::Repeat(_));
        if is_repeat || planned.branches().is_some_and(|branches| branches.merger().is_some()) {
            let node = self.change(path)?;
            (node.progress, node.since) = (Progress::Ready, now);
            return Ok(vec![Effect::Dispatch(path.clone())]);
        }
        let output = match (&planned.kind, &branches.only) {
            (PlanKind::ForEach(_), _) | (_, None) => Payload::empty(),
            (_, Some((_, payload))) => payload.clone(),
        };
        self.done(plan, path, &output, now)
    }
}

/// Whether an event that happens after the deadline of the run fails the run instead of what it would do before.
fn is_too_late(event: &Event) -> bool {
    use Event::{Claim, Complete, Joined, Pause, Resume, Signal};
    matches!(event.what(), Claim { .. } | Complete { .. } | Joined { .. } | Signal(_) | Pause | Resume)
}

pub(super) fn planned<'a>(plan: &'a Plan, path: &NodePath) -> Result<&'a PlanNode, Refusal> {
    plan.dag(&path.scope).and_then(|dag| dag.node(&path.node)).ok_or(Refusal::Unknown)
}

pub(super) fn inputs(node: &PlanNode, scope: &Scope) -> Vec<Input> {
    if node.inputs.is_empty() {
        return vec![Input { from: String::new(), payload: scope.input.clone(), forwarder: None }];
    }
    let edges = node.inputs.iter().filter_map(|edge| {
        let forwarder = match &edge.carries {
            PlanCarries::Nothing => return None,
            PlanCarries::Output => None,
            PlanCarries::Forwarded(handler) => Some(handler.clone()),
        };
        let from = scope.nodes.get(edge.from)?;
        let payload = from.output.clone().unwrap_or_else(Payload::empty);
        Some(Input { from: from.id.to_string(), payload, forwarder })
    });
    edges.collect()
}
