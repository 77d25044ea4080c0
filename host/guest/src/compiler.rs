//! Compiling in a separate process, which can be cancelled and whose memory is returned to the system when it ends.
//!
//! The compiler reads a component from stdin and writes machine code to stdout. It runs at a low priority on half of
//! the processors, and is the first process to be ended when memory runs out: a component that is hard to compile does not
//! slow down requests (see [`share`]).

mod share;

use crate::engine::compiling_engine;
use crate::error::GuestError;
use crate::limits::Limits;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A program that calls [`compile`] when it is started with these arguments.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long one compilation may take; a longer one is cancelled.
    pub at_most: Duration,
}

impl Compiler {
    /// Compiles a component to machine code. Blocks until the compiler ends, or until `at_most` has passed.
    pub(crate) fn run(&self, component: &[u8]) -> Result<Vec<u8>, GuestError> {
        let mut child = self.start().map_err(|error| GuestError::Engine {
            reason: format!("cannot start {} to compile the module: {error}", self.program.display()),
        })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (sender, output) = mpsc::channel();
        thread::scope(|scope| {
            // A compiler that fails may stop reading before the end; its exit status tells.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(component)));
            scope.spawn(move || sender.send((read_all(stdout), read_all(stderr))));
            let Ok((code, errors)) = output.recv_timeout(self.at_most) else {
                cancel(&mut child);
                return Err(GuestError::CompileTimedOut { at_most: self.at_most });
            };
            match child.wait() {
                Ok(status) if status.success() => Ok(code),
                _ => {
                    let errors = String::from_utf8_lossy(&errors).trim().to_owned();
                    let reason = if errors.is_empty() { "the compiler crashed".to_owned() } else { errors };
                    Err(GuestError::CompileFailed { reason })
                }
            }
        })
    }

    fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear();
        // Cranelift compiles functions in parallel on rayon's global pool, which reads this.
        command.env("RAYON_NUM_THREADS", share::threads().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }
}

/// Ends a compiler that has taken too long, and removes it from the process table.
fn cancel(child: &mut Child) {
    // Both fail only if it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

fn read_all(from: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        // Truncated output is noticed by the exit status, or by the engine that loads the code.
        let _ = from.read_to_end(&mut bytes);
    }
    bytes
}

/// What the program of a [`Compiler`] does: compiles the component on stdin and writes the machine code to stdout.
///
/// Call it early: it lowers the priority of this thread and of the threads that are started afterwards, and limits the
/// memory of the process for good.
pub fn compile() -> Result<(), GuestError> {
    share::limit_this_process();
    let failed = |reason: String| GuestError::CompileFailed { reason };
    let mut component = Vec::new();
    io::stdin().read_to_end(&mut component).map_err(|error| failed(error.to_string()))?;
    let engine = compiling_engine(&Limits::default())?;
    let code = engine.precompile_component(&component).map_err(|error| failed(format!("{error:#}")))?;
    io::stdout().write_all(&code).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell script in the place of a compiler.
    fn script(script: &str, at_most: Duration) -> Compiler {
        Compiler { program: "/bin/sh".into(), arguments: vec!["-c".to_owned(), script.to_owned()], at_most }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_compiler_is_told_how_many_threads_to_use_and_nothing_else_of_the_environment() {
        let threads = script("echo $RAYON_NUM_THREADS $HOME", MINUTE).run(b"").unwrap();
        assert_eq!(String::from_utf8(threads).unwrap().trim(), share::threads().to_string());
    }

    #[test]
    fn what_a_compiler_writes_is_the_code() {
        assert_eq!(script("exec /bin/cat", MINUTE).run(b"module").unwrap(), b"module");
    }

    #[test]
    fn what_a_failing_compiler_says_is_the_reason() {
        for (script_text, reason) in [("echo no memory >&2; exit 1", "no memory"), ("exit 1", "the compiler crashed")] {
            let error = script(script_text, MINUTE).run(b"module").unwrap_err();
            assert_eq!(error, GuestError::CompileFailed { reason: reason.to_owned() });
        }
    }

    #[test]
    fn a_compilation_that_takes_too_long_is_cancelled() {
        let at_most = Duration::from_millis(50);
        let error = script("exec /bin/sleep 600", at_most).run(b"module").unwrap_err();
        assert_eq!(error, GuestError::CompileTimedOut { at_most });
    }
}
