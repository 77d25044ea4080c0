//! Why a node or a run failed.

use crate::text::bounded;
use crate::{Code, NodePath};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// A failure as it is stored in the history and shown to callers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of failure.
    pub code: Code,
    /// What happened, to what, and what to do; lower case, no trailing period. The constructors bound its length, since
    /// flows and functions may say anything.
    #[serde(deserialize_with = "read_bounded")]
    pub message: String,
    /// Whether trying again may help.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry: bool,
    /// The status with which the caller of the run is answered, from 400 to 499, if that does not follow from the code: a
    /// handler has said it, or has rejected the request itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The node that failed, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<NodePath>,
}

impl Failure {
    /// A failure for which trying again cannot help.
    pub fn reject(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: bounded(message), retry: false, status: None, path: None }
    }

    /// A failure for which trying again may help.
    pub fn retry(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: bounded(message), retry: true, status: None, path: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{} at {path}: {}", self.code, self.message),
            None => write!(f, "{}: {}", self.code, self.message),
        }
    }
}

impl std::error::Error for Failure {}

/// Reads a message, which an older release may have stored with any length.
fn read_bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(bounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_its_code_its_place_and_its_message() {
        let failure = Failure::reject(Code::CALL_STATUS, "`f` answered with status 404");
        assert_eq!(failure.to_string(), format!("{}: `f` answered with status 404", Code::CALL_STATUS));
        let at = Failure { path: NodePath::parse("C[c1]/n1").ok(), ..failure };
        assert_eq!(at.to_string(), format!("{} at C[c1]/n1: `f` answered with status 404", Code::CALL_STATUS));
    }
}
