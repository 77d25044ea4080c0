//! Durations as text.

use std::fmt;
use std::time::Duration;

/// Reads whole seconds, as of-watchdog takes them (`30`), or a duration in the form of Go's `time.ParseDuration` without a sign
/// (`1m30s`, `500ms`, `1.5h`).
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?)?;
        let (unit, tail) = tail.split_at_checked(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()))?;
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// A duration for people, in the largest units that fit: `850 µs`, `1.5 ms`, `12 ms`, `1.5 s`, `2 min 3 s`, `1 h`. What is
/// smaller than the last unit shown is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownDuration(pub Duration);

impl fmt::Display for ShownDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let millis = self.0.as_millis();
        let seconds = self.0.as_secs();
        let two = |f: &mut fmt::Formatter<'_>, large: u64, unit: &str, small: u64, smaller: &str| match small {
            0 => write!(f, "{large} {unit}"),
            _ => write!(f, "{large} {unit} {small} {smaller}"),
        };
        match seconds {
            0 if micros == 0 => f.write_str("0 ms"),
            0 if micros < 1_000 => write!(f, "{micros} µs"),
            0 if millis < 10 && micros % 1_000 >= 100 => write!(f, "{millis}.{} ms", micros % 1_000 / 100),
            0 => write!(f, "{millis} ms"),
            1..60 => write!(f, "{} s", millis as f64 / 1e3),
            60..3_600 => two(f, seconds / 60, "min", seconds % 60, "s"),
            _ => two(f, seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        }
    }
}

/// Milliseconds as a message shows them.
pub(crate) const fn shown(ms: u64) -> ShownDuration {
    ShownDuration(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_seconds_or_those_of_go() {
        for (text, millis) in [
            ("10", 10_000),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            ("1h2m3s4ms", 3_723_004),
            ("0", 0),
            ("0s", 0),
            ("5000us", 5),
            ("2000000ns", 2),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "-1s", "+1", "1d", "1 s", "10s 5", "1s5", "soon", ".", ".s", "1e3s", "1..5s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_are_shown_in_the_units_that_people_use() {
        for (micros, shown) in [
            (0, "0 ms"),
            (850, "850 µs"),
            (1_000, "1 ms"),
            (1_570, "1.5 ms"),
            (10_500, "10 ms"),
            (12_345, "12 ms"),
            (1_500_000, "1.5 s"),
            (30_000_000, "30 s"),
            (120_000_000, "2 min"),
            (123_400_000, "2 min 3 s"),
            (3_600_000_000, "1 h"),
            (7_325_000_000, "2 h 2 min"),
            (90_061_000_000, "25 h 1 min"),
        ] {
            assert_eq!(ShownDuration(Duration::from_micros(micros)).to_string(), shown);
        }
    }
}
