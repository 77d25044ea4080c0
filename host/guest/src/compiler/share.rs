//! A compiler's share of the machine: half of the processors at a low priority, and a bounded amount of memory that is the
//! first to be reclaimed.
//!
//! Requests come first. Linux shares processor time by weight, and a thread of nice 5 has 335 where a usual one has 1024:
//! beside a busy thread a compiler gets a quarter of a processor, and all of an idle one. At nice 19 it would get about
//! one part in seventy, and a module that compiles in seconds would take many minutes on a machine that stays busy.

use std::num::NonZeroUsize;
use std::thread;

/// How nice a compiler is at least: 0 is usual, 19 is the lowest priority.
#[cfg(unix)]
const NICE: i32 = 5;
/// The address space that a compiler may map, in bytes.
#[cfg(unix)]
const MEMORY: u64 = 4 << 30;

/// How many threads a compiler uses: half of the processors that this process may use, and at least one.
pub(super) fn threads() -> NonZeroUsize {
    half(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
}

fn half(processors: NonZeroUsize) -> NonZeroUsize {
    NonZeroUsize::new(processors.get() / 2).unwrap_or(NonZeroUsize::MIN)
}

/// Applies a compiler's limits to this process, before it starts further threads: they inherit the priority. A system that
/// refuses one of the limits still gets the others.
pub(super) fn limit_this_process() {
    // The kernel ends this process first when memory runs out.
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        lower_priority();
        let _ = setrlimit(Resource::As, Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) });
    }
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
