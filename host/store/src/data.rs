//! Bytes by key: what a data store keeps and promises.

use crate::StoreError;
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{Malformed, RunId};
use std::fmt;

/// The key of stored bytes: a run, and a name within it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataKey {
    run: RunId,
    name: String,
}

impl DataKey {
    /// The longest name, in bytes.
    pub const LONGEST_NAME: usize = 1024;

    /// The key of any non-empty name of at most [`LONGEST_NAME`](Self::LONGEST_NAME) bytes. A backend encodes it
    /// safely: `../x` is just a name.
    pub fn new(run: RunId, name: impl Into<String>) -> Result<Self, Malformed> {
        let name = name.into();
        match (1..=Self::LONGEST_NAME).contains(&name.len()) {
            true => Ok(Self { run, name }),
            false => Err(malformed(&name)),
        }
    }

    /// Reads what [`Display`](fmt::Display) writes: `run/name`.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (run, name) = text.split_once('/').ok_or_else(|| malformed(text))?;
        Self::new(RunId::new(run)?, name)
    }

    /// The run that the bytes belong to.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The name within the run.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn malformed(text: &str) -> Malformed {
    let text = text.chars().take(80).collect();
    Malformed { kind: "data key", text, rule: "a request id, a slash, and a name of 1 to 1024 bytes" }
}

impl fmt::Display for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.name)
    }
}

/// Keeps bytes: payloads and context values of runs.
///
/// A reader sees one whole value or none, never a part of one, also while it is being replaced. Whatever a call has
/// answered, every later call sees, on every replica. After an error of [`put`](DataStore::put) the old value or the
/// new one is there, whole; putting again is fine.
#[async_trait]
pub trait DataStore: Send + Sync + 'static {
    /// Stores bytes, and replaces those that are there, atomically.
    async fn put(&self, key: &DataKey, bytes: Bytes) -> Result<(), StoreError>;

    /// The stored bytes; none if there are none. Empty bytes are bytes.
    async fn get(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError>;

    /// Forgets all bytes of a run. Forgetting an unknown run is fine. Nobody puts to the run meanwhile, or else that
    /// put may be lost or stay.
    async fn delete_run(&self, run: &RunId) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_whatever_the_name() {
        let run = RunId::new("r1").unwrap();
        for name in ["x", "../x", "a/b", "ü\0", "/"] {
            let key = DataKey::new(run.clone(), name).unwrap();
            assert_eq!(DataKey::parse(&key.to_string()).unwrap(), key);
        }
        for bad in ["r1", "r1/", "/x", "a b/x"] {
            assert!(DataKey::parse(bad).is_err(), "{bad:?}");
        }
        assert!(DataKey::new(run, "x".repeat(1025)).is_err());
    }
}
