//! A canary: a version that a share of the new runs begins with, until it is promoted or withdrawn.

use super::error::Error;
use super::share::Share;
use super::version::By;
use faas_flow_core::Digest;
use serde::{Deserialize, Serialize};

/// When a canary is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CanaryRule {
    /// In hundredths of a percent.
    #[schema(value_type = u16, minimum = 1, maximum = 10000)]
    max_failures: Share,
    /// How many of the canary's last runs are looked at.
    #[schema(minimum = 1, maximum = 10000)]
    over: u32,
}

impl CanaryRule {
    /// The most runs that a canary can be judged by.
    pub const MOST_RUNS: u32 = 10_000;

    /// Withdraws a canary once more than `max_failures` of its last `over` runs have failed. While fewer runs have ended,
    /// those that are missing count as successful. `over` is 1 to [`MOST_RUNS`](Self::MOST_RUNS).
    pub fn new(max_failures: Share, over: u64) -> Result<Self, Error> {
        match u32::try_from(over) {
            Ok(runs @ 1..=Self::MOST_RUNS) => Ok(Self { max_failures, over: runs }),
            _ => Err(Error::BadCanaryRule { over }),
        }
    }

    /// The largest share of failed runs that is tolerated.
    pub fn max_failures(&self) -> Share {
        self.max_failures
    }

    /// How many of the canary's last runs are looked at.
    pub fn over(&self) -> u32 {
        self.over
    }

    /// Whether this number of failures among the canary's last runs is too high.
    pub fn is_broken_by(&self, failed: u64) -> bool {
        self.max_failures.is_exceeded_by(failed, u64::from(self.over))
    }
}

impl Default for CanaryRule {
    /// More than 5 % of the last 100 runs.
    fn default() -> Self {
        Self { max_failures: Share::ONE_TWENTIETH, over: 100 }
    }
}

/// A version that a share of the new runs begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Canary {
    /// Distinguishes it from other canaries of the same version.
    pub serial: u64,
    /// The version.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
    /// The share of new runs that begin with it.
    #[schema(value_type = u16, minimum = 1, maximum = 10000)]
    pub share: Share,
    /// When it is withdrawn.
    #[serde(flatten)]
    pub rule: CanaryRule,
    /// Who started it, when, and their message.
    #[serde(flatten)]
    pub by: By,
}

/// A canary that failed too often, or that an operator withdrew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Withdrawn {
    /// The version.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
    /// Who withdrew it, when and why.
    #[serde(flatten)]
    pub by: By,
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    #[test]
    fn a_rule_is_broken_once_more_than_its_share_has_failed() {
        let rule = CanaryRule::default();
        assert_eq!([0, 5, 6, 100].map(|failed| rule.is_broken_by(failed)), [false, false, true, true]);
    }

    #[test]
    fn a_rule_looks_at_one_run_at_least_and_at_ten_thousand_at_most() {
        let rule = |over| CanaryRule::new(Share::ONE_TWENTIETH, over).map_err(|error| error.code());
        assert!(rule(1).is_ok() && rule(10_000).is_ok());
        for over in [0, 10_001, u64::MAX] {
            assert_eq!(rule(over), Err(Code::BAD_REQUEST));
        }
    }

    #[test]
    fn a_canary_is_stored_as_one_flat_object() {
        let canary = Canary {
            serial: 3,
            digest: Digest::of(b"x"),
            share: "10%".parse().unwrap(),
            rule: CanaryRule::default(),
            by: By::new("ann", "try it", 7).unwrap(),
        };
        let json = serde_json::json!({
            "serial": 3, "digest": Digest::of(b"x"), "share": 1000, "max-failures": 500, "over": 100,
            "who": "ann", "message": "try it", "at": 7,
        });
        assert_eq!(serde_json::to_value(&canary).unwrap(), json);
        assert_eq!(serde_json::from_value::<Canary>(json).unwrap(), canary);
    }
}
