//! A compiler's share of the machine: half of the processors at a low priority, a bounded amount of memory that is the first
//! to be reclaimed, and bounded processor time.
//!
//! Requests come first. Linux shares processor time by weight, and a thread of nice 5 has 335 where a usual one has 1024:
//! beside a busy thread a compiler gets a quarter of a processor, and all of an idle one. At nice 19 it would get about
//! one part in seventy, and a module that compiles in seconds would take many minutes on a machine that stays busy.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

/// How nice a compiler is at least: 0 is usual, 19 is the lowest priority.
#[cfg(unix)]
const NICE: i32 = 5;
/// The environment variables in which the host passes a compiler its share.
const MEMORY: &str = "FAAS_FLOW_COMPILE_MEMORY";
const SECONDS: &str = "FAAS_FLOW_COMPILE_SECONDS";
const CODE: &str = "FAAS_FLOW_COMPILE_CODE";
const FUNCTIONS: &str = "FAAS_FLOW_COMPILE_FUNCTIONS";
/// Cranelift compiles functions in parallel on rayon's global pool, which reads this.
const THREADS: &str = "RAYON_NUM_THREADS";

/// What a compiler may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share {
    /// Address space, in bytes.
    pub memory: u64,
    /// How long it may take. The host ends it then; this bounds its processor time should the host be gone.
    pub time: Duration,
    /// The size of the machine code, in bytes.
    pub code_bytes: u64,
    /// The file of the functions that it has compiled before, if it keeps them.
    pub functions: Option<PathBuf>,
}

impl Share {
    /// What a compiler is told of its share.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, OsString)> {
        let numbers = [
            (MEMORY, self.memory.to_string().into()),
            (SECONDS, self.time.as_secs().to_string().into()),
            (CODE, self.code_bytes.to_string().into()),
            (THREADS, threads().to_string().into()),
        ];
        numbers.into_iter().chain(self.functions.clone().map(|file| (FUNCTIONS, file.into())))
    }

    /// The share that this process was given. What it was not told, as by somebody who starts it by hand, is unlimited.
    pub(super) fn of_environment() -> Self {
        Self {
            memory: number(MEMORY).unwrap_or(u64::MAX),
            time: Duration::from_secs(number(SECONDS).unwrap_or(u64::from(u32::MAX))),
            code_bytes: number(CODE).unwrap_or(u64::MAX),
            functions: std::env::var_os(FUNCTIONS).map(PathBuf::from),
        }
    }

    /// Applies the share to this process, before it starts further threads: they inherit the priority. A system that refuses
    /// one of the limits still gets the others.
    pub(super) fn limit_this_process(&self) {
        // The kernel ends this process first when memory runs out.
        #[cfg(target_os = "linux")]
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        #[cfg(unix)]
        {
            use rustix::process::{Resource, Rlimit, setrlimit};
            lower_priority();
            let limit = |resource, most| {
                let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
            };
            let seconds = self.time.as_secs().saturating_add(1);
            limit(Resource::As, self.memory);
            limit(Resource::Cpu, seconds.saturating_mul(threads().get() as u64 + 1));
            // A module that crashes its compiler must not fill the disk with images of its memory.
            limit(Resource::Core, 0);
        }
    }
}

fn number<T: FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
}

/// How many threads a compiler uses: half of the processors that this process may use, and at least one.
pub(super) fn threads() -> NonZeroUsize {
    half(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
}

fn half(processors: NonZeroUsize) -> NonZeroUsize {
    NonZeroUsize::new(processors.get() / 2).unwrap_or(NonZeroUsize::MIN)
}

/// Lowers the priority of this process; on Linux that of this thread, and of those that it starts from here on.
#[cfg(unix)]
fn lower_priority() {
    let is_nicer = rustix::process::getpriority_process(None).is_ok_and(|nice| nice >= NICE);
    if !is_nicer {
        let _ = rustix::process::setpriority_process(None, NICE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_uses_half_of_the_processors_and_at_least_one() {
        for (processors, threads) in [(1, 1), (2, 1), (3, 1), (4, 2), (64, 32)] {
            assert_eq!(half(NonZeroUsize::new(processors).unwrap()).get(), threads, "{processors} processors");
        }
    }

    /// A priority belongs to a thread on Linux, so this one may lower its own.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_compiler_and_its_threads_have_a_low_priority() {
        let usual = rustix::process::getpriority_process(None).unwrap();
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let of_compiler = move || {
            lower_priority();
            (nice(), thread::spawn(nice).join().unwrap())
        };
        let low = usual.max(NICE);
        assert_eq!(thread::spawn(of_compiler).join().unwrap(), (low, low));
    }
}
