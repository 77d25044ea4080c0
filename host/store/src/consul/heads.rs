//! The heads of keys, as this process has seen them last.

use super::agent::Pair;
use crate::{RunEntry, entry};
use faas_flow_core::Millis;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The size of a generation. At most two generations are remembered.
const REMEMBERED: usize = 50_000;

/// What must be known about a key to change it. A key that does not exist has index 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The index at which the key was last modified.
    pub(super) index: u64,
    /// The version of a document, or the size of a set.
    pub(super) flags: u64,
    /// The id of the pieces, if the value is set aside.
    pub(super) aside: Option<String>,
    /// For a run's entry, its place in the two lists.
    pub(super) place: Option<Place>,
}

/// A run's place in the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) started: Millis,
    pub(super) due: Option<Millis>,
}

impl Place {
    pub(super) fn of(entry: &RunEntry) -> Self {
        Self { started: entry.started, due: entry.due }
    }
}

impl Head {
    /// The head in a pair that was read. The error says what is wrong with it.
    pub(super) fn of(pair: &Pair) -> Result<Self, String> {
        let value = pair.value().ok_or_else(|| format!("the value of `{}` is not Base64", pair.key))?;
        let mut head = Self { index: pair.modify_index, flags: pair.flags, ..Self::default() };
        if pair.key.ends_with("/e") {
            head.place = Some(Place::of(&entry::decode(&value)?));
        } else {
            head.aside = super::aside::named(&value).map(|aside| aside.id);
        }
        Ok(head)
    }
}

/// The heads that were seen last. One that is out of date only costs a round trip, since every write names the index that
/// it expects.
#[derive(Default)]
pub(super) struct Heads(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<String, Head>,
    old: HashMap<String, Head>,
}

impl Heads {
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The heads of keys. A key that is not remembered is probably new.
    pub(super) fn of<'a>(&self, keys: impl IntoIterator<Item = &'a String>) -> HashMap<String, Head> {
        let heads = self.lock();
        let of = |key: &String| heads.young.get(key).or_else(|| heads.old.get(key)).cloned().unwrap_or_default();
        keys.into_iter().map(|key| (key.clone(), of(key))).collect()
    }

    pub(super) fn note(&self, seen: impl IntoIterator<Item = (String, Head)>) {
        let mut heads = self.lock();
        heads.young.extend(seen);
        if heads.young.len() > REMEMBERED {
            heads.old = std::mem::take(&mut heads.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_last_is_remembered() {
        let heads = Heads::default();
        for n in 0..120_000 {
            heads.note([(n.to_string(), Head { index: n, ..Head::default() })]);
        }
        let index = |n: u64| heads.of([&n.to_string()]).values().next().unwrap().index;
        assert_eq!((index(119_999), index(80_000), index(1)), (119_999, 80_000, 0));
    }
}
