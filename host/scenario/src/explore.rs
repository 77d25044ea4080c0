//! Plays scenarios again with faults. Whatever goes wrong, the result is the same, and so are the calls.

use crate::canned::{Call, Known, unsigned};
use crate::case::{Case, SetUp, SingleFault, With, Wrong};
use crate::play::{Played, play};
use crate::world::{EventFault, Fault, Faults};
use crate::{Error, Scenario, Suite, Tested};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many lines of a trace before the fault are told, and how many behind it.
const BEFORE: usize = 3;
const BEHIND: usize = 8;

/// A scenario, what its functions answer, and how often it is to be played with which faults.
pub struct Exploration {
    scenario: Arc<Scenario>,
    right: Played,
    known: Arc<Known>,
    cases: Vec<Case>,
    /// How often each call is made without faults, in each set-up in which it is known.
    tries: Vec<(SetUp, BTreeMap<String, usize>)>,
}

/// With which faults scenarios are to be played again.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// With every single fault in each set-up.
    pub every: bool,
    /// With this one.
    pub fault: Option<SingleFault>,
    /// With the faults of each of these seeds.
    pub seeds: Vec<u64>,
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
    /// The case.
    pub case: Case,
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

impl Asked {
    /// Whether anything is asked for.
    pub fn any(&self) -> bool {
        self.every || self.fault.is_some() || !self.seeds.is_empty()
    }
}

impl Suite {
    /// Finds out where faults may be, and which cases are asked for. There is none for a fault at a step that the scenario does not
    /// take.
    pub fn explore(&self, tested: &Tested, asked: &Asked) -> Result<Exploration, Error> {
        let scenario = tested.scenario.clone();
        let known = Arc::new(tested.played.answered.clone());
        let mut cases = Vec::new();
        let mut tries = Vec::new();
        for set_up in SetUp::ALL {
            if !asked.every && asked.fault.is_none_or(|fault| fault.set_up != set_up) {
                continue;
            }
            let calm = play(&self.flow, &scenario, set_up.how(), Faults::None, Some(known.clone()))?;
            tries.push((set_up, count(&calm.tried)));
            let wrongs =
                all_wrongs(&calm).filter(|wrong| asked.every || asked.fault.is_some_and(|fault| fault.wrong == *wrong));
            cases.extend(wrongs.map(|wrong| Case::of_fault(SingleFault { set_up, wrong })));
        }
        cases.extend(asked.seeds.iter().map(|seed| Case::of_seed(*seed)));
        Ok(Exploration { scenario, right: tested.played.clone(), known, cases, tries })
    }

    /// Plays one case, and compares it with how the scenario goes without faults.
    pub fn play_case(&self, exploration: &Exploration, case: &Case) -> Result<Went, Error> {
        let known = Some(exploration.known.clone());
        let played = play(&self.flow, &exploration.scenario, case.how, case.faults, known)?;
        let mut notes = Vec::new();
        let what = difference(&exploration.right, &played);
        // The answer to a call was lost that the flow does not try again: what becomes of that is the flow's decision.
        let set_up = match case.with {
            With::Fault(fault) => Some(fault.set_up),
            With::Seed(_) => None,
        };
        let calm = exploration.tries.iter().find(|(known, _)| Some(*known) == set_up);
        let given_up = calm.and_then(|(_, calm)| {
            let tried = count(&played.tried);
            let times = |all: &BTreeMap<String, usize>, key: &str| all.get(key).copied().unwrap_or_default();
            played.lost.iter().find(|key| times(&tried, key) <= times(calm, key))
        });
        let wrong = match (what, given_up) {
            (None, _) => None,
            (Some(_), Some(key)) if played.violations.is_empty() && played.ended.is_some() => {
                let node = key.rsplit_once('/').map_or(key.as_str(), |(node, _)| node);
                notes.push(format!(
                    "the call of {node} is not tried again if its answer gets lost, and then the run ends differently: give it a \
                     retry if the function may be called twice with one idempotency key"
                ));
                None
            }
            (Some(what), _) => {
                let around = around(&played.trace);
                Some(Deviation { case: case.clone(), what, played: Some(played.clone()), around })
            }
        };
        Ok(Went { wrong, notes, trace: played.trace })
    }
}

/// All that may go wrong, one at a time, in a run that goes so without faults.
fn all_wrongs(calm: &Played) -> impl Iterator<Item = Wrong> + use<> {
    let at_steps = (0..calm.steps).flat_map(|step| Fault::ALL.map(|fault| Wrong::AtStep(step, fault)));
    let with_events = (0..calm.events).flat_map(|event| EventFault::ALL.map(|fault| Wrong::WithEvent(event, fault)));
    std::iter::once(Wrong::Nothing).chain(at_steps).chain(with_events)
}

fn count(keys: &[String]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key.clone()).or_default() += 1;
    }
    counts
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
        return Some("the answer has a different status or other headers".to_owned());
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
