//! What a compiler gets of the machine: processor time that nobody else wants, and memory that it is the first to give
//! back.
//!
//! Linux gives what nobody else wants to threads of the policy `SCHED_IDLE`, but not quite: they have a weight of 3, where
//! 1024 is usual, so now and then it is their turn although others wait. Such a turn lasts until the next tick of the
//! kernel's clock, up to 4 ms with the 250 Hz of many kernels (seen with Linux 6.18, in its trace of what runs when), which
//! is longer than many a request takes. A compiler therefore ends its turns itself, after [`TURN`].

use std::time::Duration;

/// The memory that a compiler may map, in bytes.
const MEMORY: u64 = 4 << 30;
/// How much it gives way to others, once it has a share: 0 would not, 19 is the most.
const NICE: i32 = 10;
/// How long a thread that has what is left over goes on without looking whether somebody else waits.
const TURN: Duration = Duration::from_micros(500);

/// Lets this thread, and what it starts, have what nobody else wants. Where the system has no such thing, it gives way as all
/// compilers do.
#[allow(unsafe_code)]
pub(super) fn wants_what_is_left() {
    #[cfg(target_os = "linux")]
    // SAFETY: the struct is plain numbers, and the pointer is to a value that outlives the call.
    unsafe {
        let none: libc::sched_param = std::mem::zeroed();
        let _ = libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const none);
    }
}

/// The processor time that a process has had, where the system tells.
#[allow(unsafe_code)]
pub(super) fn processor_time(process: u32) -> Option<Duration> {
    #[cfg(target_os = "linux")]
    // SAFETY: the pointers are to values that outlive the calls, and all their bits are numbers.
    unsafe {
        let (mut clock, mut time): (libc::clockid_t, libc::timespec) = (0, std::mem::zeroed());
        let told = libc::clock_getcpuclockid(libc::pid_t::try_from(process).ok()?, &raw mut clock) == 0
            && libc::clock_gettime(clock, &raw mut time) == 0;
        told.then(|| Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default()))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Lets this process, which is a compiler, give way to others. Whatever of it the system refuses, the rest helps.
#[allow(unsafe_code)]
pub(super) fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    #[cfg(unix)]
    // SAFETY: both calls change limits of this process only, and the pointer is to a value that outlives its call.
    unsafe {
        let _ = libc::nice(NICE);
        let limit = libc::rlimit { rlim_cur: MEMORY, rlim_max: MEMORY };
        let _ = libc::setrlimit(libc::RLIMIT_AS, &raw const limit);
    }
    #[cfg(target_os = "linux")]
    // SAFETY: it reads a number.
    if unsafe { libc::sched_getscheduler(0) } == libc::SCHED_IDLE {
        let _ = end_turns();
        // Those that compile functions side by side.
        let _ = rayon::ThreadPoolBuilder::new().start_handler(|_| drop(end_turns())).build_global();
    }
}

/// Lets this thread offer its processor to others after every [`TURN`], for as long as it lives.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn end_turns() -> std::io::Result<()> {
    extern "C" fn offer(_: libc::c_int) {
        // SAFETY: a call to the kernel that takes nothing and always works.
        unsafe { libc::sched_yield() };
    }
    let done = |status: libc::c_int| if status == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    let every = libc::timespec { tv_sec: 0, tv_nsec: TURN.subsec_nanos().into() };
    let every = libc::itimerspec { it_interval: every, it_value: every };
    // SAFETY: the structs are plain numbers and pointers, which may be zero, the pointers are to values that outlive the
    // calls, and the handler does nothing but call the kernel. What it interrupts goes on (`SA_RESTART`).
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let handler: extern "C" fn(libc::c_int) = offer;
        (action.sa_sigaction, action.sa_flags) = (handler as usize, libc::SA_RESTART);
        done(libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()))?;
        let (mut event, mut timer): (libc::sigevent, libc::timer_t) = (std::mem::zeroed(), std::mem::zeroed());
        (event.sigev_notify, event.sigev_signo) = (libc::SIGEV_THREAD_ID, libc::SIGALRM);
        event.sigev_notify_thread_id = libc::gettid();
        done(libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer))?;
        done(libc::timer_settime(timer, 0, &raw const every, std::ptr::null_mut()))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io;
    use std::time::Instant;

    #[allow(unsafe_code)]
    #[test]
    fn a_thread_that_ends_its_turns_does_so_again_and_again() {
        let turns = || {
            let began = Instant::now();
            // SAFETY: it waits for no file, for so many milliseconds.
            let waited = unsafe { libc::poll(std::ptr::null_mut(), 0, 60_000) };
            (waited, io::Error::last_os_error().kind(), began.elapsed() < Duration::from_secs(60))
        };
        end_turns().unwrap();
        // Of all that waits, this does not go on after an interruption.
        assert_eq!([turns(), turns()], [(-1, io::ErrorKind::Interrupted, true); 2]);
    }
}
