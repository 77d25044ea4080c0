//! What is said of a compiler that ended without an answer.

use crate::error::GuestError;
use std::process::ExitStatus;
use std::time::Duration;

/// How many characters of a compiler's last words are told.
const TOLD: usize = 300;

/// The error, from its exit status, if that is known, and the end of what it wrote to stderr.
pub(super) fn error(status: Option<ExitStatus>, said: &str, at_most: Duration) -> GuestError {
    let how = match signal(status) {
        _ if said.contains("overflowed its stack") => "its stack overflowed".to_owned(),
        _ if said.contains("memory allocation of") => "it ran out of memory".to_owned(),
        Some(Signal::OutOfTime) => return GuestError::CompileTimedOut { at_most },
        Some(Signal::Killed) => "it was killed, perhaps because the system is out of memory".to_owned(),
        Some(Signal::Other(number)) => format!("signal {number} ended it{}", told(said)),
        None => format!("it ended without an answer{}", told(said)),
    };
    GuestError::CompilerDied { how }
}

enum Signal {
    OutOfTime,
    Killed,
    Other(i32),
}

#[cfg(unix)]
fn signal(status: Option<ExitStatus>) -> Option<Signal> {
    use rustix::process::Signal as Known;
    use std::os::unix::process::ExitStatusExt as _;
    let number = status?.signal()?;
    Some(match number {
        _ if number == Known::XCPU.as_raw() => Signal::OutOfTime,
        _ if number == Known::KILL.as_raw() => Signal::Killed,
        _ => Signal::Other(number),
    })
}

#[cfg(not(unix))]
fn signal(_: Option<ExitStatus>) -> Option<Signal> {
    None
}

/// `: its last words`, on one line.
fn told(said: &str) -> String {
    let words: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TOLD).collect();
    if words.is_empty() { words } else { format!(": {words}") }
}
