//! The shapes that closures take and give.

use serde::Serialize;
use std::time::Duration;

/// Named values, in an order that has meaning: by predecessor as declared, or by branch as chosen or split.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs(pub Vec<(String, Vec<u8>)>);

impl Inputs {
    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(key, _)| *key == name).map(|(_, data)| data)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, data)| (name.as_str(), data.as_slice()))
    }

    /// The values, one after the other.
    pub fn concat(&self) -> Vec<u8> {
        self.iter().flat_map(|(_, data)| data).copied().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Inputs {
    type Item = (String, Vec<u8>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// An HTTP request before the host sends it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Upper case: `POST`.
    pub method: String,
    /// Absolute, with its query. Of an `apply` the host reads the path behind the function's name and the query only.
    pub url: String,
    /// In order; a name may occur more than once.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// An HTTP response as it arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// 100 to 599.
    pub status: u16,
    /// In order of arrival; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It produced its result.
    Success,
    /// A node failed, the deadline passed, or somebody stopped it.
    Failure,
}

/// How the run is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// Nodes run, or wait to run.
    #[default]
    Running,
    /// Nothing new starts until somebody resumes it.
    Paused,
    /// Somebody ended it.
    Stopped,
    /// It ended with its result.
    Succeeded,
    /// It failed.
    Failed,
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step, for the author only.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What an operator wants to know.
    Info,
    /// What may become a problem.
    Warn,
    /// What is one.
    Error,
}

/// What the host does when the retries of a node run out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exhausted {
    /// The run fails.
    #[default]
    Fail,
    /// The run pauses, so that an operator can mend the cause and resume it.
    Pause,
}

/// How often and how patiently to try again. Before try n (2 and later) the host waits
/// `min(max_delay, first_delay × factor^(n-2))`, less up to half of it at random.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Backoff {
    pub(crate) attempts: u32,
    pub(crate) first_delay_ms: u32,
    pub(crate) factor: f32,
    pub(crate) max_delay_ms: u32,
}

impl Backoff {
    /// So many tries, the first included, 1 to 100. Waits start at 100 ms, double, and end at 10 s.
    pub fn attempts(attempts: u32) -> Self {
        Self { attempts, first_delay_ms: 100, factor: 2.0, max_delay_ms: 10_000 }
    }

    /// The wait before the second try.
    pub fn first_delay(self, delay: Duration) -> Self {
        Self { first_delay_ms: delay.as_millis().try_into().unwrap_or(u32::MAX), ..self }
    }

    /// What each further wait is multiplied by, 1 to 100.
    pub fn factor(self, factor: f32) -> Self {
        Self { factor, ..self }
    }

    /// No wait is longer than this, a day at most.
    pub fn max_delay(self, delay: Duration) -> Self {
        Self { max_delay_ms: delay.as_millis().try_into().unwrap_or(u32::MAX), ..self }
    }
}

/// A time as the contract counts it.
pub(crate) fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}
