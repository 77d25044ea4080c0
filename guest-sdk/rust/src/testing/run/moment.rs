//! Moments as texts, and durations for people.

/// Reads a moment in the form of RFC 3339, in milliseconds since 1970. A fraction of a millisecond counts as a whole one.
pub(super) fn of_rfc_3339(text: &str) -> Option<i64> {
    let (date, time) = text.split_at_checked(10)?;
    let time = time.strip_prefix(['T', 't'])?;
    let mut parts = date.split('-').map(digits);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(at)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let ms = (format!("0.{fraction}").parse::<f64>().ok()? * 1000.0).ceil() as i64;
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let minutes = two(hours, 23)? * 60 + two(minutes, 59)?;
            if zone.starts_with('-') { -minutes } else { minutes }
        }
    };
    Some((civil(year, month, day)? * 86_400 + seconds(clock)? - offset * 60) * 1000 + ms)
}

/// Reads a moment as HTTP's headers have it: `Wed, 21 Oct 2015 07:28:00 GMT`.
pub(super) fn of_http(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.strip_suffix(" GMT")?.split_once(", ")?.1.split(' ');
    let (day, month) = (two(parts.next()?, 31)?, parts.next()?);
    let (year, clock) = (digits(parts.next()?)?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)?;
    Some((civil(year, i64::try_from(month).ok()? + 1, day)? * 86_400 + seconds(clock)?) * 1000)
}

/// The seconds of `18:00:00`.
fn seconds(clock: &str) -> Option<i64> {
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let is_all = parts.next().is_none();
    is_all.then_some(two(hour, 23)? * 3600 + two(minute, 59)? * 60 + two(second, 59)?)
}

fn two(text: &str, most: i64) -> Option<i64> {
    digits(text).filter(|number| text.len() == 2 && *number <= most)
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The days from 1970-01-01 to a day of the calendar, if there is such a day.
fn civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let most = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=most).contains(&day) {
        return None;
    }
    // Years begin in March, so that the day that may be missing is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468)
}

/// A duration as the host shows it: `1.5 s`, `2 min 3 s`, `48 h`.
pub(super) fn shown(ms: u64) -> String {
    let two = |large: u64, unit: &str, small: u64, smaller: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {smaller}"),
    };
    match ms / 1000 {
        0 => format!("{ms} ms"),
        1..60 => format!("{} s", ms as f64 / 1e3),
        seconds @ 60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        seconds => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_the_host_reads_them() {
        for text in ["2026-12-24T17:00:00Z", "2026-12-24T18:00:00+01:00", "2026-12-24t11:30:00.000-05:30"] {
            assert_eq!(of_rfc_3339(text), Some(1_798_131_600_000), "{text}");
        }
        assert_eq!(of_rfc_3339("1970-01-01T00:00:00.0001Z"), Some(1));
        assert_eq!(of_rfc_3339("2024-02-29T00:00:00Z"), Some(1_709_164_800_000));
        for text in [
            "",
            "soon",
            "2026-12-24",
            "2026-12-24 17:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-12-24T24:00:00Z",
            "2026-12-24T17:00:00",
            "2026-12-24T17:00:00.Z",
            "2026-12-24T17:00:00+1:00",
        ] {
            assert_eq!(of_rfc_3339(text), None, "{text}");
        }
        assert_eq!(of_http("Wed, 21 Oct 2015 07:28:00 GMT"), Some(1_445_412_480_000));
        assert_eq!(of_http("tomorrow"), None);
    }
}
