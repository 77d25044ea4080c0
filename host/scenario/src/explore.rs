//! Plays scenarios again with faults. Whatever goes wrong, the result is the same, and so are the calls.

use crate::canned::{Call, Known, unsigned};
use crate::play::{How, PLAIN, Played, play};
use crate::world::{EventFault, Fault, Faults, Weather};
use crate::{Error, Scenario, Suite, Tested};
use faas_flow_replica::Dispatch;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How many lines of a trace before the fault are told, and how many behind it.
const BEFORE: usize = 3;
const BEHIND: usize = 8;

/// The set-ups in which a scenario meets every fault, each with its name.
const SET_UPS: [(&str, How); 3] = [
    ("each node is committed", MANY),
    (
        "few commits, and all data in the data store",
        How { commit_delay: Duration::from_millis(10), inline_limit: 1, seed: 3, ..MANY },
    ),
    (
        "all work goes through the queue",
        How { commit_delay: Duration::from_millis(10), dispatch: Dispatch::Gateway, seed: 4, ..MANY },
    ),
];

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

/// A scenario, what its functions answer, and how often it is to be played with which faults.
pub struct Exploration {
    scenario: Arc<Scenario>,
    right: Played,
    known: Arc<Known>,
    cases: Vec<Case>,
    /// How often each call is made without faults, in each set-up.
    tries: Vec<BTreeMap<String, usize>>,
}

/// One time that a scenario is played.
#[derive(Debug, Clone)]
pub struct Case {
    name: String,
    how: How,
    faults: Faults,
    set_up: Option<usize>,
}

/// How a scenario went with faults.
pub struct Went {
    /// What went otherwise.
    pub wrong: Option<Deviation>,
    /// What is no mistake of the engine's, but worth knowing.
    pub notes: Vec<String>,
    /// Everything that happened.
    pub trace: String,
}

/// Something that went otherwise than without faults.
pub struct Deviation {
    /// The fault.
    pub case: String,
    /// What is different.
    pub what: String,
    /// How it went, if it was played to its end.
    pub played: Option<Played>,
    /// What happened around the fault.
    pub around: Vec<String>,
}

impl Exploration {
    /// The cases.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }
}

fn told(fault: Fault) -> &'static str {
    match fault {
        Fault::CrashBefore => "the replica dies before it",
        Fault::CrashAfter => "the replica dies after it",
        Fault::FailBefore => "it fails",
        Fault::FailAfter => "its answer is lost",
    }
}

impl Suite {
    /// Finds out where faults may be: at every step of each set-up if `every` is asked for. Each seed is a further case.
    pub fn explore(&self, tested: &Tested, every: bool, seeds: &[u64]) -> Result<Exploration, Error> {
        let scenario = tested.scenario.clone();
        let known = Arc::new(tested.played.answered.clone());
        let mut cases = Vec::new();
        let mut tries = Vec::new();
        for (number, (name, how)) in SET_UPS.into_iter().enumerate().filter(|_| every) {
            let calm = play(&self.flow, &scenario, how, Faults::None, Some(known.clone()))?;
            tries.push(count(&calm.tried));
            let case =
                |what: String, faults| Case { name: format!("{name}; {what}"), how, faults, set_up: Some(number) };
            cases.push(case("no fault".to_owned(), Faults::None));
            for step in 0..calm.steps {
                for fault in Fault::ALL {
                    cases.push(case(format!("step {step}: {}", told(fault)), Faults::One(step, fault)));
                }
            }
            for event in 0..calm.events {
                for fault in EventFault::ALL {
                    let what = match fault {
                        EventFault::Lost => "is lost",
                        EventFault::Repeated => "comes twice",
                    };
                    cases.push(case(format!("event {event} {what}"), Faults::Event(event, fault)));
                }
            }
        }
        for seed in seeds {
            let (how, faults) = by_chance(*seed);
            cases.push(Case { name: format!("seed {seed}"), how, faults, set_up: None });
        }
        Ok(Exploration { scenario, right: tested.played.clone(), known, cases, tries })
    }

