//! The cases of an exploration: one fault in one set-up, or the faults of a seed. Each has a short form, by which it is played again.

use crate::play::{How, PLAIN};
use crate::world::{EventFault, Fault, Faults, Weather};
use faas_flow_replica::Dispatch;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Three replicas that take a few milliseconds for each step.
const MANY: How = How {
    replicas: 3,
    run_nodes: 3,
    lease: Duration::from_secs(3),
    dispatch: Dispatch::Auto,
    slow: Duration::from_millis(8),
    seed: 1,
    ..PLAIN
};

/// How replicas are set up while they meet faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetUp {
    /// Each node is committed.
    Commits,
    /// There are few commits, and all data is in the data store.
    Data,
    /// All work goes through the queue.
    Queue,
}

impl SetUp {
    /// All there are.
    pub const ALL: [SetUp; 3] = [SetUp::Commits, SetUp::Data, SetUp::Queue];

    fn told(self) -> &'static str {
        match self {
            SetUp::Commits => "each node is committed",
            SetUp::Data => "few commits, and all data in the data store",
            SetUp::Queue => "all work goes through the queue",
        }
    }

    fn word(self) -> &'static str {
        match self {
            SetUp::Commits => "commits",
            SetUp::Data => "data",
            SetUp::Queue => "queue",
        }
    }

    pub(crate) fn how(self) -> How {
        let commit_delay = Duration::from_millis(10);
        match self {
            SetUp::Commits => MANY,
            SetUp::Data => How { commit_delay, inline_limit: 1, seed: 3, ..MANY },
            SetUp::Queue => How { commit_delay, dispatch: Dispatch::Gateway, seed: 4, ..MANY },
        }
    }
}

/// What goes wrong in a case with a single fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    Nothing,
    AtStep(u64, Fault),
    WithEvent(u64, EventFault),
}

/// One fault in one set-up. Its text, such as `commits/step-17/dies-after`, is what `--fault` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SingleFault {
    pub(crate) set_up: SetUp,
    pub(crate) wrong: Wrong,
}

/// Why a text is not a [`SingleFault`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write the fault as `--explore` prints it, such as commits/step-17/dies-after: first the set-up (commits, data or queue), then \
     the step and what happens there (dies-before, dies-after, fails or answer-lost), or the event and what happens to it, as in \
     queue/event-2/lost (or twice)"
)]
pub struct NotAFault;

fn word(fault: Fault) -> &'static str {
    match fault {
        Fault::CrashBefore => "dies-before",
        Fault::CrashAfter => "dies-after",
        Fault::FailBefore => "fails",
        Fault::FailAfter => "answer-lost",
    }
}

fn word_of_event(fault: EventFault) -> &'static str {
    match fault {
        EventFault::Lost => "lost",
        EventFault::Repeated => "twice",
    }
}

impl fmt::Display for SingleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set_up = self.set_up.word();
        match self.wrong {
            Wrong::Nothing => write!(f, "{set_up}/none"),
            Wrong::AtStep(step, fault) => write!(f, "{set_up}/step-{step}/{}", word(fault)),
            Wrong::WithEvent(event, fault) => write!(f, "{set_up}/event-{event}/{}", word_of_event(fault)),
        }
    }
}

impl FromStr for SingleFault {
    type Err = NotAFault;

    fn from_str(text: &str) -> Result<Self, NotAFault> {
        let mut parts = text.split('/');
        let set_up = parts.next().and_then(|part| SetUp::ALL.into_iter().find(|set_up| set_up.word() == part));
        let wrong = match (parts.next(), parts.next(), parts.next()) {
            (Some("none"), None, None) => Some(Wrong::Nothing),
            (Some(place), Some(what), None) => wrong(place, what),
            _ => None,
        };
        set_up.zip(wrong).map(|(set_up, wrong)| Self { set_up, wrong }).ok_or(NotAFault)
    }
}

fn wrong(place: &str, what: &str) -> Option<Wrong> {
    let (kind, number) = place.split_once('-')?;
    let number = number.parse().ok()?;
    match kind {
        "step" => Fault::ALL.into_iter().find(|fault| word(*fault) == what).map(|fault| Wrong::AtStep(number, fault)),
        "event" => {
            let fault = EventFault::ALL.into_iter().find(|fault| word_of_event(*fault) == what);
            fault.map(|fault| Wrong::WithEvent(number, fault))
        }
        _ => None,
    }
}

