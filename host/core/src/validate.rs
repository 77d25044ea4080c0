//! Checks a whole definition, so that an author sees every problem at once.
//!
//! The time that this takes is proportional to the size of the definition, also if everything in it is wrong: paths and
//! messages are written only for the first problems, and only so many names are compared in search of a similar one.

mod dag;
mod operations;
mod place;
mod report;

use crate::definition::Backoff;
use crate::limit::Figures;
use crate::schedule::Schedule;
use crate::{Code, Definition, HandlerId, Malformed, NameKind};
use place::Place;
use report::{Report, shown};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// How many levels dags may be nested, counting the outermost dag.
pub const MAX_DEPTH: usize = 32;
const DAY_MS: u64 = 86_400_000;
const YEAR_MS: u64 = 366 * DAY_MS;
/// How long the answer to an asynchronous call may take.
const LONGEST_WAIT_MS: u64 = 30 * DAY_MS;

/// Why a definition was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The kind of problem.
    pub code: Code,
    /// Where: `C[c1]/n1`, or empty for the flow itself.
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}: {}", self.code, self.message)
        } else {
            write!(f, "{} at {}: {}", self.code, self.path, self.message)
        }
    }
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        let code = match malformed.kind {
            NameKind::NodeId => Code::BAD_NODE_ID,
            NameKind::HandlerId => Code::BAD_HANDLER_ID,
            NameKind::BranchKey => Code::BAD_BRANCH_KEY,
            NameKind::SignalName => Code::BAD_SIGNAL,
            _ => Code::INTERNAL,
        };
        Problem { code, path: String::new(), message: malformed.to_string() }
    }
}

/// Something that is valid but probably not intended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// Where, as in [`Problem::path`].
    pub path: String,
    /// What will happen, and what to do if that is not intended.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// Checks everything. The error contains every problem, or the first [`report::MOST_TOLD`] and one that counts the rest; so do the
/// warnings.
pub(crate) fn check(definition: &Definition) -> Result<Vec<Warning>, Vec<Problem>> {
    let handlers = definition.handlers.iter().map(String::as_str).collect();
    let mut checker = Checker { handlers, limits: HashMap::new(), nested: HashMap::new(), report: Report::default() };
    let flow = &Place::Flow;
    checker.handler(flow, definition.on_failure.as_deref());
    checker.handler(flow, definition.finally.as_deref());
    checker.duration(flow, "deadline", definition.deadline_ms, YEAR_MS);
    checker.dag(flow, &definition.dag, 1);
    checker.schedules(flow, &definition.schedules);
    checker.report.end()
}

struct Checker<'a> {
    handlers: HashSet<&'a str>,
    /// What the limits allow that were named before, by their names.
    limits: HashMap<&'a str, (Figures, bool)>,
    /// Where a call first needed a permit of a limit while its node holds one of another limit, by the names of both, that of the
    /// node first.
    nested: HashMap<(&'a str, &'a str), String>,
    report: Report,
}

impl<'a> Checker<'a> {
    fn problem<M: Into<String>>(&mut self, code: Code, at: &Place<'_>, message: impl FnOnce() -> M) {
        self.report.problem(|| Problem { code, path: at.path(), message: message().into() });
    }

    fn malformed(&mut self, at: &Place<'_>, malformed: Malformed) {
        self.report.problem(|| Problem { path: at.path(), ..malformed.into() });
    }

    fn warn<M: Into<String>>(&mut self, at: &Place<'_>, message: impl FnOnce() -> M) {
        self.report.warning(|| Warning { path: at.path(), message: message().into() });
    }

    fn schedules(&mut self, at: &Place<'_>, schedules: &[Schedule]) {
        for bad in Schedule::all_timed(schedules).err().unwrap_or_default() {
            self.problem(bad.code(), at, || bad.to_string());
        }
    }

    fn handler(&mut self, at: &Place<'_>, handler: Option<&str>) {
        let Some(handler) = handler else { return };
        match HandlerId::new(handler) {
            Err(malformed) => self.malformed(at, malformed),
            Ok(_) if !self.handlers.contains(handler) => {
                let hint = self.report.did_you_mean(handler, &self.handlers);
                let message =
                    || format!("handler `{}` is not among those that the flow declares{hint}", shown(handler));
                self.problem(Code::UNKNOWN_HANDLER, at, message);
            }
            Ok(_) => {}
        }
    }

    fn retry(&mut self, at: &Place<'_>, retry: Option<&Backoff>) {
        let Some(retry) = retry else { return };
        let wrong = match retry {
            Backoff { attempts, .. } if !(1..=100).contains(attempts) => {
                format!("`attempts` is {attempts}, but must be 1 to 100")
            }
            Backoff { factor, .. } if !(1.0..=100.0).contains(factor) => {
                format!("`factor` is {factor}, but must be 1 to 100")
            }
            Backoff { max_delay_ms, .. } if u64::from(*max_delay_ms) > DAY_MS => {
                format!("`max-delay-ms` is {max_delay_ms}, but must be at most {DAY_MS}")
            }
            _ => return,
        };
        self.problem(Code::BAD_RETRY, at, || format!("the retry policy's {wrong}"));
    }

    fn duration(&mut self, at: &Place<'_>, what: &str, ms: Option<u64>, most: u64) {
        if let Some(ms) = ms.filter(|ms| !(1..=most).contains(ms)) {
            self.problem(Code::BAD_TIMEOUT, at, || format!("the {what} is {ms} ms, but must be 1 to {most} ms"));
        }
    }
}
