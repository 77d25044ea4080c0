//! Events about the run as a whole: pause, resume, stop, deadline, the end and its handlers, and the callback.

use super::documents::{Attempt, Callback, NodeResponse, NodeState, Phase, Progress};
use super::engine::Followed;
use super::events::{Effect, Refusal, Task};
use super::state::RunState;
use super::stored::Doc;
use super::token::ClaimToken;
use crate::definition::Operations;
use crate::plan::{Plan, PlanKind};
use crate::{Code, Failure, HandlerId, Labels, Millis, NodeId, NodePath, Payload, ResponseHead, ScopePath, Status};
use std::sync::Arc;

/// A node that may have called runs of which it does not know.
#[derive(Debug, Clone)]
pub struct UnknownCalls {
    /// The node.
    pub path: NodePath,
    /// Its latest claim.
    pub token: ClaimToken,
    /// Which piece of work it executes: part of the keys of its calls.
    pub round: u32,
    /// How many runs it knows to have called.
    pub called: u32,
    /// What it executes.
    pub operations: Arc<Operations>,
}

impl RunState {
    pub(super) fn pause(&mut self) -> Followed {
        self.unended()?;
        self.change_run().paused = true;
        Ok(Vec::new())
    }

    pub(super) fn resume(&mut self, now: Millis) -> Followed {
        self.unended()?;
        self.change_run().paused = false;
        Ok(self.claimable(now).into_iter().map(Effect::Dispatch).collect())
    }

    pub(super) fn deadline(&mut self, plan: &Plan, now: Millis) -> Followed {
        self.in_flow()?;
        match self.run().deadline {
            None => return Err(Refusal::Stale),
            Some(until) if until > now => return Err(Refusal::Early { until }),
            Some(_) => {}
        }
        let message = "the run took longer than its deadline: raise the deadline, or look in the history of the run for what was slow";
        Ok(self.end(plan, Status::Failed, Some(Failure::reject(Code::DEADLINE_PASSED, message)), now))
    }

    pub(super) fn stop(&mut self, plan: &Plan, now: Millis) -> Followed {
        self.in_flow()?;
        let failure = Failure::reject(Code::RUN_STOPPED, "the run was stopped");
        Ok(self.end(plan, Status::Stopped, Some(failure), now))
    }

    /// Also for nodes of branches that were replaced: what counts is what a replica may be executing.
    pub(super) fn cut_off(&mut self, path: &NodePath, token: ClaimToken) -> Followed {
        if self.run().phase == Phase::Flow {
            return Err(Refusal::Stale);
        }
        let scope = self.scope(&path.scope).ok_or_else(|| Refusal::Needs(Doc::Scope(path.scope.clone())))?;
        let node = scope.node(&path.node).ok_or(Refusal::Unknown)?;
        if node.progress != Progress::Running || node.token != token || node.lease.is_none() {
            return Err(Refusal::Stale);
        }
        self.change(path)?.lease = None;
        Ok(Vec::new())
    }

    /// The nodes that replicas may still be executing although the run has come to its end, each with the name of its
    /// replica. Nobody claims any more of them, and each replica reports with [`Event::CutOff`](super::Event::CutOff) what it
    /// has cut off. Empty while the nodes of the run are executed. Only loaded scopes count.
    pub fn to_cut_off(&self) -> Vec<(NodePath, Arc<str>)> {
        if self.run().phase == Phase::Flow {
            return Vec::new();
        }
        let held = |node: &NodeState| {
            node.lease.as_ref().filter(|_| node.progress == Progress::Running).map(|lease| lease.owner.clone())
        };
        let nodes = self.scopes().flat_map(|scope| scope.nodes.iter().map(move |node| (scope, node)));
        nodes.filter_map(|(scope, node)| Some((scope.path.node(&node.id), held(node)?))).collect()
    }

