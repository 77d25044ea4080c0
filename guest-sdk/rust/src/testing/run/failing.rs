//! Failures of a run on their way outwards.

use crate::backoff::Backoff;
use crate::failed::{Failed, FailureKind};

/// What a step of a run yields.
pub(super) type Step<T> = Result<T, Box<Failing>>;

/// Whose failure it is: nobody further in catches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Operation,
    Node,
    Run,
}

/// A failure on its way outwards.
#[derive(Debug, Clone)]
pub(super) struct Failing {
    pub(super) failed: Failed,
    pub(super) level: Level,
    pub(super) retry: bool,
    /// Which retry policy ran out, if one did.
    spent: Option<String>,
    /// The status with which a closure of the flow wants its caller to be answered.
    pub(super) answer: Option<u16>,
    /// The wait for which a response asks, in milliseconds.
    pub(super) retry_after: u64,
}

impl Failing {
    pub(super) fn new(code: &str, kind: FailureKind, path: &str, message: impl Into<String>) -> Box<Self> {
        let failed = Failed::new(code, kind).with_message(path, message);
        Box::new(Self { failed, level: Level::Operation, retry: false, spent: None, answer: None, retry_after: 0 })
    }

    /// Another try may help.
    pub(super) fn retryable(mut self: Box<Self>) -> Box<Self> {
        self.retry = true;
        self
    }

    pub(super) fn at(mut self: Box<Self>, level: Level) -> Box<Self> {
        self.level = level;
        self
    }

    pub(super) fn with_input(mut self: Box<Self>, input: &[u8]) -> Box<Self> {
        self.failed.input = input.to_vec();
        self
    }

    /// What the host shows of it.
    pub(super) fn text(&self) -> String {
        match &self.spent {
            Some(spent) => format!("{} ({spent})", self.failed),
            None => self.failed.to_string(),
        }
    }

    /// The same without the path.
    pub(super) fn text_without_path(&self) -> String {
        let failed = self.failed.clone().with_message("", self.failed.message());
        Self { failed, ..self.clone() }.text()
    }

    /// The failure as an item of a for-each has it.
    pub(super) fn of_item(self) -> Failed {
        Failed { input: Vec::new(), body: None, ..self.failed }
    }

    /// The wait before another try in milliseconds, if the policy allows one after this number of them.
    pub(super) fn wait(&self, policy: Option<Backoff>, tries: u32) -> Option<u64> {
        let policy = policy.filter(|policy| self.retry && tries < policy.attempts)?;
        let exponent = i32::try_from(tries - 1).unwrap_or(i32::MAX);
        let first = f64::from(policy.first_delay_ms);
        let ms = if first == 0.0 { 0.0 } else { first * f64::from(policy.factor).powi(exponent) };
        let ms = ms.min(f64::from(policy.max_delay_ms)).round() as u64;
        Some(ms.max(self.retry_after))
    }

    /// Says that there is no further try.
    pub(super) fn last(mut self: Box<Self>, policy: Option<Backoff>, whose: Whose, tries: u32) -> Box<Self> {
        if policy.is_none() || !self.retry {
            return self;
        }
        let (whose, unit) = match (whose, tries) {
            (Whose::Call, 1) => ("call", "try"),
            (Whose::Call, _) => ("call", "tries"),
            (Whose::Node, 1) => ("node", "attempt"),
            (Whose::Node, _) => ("node", "attempts"),
        };
        self.spent = Some(format!("the retry policy of the {whose} ran out after {tries} {unit}"));
        self.failed.tries = tries;
        self
    }

    /// The failure handler of the flow has failed: its words replace those of the failure.
    pub(super) fn in_words_of(&mut self, own: &Self) {
        own.failed.message().clone_into(&mut self.failed.message);
        self.answer = own.answer.or(self.answer);
        self.spent = None;
    }

    /// The status with which the caller of the run is answered.
    pub(super) fn status(&self) -> u16 {
        match (self.answer, self.failed.code()) {
            (Some(status @ 400..=499), _) => status,
            (_, "FF0207" | "FF0208" | "FF0250") => 502,
            (_, "FF0206" | "FF0209" | "FF0210" | "FF0253" | "FF0270") => 504,
            _ => 500,
        }
    }
}

/// Whose retry policy it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    Call,
    Node,
}

/// Ends a run that cannot go on, because of a mistake in the test or in the definition of the flow.
#[track_caller]
#[allow(clippy::panic, reason = "a test that is wrong fails")]
pub(super) fn stop(message: &str) -> ! {
    panic!("{message}")
}
