//! What the flow's code logged while a node was executed, as far as it is kept with the run.

use crate::{Millis, NodePath};
use serde::{Deserialize, Serialize};

/// The prefix of the documents that hold what the flow's code has logged; the part's mark follows. They are written in the commit
/// of the report that refers to them, and never again.
pub const LOG: &str = "log:";

/// The severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Every step; only of interest to the author.
    Trace,
    /// Helps to find a fault.
    Debug,
    /// Of interest to an operator.
    Info,
    /// May become a problem.
    Warn,
    /// Is a problem.
    Error,
}

impl LogLevel {
    /// The word for it that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Trace => "trace",
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        }
    }
}

/// One line that the flow's code has logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, in milliseconds since the Unix epoch, by the clock of the replica.
    pub at: Millis,
    /// How severe it is.
    pub level: LogLevel,
    /// In which attempt of the node, from 1.
    pub attempt: u32,
    /// What it says.
    pub message: String,
}

/// The document with what was logged under one claim of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPart {
    /// The node.
    pub path: NodePath,
    /// The id of the trace that the run belongs to, if it is traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The lines, in the order in which they were logged.
    pub lines: Vec<LogLine>,
}

/// What a node's history knows of a part of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLog {
    /// The mark of its document, a random number.
    pub mark: u64,
    /// How many lines are kept; 0 if it has no document.
    pub lines: u32,
    /// How many lines were dropped, since they did not fit.
    #[serde(default, skip_serializing_if = "super::documents::is_zero")]
    pub dropped: u32,
}

impl KeptLog {
    /// The name of its document; `None` if it has none.
    pub fn doc(&self) -> Option<String> {
        (self.lines > 0).then(|| format!("{LOG}{:016x}", self.mark))
    }
}

/// Adds a part to a log. A part without lines is only counted, so that a log of bounded size has boundedly many parts.
pub(super) fn add_part(parts: &mut Vec<KeptLog>, part: KeptLog) {
    match parts.last_mut() {
        Some(last) if part.lines == 0 => last.dropped = last.dropped.saturating_add(part.dropped),
        _ => parts.push(part),
    }
}
