//! What time it is.

use faas_flow_core::Millis;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Where a host takes the time from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The clock of the system.
    #[default]
    System,
    /// Tokio's clock, which a simulation pauses and advances.
    Tokio {
        /// Some moment of that clock.
        at: Instant,
        /// The time at that moment, in milliseconds since the Unix epoch.
        is: Millis,
    },
}

impl Clock {
    /// Tokio's clock, with `is` as the present time.
    pub fn tokio(is: Millis) -> Self {
        Clock::Tokio { at: Instant::now(), is }
    }

    /// The same clock, but wrong: it is ahead by so many milliseconds.
    pub fn ahead_by(&self, millis: Millis) -> Self {
        match self {
            Clock::System => Clock::System,
            Clock::Tokio { at, is } => Clock::Tokio { at: *at, is: is + millis },
        }
    }

    /// The time since some moment, in milliseconds. It is never set, so it measures durations.
    pub fn uptime(&self) -> Millis {
        static BEGAN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
        let passed = match self {
            Clock::System => BEGAN.elapsed(),
            Clock::Tokio { at, .. } => at.elapsed(),
        };
        Millis::try_from(passed.as_millis()).unwrap_or(Millis::MAX)
    }

    /// The present time, in milliseconds since the Unix epoch.
    pub fn now(&self) -> Millis {
        let millis = |time: Duration| Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX);
        match self {
            Clock::System => millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            Clock::Tokio { at, is } => is + millis(at.elapsed()),
        }
    }
}
