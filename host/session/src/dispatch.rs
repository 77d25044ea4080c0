//! Where ready nodes are executed: here while there is room, elsewhere beyond.

use crate::durability::Durability;
use crate::io::{Around, Dispatch};
use crate::queue;
use crate::session::Session;
use faas_flow_core::run::Event;
use faas_flow_core::{Millis, NodePath};

impl Session {
    /// Claims ready nodes while there is room here; beyond, others are told of them, if they get any.
    pub(crate) fn fill(&mut self, around: &Around) {
        let room = around.room;
        loop {
            let has_room = self.running.len() < room.nodes;
            if !has_room && room.dispatch == Dispatch::Local {
                return;
            }
            let Some(waiting) = self.queue.next() else { return };
            if self.running.contains_key(&waiting.path) {
                continue;
            }
            // Branches whose number is limited stay with the replica that counts them.
            let stays = self.durability == Durability::Memory
                || waiting.here
                || queue::limit(&self.plan, &waiting.path).is_some();
            let is_sent = match room.dispatch {
                Dispatch::Local => false,
                Dispatch::Overflow => !has_room,
                Dispatch::Everything => true,
            };
            if is_sent && !stays {
                self.outbox.push(waiting.path);
                continue;
            }
            if !has_room {
                return self.queue.put_back(waiting);
            }
            let claim = self.claim(waiting.path, around.now);
            // A refusal means that another replica has it, or that the run is paused: nothing is lost.
            let _ = self.apply_now(claim, around.now);
        }
    }

    /// A claim of this replica, with a token of its own.
    pub(crate) fn claim(&mut self, path: NodePath, now: Millis) -> Event {
        let owner = self.rules.owner.clone();
        Event::Claim { path, owner, token: self.tokens.next(), until: now + self.rules.lease }
    }
}
