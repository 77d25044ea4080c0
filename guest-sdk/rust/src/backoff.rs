use serde::Serialize;
use std::time::Duration;

/// A retry policy: how often to try, and how long to wait in between.
///
/// Before try *n* (the second and later ones) the host waits `min(max_delay, first_delay × factor^(n-2))`, less a
/// random share of up to one half, so that many runs that failed together are not tried again together.
///
/// ```
/// use faas_flow::{Backoff, Dag};
/// use std::time::Duration;
///
/// // Waits of up to 1 s, 3 s and 9 s between four tries.
/// let patient = Backoff::attempts(4).first_delay(Duration::from_secs(1)).factor(3.0);
/// Dag::new().node("pay").apply("charge-card").retry(patient);
/// ```
///
/// The host checks the ranges below when it loads the flow, and reports values outside of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[must_use = "a retry policy has no effect until a call or node gets it"]
pub struct Backoff {
    pub(crate) attempts: u32,
    pub(crate) first_delay_ms: u32,
    pub(crate) factor: f32,
    pub(crate) max_delay_ms: u32,
}

impl Backoff {
    /// A policy of this many tries, including the first: 1 to 100. Unless the other methods say otherwise, the waits
    /// start at 100 ms, double each time, and never exceed 10 s.
    pub fn attempts(attempts: u32) -> Self {
        Self { attempts, first_delay_ms: 100, factor: 2.0, max_delay_ms: 10_000 }
    }

    /// The wait before the second try, in whole milliseconds.
    pub fn first_delay(self, delay: Duration) -> Self {
        Self { first_delay_ms: milliseconds(delay), ..self }
    }

    /// The factor by which each further wait is longer than the one before: 1 to 100.
    pub fn factor(self, factor: f32) -> Self {
        Self { factor, ..self }
    }

    /// The longest wait, in whole milliseconds: up to one day.
    pub fn max_delay(self, delay: Duration) -> Self {
        Self { max_delay_ms: milliseconds(delay), ..self }
    }
}

fn milliseconds(time: Duration) -> u32 {
    time.as_millis().try_into().unwrap_or(u32::MAX)
}
