//! Judges canaries: adds up how their runs ended on all replicas, and withdraws those that fail too often.

use super::active::Active;
use super::canary::Canary;
use super::error::Error;
use super::registry::Versions;
use super::store::{At, Commit, put};
use super::swaps::count;
use super::tally::Tally;
use super::version::By;
use faas_flow_core::FlowName;

impl Versions {
    /// Adds what was counted here to the tally in the store, and withdraws the canary if its rule is broken. Answers whether it
    /// did.
    pub(super) async fn withdraw_bad_canary(
        &self,
        flow: &FlowName,
        (active, revision): (&Active, u64),
        tally: At<Tally>,
    ) -> Result<bool, Error> {
        let Some(canary) = &active.canary else { return Ok(false) };
        let Some(tally) = self.add_to_tally(flow, canary, tally).await? else { return Ok(false) };
        let (last, failed) = (tally.ends.last(), tally.ends.last_failed());
        let rule = canary.rule;
        if !rule.is_broken_by(failed) {
            return Ok(false);
        }
        let message =
            format!("{failed} of the last {last} runs failed, more than {} of {}", rule.max_failures(), rule.over());
        let mut withdrawn = active.clone();
        withdrawn.withdraw(By::host(&message, self.now()))?;
        let committed = self.stored(flow).commit(vec![put(Active::DOC, revision, &withdrawn)?], Vec::new()).await?;
        if committed == Commit::Done {
            count(&self.swaps.withdrawn);
            tracing::warn!(%flow, version = canary.digest.short(), failed, last, reason = message, "withdrew the canary");
        }
        Ok(committed == Commit::Done)
    }

    /// Adds what was counted here to the tally. None if this replica does not serve the canary, or if another replica was
    /// faster, in which case it is added the next time.
    async fn add_to_tally(
        &self,
        flow: &FlowName,
        canary: &Canary,
        (tally, at): At<Tally>,
    ) -> Result<Option<Tally>, Error> {
        let serial = canary.serial;
        let counted = self.table.change(flow, |service| service.take_ends(serial)).flatten();
        let Some(counted) = counted else { return Ok(None) };
        let tally = tally.of(serial);
        if counted.ended == 0 {
            return Ok(Some(tally));
        }
        let tally = Tally { ends: tally.ends.followed_by(&counted, canary.rule.over()), ..tally };
        let committed = match put(Tally::DOC, at, &tally) {
            Ok(put) => self.stored(flow).commit(vec![put], Vec::new()).await,
            Err(error) => Err(error),
        };
        if matches!(committed, Ok(Commit::Done)) {
            return Ok(Some(tally));
        }
        self.table.change(flow, |service| service.return_ends(serial, counted));
        committed.map(|_| None)
    }
}
