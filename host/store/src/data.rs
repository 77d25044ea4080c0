//! Bytes by key: the trait of a data store, and its keys.

use crate::StoreError;
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{Malformed, NameKind, Partition};
use std::fmt;

/// The key of stored bytes: a partition and a name within it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataKey {
    partition: Partition,
    name: String,
}

impl DataKey {
    /// The length of the longest name, in bytes.
    pub const LONGEST_NAME: usize = 1024;

    /// Creates a key from any name of 1 to [`LONGEST_NAME`](Self::LONGEST_NAME) bytes. Backends encode names safely: `../x`
    /// is just a name.
    pub fn new(partition: Partition, name: impl Into<String>) -> Result<Self, Malformed> {
        let name = name.into();
        if !(1..=Self::LONGEST_NAME).contains(&name.len()) {
            let text = name.chars().take(80).collect();
            return Err(Malformed { kind: NameKind::DataKey, text, rule: "1 to 1024 bytes" });
        }
        Ok(Self { partition, name })
    }

    /// What the bytes belong to.
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The name within the partition.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.name)
    }
}

/// The store of bytes: payloads and context values of runs, and the modules of flows.
///
/// A reader sees a whole value or none, never a part of one, even while the value is being replaced. Every call sees what
/// earlier calls have returned, on every replica. After an error of [`put`](DataStore::put) either the old or the new value
/// is there, and the put can be repeated.
///
/// Nothing that is stored vanishes by itself, except that a store may let the data of runs expire that nobody has deleted.
/// What is not a run's ([`Partition::run`]) must never expire.
#[async_trait]
pub trait DataStore: Send + Sync + 'static {
    /// Stores bytes, atomically replacing those that are there.
    async fn put(&self, key: &DataKey, bytes: Bytes) -> Result<(), StoreError>;

    /// Returns the stored bytes, or `None` if nothing is stored. A stored value may be empty.
    async fn get(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError>;

    /// Deletes all bytes of a partition. Deleting an unknown one succeeds. A put to it at the same time may be lost or stay.
    async fn delete(&self, partition: &Partition) -> Result<(), StoreError>;

    /// Makes sure that what is stored in a partition does not expire, even if an older release has stored it so. A store in
    /// which nothing expires has nothing to do.
    async fn keep(&self, _partition: &Partition) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_1024_bytes() {
        let partition = Partition::of_run(&faas_flow_core::RunId::new("r1").unwrap());
        let key = |name: &str| DataKey::new(partition.clone(), name);
        for name in ["x", "../x", "a/b", "ü\0", "/", &"x".repeat(1024)] {
            assert_eq!(key(name).unwrap().name(), name);
        }
        for bad in ["", &"x".repeat(1025)] {
            assert!(key(bad).is_err());
        }
    }
}