    /// The nodes that may have called runs of which they do not know: the replica was lost that executed them, or the answer
    /// to a try of a call. What this owner executes counts as known. Only loaded scopes count.
    pub fn unknown_calls(&self, plan: &Plan, owner: &str) -> Vec<UnknownCalls> {
        let may_have_called = |node: &NodeState| {
            let open = matches!(node.progress, Progress::Ready | Progress::Running) && node.asked().is_none();
            let elsewhere = node.lease.as_ref().is_some_and(|lease| &*lease.owner != owner);
            let lost =
                |attempt: &Attempt| attempt.failure.as_ref().is_some_and(|failure| failure.code == Code::NODE_LOST);
            open && (elsewhere || node.attempts.iter().any(lost) || node.tries.is_some())
        };
        let nodes = self.scopes().flat_map(|scope| scope.nodes.iter().map(move |node| (&scope.path, node)));
        let unknown_calls = nodes.filter(|(_, node)| may_have_called(node)).filter_map(|(scope, node)| {
            let PlanKind::Operations(operations) = &plan.dag(scope)?.node(&node.id)?.kind else { return None };
            let path = scope.node(&node.id);
            let round = self.round(&path, node);
            let called = u32::try_from(node.called.len()).unwrap_or(u32::MAX);
            Some(UnknownCalls { path, token: node.token, round, called, operations: operations.clone() })
        });
        unknown_calls.collect()
    }

    /// Settles how the run ends. What is left to execute are its handlers.
    pub(super) fn end(&mut self, plan: &Plan, verdict: Status, failure: Option<Failure>, now: Millis) -> Vec<Effect> {
        let run = self.change_run();
        run.verdict = Some(verdict);
        run.failure = failure;
        run.paused = false;
        let cancel = (verdict != Status::Succeeded).then_some(Effect::Cancel);
        let phase = if verdict == Status::Failed { Phase::Failure } else { Phase::Finally };
        let next = self.enter(plan, phase, now);
        cancel.into_iter().chain([next]).collect()
    }

    /// Enters the first phase, from `phase` on, that has a handler to call; ends the run if there is none.
    fn enter(&mut self, plan: &Plan, phase: Phase, now: Millis) -> Effect {
        let definition = plan.definition();
        let phases = [
            (Phase::Failure, &definition.on_failure, NodeId::failure()),
            (Phase::Finally, &definition.finally, NodeId::finally()),
        ];
        let run = self.change_run();
        for (due, handler, id) in phases {
            if handler.is_some() && (phase == due || phase == Phase::Failure) {
                run.phase = due;
                let path = ScopePath::root().node(&id);
                // A run that was re-run has them already.
                if run.hooks.iter().all(|hook| hook.id != id) {
                    run.hooks.push(NodeState::new(id));
                }
                if let Some(hook) = run.hooks.iter_mut().find(|hook| hook.id == path.node) {
                    (hook.progress, hook.since) = (Progress::Ready, now);
                }
                return Effect::Dispatch(path);
            }
        }
        self.ended(now)
    }

    fn ended(&mut self, now: Millis) -> Effect {
        let run = self.change_run();
        run.phase = Phase::Ended;
        run.ended = Some(now);
        if let Some(callback) = &mut run.callback {
            callback.next = Some(now);
        }
        Effect::Ended
    }

    /// What a claim of the handler of the current phase is to execute.
    pub(super) fn hook(&self, plan: &Plan) -> Option<Task> {
        let run = self.run();
        let handler = |id: &Option<String>| id.as_ref().and_then(|id| HandlerId::new(id).ok());
        match run.phase {
            Phase::Failure => {
                Some(Task::Recover { handler: handler(&plan.definition().on_failure)?, failure: run.failure.clone()? })
            }
            _ => Some(Task::Finally { handler: handler(&plan.definition().finally)?, verdict: run.verdict? }),
        }
    }

    pub(super) fn hook_ended(&mut self, plan: &Plan, answer: Result<Payload, Failure>, now: Millis) -> Vec<Effect> {
        let run = self.change_run();
        if run.phase == Phase::Finally {
            // The outcome of the run is settled. If the finally handler failed, the history shows it.
            return vec![self.ended(now)];
        }
        match answer {
            Ok(answer) => run.result = Some(answer),
            // The handler failed deliberately, so its message replaces that of the run. A crash says nothing about why the
            // run failed; the history shows it.
            Err(Failure { code: Code::GUEST_REJECTED | Code::GUEST_RETRIES, message, status, .. }) => {
                if let Some(first) = &mut run.failure {
                    first.message = message;
                    first.status = status.or(first.status);
                    // It is not what the handler speaks of.
                    first.exhausted = None;
                }
            }
            Err(_) => {}
        }
        vec![self.enter(plan, Phase::Finally, now)]
    }

