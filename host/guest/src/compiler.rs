//! Compiling in a process of its own: it can be broken off, and what it takes of the machine comes back when it ends.
//!
//! The compiler gets a module on stdin and writes machine code to stdout. It is the first to go when memory runs out: a
//! module that is hard to compile harms nobody but whoever waits for it.
//!
//! It takes what processor time nobody else wants, so that no request waits for it. Where there is too little of that, it
//! is begun again with a small share of its own.

mod share;

use crate::engine::compiling_engine;
use crate::{GuestError, Limits};
use share::{give_way, processor_time, wants_what_is_left};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SendError};
use std::thread;
use std::time::{Duration, Instant};

/// How long it may take what is left over, until that is found to be too little: less than a core's [`LEAST`]th part.
const TRIAL: Duration = Duration::from_secs(1);
const LEAST: u32 = 8;

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
        let until = Instant::now() + self.at_most;
        match self.attempt(component, Share::Leftover, until)? {
            Some(code) => Ok(code),
            None => self.attempt(component, Share::Small, until)?.ok_or(self.timed_out()),
        }
    }

    fn timed_out(&self) -> GuestError {
        GuestError::CompileTimedOut { at_most: self.at_most }
    }

    /// None if what is left over is too little.
    fn attempt(&self, component: &[u8], share: Share, until: Instant) -> Result<Option<Vec<u8>>, GuestError> {
        let cannot = |reason: io::Error| GuestError::Engine {
            reason: format!("cannot start {} to compile the module: {reason}", self.program.display()),
        };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let Some(mut child) = start(command, share).map_err(cannot)? else { return Ok(None) };
        let process = child.id();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (sender, code) = mpsc::channel();
        thread::scope(|scope| {
            // A compiler that ends early reads no further: its exit status says why.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(component)));
            scope.spawn(move || sender.send((read(stdout), read(stderr))));
            let mut starves = false;
            let answer = loop {
                let left = until.saturating_duration_since(Instant::now());
                match code.recv_timeout(left.min(TRIAL)) {
                    Err(RecvTimeoutError::Timeout) if left > TRIAL => {
                        let least = began.elapsed() / LEAST;
                        starves = share == Share::Leftover && processor_time(process).is_some_and(|had| had < least);
                        if starves {
                            break Err(RecvTimeoutError::Timeout);
                        }
                    }
                    answer => break answer,
                }
            };
            let ended = end(&mut child, answer.is_err());
            match (answer, ended) {
                (Err(_), _) if starves => Ok(None),
                (Err(_), _) => Err(self.timed_out()),
                (Ok((code, _)), Ok(true)) => Ok(Some(code)),
                (Ok((_, said)), _) => {
                    let said = String::from_utf8_lossy(&said).trim().to_owned();
                    let reason = if said.is_empty() { "the compiler crashed".to_owned() } else { said };
                    Err(GuestError::CompileFailed { reason })
                }
            }
        })
    }
}

/// What a compiler gets of the processors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    /// What nobody else wants.
    Leftover,
    /// Little, but some.
    Small,
}

/// Starts a process. One that is to have what is left over is started by a thread that has no more than that itself: told later, it
/// would take its first milliseconds from requests. None if that thread did not get so far.
fn start(mut command: Command, share: Share) -> io::Result<Option<Child>> {
    if share == Share::Small {
        return command.spawn().map(Some);
    }
    // Nothing waits in it: a process is taken over, or ended here.
    let (sender, started) = mpsc::sync_channel(0);
    let run = move || {
        wants_what_is_left();
        if let Err(SendError(Ok(mut late))) = sender.send(command.spawn()) {
            let _ = end(&mut late, true);
        }
    };
    thread::Builder::new().name("starts-compiler".into()).spawn(run)?;
    started.recv_timeout(TRIAL).map_or(Ok(None), |child| child.map(Some))
}

/// Waits for the end, which is near; whether it was a good one.
fn end(child: &mut Child, break_off: bool) -> io::Result<bool> {
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
    io::stdin().read_to_end(&mut component).map_err(|error| failed(error.to_string()))?;
    let engine = compiling_engine(&Limits::default())?;
    let code = engine.precompile_component(&component).map_err(|reason| failed(format!("{reason:#}")))?;
    io::stdout().write_all(&code).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell script that is no compiler.
    fn pretends(script: &str, at_most: Duration) -> Compiler {
        Compiler { program: "/bin/sh".into(), arguments: vec!["-c".to_owned(), script.to_owned()], at_most }
    }

    #[test]
    fn a_compiler_that_gets_no_processor_time_is_begun_again() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("begun").display().to_string();
        let script = format!("[ -e {mark} ] && exec /bin/cat; : > {mark}; exec /bin/sleep 600");
        let code = pretends(&script, Duration::from_secs(60)).run(b"module").unwrap();
        assert_eq!(code, b"module");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_has_what_is_left_over_from_its_first_instruction_on() {
        let start = || {
            let mut command = Command::new("/bin/cat");
            command.arg("/proc/self/stat").stdout(Stdio::piped());
            start(command, Share::Leftover).unwrap()
        };
        // Other tests may leave nothing over for a while.
        let mut child = (0..60).find_map(|_| start()).expect("a process is started within a minute");
        let stat = String::from_utf8(read(child.stdout.take())).unwrap();
        assert!(end(&mut child, false).unwrap());
        // Behind the name, in parentheses, the policy is the 39th.
        let policy = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(38));
        assert_eq!(policy, Some(libc::SCHED_IDLE.to_string().as_str()), "{stat}");
    }

    #[test]
    fn one_that_takes_too_long_is_broken_off() {
        let error = pretends("exec /bin/sleep 600", Duration::from_millis(50)).run(b"module").unwrap_err();
        assert!(matches!(error, GuestError::CompileTimedOut { .. }), "{error}");
    }
}
