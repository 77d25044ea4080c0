//! The tries of a node's calls, as far as its history keeps them.

use crate::{Failure, Millis, moment};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many tries a history keeps from the beginning, and how many of the latest ones.
const FIRST: usize = 5;
const LATEST: usize = 10;
/// How many bytes of a failure's message are kept with a try. What ended the attempt has all of it.
const MESSAGE: usize = 200;

/// A try of a call that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// The index of the operation that makes the call.
    pub operation: u32,
    /// Which try of the call it was, from 1. The next attempt of the node begins with 1 again.
    pub number: u32,
    /// How many tries there may be, by the retry policy of the call; 1 if it has none.
    pub of: u32,
    /// When it began, in milliseconds since the Unix epoch.
    pub started: Millis,
    /// When it ended.
    pub ended: Millis,
    /// The status of the response, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it failed, with a short message; `None` if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When the next try was due, if there was to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Millis>,
    /// Whether the call's `recover` handler replaced the failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recovered: bool,
}

impl Try {
    /// A try that begins: it ends when it is given an end.
    pub fn begin(operation: u32, number: u32, of: u32, now: Millis) -> Self {
        let (status, failure, next) = (None, None, None);
        Self { operation, number, of, started: now, ended: now, status, failure, next, recovered: false }
    }

    /// The same try, which has failed. Of the failure's message the beginning is kept.
    pub fn failed(self, now: Millis, status: Option<u16>, failure: &Failure) -> Self {
        Self { ended: now, status, failure: Some(shortened(failure.clone())), ..self }
    }
}

fn shortened(mut failure: Failure) -> Failure {
    if failure.message.len() > MESSAGE {
        failure.message.truncate(failure.message.floor_char_boundary(MESSAGE));
        failure.message.push('…');
    }
    failure
}

impl fmt::Display for Try {
    /// `try 2 of 5 of operation 0, 2026-11-29T11:00:00Z, took 12 ms: status 503: FF0207: …; next try 2026-11-29T11:00:02Z`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, number, of, started, ended, .. } = self;
        let took = ended.saturating_sub(*started);
        write!(f, "try {number} of {of} of operation {operation}, {}, took {took} ms: ", moment(*started))?;
        match (self.status, &self.failure) {
            (Some(status), Some(failure)) => write!(f, "status {status}: {failure}")?,
            (Some(status), None) => write!(f, "status {status}")?,
            (None, Some(failure)) => failure.fmt(f)?,
            (None, None) => f.write_str("succeeded")?,
        }
        match self.next {
            Some(next) => write!(f, "; next try {}", moment(next))?,
            None if self.recovered => f.write_str("; recovered")?,
            None => {}
        }
        Ok(())
    }
}

/// The tries of a node's calls, from all its attempts: those that failed, and those that succeeded after a failure. A history
/// keeps the first 5 and the latest 10 of them, so that it is small however often a call fails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// Those that are kept, in the order in which they ended.
    pub kept: Vec<Try>,
    /// How many are left out behind the first 5.
    #[serde(default, skip_serializing_if = "super::documents::is_zero")]
    pub left_out: u32,
    /// How many of all of them repeated an earlier one of the same call.
    #[serde(default, skip_serializing_if = "super::documents::is_zero")]
    pub repeated: u32,
}

impl Tries {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Adds one that has ended.
    pub fn push(&mut self, one: Try) {
        self.repeated = self.repeated.saturating_add(u32::from(one.number > 1));
        if self.kept.len() >= FIRST + LATEST {
            self.kept.remove(FIRST);
            self.left_out = self.left_out.saturating_add(1);
        }
        self.kept.push(one);
    }

    /// Those that are kept, as they are shown: the first ones, how many are left out behind them, and the latest.
    pub fn shown(&self) -> (&[Try], u32, &[Try]) {
        let at = if self.left_out > 0 { FIRST.min(self.kept.len()) } else { self.kept.len() };
        let (first, latest) = self.kept.split_at(at);
        (first, self.left_out, latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    fn failed(number: u32, message: &str) -> Try {
        let failure = Failure::retry(Code::CALL_STATUS, message);
        Try::begin(0, number, 90, 1_000).failed(1_012, Some(503), &failure)
    }

    /// HIST-7.
    #[test]
    fn the_first_and_the_latest_tries_are_kept_however_many_there_are() {
        let mut tries = Tries::default();
        (1..=15).for_each(|number| tries.push(failed(number, "busy")));
        assert_eq!((tries.kept.len(), tries.left_out, tries.shown().2.len()), (15, 0, 0));
        (16..=90).for_each(|number| tries.push(failed(number, &"busy".repeat(9_000))));
        let (first, left_out, latest) = tries.shown();
        let numbers = |tries: &[Try]| tries.iter().map(|one| one.number).collect::<Vec<_>>();
        assert_eq!((numbers(first), left_out), ((1..=5).collect(), 75));
        assert_eq!((numbers(latest), tries.repeated), ((81..=90).collect(), 89));
        let size = crate::run::encode(&tries).len();
        assert!(size < 8_000, "{size} bytes");
    }

    /// HIST-7.
    #[test]
    fn a_try_reads_as_a_sentence() {
        let first = Try { next: Some(3_000), ..failed(1, "busy") };
        let code = Code::CALL_STATUS;
        let begins = |number| format!("try {number} of 90 of operation 0, 1970-01-01T00:00:01Z, took 12 ms: ");
        let next = "; next try 1970-01-01T00:00:03Z";
        assert_eq!(first.to_string(), format!("{}status 503: {code}: busy{next}", begins(1)));
        let last = Try { recovered: true, status: None, ..failed(90, "busy") };
        assert_eq!(last.to_string(), format!("{}{code}: busy; recovered", begins(90)));
        let fine = Try { status: Some(200), failure: None, ..failed(2, "") };
        assert_eq!(fine.to_string(), format!("{}status 200", begins(2)));
    }
}
