//! Whether the clocks of replicas disagree.

use super::host::Host;
use faas_flow_core::{Code, Millis, RunId};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How far another clock may be ahead without a warning, in milliseconds.
const TOLERATED: Millis = 1000;
/// At most one warning in this time.
const WARNED_EVERY: Duration = Duration::from_secs(60);

/// When this replica warned of another clock.
#[derive(Debug, Default)]
pub(crate) struct Skew(Mutex<Option<Instant>>);

impl Skew {
    /// Whether to warn now.
    fn warns(&self) -> bool {
        let mut warned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = warned.is_none_or(|warned| warned.elapsed() >= WARNED_EVERY);
        if is_due {
            *warned = Some(Instant::now());
        }
        is_due
    }
}

impl Host {
    /// Takes note of the time at which another replica signed an event. It has arrived since, so if that is in the future
    /// here, the clocks disagree. That a clock is behind this one cannot be told from an event that waited in the queue; the
    /// other replica will tell.
    pub fn note_time(&self, run: &RunId, signed: Millis) {
        let ahead = signed.saturating_sub(self.now());
        self.services.counters.clock_ahead(ahead);
        if ahead > TOLERATED && self.services.skew.warns() {
            let (code, skew_seconds) = (Code::CLOCKS_DISAGREE, ahead as f64 / 1000.0);
            tracing::warn!(%run, %code, skew_seconds, "the clocks of replicas disagree: another one is ahead of this one");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_warning_is_given_once_a_minute() {
        let skew = Skew::default();
        assert!(skew.warns() && !skew.warns());
        tokio::time::advance(WARNED_EVERY).await;
        assert!(skew.warns() && !skew.warns());
    }
}
