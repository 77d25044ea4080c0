//! Replays: what was applied since the last commit is applied again to what the store has.
//!
//! A replay follows a commit that conflicted, because another replica had changed the run, and a commit without an answer,
//! which may or may not have happened. The events are the same, including their times and the tokens of claims. A claim that
//! was committed after all is therefore recognized by its token, and a claim that another replica won is refused and given up.

use crate::apply::Applying;
use crate::batch::Basis;
use crate::durability::Durability;
use crate::io::{Circumstances, Io, Join};
use crate::session::{Claim, Outstanding, Session, Todo};
use faas_flow_core::run::{ClaimToken, Doc, Event, NodeState, Phase, Progress, Report, RunState, Work, set_of};
use faas_flow_core::{Code, Failure, NodePath};
use std::collections::BTreeMap;

/// After how many failed commits in a row this replica abandons the run.
pub(crate) const COMMIT_TRIES: u32 = 8;

/// A replay that has begun.
#[derive(Debug)]
pub(crate) struct Replay {
    /// The claims of this replica when the replay began.
    before: BTreeMap<NodePath, Claim>,
    /// The work of claims that were applied again.
    again: Vec<Work>,
    /// Whether an event since the last commit had brought the run to its end.
    cancelled: bool,
}

impl Replay {
    pub(crate) fn add(&mut self, work: Work) {
        self.again.push(work);
    }
}

impl Session {
    /// After a failed commit: requests what is stored, or abandons the run.
    pub(crate) fn commit_failed(&mut self, failure: Option<Failure>, circumstances: &Circumstances) {
        self.failed += 1;
        if failure.is_some() {
            self.unknown += 1;
        }
        if self.failed >= COMMIT_TRIES {
            let conflicts = || {
                let message = format!("gave up after {COMMIT_TRIES} conflicting updates to the run in a row");
                Failure::retry(Code::INTERNAL, message)
            };
            return self.abandon(failure.unwrap_or_else(conflicts));
        }
        // Another replica may have added something to do, which must not wait.
        self.wake_up(circumstances.now);
        let mut docs: Vec<Doc> = self.state.changed().iter().cloned().collect();
        if !docs.contains(&Doc::Run) {
            docs.push(Doc::Run);
        }
        let tries = if failure.is_some() { self.unknown } else { 0 };
        self.wait_for(Outstanding::Replay(docs.clone()), Io::Load { docs, tries });
    }

    /// The run is not in the store: commits its beginning again, or abandons it if it was stored before.
    pub(crate) fn cannot_replay(&mut self) {
        match self.durability {
            // The first commit did not happen.
            Durability::Delayed => self.todo.push_front(Todo::Commit),
            _ => self.abandon(self.gone_from_store()),
        }
    }

    /// With what is stored loaded: queues the events since the last commit to be applied again. The documents that a run
    /// begins with are stored before or together with the run itself.
    pub(crate) fn begin_replay(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let cancelled = batch.cancelled.is_some();
        if let Some(cancelled) = batch.cancelled {
            self.running.extend(cancelled.running);
            self.ready.start.extend(cancelled.start);
        }
        if let Some(withdrawn) = batch.withdrawn {
            self.running.extend(withdrawn.running);
            self.ready.start.extend(withdrawn.start);
        }
        self.ready.call_back = None;
        for path in std::mem::take(&mut self.outbox).into_iter().rev() {
            self.queue.put_back(crate::queue::Waiting { path, here: false });
        }
        self.replay = Some(Replay { before: self.running.clone(), again: Vec::new(), cancelled });
        self.todo.push_front(Todo::Replayed);
        for applied in batch.events.into_iter().rev() {
            self.todo.push_front(Applying::again(applied).into());
        }
    }

