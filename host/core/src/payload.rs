//! Data between nodes: small data inside the stored form, larger data by reference.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The data of a node or an edge, as the state of a run refers to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// The bytes themselves, if there are at most as many as the host's `inline_limit`.
    Inline(Bytes),
    /// Bytes in the data store.
    Stored {
        /// Their key in the data store.
        key: String,
        /// Their number.
        size: u64,
    },
    /// Bytes in a document of their own. The document that refers to them stays small, which matters since every commit
    /// writes it again.
    Kept {
        /// The document's name: [`DATA`](crate::run::DATA), then `<path>/<token>/<n>`.
        doc: String,
        /// Their number.
        size: u64,
    },
}

/// Shows where the data is and its size, but not the data itself, since logs are read by more people than data.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_payload_is_known_wherever_its_bytes_are() {
        assert_eq!(Payload::empty().size(), 0);
        assert_eq!(Payload::Inline(Bytes::from_static(b"five!")).size(), 5);
        assert_eq!(Payload::Stored { key: "n1/1/".to_owned(), size: 70_000 }.size(), 70_000);
    }
}
