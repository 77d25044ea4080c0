//! How the canary does: its runs that ended, on all replicas together.

use super::active::{Active, Canary};
use super::store::{At, put};
use super::version::By;
use crate::{Error, Flow, Host};
use faas_flow_core::FlowName;
use serde::{Deserialize, Serialize};

/// How runs ended, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Ends {
    /// How many.
    pub ended: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The last of them, the newest last: `.` for one that did well, `x` for one that failed.
    last: String,
}

impl Ends {
    /// Notes one more.
    fn note(&mut self, failed: bool) {
        self.ended += 1;
        self.failed += u64::from(failed);
        self.last.push(if failed { 'x' } else { '.' });
        self.forget(Canary::MOST as usize);
    }

    /// These, and then those, of which the last `over` are looked at.
    fn and(mut self, later: &Ends, over: u32) -> Self {
        self.ended += later.ended;
        self.failed += later.failed;
        self.last.push_str(&later.last);
        self.forget(over as usize);
        self
    }

    fn forget(&mut self, most: usize) {
        self.last.drain(..self.last.len().saturating_sub(most));
    }

    /// How many are looked at.
    pub fn last(&self) -> u64 {
        self.last.len() as u64
    }

    /// How many of these failed.
    pub fn last_failed(&self) -> u64 {
        self.last.bytes().filter(|end| *end == b'x').count() as u64
    }
}

/// The runs of a canary that ended. What a replica counted in its last moments before it was killed is lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Of which canary.
    pub serial: u64,
    /// How they ended.
    #[serde(flatten)]
    pub ends: Ends,
}

impl Tally {
    /// The document that holds it.
    pub(super) const DOC: &str = "canary";
}

impl Host {
    /// Notes that a run ended here, or could not begin, or paused since it failed.
    pub(crate) fn count_ended(&self, flow: &Flow, failed: bool) {
        if !self.has_canary(&flow.name) {
            return;
        }
        self.serve(&flow.name, |service| {
            let canary = service.canary.as_ref();
            if canary.is_some_and(|(_, canary)| canary.module.digest() == flow.module.digest()) {
                service.ended.note(failed);
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
        let ended = self.serve(flow, |service| follows(service).then(|| std::mem::take(&mut service.ended)));
        let Some(ended) = ended.flatten() else { return Ok(false) };
        let mut tally = match tally.serial == canary.serial {
            true => tally,
            false => Tally { serial: canary.serial, ends: Ends::default() },
        };
        if ended.ended > 0 {
            tally.ends = tally.ends.and(&ended, canary.over);
            let added = match put(Tally::DOC, at, &tally) {
                Ok(put) => self.stored(flow).commit(vec![put], Vec::new()).await,
                Err(error) => Err(error),
            };
            if !matches!(added, Ok(true)) {
                // Next time: somebody else was faster, or the store is away.
                self.serve(flow, |service| {
                    if follows(service) {
                        service.ended = ended.and(&service.ended, Canary::MOST);
                    }
                });
                return added.map(|_| false);
            }
        }
        let (last, failed) = (tally.ends.last(), tally.ends.last_failed());
        if !canary.is_bad(failed) {
            return Ok(false);
        }
        let message =
            format!("{failed} of the last {last} runs failed, more than {} of {}", canary.max_failures, canary.over);
        tracing::warn!(%flow, version = canary.digest.short(), "the canary is withdrawn: {message}");
        let mut withdrawn = active.clone();
        withdrawn.withdraw(By::host(&message, self.now()))?;
        self.stored(flow).commit(vec![put(Active::DOC, *revision, &withdrawn)?], Vec::new()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(of: &str) -> Ends {
        let mut ends = Ends::default();
        of.chars().for_each(|end| ends.note(end == 'x'));
        ends
    }

    #[test]
    fn only_the_last_runs_are_looked_at() {
        let all = ends("xxx").and(&ends("..x"), 4);
        assert_eq!((all.ended, all.failed), (6, 4));
        assert_eq!((all.last(), all.last_failed()), (4, 2));
        let later = all.and(&ends("...."), 4);
        assert_eq!((later.ended, later.failed, later.last(), later.last_failed()), (10, 4, 4, 0));
    }

    #[test]
    fn a_canary_that_did_well_for_long_is_bad_soon_after_it_begins_to_fail() {
        let long = ends(&".".repeat(5000)).and(&ends("xxxxxx"), 100);
        assert_eq!((long.ended, long.last(), long.last_failed()), (5006, 100, 6));
    }

    #[test]
    fn what_is_counted_while_the_store_is_away_is_bounded() {
        let many = ends(&"x".repeat(Canary::MOST as usize + 5));
        assert_eq!((many.ended, many.last()), (10_005, 10_000));
    }

    #[test]
    fn a_tally_of_a_release_that_kept_only_sums_is_read() {
        let tally: Tally = serde_json::from_str(r#"{"serial":3,"ended":10,"failed":2}"#).unwrap();
        assert_eq!((tally.ends.ended, tally.ends.failed, tally.ends.last()), (10, 2, 0));
    }
}
