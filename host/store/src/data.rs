//! Bytes by key: the trait of a data store, and its keys.

use crate::StoreError;
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{Malformed, NameKind, RunId};
use std::fmt;

/// The key of stored bytes: a run and a name within it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataKey {
    run: RunId,
    name: String,
}

impl DataKey {
    /// The length of the longest name, in bytes.
    pub const LONGEST_NAME: usize = 1024;

    /// Creates a key from any name of 1 to [`LONGEST_NAME`](Self::LONGEST_NAME) bytes. Backends encode names safely: `../x`
    /// is just a name.
    pub fn new(run: RunId, name: impl Into<String>) -> Result<Self, Malformed> {
        let name = name.into();
        if !(1..=Self::LONGEST_NAME).contains(&name.len()) {
            return Err(malformed(&name));
        }
        Ok(Self { run, name })
    }

    /// Parses the form that [`Display`](fmt::Display) writes: `run/name`.
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
    Malformed { kind: NameKind::DataKey, text, rule: "a request id, a slash, and a name of 1 to 1024 bytes" }
}

impl fmt::Display for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.name)
    }
}

/// The store of bytes: payloads and context values of runs.
///
/// A reader sees a whole value or none, never a part of one, even while the value is being replaced. Every call sees what
/// earlier calls have returned, on every replica. After an error of [`put`](DataStore::put) either the old or the new value
/// is there, and the put can be repeated.
#[async_trait]
pub trait DataStore: Send + Sync + 'static {
    /// Stores bytes, atomically replacing those that are there.
    async fn put(&self, key: &DataKey, bytes: Bytes) -> Result<(), StoreError>;

    /// Returns the stored bytes, or `None` if nothing is stored. A stored value may be empty.
    async fn get(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError>;

    /// Deletes all bytes of a run. Deleting an unknown run succeeds. A put to the run at the same time may be lost or stay.
    async fn delete_run(&self, run: &RunId) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_name_can_be_parsed_again() {
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
