//! The claims of other replicas, and since when this replica has seen each of them unchanged.
//!
//! A replica that executes a node renews its lease three times in a lease, each time with another end. So who has seen the
//! same claim with the same end for a whole lease knows that its replica is lost, whatever the clocks of both say.

use crate::session::Session;
use faas_flow_core::run::HeldClaim;
use faas_flow_core::{Millis, NodePath};
use std::collections::BTreeMap;

/// The claims of other replicas, each with the moment since when it has been seen.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeMap<NodePath, (HeldClaim, Millis)>);

impl Seen {
    /// Takes note of the claims that there are now.
    fn note(&mut self, claims: impl IntoIterator<Item = (NodePath, HeldClaim)>, uptime: Millis) {
        let mut before = std::mem::take(&mut self.0);
        let since = |(path, claim): (NodePath, HeldClaim)| {
            let known = before.remove(&path).filter(|(known, _)| *known == claim);
            let since = known.map_or(uptime, |(_, since)| since);
            (path, (claim, since))
        };
        self.0 = claims.into_iter().map(since).collect();
    }
}

impl Session {
    /// Takes note of the claims of other replicas as they are loaded.
    pub(crate) fn see_claims(&mut self, uptime: Millis) {
        let running = &self.running;
        let claims = self.state.claims().into_iter().filter(|(path, _)| !running.contains_key(path));
        self.seen.note(claims, uptime);
    }

    /// The claim of a node, if its replica is lost.
    pub(crate) fn lost_claim(&self, path: &NodePath, uptime: Millis) -> Option<HeldClaim> {
        let (claim, since) = self.seen.0.get(path)?;
        (uptime.saturating_sub(*since) >= self.rules.lease).then_some(*claim)
    }
}
