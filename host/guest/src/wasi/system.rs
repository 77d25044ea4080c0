//! What one instance has of the virtual system.

use super::numbers::{Numbers, Seed};
use super::output::{LastWords, Lines};
use crate::Level;
use crate::state::State;
use std::collections::BTreeSet;
use wasmtime::Result;
use wasmtime::component::Resource;

/// What the clock says while there is no run: in `define`, and when a module initialises itself. 2000-01-01T00:00:00Z.
const NO_RUN: u64 = 946_684_800_000;
const NANOS_PER_MILLI: u64 = 1_000_000;
/// A time that does not end, in nanoseconds: 73 years.
const FOREVER: u64 = 1 << 61;
/// What the monotonic clock says before anything has been slept. Some programs take 0 for a clock that does not work.
const ORIGIN: u64 = 1_000_000_000;
/// How many bytes can be written at once.
pub(super) const WRITTEN: usize = 64 << 10;
/// How many streams and timers an instance may hold. They take memory of the host.
const HELD: u32 = 10_000;
/// How many of the things that it lacks are noted.
const NOTED: usize = 20;

/// The virtual system of one instance.
#[derive(Default)]
pub(crate) struct System {
    /// How long the code has slept altogether, and how long before this call, in nanoseconds.
    slept: u64,
    before: u64,
    /// Of the current call, once there are some.
    numbers: Option<Numbers>,
    /// Whether a handler is called, and which one. Before that, the module initialises itself.
    handler: Option<String>,
    stdout: Lines,
    stderr: Lines,
    /// What was written to stderr in this call.
    last_words: LastWords,
    /// What the code has called and does not have.
    noted: BTreeSet<String>,
    held: u32,
    /// When the timers are due, as values of `slept`; `None` for those that are free.
    timers: Vec<Option<u64>>,
}

/// Where the code writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

/// Why the system has stopped the code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stopped {
    /// It has ended itself.
    #[error("it exited with status {status}")]
    Exited {
        /// The status.
        status: u32,
    },
    /// It has called what flows do not have, and there is no other way to tell it.
    #[error("it called `{function}`, which flows do not have: reach the outside with `apply` and `request`")]
    Missing {
        /// The function.
        function: String,
    },
    /// It holds too much.
    #[error("it holds more than {HELD} streams and timers")]
    HoldsTooMuch,
    /// It wants too many random bytes at once.
    #[error("it asked for {wanted} random bytes at once, more than {most}")]
    TooManyRandomBytes {
        /// How many it wants.
        wanted: u64,
        /// How many it may have.
        most: usize,
    },
    /// It waits for nothing.
    #[error("it polls an empty list of timers")]
    WaitsForNothing,
}

impl System {
    /// Begins a call of this handler.
    pub(crate) fn begin(&mut self, handler: &str) {
        self.before = self.slept;
        self.numbers = None;
        self.last_words.forget();
        let name = self.handler.get_or_insert_default();
        name.clear();
        name.push_str(handler);
    }

    /// The last lines that the code has written to stderr in this call.
    pub(crate) fn last_words(&self) -> Option<String> {
        self.last_words.text()
    }

    /// How long ago the monotonic clock began, in nanoseconds.
    pub(super) fn monotonic(&self) -> u64 {
        ORIGIN + self.slept
    }

