//! The request ids that the host makes.

use faas_flow_core::RunId;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a host takes request ids from. Clones share one source.
///
/// An id has 120 random bits, so knowing other ids does not help to guess it.
#[derive(Debug, Clone, Default)]
pub enum Ids {
    /// A generator for cryptography (ChaCha), which the operating system seeds and seeds again. Each thread has its own, so
    /// that an id costs no system call.
    #[default]
    Random,
    /// Ids that follow from a seed, so that a simulation can be repeated.
    Seeded(Arc<Mutex<fastrand::Rng>>),
}

impl Ids {
    /// Ids that follow from this seed.
    pub fn seeded(seed: u64) -> Self {
        Ids::Seeded(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// A new id.
    pub fn draw(&self) -> RunId {
        RunId::of_bits(match self {
            Ids::Random => rand::random(),
            Ids::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).u128(..),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const MANY: usize = 10_000;

    fn random() -> Vec<RunId> {
        (0..MANY).map(|_| Ids::Random.draw()).collect()
    }

    #[test]
    fn ids_are_unique_and_look_as_documented() {
        let ids = random();
        for id in &ids {
            assert_eq!(id.as_str().len(), 24, "{id}");
            assert!(id.as_str().bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v')), "{id}");
            assert_eq!(RunId::new(id.as_str()).as_ref(), Ok(id));
        }
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), MANY);
    }

    #[test]
    fn no_part_of_an_id_follows_from_the_id_before_it() {
        let ids = random();
        for place in 0..24 {
            // Between two neighbours, a character that is drawn evenly changes by each of 32 distances equally often.
            let digit = |id: &RunId| id.as_str()[place..=place].chars().next().unwrap().to_digit(32).unwrap();
            let mut distances = [0; 32];
            for pair in ids.windows(2) {
                distances[((digit(&pair[1]) + 32 - digit(&pair[0])) % 32) as usize] += 1;
            }
            // The mean is 312, the standard deviation 17.
            assert!(distances.iter().all(|count| (150..500).contains(count)), "place {place}: {distances:?}");
        }
    }

    #[test]
    fn a_seed_repeats_its_ids_and_clones_share_them() {
        let draws = |seed| {
            let ids = Ids::seeded(seed);
            [ids.draw(), ids.clone().draw(), ids.draw()]
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
        assert_eq!(draws(1).iter().collect::<HashSet<_>>().len(), 3);
    }
}
