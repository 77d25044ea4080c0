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
