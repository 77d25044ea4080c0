//! Counts on a terminal what takes long.

use faas_flow_core::text::printable_lines;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often the count is written.
const OFTEN: Duration = Duration::from_millis(100);
/// How much of a name is shown, so that the line is not wrapped.
const NAME: usize = 48;

/// A line on stderr that counts, if that is a terminal. It is cleared when this is dropped.
pub(super) struct Counting {
    name: String,
    all: usize,
    done: usize,
    shown: Option<Instant>,
    shows: bool,
}

impl Counting {
    pub(super) fn of(name: &str, all: usize) -> Self {
        let name = printable_lines(name).to_string().chars().take(NAME).collect();
        Self { name, all, done: 0, shown: None, shows: std::io::stderr().is_terminal() }
    }

    /// One more is done.
    pub(super) fn count(&mut self) {
        self.done += 1;
        if self.shows && self.shown.is_none_or(|shown| shown.elapsed() >= OFTEN) {
            self.shown = Some(Instant::now());
            write(&self.line());
        }
    }

    fn line(&self) -> String {
        format!("{}: {} of {} with faults", self.name, self.done, self.all)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if self.shown.is_some() {
            write("");
        }
    }
}

/// Writes this in place of the line on which the cursor is.
fn write(line: &str) {
    let mut stderr = std::io::stderr().lock();
    // There is nobody to tell if stderr is closed.
    let _ = write!(stderr, "\r{line}\x1b[K").and_then(|()| stderr.flush());
}
