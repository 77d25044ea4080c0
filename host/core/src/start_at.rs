//! When a run starts, if its caller has said so.

use crate::duration::shown;
use crate::wake::LONGEST_SLEEP_MS;
use crate::{BadMoment, Millis, Wake, parse_duration, text};
use std::time::Duration;

/// Why no run can start then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadStart {
    /// It is neither a delay nor a moment.
    #[error(
        "`{text}` is not a start time; write a delay such as `90s` or `2h`, or a moment such as `2026-12-24T18:00:00+01:00`"
    )]
    Malformed {
        /// The beginning of it.
        text: String,
    },
    /// It is too far away.
    #[error("the run would start in {}, but at most {} (366 days) are possible", shown(*ms), shown(LONGEST_SLEEP_MS))]
    TooFar {
        /// How far, in milliseconds.
        ms: u64,
    },
}

/// The moment at which a run starts that is asked for at `now`: after a delay as [`parse_duration`] reads it, or at a moment as
/// RFC 3339 writes it. It may be in the past.
pub fn start_at(text: &str, now: Millis) -> Result<Millis, BadStart> {
    let after = |delay: Duration| Wake::After(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
    let wake = parse_duration(text).map_or_else(|| Wake::At(text.to_owned()), after);
    wake.moment(now).map_err(|error| match error {
        BadMoment::TooFar { ms } => BadStart::TooFar { ms },
        BadMoment::Malformed { .. } => {
            BadStart::Malformed { text: text::printable(&text.chars().take(80).collect::<String>()).to_string() }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_790_000_000_000;

    /// START-1.
    #[test]
    fn a_start_time_is_a_delay_or_a_moment() {
        for (text, expected) in [
            ("0s", NOW),
            ("500ms", NOW + 500),
            ("90s", NOW + 90_000),
            ("90", NOW + 90_000),
            ("1m30s", NOW + 90_000),
            ("2h", NOW + 7_200_000),
            ("8784h", NOW + LONGEST_SLEEP_MS),
            ("2026-12-24T18:00:00+01:00", 1_798_131_600_000),
            ("1999-01-01T00:00:00Z", 915_148_800_000),
        ] {
            assert_eq!(start_at(text, NOW), Ok(expected), "{text}");
        }
    }

    /// START-5.
    #[test]
    fn a_malformed_start_time_is_refused_and_quoted() {
        let long = "9".repeat(1 << 20);
        for text in ["", "soon", "-1s", "+1s", "1 h", "1w", "1d", "s", "2026-12-24", "\u{202e}90s", &long] {
            let refused = start_at(text, NOW).unwrap_err();
            assert!(matches!(refused, BadStart::Malformed { .. }), "{text}");
            assert!(refused.to_string().len() < 400 && !refused.to_string().contains('\u{202e}'), "{refused}");
        }
        for text in ["8785h", "999999999999h", "99999999999", "9999-12-31T23:59:59Z"] {
            assert!(matches!(start_at(text, NOW), Err(BadStart::TooFar { .. })), "{text}");
        }
    }
}
