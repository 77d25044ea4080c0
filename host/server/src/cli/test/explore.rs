//! Scenarios with faults.

use super::{each, place};
use crate::cli::output::complain;
use faas_flow_core::ShownDuration;
use faas_flow_core::text::printable_lines;
use faas_flow_scenario::{Case, Deviation, Error, Exploration, Scenario, Suite, Tested, story};
use serde_json::{Value, json};
use std::collections::BTreeSet;
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

/// Plays each scenario that has passed with every single fault, and with the faults of seeds.
pub(super) fn explore(
    suite: &Suite,
    tested: &[Tested],
    (every, seeds): (bool, Vec<u64>),
    text: bool,
) -> Result<Vec<Explored>, Error> {
    if !every && seeds.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for tested in tested.iter().filter(|tested| tested.wrong.is_empty()) {
        let began = Instant::now();
        let exploration = suite.explore(tested, every, &seeds)?;
        let shared: (&Suite, &Exploration) = (suite, &exploration);
        let one_seed = !every && seeds.len() == 1;
        let found = each(
            &shared,
            exploration.cases(),
            |(suite, exploration), case: &Case| suite.play_case(exploration, case),
            |_| (),
        )?;
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
            if one_seed {
                one.traces.push_str(&went.trace);
            }
        }
        if text {
            let took = ShownDuration(began.elapsed());
            let what = format!(
                "{}: {plays} times with faults, {} went otherwise, {took}",
                tested.scenario.name,
                one.wrong.len()
            );
            complain(what);
        }
        all.push(one);
    }
    Ok(all)
}

impl Explored {
    /// What went otherwise, and what is worth knowing.
    pub(super) fn details(&self, stories: bool) -> String {
        let mut text = String::new();
        for note in &self.notes {
            text.push_str(&format!("note: {}: {}\n", place(&self.scenario), printable_lines(note)));
        }
        for wrong in self.wrong.iter().take(TOLD) {
            let name = printable_lines(&self.scenario.name).to_string();
            text.push_str(&format!("\nFAIL {} {name}, {}\n", place(&self.scenario), wrong.case));
            text.push_str(&format!("  {}\n", printable_lines(&wrong.what)));
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

    /// Everything that happened with the only seed.
    pub(super) fn traces(&self) -> String {
        format!("\n{}\n{}", printable_lines(&self.scenario.name), printable_lines(&self.traces))
    }

    pub(super) fn json(&self) -> Value {
        let wrong = |wrong: &Deviation| json!({ "case": wrong.case, "what": wrong.what, "around": wrong.around });
        json!({
            "file": self.scenario.file, "line": self.scenario.line, "name": self.scenario.name, "plays": self.plays,
            "wrong": self.wrong.iter().map(wrong).collect::<Vec<_>>(), "notes": self.notes,
        })
    }
}