/// With what a scenario is played again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    Fault(SingleFault),
    Seed(u64),
}

/// One time that a scenario is played.
#[derive(Debug, Clone)]
pub struct Case {
    pub(crate) with: With,
    pub(crate) how: How,
    pub(crate) faults: Faults,
}

impl Case {
    pub(crate) fn of_fault(fault: SingleFault) -> Self {
        let faults = match fault.wrong {
            Wrong::Nothing => Faults::None,
            Wrong::AtStep(step, fault) => Faults::One(step, fault),
            Wrong::WithEvent(event, fault) => Faults::Event(event, fault),
        };
        Self { with: With::Fault(fault), how: fault.set_up.how(), faults }
    }

    pub(crate) fn of_seed(seed: u64) -> Self {
        let (how, faults) = by_chance(seed);
        Self { with: With::Seed(seed), how, faults }
    }

    /// What happens, in words.
    pub fn told(&self) -> String {
        let SingleFault { set_up, wrong } = match self.with {
            With::Fault(fault) => fault,
            With::Seed(seed) => return format!("seed {seed}"),
        };
        let set_up = set_up.told();
        match wrong {
            Wrong::Nothing => format!("{set_up}; no fault"),
            Wrong::AtStep(step, fault) => {
                let what = match fault {
                    Fault::CrashBefore => "the replica dies before it",
                    Fault::CrashAfter => "the replica dies after it",
                    Fault::FailBefore => "it fails",
                    Fault::FailAfter => "its answer is lost",
                };
                format!("{set_up}; step {step}: {what}")
            }
            Wrong::WithEvent(event, EventFault::Lost) => format!("{set_up}; event {event} is lost"),
            Wrong::WithEvent(event, EventFault::Repeated) => format!("{set_up}; event {event} comes twice"),
        }
    }

    /// The option of `faas-flow test` with which it is played again.
    pub fn option(&self) -> String {
        match self.with {
            With::Fault(fault) => format!("--fault {fault}"),
            With::Seed(seed) => format!("--seed {seed}"),
        }
    }
}

/// What a seed says.
fn by_chance(seed: u64) -> (How, Faults) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let how = How {
        run_nodes: rng.usize(1..=8),
        dispatch: match rng.u8(..3) {
            0 => Dispatch::Auto,
            1 => Dispatch::Local,
            _ => Dispatch::Gateway,
        },
        lease: Duration::from_millis(rng.u64(900..6000)),
        commit_delay: Duration::from_millis(if rng.bool() { 0 } else { 10 }),
        inline_limit: if rng.u8(..4) == 0 { 1 } else { 32 << 10 },
        slow: Weather::default().slow,
        seed,
        deaths: rng.u32(..5),
        ..MANY
    };
    (how, Faults::Chance(rng.u32(8..80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_as_it_is_printed() {
        let at_steps = Fault::ALL.map(|fault| Wrong::AtStep(17, fault));
        let with_events = EventFault::ALL.map(|fault| Wrong::WithEvent(2, fault));
        for set_up in SetUp::ALL {
            for wrong in [Wrong::Nothing].into_iter().chain(at_steps).chain(with_events) {
                let fault = SingleFault { set_up, wrong };
                assert_eq!(fault.to_string().parse(), Ok(fault));
            }
        }
        let fault = SingleFault { set_up: SetUp::Commits, wrong: Wrong::AtStep(17, Fault::CrashAfter) };
        assert_eq!(fault.to_string(), "commits/step-17/dies-after");
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in [
            "",
            "commits",
            "commits/step-17",
            "commits/step-x/fails",
            "commits/step--1/fails",
            "commits/step-1/lost",
            "commits/event-1/fails",
            "commits/node-1/fails",
            "store/step-1/fails",
            "commits/step-1/fails/",
            "commits/none/fails",
        ] {
            assert_eq!(text.parse::<SingleFault>(), Err(NotAFault), "{text}");
        }
    }
}
