//! How a node asks for a permit.

use super::Limits;
use super::place::{Granted, Kind, Place, Waited, stopping};
use super::state::Op;
use crate::counters::Permit;
use faas_flow_core::limit::{Figures, Ticket};
use faas_flow_core::{Failure, FlowName, Millis};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a node waits for a permit in memory. After that it is suspended, so that it holds up nobody else.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// One key of a limit, and what it allows.
#[derive(Debug, Clone)]
pub(crate) struct At {
    /// The name of the limit.
    pub(crate) name: String,
    /// The flow whose limit it is; `None` if only the operator limits the function that is called.
    pub(crate) flow: Option<FlowName>,
    /// What the flow says that it allows.
    pub(crate) figures: Figures,
    /// Empty if the limit has no keys.
    pub(crate) key: String,
}

impl Limits {
    /// Asks for a permit for a ticket that came at `since`, and waits for it for a short while.
    pub(crate) async fn enter(&self, at: &At, ticket: Ticket, since: Millis) -> Result<Waited, Failure> {
        let shard = self.shard(at);
        let mut place = Place { shard: shard.clone(), key: at.key.clone(), ticket, kind: Kind::Nothing };
        let services = shard.services();
        let count = |from| services.iter().for_each(|services| services.counters.permit(from));
        let (now, uptime) = services.as_ref().map_or((0, 0), |services| (services.now(), services.clock.uptime()));
        {
            let mut state = shard.state();
            state.figures = at.figures;
            let figures = services.as_ref().map_or(at.figures, |services| shard.allowance(services, &state).figures);
            if state.take(&at.key, figures, now, uptime) {
                place.kind = Kind::Leased;
                drop(state);
                count(Permit::Lease);
                return Ok(Waited::Permit(place));
            }
        }
        place.kind = Kind::Ticket;
        if since + PATIENCE.as_millis() as Millis <= now && shard.uses_permit(&place.key, &place.ticket).await {
            count(Permit::Store);
            return Ok(Waited::Permit(place));
        }
        let patient_until = Instant::now() + PATIENCE;
        let (reply, answer) = oneshot::channel();
        shard.ask(at.key.clone(), place.ticket.clone(), Op::Enter { since, reply });
        match answer.await.map_err(|_| stopping())?? {
            Granted::Leased => {
                place.kind = Kind::Leased;
                count(Permit::Store);
                Ok(Waited::Permit(place))
            }
            Granted::Ticket => {
                count(Permit::Store);
                Ok(Waited::Permit(place))
            }
            Granted::Full => {
                place.kind = Kind::Nothing;
                Ok(Waited::Full)
            }
            Granted::Waits(granted) => match tokio::time::timeout_at(patient_until, granted).await {
                Ok(Ok(())) => {
                    count(Permit::Store);
                    Ok(Waited::Permit(place))
                }
                _ => Ok(Waited::InLine(place)),
            },
        }
    }

    /// Gives up the permit of a ticket that was parked, on whichever replica.
    pub(crate) fn leave(&self, at: &At, ticket: Ticket) {
        let shard = self.shard(at);
        shard.state().figures = at.figures;
        shard.ask(at.key.clone(), ticket, Op::Drop);
        shard.unuses();
    }
}
