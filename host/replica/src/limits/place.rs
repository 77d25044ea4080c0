//! A permit, or a place in line, for as long as somebody has it.

use super::shard::Shard;
use super::state::Op;
use faas_flow_core::limit::Ticket;
use faas_flow_core::run::WaitId;
use faas_flow_core::{Code, Failure};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What came of asking for a permit.
#[derive(Debug)]
pub(super) enum Granted {
    /// One of those that this replica has leased.
    Leased,
    /// One of its own.
    Ticket,
    /// A place in line, and word of the permit.
    Waits(oneshot::Receiver<()>),
    /// There is no room in the line.
    Full,
}

/// What came of waiting for a permit for a short while.
pub(crate) enum Waited {
    /// A permit.
    Permit(Place),
    /// A place in line.
    InLine(Place),
    /// There is no room in the line.
    Full,
}

/// What came of having a node suspended until it has a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slept {
    /// It waits in line.
    Waits,
    /// It has got its permit meanwhile.
    Permit,
    /// It has lost its place, since nobody has renewed it in time.
    Lost,
}

/// Why nobody answers.
pub(super) fn stopping() -> Failure {
    Failure::retry(Code::STOPPING, "the replica is stopping")
}

/// A permit or a place in line. It is given up when it is dropped.
pub(crate) struct Place {
    pub(super) shard: Arc<Shard>,
    pub(super) key: String,
    pub(super) ticket: Ticket,
    pub(super) kind: Kind,
}

/// What is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A leased permit.
    Leased,
    /// What the document has of the ticket.
    Ticket,
    /// Nothing.
    Nothing,
}

impl Place {
    /// Notes that the node is about to be suspended until it has a permit. `None` if it is to be suspended, and the permit
    /// if it has got that meanwhile.
    pub(crate) async fn sleep(mut self, wait: WaitId) -> Result<Option<Self>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.shard.ask(self.key.clone(), self.ticket.clone(), Op::Sleep { wait, reply });
        match answer.await.map_err(|_| stopping())?? {
            Slept::Permit => Ok(Some(self)),
            Slept::Waits => {
                self.kind = Kind::Nothing;
                Ok(None)
            }
            // When it continues, it asks again.
            Slept::Lost => Ok(None),
        }
    }

    /// Keeps the permit although nobody renews it, since its node is suspended.
    pub(crate) fn park(mut self) {
        let leased = self.kind == Kind::Leased;
        self.shard.state().tickets.remove(&(self.key.clone(), self.ticket.clone()));
        self.shard.ask(self.key.clone(), self.ticket.clone(), Op::Park { leased });
        self.kind = Kind::Nothing;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self.kind {
            Kind::Nothing => {}
            Kind::Leased => {
                let mut state = self.shard.state();
                state.untake(&self.key);
                let is_awaited = state.busy.contains(&self.key);
                drop(state);
                if is_awaited {
                    self.shard.give_back();
                }
            }
            Kind::Ticket => {
                self.shard.state().tickets.remove(&(self.key.clone(), self.ticket.clone()));
                self.shard.ask(self.key.clone(), self.ticket.clone(), Op::Leave);
            }
        }
        self.shard.unuses();
    }
}
