//! Replays: what was applied since the last commit is applied again to what the store has.
//!
//! This is what happens after a commit that conflicted, since another replica has changed the run, and after one of which
//! nobody knows whether it happened. The events are the same ones, tokens of claims included: a claim that was committed
//! after all is recognised by its token, and one that another replica won is refused and given up.

use crate::batch::Batch;
use crate::durability::Durability;
use crate::io::{Around, Io, Join};
use crate::session::{Applying, Claim, Origin, Outstanding, Session, Todo};
use faas_flow_core::run::{Doc, NodeState, Progress, RunState, Work};
use faas_flow_core::{Code, Failure, NodePath};
use std::collections::BTreeMap;

/// Commits in a row that may fail before this replica abandons the run.
pub(crate) const COMMIT_TRIES: u32 = 8;

/// A replay that has begun.
#[derive(Debug)]
pub(crate) struct Replay {
    /// What was being executed here when it began, and what was about to be.
    before: BTreeMap<NodePath, Claim>,
    /// Work of claims that were applied again.
    again: Vec<Work>,
}

impl Replay {
    pub(crate) fn add(&mut self, work: Work) {
        self.again.push(work);
    }
}

impl Session {
    /// A commit has failed: asks for what the store has, or abandons the run.
    pub(crate) fn commit_failed(&mut self, failure: Option<Failure>, around: &Around) {
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
        // Where there is more to do now than there was, it must not wait.
        self.wake_up(around.now);
        let mut docs: Vec<Doc> = self.state.changed().iter().cloned().collect();
        if !docs.contains(&Doc::Run) {
            docs.push(Doc::Run);
        }
        let tries = if failure.is_some() { self.unknown } else { 0 };
        self.wait_for(Outstanding::Replay(docs.clone()), Io::Load { docs, tries });
    }

    /// What the store has is loaded: queues what was applied since the last commit to be applied again.
    pub(crate) fn begin_replay(&mut self, is_stored: bool) {
        if !is_stored {
            match self.durability {
                // The first commit did not happen.
                Durability::Delayed => self.todo.push_front(Todo::Commit),
                _ => self.abandon(self.gone_from_store()),
            }
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        self.batch = Batch::replayed(batch.beginning);
        if let Some(cancelled) = batch.cancelled {
            self.running.extend(cancelled.running);
            self.ready.start.extend(cancelled.start);
        }
        self.ready.call_back = None;
        for path in std::mem::take(&mut self.outbox).into_iter().rev() {
            self.queue.put_back(crate::queue::Waiting { path, here: false });
        }
        self.replay = Some(Replay { before: self.running.clone(), again: Vec::new() });
        self.todo.push_front(Todo::Replayed);
        for (event, documents) in batch.events.into_iter().rev() {
            self.todo.push_front(Todo::Apply(Applying::new(event, documents, Origin::Replay)));
        }
    }

    /// Everything was applied again: what is executed here goes on if its claim stands.
    pub(crate) fn end_replay(&mut self, around: &Around) {
        let Some(Replay { before, again }) = self.replay.take() else { return };
        let state = &self.state;
        self.running.retain(|path, claim| {
            node(state, path).is_some_and(|node| node.progress == Progress::Running && node.token == claim.token)
        });
        for (path, claim) in &mut self.running {
            let earlier = before.get(path).filter(|earlier| earlier.token == claim.token);
            claim.started = earlier.is_some_and(|earlier| earlier.started);
        }
        let mut start: Vec<Work> = Vec::new();
        for work in std::mem::take(&mut self.ready.start).into_iter().chain(again) {
            let stands = self.running.get(&work.path).is_some_and(|claim| claim.token == work.token && !claim.started);
            if stands && start.iter().all(|known| known.path != work.path) {
                start.push(work);
            }
        }
        self.ready.start = start;
        self.fill(around);
        // The next commit follows, with all that was applied again.
        self.todo.push_front(Todo::Commit);
    }

    /// Nodes whose report was refused in a replay may have been reported by a commit that happened without an answer: what
    /// followed from it has to be looked for.
    pub(crate) fn follow_refused(&mut self) {
        let refused = std::mem::take(&mut self.refused);
        if refused.is_empty() {
            return;
        }
        self.obey();
        for path in refused {
            let Some(scope) = self.state.scope(&path.scope).filter(|scope| scope.siblings > 1) else { continue };
            let (began_by, total) = (scope.began_by, scope.siblings);
            if let Some((node, _)) = path.scope.parent() {
                self.ready.count.push(Join { node, began_by, total });
            }
        }
    }
}

/// The state of a node, or of one of the run's handlers.
pub(crate) fn node<'a>(state: &'a RunState, path: &NodePath) -> Option<&'a NodeState> {
    let of_scope = state.scope(&path.scope).map(|scope| scope.nodes.iter()).into_iter().flatten();
    of_scope.chain(&state.run().hooks).find(|node| node.id == path.node)
}
