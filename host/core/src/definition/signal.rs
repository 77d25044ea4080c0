//! Waits for signals: named messages from outside to a run.

use serde::{Deserialize, Serialize};

/// A wait for a signal: an operation whose output is the body of the signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WaitFor {
    /// Which signal.
    pub signal: SignalSource,
    /// How long it waits; for as long as the run goes on if that is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The `recover-from` handler that yields the output if no signal comes in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recover_from: Option<String>,
}

/// Where the name of a signal comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignalSource {
    /// It is this one.
    Named(String),
    /// This `signal-name` handler names it for the data.
    Handler(String),
}
