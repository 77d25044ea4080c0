//! The keys of a limit that are in use, in one document of the store.

use super::figures::Allowance;
use super::line::Line;
use crate::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Over how many documents the keys of a limit are distributed.
pub const SHARDS: u32 = 16;
/// The longest key of a limit, in bytes.
pub const LONGEST_KEY: usize = 256;

/// The document in which a key is: a number below [`SHARDS`]. It is part of the stored form.
pub fn shard_of(key: &str) -> u32 {
    // FNV-1a with 32 bits.
    let hash = key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 16) % SHARDS
}

/// The name of a document, by its number.
pub fn document_of(number: u32) -> String {
    format!("{number:x}")
}

/// The keys of a limit that are in use, of one document. A key of which nothing is held, for which nobody waits and whose rate
/// is not used is not there: keys that differ in every run leave nothing behind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lines {
    /// How often the operator had changed limits when this was written. A replica that knows of fewer changes reads them before
    /// it gives out a permit.
    #[serde(rename = "g", default, skip_serializing_if = "is_zero")]
    pub generation: u64,
    #[serde(rename = "k", default, skip_serializing_if = "BTreeMap::is_empty")]
    keys: BTreeMap<String, Line>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Lines {
    /// A key, which need not be in use.
    pub fn line(&mut self, key: &str) -> &mut Line {
        self.keys.entry(key.to_owned()).or_default()
    }

    /// A key that is in use.
    pub fn get(&self, key: &str) -> Option<&Line> {
        self.keys.get(key)
    }

    /// The keys that are in use.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Line)> {
        self.keys.iter().map(|(key, line)| (key.as_str(), line))
    }

    /// The keys that are in use, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Line)> {
        self.keys.iter_mut().map(|(key, line)| (key.as_str(), line))
    }

    /// Drops what nobody has renewed in time, and the keys that are not in use any more.
    pub fn expire(&mut self, now: Millis) {
        self.keys.retain(|_, line| {
            line.expire(now);
            !line.is_empty()
        });
    }

    /// Bounds what was written by a clock that was ahead, as [`Line::bound`] does.
    pub fn bound(&mut self, allowance: &Allowance, now: Millis, lease: Millis) {
        self.keys.values_mut().for_each(|line| line.bound(allowance, now, lease));
    }

    /// Whether no key is in use.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys are in use.
    pub fn len(&self) -> usize {
        self.keys.len()
    }
}
