//! When to try again: the one policy behind every loop that waits between tries.

use crate::definition::Backoff;
use std::time::Duration;

/// How often to try something, and how long to wait between the tries.
///
/// The wait after the n-th failed try is `min(max_delay, first_delay × factor^(n-1))`, less up to half of it at random
/// (*jitter*), so that callers that failed together do not come back together. A policy is plain data: it reads no clock
/// and draws no random number. [`delays`](RetryPolicy::delays) turns it into an iterator for a loop, and
/// [`delay_after`](RetryPolicy::delay_after) answers for one try when the count is kept elsewhere, such as in a message.
///
/// ```
/// use faas_flow_core::{Code, RetryPolicy};
/// use std::time::Duration;
///
/// const POLICY: RetryPolicy =
///     RetryPolicy::exponential(Duration::from_millis(40), Duration::from_secs(5)).with_max_tries(8);
///
/// fn read_patiently(mut read: impl FnMut() -> Result<u32, Code>, sleep: impl Fn(Duration)) -> Result<u32, Code> {
///     let mut delays = POLICY.delays(|| 0.5); // in a program: `fastrand::f64`
///     loop {
///         match read() {
///             Err(code) if code.is_transient() && let Some(delay) = delays.next() => sleep(delay),
///             result => return result,
///         }
///     }
/// }
///
/// let mut answers = [Err(Code::STORE_UNAVAILABLE), Ok(7)].into_iter();
/// assert_eq!(read_patiently(|| answers.next().unwrap(), |_| {}), Ok(7));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    first_delay: Duration,
    factor: f64,
    max_delay: Duration,
    /// All tries together; `None` for no limit.
    max_tries: Option<u32>,
}

impl RetryPolicy {
    /// Delays that double from `first_delay` up to `max_delay`, without a limit on the number of tries.
    pub const fn exponential(first_delay: Duration, max_delay: Duration) -> Self {
        Self { first_delay, factor: 2.0, max_delay, max_tries: None }
    }

    /// The same policy with each delay `factor` times the last one; 1 keeps the delay constant.
    #[must_use]
    pub const fn with_factor(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// The same policy with at most this many tries, including the first one. 0 counts as 1, since the first try is
    /// always made.
    #[must_use]
    pub const fn with_max_tries(self, max_tries: u32) -> Self {
        Self { max_tries: Some(max_tries), ..self }
    }

    /// The wait after `failed_tries` failed tries (1 and more), or `None` if there is no further try. `random`, from 0 to
    /// 1, takes off up to half of the wait: 0 takes off nothing.
    pub fn delay_after(&self, failed_tries: u32, random: f64) -> Option<Duration> {
        if self.max_tries.is_some_and(|max_tries| failed_tries >= max_tries) {
            return None;
        }
        let exponent = i32::try_from(failed_tries.saturating_sub(1)).unwrap_or(i32::MAX);
        let max = self.max_delay.as_secs_f64();
        let full = match self.first_delay.as_secs_f64() {
            // Zero times an infinite factor is not a number.
            0.0 => 0.0,
            first => (first * self.factor.powi(exponent)).min(max),
        };
        let delay = full * (1.0 - random.clamp(0.0, 1.0) / 2.0);
        Some(Duration::try_from_secs_f64(delay).unwrap_or(self.max_delay))
    }

    /// The waits between the tries, in order. `random` is the source of the jitter: numbers from 0 to 1, as
    /// `fastrand::f64` draws them, or `|| 0.0` for none.
    pub const fn delays<R: FnMut() -> f64>(self, random: R) -> Delays<R> {
        Delays { policy: self, failed_tries: 0, random }
    }
}

/// A flow's own policy, as its author wrote it.
impl From<Backoff> for RetryPolicy {
    fn from(backoff: Backoff) -> Self {
        let millis = |ms: u32| Duration::from_millis(u64::from(ms));
        Self::exponential(millis(backoff.first_delay_ms), millis(backoff.max_delay_ms))
            .with_factor(f64::from(backoff.factor))
            .with_max_tries(backoff.attempts)
    }
}

/// The waits of a [`RetryPolicy`]. Each call of `next` counts one failed try; `None` means to give up.
#[derive(Debug, Clone)]
pub struct Delays<R> {
    policy: RetryPolicy,
    failed_tries: u32,
    random: R,
}

impl<R> Delays<R> {
    /// How many tries have failed so far, for logs and errors.
    pub const fn failed_tries(&self) -> u32 {
        self.failed_tries
    }
}

impl<R: FnMut() -> f64> Iterator for Delays<R> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.failed_tries = self.failed_tries.saturating_add(1);
        self.policy.delay_after(self.failed_tries, (self.random)())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let policy = RetryPolicy::exponential(ms(100), ms(500)).with_max_tries(6);
        let delays: Vec<Duration> = policy.delays(|| 0.0).collect();
        assert_eq!(delays, [100, 200, 400, 500, 500].map(ms));
    }

    #[test]
    fn a_factor_sets_how_fast_delays_grow() {
        let first = |factor: f64| RetryPolicy::exponential(ms(10), ms(1000)).with_factor(factor).delays(|| 0.0).take(3);
        assert!(first(1.0).eq([10, 10, 10].map(ms)));
        assert!(first(10.0).eq([10, 100, 1000].map(ms)));
    }

    #[test]
    fn jitter_takes_off_up_to_half() {
        let mut random = [0.0, 0.5, 1.0, 9.0, -9.0, f64::NAN].into_iter();
        let policy = RetryPolicy::exponential(ms(100), ms(100));
        let delays: Vec<Duration> = policy.delays(|| random.next().unwrap()).take(6).collect();
        assert_eq!(delays, [100, 75, 50, 50, 100, 100].map(ms));
    }

    #[test]
    fn the_number_of_tries_includes_the_first() {
        let policy = RetryPolicy::exponential(ms(1), ms(1));
        for (max_tries, delays) in [(0, 0), (1, 0), (2, 1), (8, 7)] {
            assert_eq!(policy.with_max_tries(max_tries).delays(|| 0.0).count(), delays, "{max_tries} tries");
        }
        assert_eq!(policy.delays(|| 0.0).take(1000).count(), 1000, "no limit");
    }

    #[test]
    fn failed_tries_are_counted() {
        let mut delays = RetryPolicy::exponential(ms(1), ms(1)).with_max_tries(2).delays(|| 0.0);
        assert_eq!(delays.failed_tries(), 0);
        assert_eq!((delays.next(), delays.failed_tries()), (Some(ms(1)), 1));
        assert_eq!((delays.next(), delays.failed_tries()), (None, 2));
    }

    #[test]
    fn extremes_stay_within_the_longest_delay() {
        let forever = RetryPolicy::exponential(ms(100), ms(500)).with_factor(100.0);
        assert_eq!(forever.delay_after(u32::MAX, 0.0), Some(ms(500)));
        assert_eq!(forever.delay_after(0, 0.0), Some(ms(100)));
        let immediate = RetryPolicy::exponential(Duration::ZERO, ms(500));
        assert_eq!(immediate.delay_after(u32::MAX, 0.0), Some(Duration::ZERO));
        let longest = RetryPolicy::exponential(Duration::MAX, Duration::MAX);
        assert!(longest.delay_after(u32::MAX, 0.0).is_some());
    }

    #[test]
    fn a_flows_backoff_is_a_policy() {
        let backoff = Backoff { attempts: 3, first_delay_ms: 100, factor: 3.0, max_delay_ms: 200 };
        assert!(RetryPolicy::from(backoff).delays(|| 0.0).eq([100, 200].map(ms)));
    }
}
