//! How the canary does: its runs that ended, on all replicas together.

use super::active::Active;
use super::store::{At, put};
use super::version::By;
use crate::{Error, Flow, Host};
use faas_flow_core::FlowName;
use serde::{Deserialize, Serialize};

/// The runs of a canary that ended. What a replica counted in its last moments before it was killed is lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Of which canary.
    pub serial: u64,
    /// How many.
    pub ended: u64,
    /// How many of them failed.
    pub failed: u64,
}

impl Tally {
    /// The document that holds it.
    pub(super) const DOC: &str = "canary";
}

impl Host {
    /// Notes that a run ended here.
    pub(crate) fn count_ended(&self, flow: &Flow, failed: bool) {
        if !self.has_canary(&flow.name) {
            return;
        }
        self.serve(&flow.name, |service| {
            let canary = service.canary.as_ref();
            if canary.is_some_and(|(_, canary)| canary.module.digest() == flow.module.digest()) {
                service.ended += 1;
                service.failed += u64::from(failed);
            }
        });
    }

    /// Adds what ended here to the tally, and withdraws a canary that fails too often. Answers whether it did.
    pub(super) async fn judge(
        &self,
        flow: &FlowName,
        (active, revision): &At<Active>,
        (tally, at): At<Tally>,
    ) -> Result<bool, Error> {
        let Some(canary) = &active.canary else { return Ok(false) };
        let follows =
            |service: &super::Service| service.canary.as_ref().is_some_and(|(known, _)| known.serial == canary.serial);
        let counted = self.serve(flow, |service| {
            follows(service).then(|| (std::mem::take(&mut service.ended), std::mem::take(&mut service.failed)))
        });
        let Some((ended, failed)) = counted.flatten() else { return Ok(false) };
        let mut tally = if tally.serial == canary.serial { tally } else { Tally::default() };
        if ended > 0 {
            tally = Tally { serial: canary.serial, ended: tally.ended + ended, failed: tally.failed + failed };
            let added = match put(Tally::DOC, at, &tally) {
                Ok(put) => self.stored(flow).commit(vec![put], Vec::new()).await,
                Err(error) => Err(error),
            };
            if !matches!(added, Ok(true)) {
                // Next time: somebody else was faster, or the store is away.
                self.serve(flow, |service| {
                    if follows(service) {
                        service.ended += ended;
                        service.failed += failed;
                    }
                });
                return added.map(|_| false);
            }
        }
        if !canary.is_bad(tally.ended, tally.failed) {
            return Ok(false);
        }
        let message = format!(
            "{} of {} runs failed, more than {} of at least {}",
            tally.failed, tally.ended, canary.max_failures, canary.over
        );
        tracing::warn!(%flow, version = canary.digest.short(), "the canary is withdrawn: {message}");
        let mut withdrawn = active.clone();
        withdrawn.withdraw(By::host(&message, self.now()))?;
        self.stored(flow).commit(vec![put(Active::DOC, *revision, &withdrawn)?], Vec::new()).await
    }
}
