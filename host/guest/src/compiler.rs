//! Reading and compiling modules in a separate process, so that no module harms the host before its code is confined.
//!
//! A module comes from somebody whom the host need not trust, and what reads it (the parsers of WebAssembly and WIT, the
//! compiler) may crash or take very long on some bytes. So the host reads nothing of a module but its first eight bytes. The
//! compiler reads the whole module from stdin, wraps it in a component if it is a core module, compiles it, and writes its
//! [`Answer`] to stdout. Whatever happens to that process becomes an error with a code.
//!
//! The process has limits ([`share`]): processor time at a low priority, and address space. It is ended when its time is over,
//! or when nobody waits for its answer any more, and its memory is returned to the system. The answer is checked before it is
//! used: its size while it is read, and its digest.

pub(crate) mod answer;
mod death;
mod functions;
mod share;
mod translate;
mod waiting;

pub use translate::compile;
pub use waiting::{Waited, Waiting, waiting};

pub(crate) use translate::translate;

use crate::error::GuestError;
use answer::{Answer, Unreadable};
use share::Share;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How often the host looks whether anybody still waits.
const LOOK: Duration = Duration::from_millis(50);
/// How long a compiler that has closed its stdout may take to end.
const END: Duration = Duration::from_secs(1);
/// How much of what a compiler writes to stderr is kept, in bytes: the end of a message about its crash.
const SAID: usize = 4 << 10;

/// A program that calls [`compile`] when it is started with these arguments.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long one compilation may take; a longer one is cancelled.
    pub at_most: Duration,
    /// The address space that the program may use, in bytes.
    pub memory: u64,
    /// A file in which it keeps the functions that it has compiled, for the next module that has them too. Only for an author who
    /// builds one flow again and again: the time that a compilation with this file takes tells the author of the module which
    /// functions the last module had.
    pub functions: Option<PathBuf>,
}

impl Compiler {
    /// Compiles a module to at most so many bytes of machine code. Blocks until the compiler ends, until `at_most` has passed, or
    /// until nobody waits any more.
    pub(crate) fn run(&self, module: &[u8], code_bytes: u64, waited: &Waited) -> Result<Vec<u8>, GuestError> {
        let share = Share { memory: self.memory, time: self.at_most, code_bytes, functions: self.functions.clone() };
        let mut child = self.start(&share).map_err(|error| GuestError::Engine {
            reason: format!("cannot start {} to compile the module: {error}", self.program.display()),
        })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (sender, heard) = mpsc::channel();
        thread::scope(|scope| {
            // A compiler that fails may stop reading before the end; its answer or its exit status tells.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(module)));
            let said = scope.spawn(move || end_of(stderr));
            scope.spawn(move || sender.send(stdout.map(|stdout| answer::read(stdout, code_bytes))));
            let Some(answer) = self.wait(&heard, waited) else {
                cancel(&mut child);
                return Err(GuestError::CompileTimedOut { at_most: self.at_most });
            };
            match answer {
                Ok(answer) => {
                    // It has nothing left to do.
                    cancel(&mut child);
                    answer.code()
                }
                Err(Unreadable::TooLarge { limit }) => {
                    cancel(&mut child);
                    Err(GuestError::CodeTooLarge { limit })
                }
                Err(Unreadable::Malformed) => {
                    // The thread that reads its stderr ends with it.
                    let status = self.end(&mut child);
                    Err(death::error(status, &said.join().unwrap_or_default(), self.at_most))
                }
            }
        })
    }

    /// The answer; none if the time is over, or if nobody waits any more.
    fn wait(
        &self,
        heard: &mpsc::Receiver<Option<Result<Answer, Unreadable>>>,
        waited: &Waited,
    ) -> Option<Result<Answer, Unreadable>> {
        let began = Instant::now();
        loop {
            let left = self.at_most.saturating_sub(began.elapsed());
            if left.is_zero() || waited.is_over() {
                return None;
            }
            match heard.recv_timeout(left.min(LOOK)) {
                Ok(answer) => return Some(answer.unwrap_or(Err(Unreadable::Malformed))),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Some(Err(Unreadable::Malformed)),
            }
        }
    }

    /// Waits for the end of a compiler that has closed its stdout without an answer.
    fn end(&self, child: &mut Child) -> Option<std::process::ExitStatus> {
        let until = Instant::now() + END;
        loop {
            match child.try_wait() {
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(1)),
                Ok(Some(status)) => return Some(status),
                _ => {
                    cancel(child);
                    return None;
                }
            }
        }
    }

    fn start(&self, share: &Share) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(share.variables());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }
}

/// Ends a compiler, and removes it from the process table.
fn cancel(child: &mut Child) {
    // Both fail only if it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads to the end, and returns the last bytes as text.
fn end_of(from: Option<impl Read>) -> String {
    let mut end = Vec::new();
    let mut buffer = [0; SAID];
    let Some(mut from) = from else { return String::new() };
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        end.extend_from_slice(buffer.get(..count).unwrap_or_default());
        end.drain(..end.len().saturating_sub(SAID));
    }
    String::from_utf8_lossy(&end).trim().to_owned()
}

#[cfg(test)]
mod tests;