    /// After everything was applied again: continues the work whose claims are still valid, and drops the rest.
    pub(crate) fn end_replay(&mut self, circumstances: &Circumstances) {
        let Some(Replay { before, again, cancelled }) = self.replay.take() else { return };
        // The commit without an answer happened, and the event that ended the run is refused now. What follows from it is due.
        let has_ended = self.state.run().phase != Phase::Flow && self.batch.cancelled.is_none();
        self.ready.cancel |= cancelled && has_ended;
        let state = &self.state;
        self.running.retain(|path, claim| {
            node(state, path).is_some_and(|node| node.progress == Progress::Running && node.token == claim.token)
        });
        for (path, claim) in &mut self.running {
            let earlier = before.get(path).filter(|earlier| earlier.token == claim.token);
            claim.started = earlier.is_some_and(|earlier| earlier.started);
        }
        // What was to be started before the commit comes last: since then, another replica may have stored the answer for
        // which the node waits.
        let mut start: Vec<Work> = Vec::new();
        for work in again.into_iter().chain(std::mem::take(&mut self.ready.start)) {
            let stands = self.running.get(&work.path).is_some_and(|claim| claim.token == work.token && !claim.started);
            if stands && start.iter().all(|known| known.path != work.path) {
                start.push(work);
            }
        }
        self.ready.start = start;
        self.queue_unclaimed(circumstances);
        // The next commit contains everything that was applied again, and no new claims: where several replicas claim the
        // branches of a for-each, these conflict so often that this replica would abandon the run.
        self.todo.push_front(Todo::Fill);
        if self.executes_in_vain() {
            self.todo.push_front(Todo::Obey);
        }
        self.todo.push_front(Todo::Commit);
    }

    /// What a claim sees of its node, as far as a replay needs it; none for other events.
    pub(crate) fn seen(&self, event: &Event) -> Option<Basis> {
        let Event::Claim { path, .. } = event else { return None };
        node(&self.state, path).map(|node| Basis::Node { token: node.token, since: node.since })
    }

    /// Whether an event that is applied again would mean what it meant before.
    pub(crate) fn stands(&self, applying: &Applying) -> bool {
        match (&applying.event, applying.basis) {
            (event @ Event::Claim { .. }, basis @ Basis::Node { .. }) => {
                // A node that is not loaded is looked at when it is.
                self.seen(event).is_none_or(|seen| seen == basis)
            }
            (Event::Joined { path, started_by }, Basis::Arrivals(total)) => {
                self.batch.arrived(&set_of(path, *started_by)).count() == total as usize
            }
            _ => true,
        }
    }

    /// Whether a report that was refused in a replay is part of the node nevertheless, since a commit without an answer
    /// happened: nobody has claimed the node after this claim, or its history has the attempts or tries of the report.
    pub(crate) fn is_reported(&self, path: &NodePath, token: ClaimToken, report: &Report) -> bool {
        node(&self.state, path)
            .is_some_and(|node| node.token == token || node.has_noted(&report.attempts, &report.tries))
    }

    /// Nodes whose claims were refused wait for their turn again, unless another replica has them. What is executing here is
    /// not claimed again.
    fn queue_unclaimed(&mut self, circumstances: &Circumstances) {
        for path in std::mem::take(&mut self.unclaimed) {
            if self.state.is_claimable(&path, circumstances.now) {
                self.queue.add(&self.plan, path);
            }
        }
    }

    /// A report that was refused in a replay may have been committed by a commit without an answer. Looks for what followed
    /// from it.
    pub(crate) fn follow_refused(&mut self) {
        let refused = std::mem::take(&mut self.refused);
        if refused.is_empty() {
            return;
        }
        self.obey();
        for path in refused {
            let Some(scope) = self.state.scope(&path.scope).filter(|scope| scope.siblings > 1) else { continue };
            let (started_by, total) = (scope.started_by, scope.siblings);
            if let Some((node, _)) = path.scope.parent() {
                self.ready.count.push(Join { node, started_by, total });
            }
        }
    }
}

/// The state of a node or of a handler of the run.
pub(crate) fn node<'a>(state: &'a RunState, path: &NodePath) -> Option<&'a NodeState> {
    let of_scope = state.scope(&path.scope).map(|scope| scope.nodes.iter()).into_iter().flatten();
    of_scope.chain(&state.run().hooks).find(|node| node.id == path.node)
}
