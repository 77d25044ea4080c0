//! Values that do not fit a transaction.
//!
//! One transaction takes 512 KiB, as base64 in JSON. The largest values of a larger change are set aside: written first,
//! in pieces below their own key under a new id, which count for nothing until the head names the id. The head is written
//! with the rest of the change in one transaction, which demands that the pieces are still there.
//!
//! A read takes a head and its pieces in one view. Pieces that nobody names any more are deleted after the change that
//! replaced them; those that a crash leaves behind go with the run.

use super::agent::{Agent, Op, Outcome, Pair};
use crate::StoreError;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

/// What Consul takes in one transaction unless told otherwise (`limits.txn_max_req_len`).
const BODY: usize = 512 * 1024;
/// JSON around each operation, besides its key and value.
const AROUND: usize = 96;
/// So much of a value makes one transaction, in base64 and with its key.
const PIECE: usize = 376 * 1024;

/// The name of a value that is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) id: String,
    pieces: usize,
}

/// A value as it stands in its head.
fn whole(value: &[u8]) -> Vec<u8> {
    [b"=", value].concat()
}

/// The name that a head has instead of the value.
pub(super) fn named(head: &[u8]) -> Option<Name> {
    let name = std::str::from_utf8(head.strip_prefix(b"@")?).ok()?;
    let (id, pieces) = name.split_once('/')?;
    Some(Name { id: id.to_owned(), pieces: pieces.parse().ok()? })
}

/// The values of one change, as their heads will have them.
#[derive(Default)]
pub(super) struct Values {
    aside: HashMap<String, Name>,
    guard: Option<(String, u64)>,
}

impl Values {
    /// Sets aside what is too large; `values` are the bases of their keys, and the values.
    pub(super) async fn set_aside(agent: &Agent, values: &[(String, &Bytes)]) -> Result<Self, StoreError> {
        let size = |key: &str, value: &Bytes| key.len() + AROUND + value.len().div_ceil(3) * 4;
        let mut total: usize = values.iter().map(|(key, value)| size(key, value)).sum();
        // The checks, counts and the entry take some of the body, too.
        let budget = BODY - BODY / 8;
        let mut largest: Vec<_> = values.iter().collect();
        largest.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        let (mut ops, mut filled, mut set) = (Vec::new(), 0, Self::default());
        for (base, value) in largest {
            if total <= budget {
                break;
            }
            total -= size("", value);
            let name = Name { id: format!("{:016x}", fastrand::u64(..)), pieces: value.chunks(PIECE).len() };
            for (n, piece) in value.chunks(PIECE).enumerate() {
                let key = format!("{base}{}/{n}", name.id);
                let more = key.len() + AROUND + piece.len().div_ceil(3) * 4;
                if filled + more > BODY || ops.len() == super::OPS {
                    set.write(agent, std::mem::take(&mut ops)).await?;
                    filled = 0;
                }
                filled += more;
                ops.push(Op::set(key, piece));
            }
            set.aside.insert(base.clone(), name);
        }
        set.write(agent, ops).await?;
        Ok(set)
    }

    async fn write(&mut self, agent: &Agent, ops: Vec<Op>) -> Result<(), StoreError> {
        if ops.is_empty() {
            return Ok(());
        }
        match agent.txn(&ops).await? {
            Outcome::Done(pairs) => {
                let first = pairs.into_iter().next().map(|pair| (pair.key, pair.modify_index));
                self.guard = self.guard.take().or(first);
                Ok(())
            }
            Outcome::Stale(what) => Err(agent.unavailable(what)),
        }
    }

    /// What a head holds for a value.
    pub(super) fn head(&self, base: &str, value: &[u8]) -> Vec<u8> {
        match self.aside.get(base) {
            Some(Name { id, pieces }) => format!("@{id}/{pieces}").into_bytes(),
            None => whole(value),
        }
    }

    /// What the pieces of a value are called.
    pub(super) fn id(&self, base: &str) -> Option<String> {
        self.aside.get(base).map(|name| name.id.clone())
    }

    /// Demands that the pieces are there: only with the whole run do they go.
    pub(super) fn guard(&self) -> Option<Op> {
        self.guard.as_ref().map(|(key, index)| Op::check(key.clone(), *index))
    }

    /// What the pieces begin with.
    pub(super) fn pieces(self) -> Vec<String> {
        self.aside.into_iter().map(|(base, name)| format!("{base}{}/", name.id)).collect()
    }
}

/// Deletes pieces that count for nothing, as far as that works: otherwise they go with the run.
pub(super) async fn discard(agent: &Agent, pieces: Vec<String>) {
    let ops: Vec<Op> = pieces.into_iter().map(Op::delete_all).collect();
    for ops in ops.chunks(super::OPS) {
        let _ = agent.txn(ops).await;
    }
}

/// A value that was read: its key's base, its head, and the whole of it.
pub(super) struct Read {
    pub(super) head: Pair,
    pub(super) value: Bytes,
}

/// Puts together the values in what was read in one view, by the bases of their keys; or says what is wrong with one.
pub(super) fn assemble(pairs: Vec<Pair>) -> Result<BTreeMap<String, Read>, String> {
    let (heads, pieces): (Vec<Pair>, Vec<Pair>) = pairs.into_iter().partition(|pair| pair.key.ends_with("/v"));
    let pieces: HashMap<&str, &Pair> = pieces.iter().map(|pair| (pair.key.as_str(), pair)).collect();
    let mut values = BTreeMap::new();
    for head in heads {
        let base = head.key.strip_suffix('v').unwrap_or_default().to_owned();
        let bad = |what: &str| format!("the value of `{}` {what}", head.key);
        let mut value = head.value().ok_or_else(|| bad("is not base64"))?;
        match (value.first(), named(&value)) {
            (Some(b'='), _) => drop(value.remove(0)),
            (_, Some(name)) => {
                value.clear();
                for n in 0..name.pieces {
                    let piece = pieces.get(format!("{base}{}/{n}", name.id).as_str());
                    let piece = piece.and_then(|pair| pair.value()).ok_or_else(|| bad("lacks a piece"))?;
                    value.extend(piece);
                }
            }
            _ => return Err(bad("is not of this program")),
        }
        values.insert(base, Read { value: value.into(), head });
    }
    Ok(values)
}
