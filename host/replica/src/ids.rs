//! The request ids that the host makes.

use faas_flow_core::{Millis, RunId};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a host takes request ids from. Clones share one source.
///
/// An id begins with the time, so that ids sort by the start of their runs, and has 120 random bits, so that knowing other
/// ids does not help to guess it.
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

    /// A new id, of a run that begins now.
    pub fn draw(&self, now: Millis) -> RunId {
        let random = match self {
            Ids::Random => rand::random(),
            Ids::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).u128(..),
        };
        RunId::of_time_and_bits(now, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const MANY: usize = 10_000;
    /// 29 November 2026.
    const NOW: Millis = 1_795_939_200_000;

    fn random() -> Vec<RunId> {
        (0..MANY).map(|_| Ids::Random.draw(NOW)).collect()
    }

    #[test]
    fn ids_are_unique_and_look_as_documented() {
        let ids = random();
        for id in &ids {
            assert_eq!(id.as_str().len(), 33, "{id}");
            assert!(id.as_str().bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v')), "{id}");
            assert_eq!(RunId::new(id.as_str()).as_ref(), Ok(id));
        }
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), MANY);
    }

    #[test]
    fn ids_sort_by_the_time_at_which_they_were_drawn() {
        let drawn: Vec<_> = (0..64).chain([NOW, NOW + 1, NOW + 40_000]).map(|now| Ids::Random.draw(now)).collect();
        assert!(drawn.is_sorted(), "{drawn:?}");
    }

    #[test]
    fn no_random_part_of_an_id_follows_from_the_id_before_it() {
        let ids = random();
        for place in 9..33 {
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
            [ids.draw(NOW), ids.clone().draw(NOW), ids.draw(NOW)]
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
        assert_eq!(draws(1).iter().collect::<HashSet<_>>().len(), 3);
    }
}
