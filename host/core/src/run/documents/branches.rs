//! The branches of a node, and how they ended.

use super::is_zero;
use crate::run::caught::Ended;
use crate::run::token::ClaimToken;
use crate::{Failure, Payload};
use serde::{Deserialize, Serialize};

/// The branches of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branches {
    /// Their number.
    pub total: u32,
    /// The claim that started them.
    #[serde(rename = "epoch")]
    pub started_by: ClaimToken,
    /// The key and result of a single branch. With several, their results are collected in a set in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<(String, Payload)>,
    /// Why the only branch failed, if that is tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_failure: Option<Failure>,
    /// How many branches have failed, which is tolerated.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u32,
    /// Whether the set has all members, although the node waits for branches that are run again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// The number of the round, from 1, if the node is a repeat: each round is its only branch at its time. Earlier rounds are
    /// stored, and nothing of them goes on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub round: u32,
    /// The branches that were run again after they had ended beside others. Their results replace those in the set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redone: Vec<Redone>,
}

impl Branches {
    /// These branches, all in flight.
    pub(in crate::run) fn new(total: u32, started_by: ClaimToken) -> Self {
        let (only, only_failure, redone) = (None, None, Vec::new());
        Self { total, started_by, only, only_failure, failed: 0, full: false, round: 0, redone }
    }

    /// Notes how the only branch ended.
    pub(in crate::run) fn end_only(&mut self, key: String, ended: Ended) {
        self.only_failure = ended.as_ref().err().cloned();
        self.only = Some((key, ended.unwrap_or_default()));
    }

    /// Notes that a branch goes on that had ended.
    pub(in crate::run) fn end_again(&mut self) {
        (self.only, self.only_failure) = (None, None);
    }

    /// The key of the only branch, and how it ended.
    pub(in crate::run) fn only_ended(&self) -> Option<(String, Ended)> {
        let (key, result) = self.only.clone()?;
        Some((key, self.only_failure.clone().map_or(Ok(result), Err)))
    }

    /// Whether no branch that is run again is still in flight.
    pub(in crate::run) fn are_redone(&self) -> bool {
        !self.redone.iter().any(Redone::is_open)
    }
}

/// A branch that is run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redone {
    /// Its key.
    pub key: String,
    /// Its new result, once it has ended again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
    /// Why it failed again, if that is tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Redone {
    /// Whether it is still in flight.
    pub(in crate::run) fn is_open(&self) -> bool {
        self.result.is_none() && self.failure.is_none()
    }

    /// Notes how it has ended.
    pub(in crate::run) fn end(&mut self, ended: Ended) {
        match ended {
            Ok(result) => (self.result, self.failure) = (Some(result), None),
            Err(failure) => (self.result, self.failure) = (None, Some(failure)),
        }
    }

    /// How it has ended, if it has.
    pub(in crate::run) fn ended(&self) -> Option<Ended> {
        self.failure.clone().map(Err).or_else(|| self.result.clone().map(Ok))
    }
}
