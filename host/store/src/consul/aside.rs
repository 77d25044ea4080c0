//! Values that are too large for a transaction.
//!
//! One transaction may have 512 KiB, as Base64 in JSON. If a change is larger, its largest values are *set aside*: they are
//! written first, in pieces below their own key under a new id. The pieces have no meaning until the value's head refers to
//! the id. The head is written with the rest of the change in one transaction, which requires that the pieces still exist.
//!
//! A read gets a head and its pieces in one view. Pieces to which no head refers any more are deleted after the change that
//! replaced them; pieces that a crash leaves behind are deleted with the run.

use super::agent::{Agent, Op, Outcome, Pair};
use crate::StoreError;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

/// The largest transaction by default (`limits.txn_max_req_len`), in bytes.
const BODY: usize = 512 * 1024;
/// The size of an operation in JSON, without its key and value.
const AROUND: usize = 96;
/// The size of a piece: in Base64 and with its key it fills one transaction.
const PIECE: usize = 376 * 1024;

/// What a head says about a value that is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) id: String,
    pieces: usize,
}

/// The content of a head that has the value itself.
fn whole(value: &[u8]) -> Vec<u8> {
    [b"=", value].concat()
}

/// The name in a head that has one instead of the value.
pub(super) fn named(head: &[u8]) -> Option<Name> {
    let name = std::str::from_utf8(head.strip_prefix(b"@")?).ok()?;
    let (id, pieces) = name.split_once('/')?;
    Some(Name { id: id.to_owned(), pieces: pieces.parse().ok()? })
}

/// The values of one change: which are set aside, and under which names.
#[derive(Default)]
pub(super) struct Values {
    /// By the base of their keys.
    aside: HashMap<String, Name>,
    /// A piece, and the index at which it was written.
    guard: Option<(String, u64)>,
}

impl Values {
    /// Sets the largest values aside if the change is too large. `values` has the base of each value's keys, and the value.
    pub(super) async fn set_aside(agent: &Agent, values: &[(String, &Bytes)]) -> Result<Self, StoreError> {
        let size = |key: &str, value: &Bytes| key.len() + AROUND + value.len().div_ceil(3) * 4;
        let mut total: usize = values.iter().map(|(key, value)| size(key, value)).sum();
        // The checks, the counts and the entry need some of the space too.
        let budget = BODY - BODY / 8;
        let mut largest: Vec<_> = values.iter().collect();
        largest.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        let mut set = Self::default();
        // The operations of the next transaction, and their size.
        let mut ops = Vec::new();
        let mut filled = 0;
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

    /// The content of a value's head.
    pub(super) fn head(&self, base: &str, value: &[u8]) -> Vec<u8> {
        match self.aside.get(base) {
            Some(Name { id, pieces }) => format!("@{id}/{pieces}").into_bytes(),
            None => whole(value),
        }
    }

    /// The id of a value's pieces, if it is set aside.
    pub(super) fn id(&self, base: &str) -> Option<String> {
        self.aside.get(base).map(|name| name.id.clone())
    }

    /// Requires that the pieces exist. Checking one is enough, since only deleting the run deletes them.
    pub(super) fn guard(&self) -> Option<Op> {
        self.guard.as_ref().map(|(key, index)| Op::check(key.clone(), *index))
    }

    /// The prefixes of all pieces.
    pub(super) fn pieces(self) -> Vec<String> {
        self.aside.into_iter().map(|(base, name)| format!("{base}{}/", name.id)).collect()
    }
}

/// Deletes pieces to which no head refers. If that fails, they are deleted with the run.
pub(super) async fn discard(agent: &Agent, pieces: Vec<String>) {
    let ops: Vec<Op> = pieces.into_iter().map(Op::delete_all).collect();
    for ops in ops.chunks(super::OPS) {
        let _ = agent.txn(ops).await;
    }
}

/// A value as it was read: its head, and the whole value.
pub(super) struct Read {
    pub(super) head: Pair,
    pub(super) value: Bytes,
}

/// Assembles the values among pairs that were read in one view, by the bases of their keys. The error says which value is
/// malformed.
pub(super) fn assemble(pairs: Vec<Pair>) -> Result<BTreeMap<String, Read>, String> {
    let (heads, pieces): (Vec<Pair>, Vec<Pair>) = pairs.into_iter().partition(|pair| pair.key.ends_with("/v"));
    let pieces: HashMap<&str, &Pair> = pieces.iter().map(|pair| (pair.key.as_str(), pair)).collect();
    let mut values = BTreeMap::new();
    for head in heads {
        let base = head.key.strip_suffix('v').unwrap_or_default().to_owned();
        let bad = |what: &str| format!("the value of `{}` {what}", head.key);
        let mut value = head.value().ok_or_else(|| bad("is not Base64"))?;
        match (value.first(), named(&value)) {
            (Some(b'='), _) => drop(value.remove(0)),
            (_, Some(name)) => {
                value.clear();
                for n in 0..name.pieces {
                    let piece = pieces.get(format!("{base}{}/{n}", name.id).as_str());
                    let piece = piece.and_then(|pair| pair.value()).ok_or_else(|| bad("has a missing piece"))?;
                    value.extend(piece);
                }
            }
            _ => return Err(bad("was not written by faas-flow")),
        }
        values.insert(base, Read { value: value.into(), head });
    }
    Ok(values)
}
