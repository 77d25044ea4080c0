//! What all replicas of one simulation share: chance, faults, and the trace.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A fault at one step of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The replica dies before the step has an effect.
    CrashBefore,
    /// The replica dies when the step has had its effect.
    CrashAfter,
    /// The step fails without effect.
    FailBefore,
    /// The step has its effect, and its answer is lost.
    FailAfter,
}

impl Fault {
    /// All there are.
    pub const ALL: [Fault; 4] = [Fault::CrashBefore, Fault::CrashAfter, Fault::FailBefore, Fault::FailAfter];
}

/// How much goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Faults {
    /// Nothing.
    None,
    /// One fault, at this step, counted from 0.
    One(u64, Fault),
    /// What the queue does to one event that it accepted, counted from 0.
    Event(u64, EventFault),
    /// At each step a fault with this chance, in one of so many.
    Chance(u32),
}

/// What may happen to an event between the gateway's answer and its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFault {
    /// It is never delivered.
    Lost,
    /// It is delivered twice.
    Repeated,
}

impl EventFault {
    /// All there are.
    pub const ALL: [EventFault; 2] = [EventFault::Lost, EventFault::Repeated];
}

/// Whether the answer to something may get lost. A replica may die at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It arrives.
    Sure,
    /// It may fail.
    MayFail,
}

/// What a seed says besides of how things go wrong.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// The longest that a step takes before and after its effect.
    pub slow: Duration,
    /// Replicas that die in the midst of a step, at most.
    pub crashes: u32,
    /// How far the clocks of replicas are apart, in milliseconds.
    pub skew: u64,
    /// Whether one of the flows has replicas of its own, so that others reach it through the gateway.
    pub apart: bool,
}

impl Default for Weather {
    fn default() -> Self {
        Self { slow: Duration::from_millis(8), crashes: 0, skew: 0, apart: false }
    }
}

/// The length of an id that the host makes up.
const MADE_UP: usize = 20;

/// Chance, faults and trace.
pub struct World {
    rng: Mutex<fastrand::Rng>,
    faults: Faults,
    slow: Duration,
    skew: u64,
    apart: bool,
    crashes: AtomicU32,
    /// Ids of runs that the host made up, which differ from time to time.
    made_up: Mutex<Vec<String>>,
    calm: AtomicBool,
    steps: AtomicU64,
    events: AtomicU64,
    began: Instant,
    trace: Mutex<String>,
    violations: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// A world in which everything follows from the seed.
    pub fn new(seed: u64, faults: Faults, weather: Weather) -> Self {
        Self {
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            faults,
            slow: weather.slow,
            skew: weather.skew,
            apart: weather.apart,
            crashes: AtomicU32::new(weather.crashes),
            made_up: Mutex::default(),
            calm: AtomicBool::new(faults == Faults::None),
            steps: AtomicU64::new(0),
            events: AtomicU64::new(0),
            began: Instant::now(),
            trace: Mutex::default(),
            violations: Mutex::default(),
        }
    }

    /// Draws a number below `below`, which is not 0.
    pub fn draw(&self, below: u64) -> u64 {
        lock(&self.rng).u64(..below)
    }

    /// Draws a time.
    pub fn time(&self, most: Duration) -> Duration {
        Duration::from_micros(self.draw(u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1)))
    }

    /// The longest that a step takes before and after its effect.
    pub fn slow(&self) -> Duration {
        if self.is_calm() && self.faults != Faults::None { self.slow.min(Weather::default().slow) } else { self.slow }
    }

    /// Takes as long as a step takes before and after its effect.
    pub async fn take_time(&self) {
        let slow = self.slow();
        if !slow.is_zero() {
            tokio::time::sleep(self.time(slow)).await;
        }
    }

    /// How far the clocks of replicas are apart, in milliseconds.
    pub fn skew(&self) -> u64 {
        self.skew
    }

    /// Whether one of the flows has replicas of its own.
    pub fn is_apart(&self) -> bool {
        self.apart
    }

    /// Whether nothing goes wrong any more.
    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// From now on nothing goes wrong.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// How many steps replicas have taken.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// The fault of the next step.
    pub fn next_fault(&self, answer: Answer) -> Option<Fault> {
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        let fault = match self.faults {
            Faults::One(at, fault) if at == step => Some(fault),
            Faults::Chance(one_in) if !self.is_calm() && self.draw(one_in.into()) == 0 => {
                let one_less = |left: u32| left.checked_sub(1);
                let crashes = self.draw(8) == 0
                    && self.crashes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok();
                let kind = self.draw(2) + if crashes { 0 } else { 2 };
                Fault::ALL.get(usize::try_from(kind).unwrap_or_default()).copied()
            }
            _ => None,
        };
        fault.filter(|fault| answer == Answer::MayFail || matches!(fault, Fault::CrashBefore | Fault::CrashAfter))
    }

    /// Whether answers of functions may get lost, besides those of stores: where each fault is tried by itself, and not where
    /// many come by chance, which would use up all tries.
    pub fn loses_answers(&self) -> bool {
        matches!(self.faults, Faults::One(..))
    }

    /// How many events the queue has accepted.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// What happens to the next event.
    pub fn next_event_fault(&self) -> Option<EventFault> {
        let event = self.events.fetch_add(1, Ordering::Relaxed);
        match self.faults {
            Faults::Event(at, fault) if at == event => {
                self.note(format_args!("the event is {fault:?}"));
                Some(fault)
            }
            _ => None,
        }
    }

    /// Notes what happens.
    pub fn note(&self, what: std::fmt::Arguments<'_>) {
        let at = self.began.elapsed().as_micros();
        // Writing to a string cannot fail.
        let _ = writeln!(lock(&self.trace), "{:>10.3} ms  {what}", at as f64 / 1e3);
    }

    /// Notes a run. In the trace, one whose id the host made up has a number instead.
    pub fn know(&self, run: &str) {
        let mut known = lock(&self.made_up);
        if run.len() == MADE_UP && !known.iter().any(|known| known == run) {
            known.push(run.to_owned());
        }
    }

    /// Whether leases hold as long as they should: the clocks agree, and the store is not slow.
    pub fn keeps_leases(&self) -> bool {
        self.skew == 0 && self.slow <= Weather::default().slow
    }

    /// Notes what must not happen.
    pub fn violation(&self, what: String) {
        self.note(format_args!("VIOLATION: {what}"));
        lock(&self.violations).push(what);
    }

    /// What must not have happened.
    pub fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    /// Everything that happened.
    pub fn trace(&self) -> String {
        let trace = lock(&self.trace).clone();
        let made_up = lock(&self.made_up);
        made_up.iter().enumerate().fold(trace, |trace, (number, id)| trace.replace(id, &format!("made-up-{number}")))
    }
}