    /// Notes the status and headers that a node, or the failure handler, has set.
    pub(super) fn respond(&mut self, path: &NodePath, head: &ResponseHead) {
        match self.run().phase {
            // Nodes on several replicas may set the same, and the document that they all need changes only once.
            Phase::Flow if self.run().response.as_ref().is_some_and(|known| known.head == *head) => {}
            Phase::Flow => {
                let response = NodeResponse { by: path.clone(), head: head.clone() };
                self.change_run().response = Some(Box::new(response));
            }
            Phase::Failure => self.change_run().failure_response = Some(Box::new(head.clone())),
            Phase::Finally | Phase::Ended => {}
        }
    }

    /// Notes labels that a node has given the run. If nodes that ran at the same time have named too many together, some are left
    /// out.
    pub(super) fn label(&mut self, labels: &Labels) {
        // Nodes on several replicas may name the same, and the document that they all need changes only once.
        if labels.admit(&self.run().labels) {
            return;
        }
        let known = &mut self.change_run().labels;
        for (key, value) in labels.iter() {
            // The only reason is that there are too many.
            let _ = known.insert(key, value);
        }
    }

    /// When the callback may be sent next; this may be in the past. `None` if there is nothing to send.
    pub fn callback_due(&self) -> Option<Millis> {
        self.run().callback.as_ref().and_then(|callback| callback.next)
    }

    pub(super) fn call_back(&mut self, until: Millis, now: Millis) -> Followed {
        match self.callback_due() {
            None => return Err(Refusal::Stale),
            Some(next) if next > now => return Err(Refusal::Early { until: next }),
            Some(_) => {}
        }
        let Some(callback) = &mut self.change_run().callback else { return Err(Refusal::Stale) };
        let earlier = callback.tries.saturating_sub(callback.before);
        callback.tries += 1;
        callback.next = Some(until);
        let Callback { url, round, tries, .. } = callback.clone();
        Ok(vec![Effect::CallBack { url, round, tries, earlier }])
    }

    /// The try to send the callback that was claimed with this moment as its limit, if none came after it.
    pub fn claimed_callback(&self, until: Millis) -> Option<Effect> {
        let callback = self.run().callback.as_ref().filter(|callback| callback.next == Some(until))?;
        let Callback { url, round, tries, before, .. } = callback.clone();
        let earlier = tries.saturating_sub(before).checked_sub(1)?;
        Some(Effect::CallBack { url, round, tries, earlier })
    }

    pub(super) fn called_back(
        &mut self,
        tries: u32,
        failure: Option<Failure>,
        next: Option<Millis>,
        now: Millis,
    ) -> Followed {
        if self.run().callback.as_ref().is_none_or(|callback| callback.next.is_none() || callback.tries != tries) {
            return Err(Refusal::Stale);
        }
        let Some(callback) = &mut self.change_run().callback else { return Err(Refusal::Stale) };
        callback.delivered = failure.is_none().then_some(now);
        callback.next = next.filter(|_| failure.is_some());
        callback.failure = failure;
        Ok(Vec::new())
    }

    pub(super) fn set_callback(&mut self, url: &str) -> Followed {
        self.unended()?;
        self.change_run().callback.get_or_insert_with(|| Callback::new(url.to_owned()));
        Ok(Vec::new())
    }

    /// It is the same callback of the same end, so it keeps its round, and with it its idempotency key.
    pub(super) fn send_callback(&mut self, now: Millis) -> Followed {
        match &self.run().callback {
            _ if self.run().phase != Phase::Ended => return Err(Refusal::Unended),
            None => return Err(Refusal::NoCallback),
            Some(callback) if !callback.is_over() => return Err(Refusal::Sending),
            Some(_) => {}
        }
        let Some(callback) = &mut self.change_run().callback else { return Err(Refusal::NoCallback) };
        (callback.before, callback.next) = (callback.tries, Some(now));
        (callback.delivered, callback.failure) = (None, None);
        Ok(Vec::new())
    }
}
