//! How the runs of a canary ended, on all replicas together.

use super::canary::CanaryRule;
use serde::{Deserialize, Serialize};

/// How a run ended, as far as its version is judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// It succeeded, or somebody stopped it.
    Fine,
    /// It failed, could not begin, or paused because a node has no tries left.
    Failed,
}

/// How a series of runs ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Ends {
    /// How many runs ended.
    pub ended: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The last of them, the newest last: `.` for one that ended well, `x` for one that failed.
    last: String,
}

impl Ends {
    /// Adds a run. At most [`CanaryRule::MOST_RUNS`] are remembered one by one.
    pub(super) fn add(&mut self, end: RunEnd) {
        self.ended += 1;
        match end {
            RunEnd::Fine => self.last.push('.'),
            RunEnd::Failed => {
                self.failed += 1;
                self.last.push('x');
            }
        }
        self.keep_last(CanaryRule::MOST_RUNS);
    }

    /// These runs followed by `later` ones, of which the last `over` are remembered one by one.
    pub(super) fn followed_by(mut self, later: &Ends, over: u32) -> Self {
        self.ended += later.ended;
        self.failed += later.failed;
        self.last.push_str(&later.last);
        self.keep_last(over);
        self
    }

    fn keep_last(&mut self, most: u32) {
        self.last.drain(..self.last.len().saturating_sub(most as usize));
    }

    /// How many runs are remembered one by one: those that the canary is judged by.
    pub fn last(&self) -> u64 {
        self.last.len() as u64
    }

    /// How many of the remembered runs failed.
    pub fn last_failed(&self) -> u64 {
        self.last.bytes().filter(|end| *end == b'x').count() as u64
    }
}

/// The ended runs of a canary, as they are stored. What a replica has counted since it last added to the tally is lost when
/// the replica is killed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The serial number of the canary.
    pub serial: u64,
    /// How its runs ended.
    #[serde(flatten)]
    pub ends: Ends,
}

impl Tally {
    /// The document that holds it.
    pub(super) const DOC: &str = "canary";

    /// The tally of the canary with this serial number: this one, or an empty one if this belongs to an earlier canary.
    pub(super) fn of(self, serial: u64) -> Self {
        if self.serial == serial { self } else { Self { serial, ends: Ends::default() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(text: &str) -> Ends {
        let mut ends = Ends::default();
        for end in text.chars() {
            ends.add(if end == 'x' { RunEnd::Failed } else { RunEnd::Fine });
        }
        ends
    }

    #[test]
    fn only_the_last_runs_are_looked_at() {
        let all = ends("xxx").followed_by(&ends("..x"), 4);
        assert_eq!((all.ended, all.failed), (6, 4));
        assert_eq!((all.last(), all.last_failed()), (4, 2));
        let later = all.followed_by(&ends("...."), 4);
        assert_eq!((later.ended, later.failed, later.last(), later.last_failed()), (10, 4, 4, 0));
    }

    #[test]
    fn a_canary_that_did_well_for_long_is_bad_soon_after_it_begins_to_fail() {
        let long = ends(&".".repeat(5000)).followed_by(&ends("xxxxxx"), 100);
        assert_eq!((long.ended, long.last(), long.last_failed()), (5006, 100, 6));
        assert!(CanaryRule::default().is_broken_by(long.last_failed()));
    }

    #[test]
    fn what_is_counted_while_the_store_is_away_is_bounded() {
        let many = ends(&"x".repeat(CanaryRule::MOST_RUNS as usize + 5));
        assert_eq!((many.ended, many.last()), (10_005, 10_000));
    }

    #[test]
    fn the_tally_of_an_earlier_canary_does_not_count() {
        let tally = Tally { serial: 3, ends: ends("xx.") };
        assert_eq!(tally.clone().of(3), tally);
        assert_eq!(tally.of(4), Tally { serial: 4, ends: Ends::default() });
    }

    #[test]
    fn a_tally_of_a_release_that_kept_only_sums_is_read() {
        let tally: Tally = serde_json::from_str(r#"{"serial":3,"ended":10,"failed":2}"#).unwrap();
        assert_eq!((tally.ends.ended, tally.ends.failed, tally.ends.last()), (10, 2, 0));
    }
}
