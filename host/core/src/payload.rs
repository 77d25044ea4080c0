//! Data between nodes: small data inside the stored form, larger data by reference.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The data that a node or an edge carries, as the state of a run remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// The bytes themselves: up to the host's `inline_limit`.
    Inline(Bytes),
    /// Bytes in the DataStore.
    Stored {
        /// Their key there.
        key: String,
        /// How many they are.
        size: u64,
    },
}

impl Payload {
    /// No data.
    pub fn empty() -> Self {
        Payload::Inline(Bytes::new())
    }

    /// How many bytes the data has.
    pub fn size(&self) -> u64 {
        match self {
            Payload::Inline(bytes) => bytes.len() as u64,
            Payload::Stored { size, .. } => *size,
        }
    }
}
