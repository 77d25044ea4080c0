//! How a session ends: the run has ended or paused, or this replica leaves or abandons it.

use crate::batch::{Batch, Cancelled};
use crate::durability::{Durability, Role};
use crate::io::End;
use crate::session::Session;
use faas_flow_core::Failure;
use faas_flow_core::run::{NodeState, RunState, Unreadable, Withdrawn};

impl Session {
    /// Cancels everything that this replica executes.
    pub(crate) fn cancel(&mut self) {
        self.ready.cancel = true;
        self.ready.start.clear();
        self.running.clear();
        self.queue.clear();
        self.outbox.clear();
    }

    /// Cancels everything that this replica executes once the batch is committed. If the commit fails, nothing is cancelled.
    pub(crate) fn cancel_with_commit(&mut self) {
        let cancelled = self.batch.cancelled.get_or_insert_with(Cancelled::default);
        cancelled.running.append(&mut self.running);
        cancelled.start.append(&mut self.ready.start);
        self.queue.clear();
        self.outbox.clear();
    }

    /// Cancels what this replica executes of a part of the run once the batch is committed. If the commit fails, nothing is
    /// cancelled.
    pub(crate) fn withdraw_with_commit(&mut self, part: Withdrawn) {
        let withdrawing = self.batch.withdrawn.get_or_insert_default();
        withdrawing.running.extend(self.running.extract_if(.., |path, _| part.contains(path)));
        withdrawing.start.extend(self.ready.start.extract_if(.., |work| part.contains(&work.path)));
        if let Withdrawn::Branches(node) = &part {
            self.queue.joined(node);
        }
        withdrawing.parts.push(part);
    }

    /// Ends the session since the run has ended or paused. The driver notifies those who wait for that.
    pub(crate) fn end(&mut self, end: End) {
        // Once a commit of this replica has ended it, it hears of that end, too.
        self.ready.end = self.ready.end.filter(|known| *known == End::Ended).or(Some(end));
        self.leave();
    }

    /// Leaves the run: this replica claims nothing more of it.
    pub fn leave(&mut self) {
        self.role = Role::Left;
    }

    /// Leaves the run if this replica is a helper and has nothing more to do.
    pub fn leave_if_done(&mut self) {
        if self.role == Role::Helper && self.is_idle() {
            self.leave();
        }
    }

    /// Abandons the run. Another replica recovers it when its leases have expired; the copy in memory must not be written
    /// any more.
    pub(crate) fn abandon(&mut self, failure: Failure) {
        self.ready.leases.lost += self.running.len();
        self.cancel();
        self.todo.clear();
        self.replay = None;
        self.batch = Batch::default();
        self.durability = Durability::Diverged;
        self.ready.abandoned = Some(failure);
        self.leave();
    }

    /// A stored document cannot be read.
    pub(crate) fn unreadable(&mut self, error: &Unreadable) {
        self.abandon(Failure::reject(error.code(), error.to_string()));
    }
}

/// Whether the engine paused the run because the attempts of a node were exhausted. The node is executed again when an
/// operator resumes the run.
pub(crate) fn is_exhausted(state: &RunState) -> bool {
    state.scopes().flat_map(|scope| &scope.nodes).any(NodeState::is_exhausted)
}
