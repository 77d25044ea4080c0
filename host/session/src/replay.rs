//! Replays: what was applied since the last commit is applied again to what the store has.
//!
//! A replay follows a commit that conflicted, because another replica had changed the run, and a commit without an answer,
//! which may or may not have happened. The events are the same, including their times and the tokens of claims. A claim that
//! was committed after all is therefore recognized by its token, and a claim that another replica won is refused and given up.

use crate::apply::Applying;
use crate::batch::{Arriving, Basis, Batch};
use crate::durability::Durability;
use crate::io::{Circumstances, End, Io, Join};
use crate::session::{Claim, Outstanding, Session, Todo};
use faas_flow_core::run::{
    ClaimToken, Doc, Event, NodeState, Phase, Progress, Report, RunState, Withdrawn, Work, set_of,
};
use faas_flow_core::{Code, Failure, Millis, NodePath};
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
    followed: Followed,
}

/// What followed from the events since the last commit, beside new documents and claims. If that commit has happened, these
/// events are refused, and what followed from them is due nevertheless.
#[derive(Debug)]
struct Followed {
    /// Whether the run was to be cancelled.
    cancelled: bool,
    /// The parts of the run that were not to go on.
    withdrawn: Vec<Withdrawn>,
    /// The branches that had ended.
    arrived: Vec<Arriving>,
    /// When the run had ended, if it had.
    ended: Option<Millis>,
}

impl Followed {
    fn from(batch: &mut Batch) -> Self {
        Self {
            cancelled: batch.cancelled.is_some(),
            withdrawn: batch
                .withdrawn
                .as_mut()
                .map(|withdrawn| std::mem::take(&mut withdrawn.parts))
                .unwrap_or_default(),
            arrived: std::mem::take(&mut batch.arrivals),
            ended: batch.ended,
        }
    }
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
        let mut batch = std::mem::take(&mut self.batch);
        let followed = Followed::from(&mut batch);
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
        self.replay = Some(Replay { before: self.running.clone(), again: Vec::new(), followed });
        self.todo.push_front(Todo::Replayed);
        for applied in batch.events.into_iter().rev() {
            self.todo.push_front(Applying::again(applied).into());
        }
    }

    /// After everything was applied again: continues the work whose claims are still valid, and drops the rest.
    pub(crate) fn end_replay(&mut self, circumstances: &Circumstances) {
        let Some(Replay { before, again, followed }) = self.replay.take() else { return };
        let has_ended = followed.ended.is_some() && self.batch.ended.is_none();
        self.follow_stored(followed, &before);
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
        if has_ended || self.executes_in_vain() {
            self.todo.push_front(Todo::Obey);
        }
        self.todo.push_front(Todo::Commit);
    }

    /// What followed from events that the replay has refused, as far as what is stored says the same: the commit without an
    /// answer has happened, or another replica has done the same.
    fn follow_stored(&mut self, followed: Followed, before: &BTreeMap<NodePath, Claim>) {
        let Followed { cancelled, withdrawn, arrived, ended } = followed;
        self.ready.cancel |= cancelled && self.state.run().phase != Phase::Flow && self.batch.cancelled.is_none();
        for part in withdrawn {
            let is_withdrawn_again = self.batch.withdrawn.as_ref().is_some_and(|batch| batch.parts.contains(&part));
            if is_withdrawn_again || !self.state.has_withdrawn(&part) {
                continue;
            }
            let claims = before.iter().filter(|(path, _)| part.contains(path));
            self.ready.withdrawn_claims.extend(claims.map(|(_, claim)| claim.token));
            self.running.retain(|path, _| !part.contains(path));
            self.ready.withdrawn.push(part);
        }
        for Arriving { node, started_by, total, member, .. } in arrived {
            let join = Join { node, started_by, total };
            let arrives_again = self.batch.arrived(&member.set).any(|again| again.member == member.member);
            if !arrives_again && !self.ready.count.contains(&join) {
                self.ready.count.push(join);
            }
        }
        if self.unknown > 0 && ended.is_some() && self.batch.ended.is_none() && self.state.run().ended == ended {
            self.end(End::Ended);
        }
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

    /// A report that was refused in a replay may have been committed by a commit without an answer. Looks whether the run has
    /// ended or paused.
    pub(crate) fn follow_refused(&mut self) {
        if std::mem::take(&mut self.has_refused) {
            self.obey();
        }
    }
}

/// The state of a node or of a handler of the run.
pub(crate) fn node<'a>(state: &'a RunState, path: &NodePath) -> Option<&'a NodeState> {
    let of_scope = state.scope(&path.scope).map(|scope| scope.nodes.iter()).into_iter().flatten();
    of_scope.chain(&state.run().hooks).find(|node| node.id == path.node)
}
