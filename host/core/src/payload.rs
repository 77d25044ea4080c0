//! Data between nodes: small data inside the stored form, larger data by reference.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The data that a node or an edge carries, as the state of a run remembers it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Bytes in another document of the run, so that the one that refers to them stays small: every commit writes that
    /// one anew.
    Kept {
        /// The document's name: [`DATA`](crate::run::DATA), then `<path>/<token>/<n>`.
        doc: String,
        /// How many they are.
        size: u64,
    },
}

/// Where the data is and how much, but not what: logs are read by more people than data.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payload::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Payload::Stored { key, size } => f.debug_struct("Stored").field("key", key).field("size", size).finish(),
            Payload::Kept { doc, size } => f.debug_struct("Kept").field("doc", doc).field("size", size).finish(),
        }
    }
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
            Payload::Stored { size, .. } | Payload::Kept { size, .. } => *size,
        }
    }
}
