//! Mutation testing: cargo-mutants changes the rules of the engine in small ways, and a test must notice each change.

use crate::metadata::Metadata;
use crate::place::Place;
use crate::run::Run as _;
use crate::setup;
use crate::tool::CARGO_MUTANTS;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::{IsTerminal as _, stderr};
use std::path::Path;

/// The crates that hold the rules. Each is tested by its own tests.
const PACKAGES: [&str; 2] = ["faas-flow-core", "faas-flow-session"];

/// Runs it; arguments are passed on. Ends with a table of what came of the mutants of each file.
pub fn run(place: &Place, arguments: &[String]) -> Result<()> {
    setup::for_mutants(place)?;
    let metadata = Metadata::read(place)?;
    let output = place.target.join("mutants");
    let mut mutants = CARGO_MUTANTS.command(place);
    mutants.current_dir(&place.root).env("CARGO_TARGET_DIR", &output);
    // One failing case is enough: neither look for a simpler one nor keep it for the next mutant.
    mutants.env("PROPTEST_MAX_SHRINK_ITERS", "0").env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true");
    mutants.args(["mutants", "--no-shuffle", "--output"]).arg(&output);
    for package in PACKAGES.iter().filter(|name| metadata.package(name).is_some()) {
        mutants.args(["--package", package]);
    }
    if !stderr().is_terminal() {
        // There is no progress bar, so each mutant is a line.
        mutants.args(["--caught", "--unviable"]);
    }
    let outcomes = output.join("mutants.out/outcomes.json");
    // A run that fails early, or only lists mutants, must not show the table of the run before.
    let _ = fs::remove_file(&outcomes);
    let ended = mutants.args(arguments).must("mutants survived, or their tests ran into a time limit");
    if outcomes.exists() {
        eprint!("{}", Summary::read(&outcomes)?.table());
    }
    ended
}

/// What came of the mutants of each file, by the words of cargo-mutants.
#[derive(Default)]
struct Summary(BTreeMap<String, BTreeMap<String, usize>>);

/// The columns of the table: the word of cargo-mutants, and the heading.
const COLUMNS: [(&str, &str); 4] =
    [("CaughtMutant", "caught"), ("Unviable", "unviable"), ("Timeout", "timeout"), ("MissedMutant", "missed")];

#[derive(Deserialize)]
struct Outcomes {
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    scenario: Scenario,
    summary: String,
}

#[derive(Deserialize)]
enum Scenario {
    Baseline,
    Mutant(Mutant),
}

#[derive(Deserialize)]
struct Mutant {
    file: String,
}

impl Summary {
    fn read(outcomes: &Path) -> Result<Self> {
        let text = fs::read(outcomes).with_context(|| format!("cannot read {}", outcomes.display()))?;
        let read: Outcomes =
            serde_json::from_slice(&text).with_context(|| format!("cannot read {}", outcomes.display()))?;
        let mut summary = Self::default();
        for Outcome { scenario, summary: word } in read.outcomes {
            if let Scenario::Mutant(Mutant { file }) = scenario {
                *summary.0.entry(file).or_default().entry(word).or_default() += 1;
            }
        }
        Ok(summary)
    }

    fn table(&self) -> String {
        let mut total: BTreeMap<String, usize> = BTreeMap::new();
        for (word, count) in self.0.values().flatten() {
            *total.entry(word.clone()).or_default() += count;
        }
        let width = self.0.keys().map(String::len).max().unwrap_or_default();
        let mut table = format!("{:width$}", "");
        for (_, heading) in COLUMNS {
            table += &format!("{heading:>10}");
        }
        for (file, counts) in self.0.iter().chain([(&"all".to_owned(), &total)]) {
            table += &format!("\n{file:width$}");
            for (word, _) in COLUMNS {
                table += &format!("{:>10}", counts.get(word).copied().unwrap_or_default());
            }
        }
        table + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_file_and_one_for_all() {
        let mut summary = Summary::default();
        for (file, word) in [("a.rs", "CaughtMutant"), ("a.rs", "CaughtMutant"), ("b.rs", "MissedMutant")] {
            *summary.0.entry(file.to_owned()).or_default().entry(word.to_owned()).or_default() += 1;
        }
        let rows: Vec<Vec<String>> =
            summary.table().lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
        assert_eq!(rows[0], ["caught", "unviable", "timeout", "missed"]);
        assert_eq!(rows[1], ["a.rs", "2", "0", "0", "0"]);
        assert_eq!(rows[2], ["b.rs", "0", "0", "0", "1"]);
        assert_eq!(rows[3], ["all", "2", "0", "0", "1"]);
    }
}
