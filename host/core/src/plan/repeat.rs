//! Repeats, checked. The rounds of a repeat are its branches: the key of each is its number, from 1.

use super::PlanDag;
use crate::definition::Repeat;
use crate::validate::Problem;
use crate::{BranchKey, HandlerId};

/// A dag that runs again on its own result while a handler says so.
#[derive(Debug)]
pub struct PlanRepeat {
    /// The `again` handler, which is asked after each round.
    pub handler: HandlerId,
    /// Its dag.
    pub dag: PlanDag,
    /// How many rounds there may be, at least 1.
    pub most: u32,
    /// The wait between two rounds, in milliseconds; 0 for none.
    pub wait_ms: u64,
}

impl PlanRepeat {
    pub(super) fn new(repeat: &Repeat) -> Result<Self, Problem> {
        let Repeat { handler, dag, most, wait_ms } = repeat;
        Ok(Self { handler: HandlerId::new(handler)?, dag: PlanDag::new(dag)?, most: *most, wait_ms: *wait_ms })
    }

    /// The dag of the round with this key; `None` if there cannot be such a round.
    pub(super) fn round(&self, key: Option<&BranchKey>) -> Option<&PlanDag> {
        round_of(key?).filter(|round| *round <= self.most).map(|_| &self.dag)
    }
}

/// The key of a round, by its number.
pub fn round_key(round: u32) -> Option<BranchKey> {
    BranchKey::new(round.to_string()).ok()
}

/// The number of the round with this key, from 1; `None` if it is no number.
pub fn round_of(key: &BranchKey) -> Option<u32> {
    let round = key.as_str().parse().ok().filter(|round| *round > 0)?;
    (round_key(round).as_ref() == Some(key)).then_some(round)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_round_is_its_number_in_one_spelling() {
        let round = |key: &str| round_of(&BranchKey::new(key).unwrap());
        assert_eq!((round("1"), round("37")), (Some(1), Some(37)));
        for key in ["0", "03", "+3", "-1", "3 ", "x", "4294967296"] {
            assert_eq!(round(key), None, "{key}");
        }
        assert_eq!(round_of(&round_key(u32::MAX).unwrap()), Some(u32::MAX));
    }
}
