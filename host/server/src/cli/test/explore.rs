//! Scenarios with faults.

use super::counting::Counting;
use super::{each, place};
use crate::cli::output::complain;
use faas_flow_core::ShownDuration;
use faas_flow_core::text::printable_lines;
use faas_flow_scenario::{Asked, Case, Deviation, Error, Exploration, Scenario, Suite, Tested, story};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// How many cases that went otherwise are told in full.
const TOLD: usize = 3;
/// How many of the last lines of a trace are told.
const TRACE: usize = 12;

/// How a scenario did with faults.
pub(super) struct Explored {
    pub(super) scenario: Arc<Scenario>,
    /// How often it was played.
    pub(super) plays: usize,
    /// What went otherwise.
    pub(super) wrong: Vec<Deviation>,
    /// Calls that are not tried again if their answers get lost.
    notes: BTreeSet<String>,
    traces: String,
}

/// Plays each scenario that has passed with the faults that are asked for.
pub(super) fn explore(suite: &Suite, tested: &[Tested], asked: &Asked, text: bool) -> Result<Vec<Explored>, Error> {
    if !asked.any() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for tested in tested.iter().filter(|tested| tested.wrong.is_empty()) {
        let began = Instant::now();
        let exploration = suite.explore(tested, asked)?;
        let cases = exploration.cases();
        if cases.is_empty() {
            continue;
        }
        let shared: (&Suite, &Exploration) = (suite, &exploration);
        let mut counting = Counting::of(&tested.scenario.name, cases.len());
        let found = each(
            &shared,
            cases,
            |(suite, exploration), case: &Case| suite.play_case(exploration, case),
            |_| counting.count(),
        );
        drop(counting);
        let found = found?;
        let plays = found.len();
        let mut one = Explored {
            scenario: tested.scenario.clone(),
            plays,
            wrong: Vec::new(),
            notes: BTreeSet::new(),
            traces: String::new(),
        };
        for went in found {
            one.notes.extend(went.notes);
            one.wrong.extend(went.wrong);
            if plays == 1 {
                one.traces.push_str(&went.trace);
            }
        }
        if text {
            let took = ShownDuration(began.elapsed());
            let what = format!(
                "{}: played {} with faults, {} went differently, {took}",
                tested.scenario.name,
                times(plays),
                one.wrong.len()
            );
            complain(what);
        }
        all.push(one);
    }
    match asked.fault {
        Some(fault) if all.is_empty() && tested.iter().any(|tested| tested.wrong.is_empty()) => {
            Err(Error::NoSuchFault { fault })
        }
        _ => Ok(all),
    }
}

/// `once`, `5 times`.
pub(super) fn times(number: usize) -> String {
    if number == 1 { "once".to_owned() } else { format!("{number} times") }
}

/// The command that plays a scenario again as it went in this case.
fn repeated(flow: &Path, scenario: &Scenario, case: &Case) -> String {
    let (flow, file) = (flow.display().to_string(), scenario.file.display().to_string());
    format!("faas-flow test {} {} -k {} {}", word(&flow), word(&file), word(&scenario.name), case.option())
}

/// A text as one word of a shell.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

impl Explored {
    /// What went otherwise, and what is worth knowing.
    pub(super) fn details(&self, flow: &Path, stories: bool) -> String {
        let mut text = String::new();
        for note in &self.notes {
            text.push_str(&format!("note: {}: {}\n", place(&self.scenario), printable_lines(note)));
        }
        for wrong in self.wrong.iter().take(TOLD) {
            let name = printable_lines(&self.scenario.name).to_string();
            text.push_str(&format!("\nFAIL {} {name}, {}\n", place(&self.scenario), wrong.case.told()));
            text.push_str(&format!("  {}\n", printable_lines(&wrong.what)));
            let command = repeated(flow, &self.scenario, &wrong.case);
            text.push_str(&format!("  to repeat it: {}\n", printable_lines(&command)));
            if let Some(played) = wrong.played.as_ref().filter(|_| stories || self.wrong.len() <= TOLD) {
                text.push_str("  what happened:\n");
                for line in story(&self.scenario, played) {
                    text.push_str(&format!("      {}\n", printable_lines(&line)));
                }
            }
            text.push_str("  around the fault:\n");
            for line in wrong.around.iter().take(TRACE) {
                text.push_str(&format!("      {}\n", printable_lines(line)));
            }
        }
        if self.wrong.len() > TOLD {
            text.push_str(&format!("  and {} more\n", self.wrong.len() - TOLD));
        }
        text
    }

    /// Everything that happened in the only case.
    pub(super) fn traces(&self) -> String {
        format!("\n{}\n{}", printable_lines(&self.scenario.name), printable_lines(&self.traces))
    }

    pub(super) fn json(&self, flow: &Path) -> Value {
        let wrong = |wrong: &Deviation| {
            let repeat = repeated(flow, &self.scenario, &wrong.case);
            json!({ "case": wrong.case.told(), "what": wrong.what, "repeat": repeat, "around": wrong.around })
        };
        json!({
            "file": self.scenario.file, "line": self.scenario.line, "name": self.scenario.name, "plays": self.plays,
            "wrong": self.wrong.iter().map(wrong).collect::<Vec<_>>(), "notes": self.notes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_shell() {
        assert_eq!(word("tests/order.yaml"), "tests/order.yaml");
        assert_eq!(word("a busy charge"), "'a busy charge'");
        assert_eq!(word("who's there; $HOME"), r"'who'\''s there; $HOME'");
        assert_eq!(word(""), "''");
    }
}
