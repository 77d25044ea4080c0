//! Moments at which something was, as people name them.

use crate::{Millis, parse_duration, parse_moment};

/// The number of digits from which on a number stands for milliseconds since the Unix epoch.
const EPOCH_DIGITS: usize = 12;

/// Reads how long ago something was (`90s`, `2h`, `7d`), a moment as RFC 3339 writes it (`2026-12-24T18:00:00+01:00`), a day in UTC
/// (`2026-12-24`), or milliseconds since the Unix epoch (at least twelve digits).
pub fn past_moment(text: &str, now: Millis) -> Option<Millis> {
    if text.len() >= EPOCH_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    if let Some(days) = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()) {
        return Some(now.saturating_sub(days.saturating_mul(24 * 60 * 60 * 1000)));
    }
    if let Some(ago) = parse_duration(text) {
        return Some(now.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)));
    }
    parse_moment(text).or_else(|_| parse_moment(&format!("{text}T00:00:00Z"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_in_the_past_is_a_time_ago_a_day_or_a_moment() {
        let now = 1_798_131_600_000;
        for (text, expected) in [
            ("0s", now),
            ("90", now - 90_000),
            ("2h", now - 7_200_000),
            ("1m30s", now - 90_000),
            ("7d", now - 7 * 86_400_000),
            ("99999999d", 0),
            ("2026-12-24T18:00:00+01:00", 1_798_131_600_000),
            ("2026-12-24", 1_798_070_400_000),
            ("1798131600000", 1_798_131_600_000),
        ] {
            assert_eq!(past_moment(text, now), Some(expected), "{text}");
        }
        for bad in ["", "d", "-1h", "yesterday", "2026-13-01", "1h ago", "99999999999999999999999"] {
            assert_eq!(past_moment(bad, now), None, "{bad}");
        }
    }
}
