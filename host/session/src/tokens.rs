//! The tokens of claims.

use faas_flow_core::run::ClaimToken;

/// A stream of random numbers (SplitMix64). The driver draws its seed.
#[derive(Debug)]
pub(crate) struct Tokens(u64);

impl Tokens {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A new token. Two claims have the same one only by chance, one in 2^32.
    pub(crate) fn next(&mut self) -> ClaimToken {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ClaimToken::new(((mixed ^ (mixed >> 31)) >> 32) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_upper_halves_of_the_numbers_of_splitmix64() {
        let mut tokens = Tokens::new(0);
        // From the reference implementation, with the seed 0.
        let numbers = [
            0xe220_a839_7b1d_cdaf_u64,
            0x6e78_9e6a_a1b9_65f4,
            0x06c4_5d18_8009_454f,
            0xf88b_b8a8_724c_81ec,
            0x1b39_896a_51a8_749b,
        ];
        for number in numbers {
            assert_eq!(tokens.next(), ClaimToken::new((number >> 32) as u32));
        }
    }
}