    /// Plays one case, and compares it with how the scenario goes without faults.
    pub fn play_case(&self, exploration: &Exploration, case: &Case) -> Result<Went, Error> {
        let known = Some(exploration.known.clone());
        let played = play(&self.flow, &exploration.scenario, case.how, case.faults, known)?;
        let mut notes = Vec::new();
        let what = difference(&exploration.right, &played);
        // The answer to a call was lost that the flow does not try again: what becomes of that is the flow's decision.
        let calm = case.set_up.and_then(|number| exploration.tries.get(number));
        let given_up = calm.and_then(|calm| {
            let tried = count(&played.tried);
            let times = |all: &BTreeMap<String, usize>, key: &str| all.get(key).copied().unwrap_or_default();
            played.lost.iter().find(|key| times(&tried, key) <= times(calm, key))
        });
        let wrong = match (what, given_up) {
            (None, _) => None,
            (Some(_), Some(key)) if played.violations.is_empty() && played.ended.is_some() => {
                let node = key.rsplit_once('/').map_or(key.as_str(), |(node, _)| node);
                notes.push(format!(
                    "the call of {node} is not tried again if its answer gets lost, and then the run ends otherwise: give it a \
                     retry if the function may be called twice with one idempotency key"
                ));
                None
            }
            (Some(what), _) => {
                let around = around(&played.trace);
                Some(Deviation { case: case.name.clone(), what, played: Some(played.clone()), around })
            }
        };
        Ok(Went { wrong, notes, trace: played.trace })
    }
}

fn count(keys: &[String]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key.clone()).or_default() += 1;
    }
    counts
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

/// The lines of a trace around the first fault; its last ones if there is none.
fn around(trace: &str) -> Vec<String> {
    let lines: Vec<&str> = trace.lines().collect();
    let is_fault = |line: &&str| {
        Fault::ALL.iter().any(|fault| line.ends_with(&format!(": {fault:?}"))) || line.contains("the event is ")
    };
    let at = lines.iter().position(is_fault).unwrap_or(lines.len());
    let from = at.saturating_sub(BEFORE);
    lines.into_iter().skip(from).take(BEFORE + 1 + BEHIND).map(str::to_owned).collect()
}

/// What is different, if anything is.
fn difference(right: &Played, found: &Played) -> Option<String> {
    if let Some(violation) = found.violations.first() {
        return Some(violation.clone());
    }
    let (Some(expected), Some(ended)) = (&right.ended, &found.ended) else {
        return Some("the run does not end".to_owned());
    };
    let codes =
        (expected.failure.as_ref().map(|failure| failure.code), ended.failure.as_ref().map(|failure| failure.code));
    if expected.status != ended.status || codes.0 != codes.1 {
        let why = ended.failure.as_ref().map_or(String::new(), |failure| format!(": {failure}"));
        return Some(format!("the run is {}{why}, and not {}", ended.status, expected.status));
    }
    if expected.result != ended.result {
        let text = |result: &Option<bytes::Bytes>| crate::story::data(result.as_deref().unwrap_or_default());
        return Some(format!("the result is {}, and not {}", text(&ended.result), text(&expected.result)));
    }
    if expected.response != ended.response {
        return Some("the answer has another status or other headers".to_owned());
    }
    let (right, found) = (by_key(&right.calls), by_key(&found.calls));
    for (key, call) in &right {
        match found.get(key) {
            None => return Some(format!("{} is not called for {key}", call.0)),
            Some(other) if other != call => {
                return Some(format!("{} gets {:?} for {key}, and not {:?}", other.0, other.1, call.1));
            }
            Some(_) => {}
        }
    }
    let more = found.iter().find(|(key, _)| !right.contains_key(*key));
    more.map(|(key, (function, _))| format!("{function} is called for {key}, which it is not without faults"))
}

/// What is called with each idempotency key.
fn by_key(calls: &[Call]) -> BTreeMap<&str, (&str, String)> {
    calls.iter().map(|call| (call.key.as_str(), (call.function.as_str(), unsigned(&call.body)))).collect()
}
