//! What the operations of a node got and yielded, as far as it is kept with the run.

use super::documents::is_zero;
use crate::{MediaType, Millis, NodePath};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The prefix of the documents that hold what operations got and yielded; the part's mark follows. They are written in the commit
/// of the report that refers to them, and never again.
pub const OPERATIONS: &str = "operations:";

/// How many parts a node keeps: the first ones, and the latest. A node that waits again and again has many.
const FIRST: usize = 8;
const MOST: usize = 64;

/// Which data of a node, or of one of its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// What it gets.
    Input,
    /// What it yields.
    Output,
}

impl Side {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Input => "input",
            Side::Output => "output",
        }
    }
}

/// What got or yielded data: an operation, or another handler of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// The flow's own code.
    Modify,
    /// A call of a function: the body of a request, and that of its response.
    Apply,
    /// A call of a URL: the same.
    Request,
    /// A sleep. It changes nothing.
    Sleep,
    /// A wait for a signal, whose body is the output.
    WaitFor,
    /// What makes the request of a call.
    Prepare,
    /// What reads the response of a call.
    Receive,
    /// What replaces the failure of a call, a node, or the whole flow.
    Recover,
    /// What changes the output of a node on its way to the next one.
    Forward,
    /// What merges the inputs of a node, or the results of its branches.
    Aggregate,
    /// What merges the ends of branches, failures included.
    Gather,
    /// What chooses branches.
    Condition,
    /// What splits data into items.
    ForEach,
    /// What decides about another round.
    Again,
    /// What a newer build knows.
    #[serde(other)]
    Other,
}

impl OperationKind {
    /// The word for it that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            OperationKind::Modify => "modify",
            OperationKind::Apply => "apply",
            OperationKind::Request => "request",
            OperationKind::Sleep => "sleep",
            OperationKind::WaitFor => "wait-for",
            OperationKind::Prepare => "prepare",
            OperationKind::Receive => "receive",
            OperationKind::Recover => "recover",
            OperationKind::Forward => "forward",
            OperationKind::Aggregate => "aggregate",
            OperationKind::Gather => "gather",
            OperationKind::Condition => "condition",
            OperationKind::ForEach => "for-each",
            OperationKind::Again => "again",
            OperationKind::Other => "other",
        }
    }
}

/// One piece of data that an operation, or another handler of a node, got or yielded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationData {
    /// When, in milliseconds since the Unix epoch, by the clock of the replica.
    pub at: Millis,
    /// In which attempt of the node, from 1.
    pub attempt: u32,
    /// Whose data it is.
    pub kind: OperationKind,
    /// The index of the operation, if it is one of an operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<u32>,
    /// What is called, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The try of the call, from 1.
    #[serde(default, rename = "try", skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Whether it was got or yielded.
    pub side: Side,
    /// The node, the branch or the item that it is from, or for, if there are several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// How many pieces there were beside each other, of which the first ones are kept; 0 if it was the only one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub of: u32,
    /// The status of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Which of the part's previews has the data.
    pub preview: u32,
}

/// The beginning of data, without what the rules for redaction hide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// What the data is.
    #[serde(default, skip_serializing_if = "MediaType::is_octet_stream")]
    pub media_type: MediaType,
    /// The size of all of it, without what is hidden, in bytes.
    pub size: u64,
    /// Its beginning, or all of it.
    pub bytes: Bytes,
    /// What of it is hidden.
    #[serde(default, skip_serializing_if = "Hidden::is_nothing")]
    pub hidden: Hidden,
}

impl Preview {
    /// Whether it is only the beginning.
    pub fn is_cut(&self) -> bool {
        self.hidden != Hidden::All && (self.bytes.len() as u64) < self.size
    }
}

/// What of some data is hidden.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hidden {
    /// Nothing.
    #[default]
    Nothing,
    /// Some members or items.
    Parts,
    /// All of it: the rules could not be applied.
    All,
}

impl Hidden {
    fn is_nothing(&self) -> bool {
        *self == Hidden::Nothing
    }
}

/// The document with what operations of a node got and yielded under one claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationsPart {
    /// The node.
    pub path: NodePath,
    /// The rules for redaction that were applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
    /// The data, in the order in which it came.
    pub data: Vec<OperationData>,
    /// The beginnings of it, each different one once.
    pub previews: Vec<Preview>,
}

/// What a node's history knows of a part of what its operations got and yielded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptOperations {
    /// The mark of its document, a random number.
    pub mark: u64,
    /// How many pieces of data are kept; 0 if it has no document.
    pub kept: u32,
    /// How many were dropped before these, since they did not fit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u32,
}

impl KeptOperations {
    /// The name of its document; `None` if it has none.
    pub fn doc(&self) -> Option<String> {
        (self.kept > 0).then(|| format!("{OPERATIONS}{:016x}", self.mark))
    }
}

/// Adds a part. A part without data is only counted, and so is what is left out in the middle of many.
pub(super) fn add_operations(parts: &mut Vec<KeptOperations>, part: KeptOperations) {
    match parts.last_mut() {
        Some(last) if part.kept == 0 => last.dropped = last.dropped.saturating_add(part.dropped),
        _ => parts.push(part),
    }
    if parts.len() > MOST {
        let left_out = parts.remove(FIRST);
        if let Some(next) = parts.get_mut(FIRST) {
            next.dropped = next.dropped.saturating_add(left_out.kept).saturating_add(left_out.dropped);
        }
    }
}
