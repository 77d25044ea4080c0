//! The callback of a run.

use super::is_zero;
use crate::{Failure, Millis, moment, redact};
use serde::{Deserialize, Serialize};

/// The callback of a run, and its delivery so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The URL to call.
    pub url: String,
    /// How often the run had ended before. Each end has a callback of its own, which the receiver can tell from the others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub round: u32,
    /// The number of tries that have begun since the run ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// How many of them had begun when somebody last asked to send it again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub before: u32,
    /// When the next try may begin. `None` before the end of the run, and after the callback was delivered or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Millis>,
    /// When it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Millis>,
    /// Why the latest try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Callback {
    /// A callback to be sent when the run has ended.
    pub fn new(url: String) -> Self {
        Self { url, round: 0, tries: 0, before: 0, next: None, delivered: None, failure: None }
    }

    /// Whether it may be sent again: it was delivered or given up.
    pub fn is_over(&self) -> bool {
        self.next.is_none() && self.tries > 0
    }

    /// Whether it was given up: no further try will be made unless somebody asks for it.
    pub fn is_given_up(&self) -> bool {
        self.next.is_none() && self.delivered.is_none() && self.failure.is_some()
    }

    /// How far its delivery has come, in a word: `pending`, `delivered` or `given-up`.
    pub fn state(&self) -> &'static str {
        match self.delivered {
            Some(_) => "delivered",
            None if self.is_given_up() => "given-up",
            None => "pending",
        }
    }

    /// How far its delivery has come, as a sentence: `given up after 3 tries: FF0216: ...`.
    pub fn described(&self) -> String {
        let tries = match self.tries {
            1 => "1 try".to_owned(),
            tries => format!("{tries} tries"),
        };
        let state = match (self.delivered, self.next) {
            (Some(at), _) => format!("delivered {} after {tries}", moment(at)),
            (None, Some(_)) if self.tries == 0 => "about to be sent".to_owned(),
            (None, Some(next)) => format!("not delivered after {tries}, next try {}", moment(next)),
            (None, None) if self.is_given_up() => format!("given up after {tries}"),
            (None, None) => "to be sent when the run has ended".to_owned(),
        };
        self.failure.as_ref().map_or(state.clone(), |failure| format!("{state}: {failure}"))
    }

    /// The callback without the secrets of its URL, which may be anywhere behind its host.
    pub fn redacted(self) -> Self {
        Self { url: redact::origin(&self.url), ..self }
    }
}
