//! Permits that nobody renews, since their nodes are suspended. They end with the wait, or once the node does not wait any more.

use super::shard::Shard;
use super::state::Op;
use crate::services::Services;
use faas_flow_core::Millis;
use faas_flow_core::limit::Ticket;
use faas_flow_core::run::{Phase, Progress};
use faas_flow_versions::runs::load_around;
use std::sync::Arc;

/// How often those are looked at for which somebody waits, or that were parked here.
const LOOKS: Millis = 5_000;
/// How many are looked at in one go.
const AT_ONCE: usize = 100;

impl Shard {
    /// Gives up the parked permits of nodes that do not wait any more: their runs were stopped, or have failed.
    pub(super) async fn look_at_parked(self: &Arc<Self>) {
        let Some(services) = self.services() else { return };
        let now = services.now();
        let parked: Vec<(String, Ticket)> = {
            let known = self.known.lock().await;
            let mut state = self.state();
            // If the clock has gone back, nobody knows how long ago that was.
            if (state.looked..state.looked.saturating_add(LOOKS)).contains(&now) {
                return;
            }
            state.looked = now;
            let lines = known.as_ref().map(|known| known.lines.iter()).into_iter().flatten();
            let parked = lines.flat_map(|(key, line)| {
                let is_awaited = !line.queue.is_empty();
                let parked = line.holds.iter().filter(|hold| hold.parked).filter_map(|hold| hold.ticket.clone());
                parked.map(move |ticket| (is_awaited, (key.to_owned(), ticket)))
            });
            let all: Vec<_> = parked.collect();
            state.parked.retain(|mine| all.iter().any(|(_, one)| one == mine));
            let needs_look = |(is_awaited, one): &(bool, (String, Ticket))| *is_awaited || state.parked.contains(one);
            all.into_iter().filter(needs_look).map(|(_, one)| one).take(AT_ONCE).collect()
        };
        for (key, ticket) in parked {
            if !goes_on(&services, &ticket).await {
                self.ask(key, ticket, Op::Drop);
            }
        }
    }
}

/// Whether a node still is in the attempt that holds a permit. If that cannot be told now, it is.
async fn goes_on(services: &Services, ticket: &Ticket) -> bool {
    let state = match load_around(&*services.state, &ticket.run, &ticket.node).await {
        Ok(Some(state)) => state,
        Ok(None) => return false,
        Err(_) => return true,
    };
    let node = state.scope(&ticket.node.scope).and_then(|scope| scope.node(&ticket.node.node));
    state.run().phase != Phase::Ended
        && node.is_some_and(|node| match node.progress {
            Progress::Ready => node.suspended.is_some(),
            Progress::Running => true,
            _ => false,
        })
}
