//! A dag that runs again on its own result.

use super::{Dag, is_default};
use serde::{Deserialize, Serialize};

/// How often a repeat may run its dag.
pub const MOST_ROUNDS: u32 = 1_000;

/// A dag that runs again on its own result while a handler says so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Repeat {
    /// The `again` handler, which is asked after each round.
    pub handler: String,
    /// Its dag. Each time that it runs is one round.
    pub dag: Dag,
    /// How many rounds there may be: 1 to [`MOST_ROUNDS`].
    pub most: u32,
    /// The wait between two rounds, in milliseconds; 0 for none.
    #[serde(skip_serializing_if = "is_default")]
    pub wait_ms: u64,
}
