//! The stored form of a run's documents: one byte that names the form, then MessagePack with field names, so that a
//! later version may add fields and still read this one.

use super::caught::Ended;
use super::log::LOG;
use super::operations::OPERATIONS;
use crate::{Code, Failure, NodePath, Payload, ScopePath, SignalName};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::cell::RefCell;

/// The version of the stored form that this build writes. It reads this version and all earlier ones.
pub const FORM: u8 = 1;

/// The prefix of the documents that hold the run's context values; the value's key follows.
pub const CONTEXT: &str = "context:";

/// The prefix of the documents that hold the bytes of payloads; `<path>/<token>/<n>` follows. They are written in the commit of
/// the report that refers to them, and never again.
pub const DATA: &str = "data:";

/// The document that is written with each answer to a node that waits. An owner that is about to leave a run, since all of it
/// waits, requires in the same commit that no answer has come since it looked. Its content does not matter.
pub const ANSWERS: &str = "answers";

/// How the names of documents begin that hold data of the flow, in order. To know how a run is doing, nobody needs them.
pub const HOLD_DATA: [&str; 4] = [CONTEXT, DATA, LOG, OPERATIONS];

/// Names one document of a run in the StateStore.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Doc {
    /// The run itself.
    Run,
    /// One scope.
    Scope(ScopePath),
    /// The signals of one name.
    Signal(SignalName),
    /// How many signals the run keeps for which no node waits yet.
    EarlySignals,
}

impl Doc {
    /// The document's name in the store: `run`, `scope:C[c1]`, `signal:approval`.
    pub fn name(&self) -> String {
        match self {
            Doc::Run => "run".to_owned(),
            Doc::Scope(path) => format!("scope:{path}"),
            Doc::Signal(name) => format!("signal:{name}"),
            Doc::EarlySignals => "early-signals".to_owned(),
        }
    }

    /// The documents that a claim or a report of a node may need: the run, the node's scope, and the scopes around it.
    /// Loading them together takes one round trip.
    pub fn around(path: &NodePath) -> Vec<Doc> {
        let mut docs = vec![Doc::Run, Doc::Scope(path.scope.clone())];
        let mut scope = path.scope.clone();
        while let Some((parent, _)) = scope.parent() {
            scope = parent.scope;
            docs.push(Doc::Scope(scope.clone()));
        }
        docs
    }

    /// Parses a name. `None` for a document of another kind, such as a context value.
    pub fn parse(name: &str) -> Option<Doc> {
        match name.split_once(':') {
            Some(("scope", path)) => Some(Doc::Scope(ScopePath::parse(path).ok()?)),
            Some(("signal", name)) => Some(Doc::Signal(SignalName::new(name).ok()?)),
            Some(_) => None,
            None => [Doc::Run, Doc::EarlySignals].into_iter().find(|doc| doc.name() == name),
        }
    }
}

/// Why stored bytes could not be read as a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A newer build wrote it.
    #[error("the document has form {found}, and this version reads up to {FORM}: upgrade this replica")]
    Newer {
        /// The form's version.
        found: u8,
    },
    /// It is damaged.
    #[error("the document is damaged: {reason}")]
    Damaged {
        /// What was wrong with it.
        reason: String,
    },
}

impl Unreadable {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Unreadable::Newer { .. } => Code::STORE_NEWER,
            Unreadable::Damaged { .. } => Code::STORE_CORRUPT,
        }
    }
}

/// The stored form of a document.
pub fn encode<T: Serialize>(document: &T) -> Vec<u8> {
    /// The scratch buffer is shrunk to this capacity after each use.
    const LARGE: usize = 1 << 20;
    thread_local! {
        /// The buffer has usually grown already, so the copy that is returned is the only allocation, of the exact size.
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        scratch.push(FORM);
        let mut serializer = rmp_serde::Serializer::new(&mut *scratch).with_struct_map();
        // Writing to memory cannot fail, and the documents have no maps with keys of unusual types. A document that was
        // written incompletely would fail to decode.
        let _ = document.serialize(&mut serializer);
        let bytes = scratch.to_vec();
        scratch.clear();
        scratch.shrink_to(LARGE);
        bytes
    })
}

/// The stored form of a member of a set: the position of a branch among its siblings, from 0, and how it ended.
pub fn encode_member(index: u32, ended: &Ended) -> Vec<u8> {
    match ended {
        Ok(payload) => encode(&(index, payload)),
        Err(failure) => encode(&(index, Payload::empty(), failure)),
    }
}

/// Reads a member of a set.
pub fn decode_member(bytes: &[u8]) -> Result<(u32, Ended), Unreadable> {
    /// A branch that succeeded has no failure.
    #[derive(Deserialize)]
    struct Member(u32, Payload, #[serde(default)] Option<Failure>);
    let Member(index, payload, failure) = decode(bytes)?;
    Ok((index, failure.map_or(Ok(payload), Err)))
}

/// Reads a document.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    match bytes.split_first() {
        None => Err(Unreadable::Damaged { reason: "it is empty".to_owned() }),
        Some((form, _)) if *form > FORM => Err(Unreadable::Newer { found: *form }),
        Some((_, rest)) => {
            rmp_serde::from_slice(rest).map_err(|error| Unreadable::Damaged { reason: error.to_string() })
        }
    }
}
