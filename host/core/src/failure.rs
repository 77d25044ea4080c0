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
    /// The status of the response, if it is the failure of an item that a for-each tolerates, and a call failed because of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<u16>,
    /// The retry policy that ran out, if one did: there was no try left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhausted: Option<Spent>,
    /// The node that failed, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<NodePath>,
}

impl Failure {
    /// A failure for which trying again cannot help.
    pub fn reject(code: Code, message: impl Into<String>) -> Self {
        let message = bounded(message);
        Self { code, message, retry: false, status: None, answered: None, exhausted: None, path: None }
    }

    /// A failure for which trying again may help.
    pub fn retry(code: Code, message: impl Into<String>) -> Self {
        Self { retry: true, ..Self::reject(code, message) }
    }
}

/// A retry policy that ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Whose policy it is.
    pub policy: PolicyOf,
    /// How many tries or attempts there were.
    pub tries: u32,
}

/// Whose retry policy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyOf {
    /// That of a call.
    Call,
    /// That of a node.
    Node,
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whose, one, several) = match self.policy {
            PolicyOf::Call => ("call", "try", "tries"),
            PolicyOf::Node => ("node", "attempt", "attempts"),
        };
        let tries = if self.tries == 1 { one } else { several };
        write!(f, "the retry policy of the {whose} ran out after {} {tries}", self.tries)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{} at {path}: {}", self.code, self.message)?,
            None => write!(f, "{}: {}", self.code, self.message)?,
        }
        self.exhausted.map_or(Ok(()), |spent| write!(f, " ({spent})"))
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

    /// HIST-9.
    #[test]
    fn a_failure_says_which_retry_policy_ran_out() {
        let of = |policy, tries| {
            let exhausted = Some(Spent { policy, tries });
            Failure { exhausted, ..Failure::retry(Code::CALL_STATUS, "busy") }.to_string()
        };
        let code = Code::CALL_STATUS;
        assert_eq!(of(PolicyOf::Call, 4), format!("{code}: busy (the retry policy of the call ran out after 4 tries)"));
        assert_eq!(
            of(PolicyOf::Node, 1),
            format!("{code}: busy (the retry policy of the node ran out after 1 attempt)")
        );
    }
}
