//! What a node waits for, and the answer that ends the wait.

use super::is_zero;
use crate::run::token::ClaimToken;
use crate::{Failure, Millis, Payload, RunId, SignalName};
use serde::{Deserialize, Serialize};

/// A stored wait of a node, during which no replica holds the node: between two tries, or for an answer from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// When the node may be claimed again.
    pub until: Millis,
    /// The index of the operation at which it continues.
    pub operation: u32,
    /// The number of tries of that operation so far.
    pub tries: u32,
    /// When the attempt began that goes on after the wait; `None` if another one begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Millis>,
    /// The data for that operation; `None` if the node starts again from its first operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Payload>,
    /// What ends the wait before that moment, if anything does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Box<Wait>>,
    /// Since when it sleeps, if it waits because the flow says so, and not for another try or an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asleep: Option<Millis>,
    /// How many attempts of the node had failed before the one that goes on after the wait.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u32,
}

impl Suspended {
    /// A wait until a moment, after which the node starts again from its first operation.
    pub fn until(until: Millis) -> Self {
        Self { until, operation: 0, tries: 0, begun: None, data: None, wait: None, asleep: None, failed: 0 }
    }

    /// How many attempts of the node have failed that count for its retry policy.
    pub fn failed_attempts(&self) -> u32 {
        // What starts again from its first operation waits for another attempt: its tries are attempts.
        if self.data.is_none() { self.tries } else { self.failed }
    }
}

/// What a suspended node waits for: an answer from outside, at most until a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What the answer must name. Nobody else can end the wait.
    pub id: WaitId,
    /// Who answers.
    pub of: Awaited,
    /// When the question was asked.
    pub since: Millis,
    /// When nobody answers any more. Until then the node may be claimed from time to time, to look for an answer that was
    /// lost. `None` if the wait has no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Millis>,
    /// How often a replica has looked for the answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub looks: u32,
}

/// Identifies one wait of a node. Each claim of a node suspends it once at most, so that no two waits have the same id, and
/// an answer that is late is not taken for the answer to a later question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitId {
    /// The claim under which the question was asked.
    pub claim: ClaimToken,
    /// The index of the operation that asked.
    pub operation: u32,
}

/// Who answers a node that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Awaited {
    /// A function that was called asynchronously.
    Function {
        /// Its name.
        name: String,
    },
    /// Somebody who sends a signal to the run.
    Signal {
        /// The name of the signal.
        signal: SignalName,
    },
    /// Another run, which the node began.
    Run {
        /// The flow, by the name that it was called by.
        flow: String,
        /// The request id of the run.
        run: RunId,
    },
    /// A permit of a limit over all runs, which another node or call gives back.
    Limit {
        /// The name of the limit.
        name: String,
        /// The key under which the node counts; empty if the limit has no keys.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        key: String,
    },
}

/// A run that a node has called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// The flow, by the name that it was called by.
    pub flow: String,
    /// The request id of the run.
    pub run: RunId,
}

/// The answer to a node that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The wait that it ends.
    pub to: WaitId,
    /// When it came.
    pub at: Millis,
    /// What it says.
    pub said: Said,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// A response, as the callee of a call gives it.
    Response {
        /// Its status.
        status: u16,
        /// Its headers, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<(String, String)>,
        /// Its body.
        body: Payload,
    },
    /// That there will be no response, for this reason.
    Failed(Failure),
    /// That the node has got a permit of the limit for which it waits. This answers no call.
    Permit,
}
