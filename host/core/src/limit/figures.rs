//! What a limit allows.

use crate::FlowName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The smallest rate: one call in a thousand seconds.
pub const SMALLEST_RATE: f64 = 0.001;
/// The largest rate, in calls per second.
pub const LARGEST_RATE: f64 = 1_000_000.0;

const MICROS: f64 = 1_000_000.0;

/// What a limit allows. At least one of the two is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Figures {
    /// How many may be in flight at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
    /// How many may begin in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
}

/// Why a limit cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BadFigures {
    /// It allows everything.
    #[error("it says neither how many may be in flight at a time nor how many may begin in a second")]
    Neither,
    /// It allows nothing.
    #[error("no call could ever begin if 0 may be in flight at a time: allow at least 1")]
    NoneAtATime,
    /// Its rate is out of range.
    #[error("{0} per second are not possible: a rate is from {SMALLEST_RATE} to {LARGEST_RATE}")]
    Rate(f64),
}

impl Figures {
    /// Checks that the limit lets something through, and that it limits something.
    pub fn check(&self) -> Result<(), BadFigures> {
        match (self.concurrent, self.per_second) {
            (None, None) => Err(BadFigures::Neither),
            (Some(0), _) => Err(BadFigures::NoneAtATime),
            (_, Some(rate)) if !(SMALLEST_RATE..=LARGEST_RATE).contains(&rate) => Err(BadFigures::Rate(rate)),
            _ => Ok(()),
        }
    }

    /// How many may be in flight at a time; without that limit as many as there are.
    pub(super) fn most(&self) -> u32 {
        self.concurrent.unwrap_or(u32::MAX)
    }
}

/// Whose permits count together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// Those of all flows, since the operator has defined the limit.
    #[default]
    All,
    /// Those of one flow, whose limit it is; `None` for calls that only the operator has limited, and does not any more.
    Of(Option<FlowName>),
}

impl Scope {
    pub(super) fn has(&self, flow: &Option<FlowName>) -> bool {
        match self {
            Self::All => true,
            Self::Of(mine) => mine == flow,
        }
    }
}

/// What a limit allows at present, and what counts. Both change when the operator defines the limit, or does not define it any
/// more; what is held and who waits stays where it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allowance {
    /// What it allows; everything if it says nothing.
    pub figures: Figures,
    /// What counts.
    pub scope: Scope,
}

impl fmt::Display for Figures {
    /// `10 at a time, 2.5 per second`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let concurrent = self.concurrent.map(|count| format!("{count} at a time"));
        let rate = self.per_second.map(|rate| format!("{rate} per second"));
        f.write_str(&concurrent.into_iter().chain(rate).collect::<Vec<_>>().join(", "))
    }
}

/// A rate, spaced out: each call pushes back the moment of the next one. A tenth of a second's calls may come together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// The time between two calls, in microseconds.
    interval: f64,
    /// How far ahead of their moments calls may begin, in microseconds.
    ahead: f64,
}

impl Pace {
    /// The pace of a rate. One that is too small is that of the smallest rate.
    pub(super) fn new(per_second: f64) -> Self {
        let rate = per_second.clamp(SMALLEST_RATE / 1000.0, LARGEST_RATE);
        let interval = MICROS / rate;
        Self { interval, ahead: ((rate / 10.0).floor() - 1.0).max(0.0) * interval }
    }

    /// When the next call may begin, in microseconds since the Unix epoch.
    pub(super) fn next(self, paced_until: u64) -> u64 {
        paced_until.saturating_sub(self.ahead as u64)
    }

    /// What is paced once a call has begun at this moment.
    pub(super) fn after(self, paced_until: u64, now: u64) -> u64 {
        paced_until.max(now).saturating_add(self.interval.ceil() as u64)
    }

    /// What is paced, as far as that is possible at this moment, give or take what clocks may disagree by. More was noted by a
    /// clock that was ahead. All in microseconds.
    pub(super) fn plausible(self, paced_until: u64, now: u64, disagreement: u64) -> u64 {
        let most = now.saturating_add((self.ahead + self.interval).ceil() as u64);
        if paced_until > most.saturating_add(disagreement) { most } else { paced_until }
    }
}

/// Whether a name is one of a limit: 1 to 64 characters of `A-Z a-z 0-9 _ . -`, as names of functions are.
pub fn is_limit_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LIMIT-9.
    #[test]
    fn a_limit_lets_something_through_and_limits_something() {
        let check = |concurrent, per_second| Figures { concurrent, per_second }.check();
        assert_eq!(check(None, None), Err(BadFigures::Neither));
        assert_eq!(check(Some(0), Some(1.0)), Err(BadFigures::NoneAtATime));
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.000_9, 1_000_001.0] {
            assert!(matches!(check(None, Some(rate)), Err(BadFigures::Rate(_))), "{rate}");
        }
        for figures in [(Some(1), None), (Some(u32::MAX), Some(0.001)), (None, Some(1_000_000.0))] {
            assert_eq!(check(figures.0, figures.1), Ok(()));
        }
    }

    #[test]
    fn names_are_those_of_functions() {
        assert!(is_limit_name("payments") && is_limit_name("charge.openfaas-fn") && is_limit_name(&"x".repeat(64)));
        for name in ["", "a b", "a/b", "ü", &"x".repeat(65)] {
            assert!(!is_limit_name(name), "{name}");
        }
    }
}
