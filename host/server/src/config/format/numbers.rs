//! Times, sizes, counts and ports.

use super::{Format, Rule};
use faas_flow_core::{ShownDuration, parse_duration};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// A duration in a range: whole seconds, or as Go writes durations.
pub(crate) struct Time(RangeInclusive<Duration>);

impl Time {
    /// Any duration.
    pub const ANY: Time = Time(Duration::ZERO..=Duration::MAX);

    pub const fn millis(range: RangeInclusive<u64>) -> Time {
        Time(Duration::from_millis(*range.start())..=Duration::from_millis(*range.end()))
    }
}

impl Format<Duration> for Time {
    fn describe(&self) -> String {
        "time".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "TIME"
    }

    fn parse(&self, text: &str) -> Result<Duration, Rule> {
        let time = parse_duration(text)
            .ok_or_else(|| "must be whole seconds or a duration, as in 30, 10s, 1m30s or 500ms".to_owned())?;
        if self.0.contains(&time) {
            return Ok(time);
        }
        Err(format!("must be between {} and {}", ShownDuration(*self.0.start()), ShownDuration(*self.0.end())))
    }
}

/// A time limit: any duration, of which 0 means that there is no limit.
pub(crate) struct TimeLimit;

impl Format<Option<Duration>> for TimeLimit {
    fn describe(&self) -> String {
        Time::ANY.describe()
    }

    fn placeholder(&self) -> &'static str {
        Time::ANY.placeholder()
    }

    fn parse(&self, text: &str) -> Result<Option<Duration>, Rule> {
        Time::ANY.parse(text).map(|time| Some(time).filter(|time| !time.is_zero()))
    }
}

/// A number of bytes, at least this one, optionally with `KiB`, `MiB` or `GiB`.
pub(crate) struct Size(pub usize);

impl Format<usize> for Size {
    fn describe(&self) -> String {
        "size".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "SIZE"
    }

    fn parse(&self, text: &str) -> Result<usize, Rule> {
        let size =
            bytes(text).ok_or_else(|| "must be a number of bytes, as in 1000, 32KiB, 64MiB or 1GiB".to_owned())?;
        if size < self.0 { Err(format!("must be at least {} bytes", self.0)) } else { Ok(size) }
    }
}

fn bytes(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at_checked(digits)?;
    let factor: usize = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        _ => return None,
    };
    count.parse::<usize>().ok()?.checked_mul(factor)
}

/// A whole number, at least this one.
pub(crate) struct Count<N>(pub N);

impl<N: FromStr + PartialOrd + Display + Sync> Format<N> for Count<N> {
    fn describe(&self) -> String {
        "number".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "COUNT"
    }

    fn parse(&self, text: &str) -> Result<N, Rule> {
        text.parse()
            .ok()
            .filter(|count| *count >= self.0)
            .ok_or_else(|| format!("must be a whole number, at least {}", self.0))
    }
}

/// A TCP port. What 0 means is up to the key.
pub(crate) struct Port;

impl Format<u16> for Port {
    fn describe(&self) -> String {
        "port".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "PORT"
    }

    fn parse(&self, text: &str) -> Result<u16, Rule> {
        text.parse().map_err(|_| "must be a port number from 0 to 65535".to_owned())
    }
}
