//! What flows log: how much of it is written.

use crate::{CallContext, Level};
use faas_flow_core::Digest;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::field::display;

/// How often it is said how much was dropped, at most.
const SECOND: Duration = Duration::from_secs(1);

/// How much one run may log on one replica. The rest is dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// How many lines per second.
    pub lines: u32,
    /// How many bytes in all.
    pub bytes: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { lines: 1000, bytes: 1 << 20 }
    }
}

/// The log of one run. Once a second, and when it is dropped, it says how many lines it has dropped.
#[derive(Debug, Default)]
pub struct FlowLog {
    limits: LogLimits,
    /// The digest of the run's module; none outside of runs.
    digest: Option<Digest>,
    /// The id of the trace that the run belongs to, if it is traced.
    trace: Option<String>,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    /// When the current second began.
    since: Option<Instant>,
    /// In this second.
    lines: u32,
    /// In all.
    bytes: usize,
    dropped: Option<Dropped>,
}

/// Lines that were dropped and of which nothing has been said yet.
#[derive(Debug)]
struct Dropped {
    lines: u64,
    run: String,
    flow: String,
}

impl FlowLog {
    /// The log of a run with these limits.
    pub fn new(limits: LogLimits) -> Self {
        Self { limits, digest: None, trace: None, written: Mutex::default() }
    }

    /// The log of a run of the module with this digest, which belongs to this trace.
    pub fn of(limits: LogLimits, digest: Digest, trace: Option<String>) -> Self {
        Self { limits, digest: Some(digest), trace, written: Mutex::default() }
    }

    /// The digest of the run's module; none outside of runs.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_ref().map(Digest::as_str)
    }

    /// The id of the trace that the run belongs to, if it is traced.
    pub fn trace(&self) -> Option<&str> {
        self.trace.as_deref()
    }

    /// Writes a line of a call, unless it is one too many or nobody reads lines of this level.
    pub fn write(&self, (run, flow): (&str, &str), call: &CallContext, level: Level, message: &str) {
        let (path, attempt) = (&*call.node, call.attempt);
        let (digest, trace) = (self.digest(), self.trace());
        let labels = || (!call.labels.is_empty()).then(|| display(&call.labels));
        macro_rules! write_at {
            ($level:ident) => {
                if tracing::enabled!(target: "flow", tracing::Level::$level) && self.admits(run, flow, message.len()) {
                    tracing::event!(target: "flow", tracing::Level::$level, run, flow, path, attempt, digest, trace, labels = labels(), "{message}");
                }
            };
        }
        match level {
            Level::Trace => write_at!(TRACE),
            Level::Debug => write_at!(DEBUG),
            Level::Info => write_at!(INFO),
            Level::Warn => write_at!(WARN),
            Level::Error => write_at!(ERROR),
        }
    }

    /// Whether a line of this many bytes is written.
    pub(crate) fn admits(&self, run: &str, flow: &str, bytes: usize) -> bool {
        let now = Instant::now();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.since.is_none_or(|since| now.duration_since(since) >= SECOND) {
            written.since = Some(now);
            written.lines = 0;
            if let Some(dropped) = written.dropped.take() {
                self.report(dropped);
            }
        }
        let all_bytes = written.bytes.saturating_add(bytes);
        let admitted = written.lines < self.limits.lines && all_bytes <= self.limits.bytes;
        if admitted {
            written.lines += 1;
            written.bytes = all_bytes;
        } else if self.limits.lines > 0 {
            // Who wants no lines is not told that there are none.
            let none = || Dropped { lines: 0, run: run.to_owned(), flow: flow.to_owned() };
            written.dropped.get_or_insert_with(none).lines += 1;
        }
        admitted
    }

    fn report(&self, Dropped { lines: dropped, run, flow }: Dropped) {
        let (digest, trace) = (self.digest(), self.trace());
        tracing::warn!(target: "flow", run, flow, digest, trace, dropped, "dropped log lines beyond flow_log_lines or flow_log_bytes");
    }
}

impl Drop for FlowLog {
    fn drop(&mut self) {
        let written = self.written.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(dropped) = written.dropped.take() {
            self.report(dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(log: &FlowLog) -> u64 {
        log.written.lock().unwrap().dropped.as_ref().map_or(0, |dropped| dropped.lines)
    }

    #[test]
    fn a_run_logs_only_so_many_bytes_and_the_rest_is_counted() {
        let log = FlowLog::new(LogLimits { lines: u32::MAX, bytes: 100 });
        log.written.lock().unwrap().since = Some(Instant::now() + Duration::from_secs(3600));
        let admitted = (0..50).filter(|_| log.admits("r", "f", 30)).count();
        assert_eq!((admitted, dropped(&log)), (3, 47));
        assert!(log.admits("r", "f", 10), "a shorter line still fits");
    }

    #[test]
    fn where_no_line_is_wanted_none_is_missed() {
        let log = FlowLog::new(LogLimits { lines: 0, bytes: usize::MAX });
        assert!(!log.admits("r", "f", 1));
        assert_eq!(dropped(&log), 0);
    }

    #[test]
    fn a_run_logs_only_so_many_lines_per_second() {
        let log = FlowLog::new(LogLimits { lines: 5, bytes: usize::MAX });
        // So that the second does not end in between.
        log.written.lock().unwrap().since = Some(Instant::now() + Duration::from_secs(3600));
        let admitted = (0..50).filter(|_| log.admits("r", "f", 1)).count();
        assert_eq!((admitted, dropped(&log)), (5, 45));
        log.written.lock().unwrap().since = Instant::now().checked_sub(SECOND);
        assert!(log.admits("r", "f", 1), "in the next second there is room again");
        assert_eq!(dropped(&log), 0, "what was dropped has been reported");
    }
}
