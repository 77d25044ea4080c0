//! Decides where ready nodes are executed: here while there is room, on other replicas otherwise.

use crate::durability::Durability;
use crate::io::{Circumstances, Dispatch};
use crate::queue;
use crate::session::Session;
use faas_flow_core::NodePath;
use faas_flow_core::run::Event;

impl Session {
    /// Claims ready nodes while there is room here. The rest are sent to other replicas, or wait, as `dispatch` says.
    pub(crate) fn fill(&mut self, circumstances: &Circumstances) {
        let room = circumstances.room;
        loop {
            let has_room = self.running.len() < room.nodes;
            if !has_room && room.dispatch == Dispatch::Local {
                return;
            }
            let Some(waiting) = self.queue.next() else { return };
            if self.running.contains_key(&waiting.path) {
                continue;
            }
            // Starts of branches with a limit stay with the replica that counts them.
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
            let claim = self.claim(waiting.path, circumstances);
            // If the claim is refused, another replica has the node or the run is paused. Nothing is lost.
            let _ = self.apply_now(claim, circumstances.now);
        }
    }

    /// A claim by this replica, with a new token.
    pub(crate) fn claim(&mut self, path: NodePath, circumstances: &Circumstances) -> Event {
        let owner = self.rules.owner.clone();
        let lost = self.lost_claim(&path, circumstances.uptime);
        Event::Claim { path, owner, token: self.tokens.next(), until: circumstances.now + self.rules.lease, lost }
    }
}
