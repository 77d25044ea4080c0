//! Until when a node sleeps.

use crate::duration::shown;
use crate::{Millis, text};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The longest sleep: 366 days, in milliseconds.
pub const LONGEST_SLEEP_MS: u64 = 366 * 24 * 3600 * 1000;

/// When a node that sleeps goes on, as the flow says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// After this time, in milliseconds.
    After(u64),
    /// At this moment, as RFC 3339 writes it.
    At(String),
}

/// Why no node can sleep until a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMoment {
    /// It has not the form of RFC 3339.
    #[error("`{text}` is not a moment as RFC 3339 writes it, such as `2026-12-24T18:00:00+01:00`: {why}")]
    Malformed {
        /// The beginning of it.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// It is too far away.
    #[error("the node would sleep for {}, but at most {} (366 days) are possible", shown(*ms), shown(LONGEST_SLEEP_MS))]
    TooFar {
        /// How far, in milliseconds.
        ms: u64,
    },
}

impl Wake {
    /// The moment at which a node goes on that begins to sleep at `now`. It may be in the past.
    pub fn moment(&self, now: Millis) -> Result<Millis, BadMoment> {
        let moment = match self {
            Self::After(ms) => now.saturating_add(*ms),
            Self::At(text) => parse_moment(text)?,
        };
        match moment.saturating_sub(now) {
            ms if ms > LONGEST_SLEEP_MS => Err(BadMoment::TooFar { ms }),
            _ => Ok(moment),
        }
    }
}

/// Reads a moment in the form of RFC 3339. A moment before 1970 is 0, as it is long past.
pub fn parse_moment(moment: &str) -> Result<Millis, BadMoment> {
    let malformed = |why: &dyn std::fmt::Display| {
        let text = text::printable(&moment.chars().take(80).collect::<String>()).to_string();
        BadMoment::Malformed { text, why: why.to_string() }
    };
    let parsed = OffsetDateTime::parse(moment, &Rfc3339).map_err(|error| malformed(&error))?;
    // A fraction of a millisecond is slept, too: a node does not go on before its moment.
    let millis = parsed.unix_timestamp_nanos().saturating_add(999_999) / 1_000_000;
    Ok(Millis::try_from(millis.max(0)).unwrap_or(Millis::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Result<Millis, BadMoment> {
        Wake::At(text.to_owned()).moment(1_790_000_000_000)
    }

    /// SLEEP-2.
    #[test]
    fn a_moment_has_the_form_of_rfc_3339_with_any_offset() {
        let expected = 1_798_131_600_000;
        for text in [
            "2026-12-24T17:00:00Z",
            "2026-12-24T18:00:00+01:00",
            "2026-12-24t17:00:00z",
            "2026-12-24T11:30:00.000-05:30",
            "2026-12-24T16:59:59.999000001Z",
        ] {
            assert_eq!(at(text), Ok(expected), "{text}");
        }
        assert_eq!(at("1969-12-31T23:59:59Z"), Ok(0));
        assert_eq!(at("0001-01-01T00:00:00Z"), Ok(0));
    }

    /// SLEEP-6.
    #[test]
    fn a_malformed_moment_is_refused_and_quoted() {
        let long = "x".repeat(1 << 20);
        for text in [
            "",
            "tomorrow",
            "2026-12-24",
            "2026-12-24 18:00",
            "2026-12-24T18:00:00",
            "2026-13-24T18:00:00Z",
            "2026-02-30T18:00:00Z",
            "2026-12-24T25:00:00Z",
            "1798131600000",
            "\u{202e}2026-12-24T17:00:00Z",
            &long,
        ] {
            let refused = at(text).unwrap_err();
            assert!(matches!(refused, BadMoment::Malformed { .. }), "{text}");
            assert!(refused.to_string().len() < 400 && !refused.to_string().contains('\u{202e}'), "{refused}");
        }
    }

    /// SLEEP-6.
    #[test]
    fn the_longest_sleep_is_366_days() {
        assert_eq!(Wake::After(LONGEST_SLEEP_MS).moment(5), Ok(LONGEST_SLEEP_MS + 5));
        let ms = LONGEST_SLEEP_MS + 1;
        assert_eq!(Wake::After(ms).moment(5), Err(BadMoment::TooFar { ms }));
        assert!(matches!(Wake::After(u64::MAX).moment(5), Err(BadMoment::TooFar { .. })));
        assert!(matches!(at("9999-12-31T23:59:59Z"), Err(BadMoment::TooFar { .. })));
    }
}
