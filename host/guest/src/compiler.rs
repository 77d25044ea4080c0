//! Compiling in a process of its own: it can be broken off, and what it takes of the machine comes back when it ends.
//!
//! The compiler gets a module on stdin and writes machine code to stdout. It gives way to whatever else runs, and is the
//! first to go when memory runs out: a module that is hard to compile harms nobody but whoever waits for it.

use crate::engine::compiling_engine;
use crate::{GuestError, Limits};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The memory that a compiler may map, in bytes.
const MEMORY: u64 = 4 << 30;
/// How much it gives way to others: 0 would not, 19 is the most.
const NICE: i32 = 10;

/// A program that calls [`compile`] when it is started like this.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long a compilation may take.
    pub at_most: Duration,
}

impl Compiler {
    /// The machine code of a component.
    pub(crate) fn run(&self, component: &[u8]) -> Result<Vec<u8>, GuestError> {
        let cannot = |reason: std::io::Error| GuestError::Engine {
            reason: format!("cannot start {} to compile the module: {reason}", self.program.display()),
        };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(cannot)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (sender, code) = mpsc::channel();
        thread::scope(|scope| {
            // A compiler that ends early reads no further: its exit status says why.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(component)));
            scope.spawn(move || sender.send((read(stdout), read(stderr))));
            let answer = code.recv_timeout(self.at_most);
            let ended = end(&mut child, answer.is_err());
            match (answer, ended) {
                (Err(_), _) => Err(GuestError::CompileTimedOut { at_most: self.at_most }),
                (Ok((code, _)), Ok(true)) => Ok(code),
                (Ok((_, said)), _) => {
                    let said = String::from_utf8_lossy(&said).trim().to_owned();
                    let reason = if said.is_empty() { "the compiler crashed".to_owned() } else { said };
                    Err(GuestError::CompileFailed { reason })
                }
            }
        })
    }
}

/// Waits for the end, which is near; whether it was a good one.
fn end(child: &mut Child, break_off: bool) -> std::io::Result<bool> {
    if break_off {
        child.kill()?;
    }
    child.wait().map(|status| status.success())
}

fn read(from: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What is cut off is no code: the exit status, or the engine, finds out.
    let _ = from.map(|mut from| from.read_to_end(&mut bytes));
    bytes
}

/// What the program of a [`Compiler`] does: compiles the component on stdin to stdout.
pub fn compile() -> Result<(), GuestError> {
    give_way();
    let failed = |reason: String| GuestError::CompileFailed { reason };
    let mut component = Vec::new();
    std::io::stdin().read_to_end(&mut component).map_err(|error| failed(error.to_string()))?;
    let engine = compiling_engine(&Limits::default())?;
    let code = engine.precompile_component(&component).map_err(|reason| failed(format!("{reason:#}")))?;
    std::io::stdout().write_all(&code).map_err(|error| failed(error.to_string()))
}

/// Whatever of it the system refuses, the rest helps.
#[allow(unsafe_code)]
fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    #[cfg(unix)]
    // SAFETY: both calls change limits of this process only, and the pointer is to a value that outlives its call.
    unsafe {
        let _ = libc::nice(NICE);
        let limit = libc::rlimit { rlim_cur: MEMORY, rlim_max: MEMORY };
        let _ = libc::setrlimit(libc::RLIMIT_AS, &raw const limit);
    }
}
