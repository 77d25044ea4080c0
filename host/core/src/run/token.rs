//! The fencing token of a claim.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Identifies one claim of a node: the replica that holds the node's lease reports with it, and a report with any other
/// token is refused.
///
/// It is a random number and not a counter. Two replicas that claim a node in the same moment both start from the same
/// state, so counters would give both claims the same token, and the loser of the race could not tell that it lost.
/// The engine draws no random numbers itself: the driver that creates an [`Event::Claim`](super::Event::Claim) draws the
/// token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimToken(u32);

impl ClaimToken {
    /// No claim: the token of a node that was never claimed, and of the root scope, which no claim started.
    pub const NONE: Self = Self(0);

    /// The token of a new claim, from a random number.
    pub fn new(random: u32) -> Self {
        Self(random.max(1))
    }

    /// Whether this is [`ClaimToken::NONE`].
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

impl fmt::Display for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