    /// A handle of something that does not change.
    pub(super) fn hold<T: 'static>(&mut self, which: u32) -> Result<Resource<T>> {
        if self.held >= HELD {
            return Err(Stopped::HoldsTooMuch.into());
        }
        self.held += 1;
        Ok(Resource::new_own(which))
    }

    pub(super) fn release(&mut self) {
        self.held = self.held.saturating_sub(1);
    }

    /// A timer that is due after this time.
    pub(super) fn timer_after<T: 'static>(&mut self, nanos: u64) -> Result<Resource<T>> {
        let due = self.slept.saturating_add(nanos).min(FOREVER);
        let free = self.timers.iter().position(Option::is_none);
        let at = free.unwrap_or(self.timers.len());
        let timer = self.hold(u32::try_from(at).unwrap_or(u32::MAX))?;
        match self.timers.get_mut(at) {
            Some(free) => *free = Some(due),
            None => self.timers.push(Some(due)),
        }
        Ok(timer)
    }

    /// A timer that is due when the monotonic clock says this.
    pub(super) fn timer_at<T: 'static>(&mut self, moment: u64) -> Result<Resource<T>> {
        self.timer_after(moment.saturating_sub(self.monotonic()))
    }

    pub(super) fn release_timer(&mut self, timer: u32) {
        self.release();
        if let Some(held) = self.timers.get_mut(timer as usize) {
            *held = None;
        }
    }

    /// Whether a timer is due.
    pub(super) fn is_due(&self, timer: u32) -> bool {
        self.due(timer) <= self.slept
    }

    fn due(&self, timer: u32) -> u64 {
        self.timers.get(timer as usize).copied().flatten().unwrap_or_default()
    }

    /// Moves the clock until one of the timers is due; not at all if one is already.
    pub(super) fn sleep_until_first(&mut self, timers: impl Iterator<Item = u32>) -> Result<()> {
        let Some(first) = timers.map(|timer| self.due(timer)).min() else {
            return Err(Stopped::WaitsForNothing.into());
        };
        self.slept = self.slept.max(first);
        Ok(())
    }
}

impl State {
    /// What the clock says when nothing has been slept in this call, in nanoseconds since 1970.
    pub(crate) fn time_of_call(&self) -> u64 {
        let has_run = !self.defining && self.system.handler.is_some();
        let now = if has_run { self.run.clock() } else { NO_RUN };
        now.saturating_mul(NANOS_PER_MILLI).min(FOREVER)
    }

    /// The time of day, in nanoseconds since 1970.
    pub(super) fn time(&self) -> u64 {
        self.time_of_call() + (self.system.slept - self.system.before)
    }

    /// The next random number.
    pub(super) fn random(&mut self) -> u64 {
        let Self { system, run, call, defining, .. } = self;
        let first = || {
            if *defining {
                return Seed::new(b"define").numbers();
            }
            let seed = Seed::new(&run.secret()).with(run.request_id().as_bytes()).with(call.node.as_bytes());
            let seed = seed.with(&call.round.to_le_bytes());
            match &system.handler {
                Some(handler) => seed.with(handler.as_bytes()).numbers(),
                None => seed.numbers(),
            }
        };
        if let Some(numbers) = &mut system.numbers {
            return numbers.next();
        }
        let mut numbers = first();
        let number = numbers.next();
        system.numbers = Some(numbers);
        number
    }

    /// Takes what the code writes, as far as it may be written at once.
    pub(super) fn write(&mut self, output: Output, bytes: &[u8]) {
        let bytes = bytes.get(..WRITTEN).unwrap_or(bytes);
        let Self { system: System { stdout, stderr, last_words, .. }, run, call, .. } = self;
        match output {
            Output::Stdout => stdout.push(bytes, |line| run.log(call, Level::Info, line)),
            Output::Stderr => {
                last_words.add(bytes);
                stderr.push(bytes, |line| run.log(call, Level::Warn, line));
            }
        }
    }

    /// Logs lines that have no end, since a call has ended.
    pub(crate) fn end_lines(&mut self) {
        let Self { system: System { stdout, stderr, .. }, run, call, .. } = self;
        stdout.end(|line| run.log(call, Level::Info, line));
        stderr.end(|line| run.log(call, Level::Warn, line));
    }

    /// Notes that the code has called what flows do not have: once in its log for each function.
    pub(super) fn note_missing(&mut self, function: &str) {
        if self.system.noted.len() < NOTED && self.system.noted.insert(function.to_owned()) {
            let message = format!("the flow's code called `{function}`, which flows do not have, and the call failed");
            self.run.log(&self.call, Level::Warn, &message);
        }
    }
}
