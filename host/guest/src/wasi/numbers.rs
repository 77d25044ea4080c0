//! Random numbers that follow from a seed: the digests of the seed with 0, 1, 2 and so on. Who does not know the seed can tell
//! neither the next number nor an earlier one from those that he sees.

use sha2::{Digest as _, Sha256};

/// What random numbers follow from.
pub(crate) struct Seed(Sha256);

impl Seed {
    /// A seed that follows from a secret.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(Sha256::new()).with(secret)
    }

    /// One that follows from this as well.
    pub(crate) fn with(mut self, part: &[u8]) -> Self {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    pub(crate) fn numbers(self) -> Numbers {
        Numbers { seed: self.0.finalize().into(), drawn: 0, block: [0; 4] }
    }
}

/// Random numbers, the first one first.
pub(crate) struct Numbers {
    seed: [u8; 32],
    drawn: u64,
    /// The numbers of one digest, of which those before `drawn` are used up.
    block: [u64; 4],
}

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        let in_block = self.drawn % 4;
        if in_block == 0 {
            let digest: [u8; 32] =
                Sha256::new().chain_update(self.seed).chain_update(self.drawn.to_le_bytes()).finalize().into();
            let mut numbers = digest.as_chunks::<8>().0.iter();
            self.block = std::array::from_fn(|_| u64::from_le_bytes(numbers.next().copied().unwrap_or_default()));
        }
        self.drawn += 1;
        self.block.get(in_block as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(parts: &[&str]) -> Vec<u64> {
        let seed = parts.iter().fold(Seed::new(b"secret"), |seed, part| seed.with(part.as_bytes()));
        let mut numbers = seed.numbers();
        (0..9).map(|_| numbers.next()).collect()
    }

    #[test]
    fn numbers_follow_from_all_parts_of_the_seed() {
        assert_eq!(numbers(&["run", "n1"]), numbers(&["run", "n1"]));
        let others = [numbers(&["run", "n2"]), numbers(&["runn", "1"]), numbers(&["run"]), numbers(&["run", "n1", ""])];
        for other in others {
            assert_ne!(numbers(&["run", "n1"]), other);
        }
        let mut distinct = numbers(&["run"]);
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 9);
    }
}
