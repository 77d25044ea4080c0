//! Where what is ready is executed: here while there is room, elsewhere beyond.

use super::live::{Inner, Live, new_token};
use super::queue;
use faas_flow_core::Millis;
use faas_flow_core::run::{Event, Work};
use std::sync::Arc;

impl Live {
    /// Claims what waits while there is room; beyond, others are told, if there is a way to tell them.
    pub(super) fn fill(&self, inner: &mut Inner, now: Millis, works: &mut Vec<Work>) {
        let until = now + self.lease();
        loop {
            let room = self.host.room(inner.running.len());
            if !room && !self.host.may_send() {
                return;
            }
            let Some(waiting) = inner.queue.next() else { return };
            if inner.running.contains_key(&waiting.path) {
                continue;
            }
            // Branches whose number is limited stay with the replica that counts them.
            let stays = self.is_deferred() || waiting.here || queue::limit(&self.plan, &waiting.path).is_some();
            if !stays && (self.host.sends_first() || !room && self.host.may_send()) {
                inner.outbox.push(waiting.path);
                continue;
            }
            if !room {
                return inner.queue.put_back(waiting);
            }
            let claim = Event::Claim { path: waiting.path, owner: self.host.owner.clone(), token: new_token(), until };
            // A refusal means that somebody else has it, or that the run is paused: nothing is lost.
            let _ = self.advance(inner, claim, now, works);
        }
    }

    /// Tells others what is ready, now that it is committed.
    pub(super) fn send(self: &Arc<Self>, inner: &mut Inner) {
        if inner.outbox.is_empty() || !inner.unsaved.is_empty() {
            return;
        }
        let (live, paths) = (self.clone(), std::mem::take(&mut inner.outbox));
        tokio::spawn(async move {
            let Some(events) = &live.host.events else { return };
            for path in paths {
                if let Err(failure) = events.send(&live.flow.name, &live.id, &path).await {
                    // The keeper finds it, one lease later.
                    tracing::warn!(run = %live.id, %path, code = %failure.code, "cannot send an event: {failure}");
                }
            }
        });
    }
}
