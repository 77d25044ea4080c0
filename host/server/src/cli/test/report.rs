//! What `faas-flow test` prints.

use super::explore::{Explored, times};
use super::place;
use crate::cli::output::wants_colours;
use faas_flow_core::text::printable_lines;
use faas_flow_core::{ShownDuration, redact};
use faas_flow_scenario::{Coverage, Mismatch, Tested, story};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

const GREEN: &str = "32";
const RED: &str = "31";

/// Up to so many lines, a difference is shown line by line.
const LINES: usize = 400;

/// A text in a colour, if the terminal shows colours.
fn coloured(text: &str, colour: &str) -> String {
    if std::io::stdout().is_terminal() && wants_colours() {
        format!("\u{1b}[{colour}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// The lines of scenarios as they end.
pub(super) struct Report {
    stories: bool,
    file: Option<std::path::PathBuf>,
}

impl Report {
    pub(super) fn new(stories: bool) -> Self {
        Self { stories, file: None }
    }

    /// One line, below the name of its file.
    pub(super) fn line(&mut self, tested: &Tested) -> String {
        let mut text = String::new();
        let file = &tested.scenario.file;
        if self.file.as_ref() != Some(file) {
            let gap = if self.file.is_none() { "" } else { "\n" };
            text = format!("{gap}{}\n", printable_lines(&file.display()));
            self.file = Some(file.clone());
        }
        let verdict = if tested.wrong.is_empty() { coloured("pass", GREEN) } else { coloured("FAIL", RED) };
        let took = ShownDuration(tested.played.took).to_string();
        let real = ShownDuration(tested.real).to_string();
        let name = printable_lines(&tested.scenario.name).to_string();
        // What is not to be expected of one line is told later.
        let _ = writeln!(text, "  {verdict}  {name}  ({took} in {real})");
        if self.stories && tested.wrong.is_empty() {
            text.push_str(&told(tested));
        }
        text
    }
}

/// The story of a scenario.
fn told(tested: &Tested) -> String {
    let lines = story(&tested.scenario, &tested.played);
    let lines: Vec<String> = lines.iter().map(|line| format!("      {}\n", printable_lines(line))).collect();
    lines.concat()
}

/// What is wrong with each scenario that has failed.
pub(super) fn details(flow: &Path, tested: &[Tested], explored: &[Explored], stories: bool) -> String {
    let failed = tested.iter().filter(|tested| !tested.wrong.is_empty());
    let mut text: String = failed.map(|tested| detail(tested, true)).collect();
    for one in explored {
        text.push_str(&one.details(flow, stories));
    }
    text
}

/// What is wrong with a scenario.
pub(super) fn detail(tested: &Tested, with_story: bool) -> String {
    let mut text =
        format!("\n{} {} {}\n", coloured("FAIL", RED), place(&tested.scenario), printable_lines(&tested.scenario.name));
    for wrong in &tested.wrong {
        text.push_str(&mismatch(&tested.scenario.file.display().to_string(), wrong));
    }
    if with_story {
        text.push_str("  what happened:\n");
        text.push_str(&told(tested));
    }
    text
}

fn mismatch(file: &str, wrong: &Mismatch) -> String {
    let mut text = format!("  {file}:{}: {}\n", wrong.line, printable_lines(&wrong.what));
    if let (Some(expected), Some(found)) = (&wrong.expected, &wrong.found) {
        for (sign, line) in difference(expected, found) {
            let line = format!("    {sign} {}", printable_lines(&line));
            let line = match sign {
                '-' => coloured(&line, RED),
                '+' => coloured(&line, GREEN),
                _ => line,
            };
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// The lines of both texts: `-` for those that are expected, `+` for those that came, and a space for those of both.
pub(super) fn difference(expected: &str, found: &str) -> Vec<(char, String)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.split('\n').collect(), found.split('\n').collect());
    if old.len().max(new.len()) > LINES {
        let all = old.iter().map(|line| ('-', *line)).chain(new.iter().map(|line| ('+', *line)));
        return all.map(|(sign, line)| (sign, line.to_owned())).collect();
    }
    // The length of the longest common subsequence of what is left of both, from each place on.
    let width = new.len() + 1;
    let mut longest = vec![0_usize; (old.len() + 1) * width];
    let at = |longest: &[usize], i: usize, j: usize| longest.get(i * width + j).copied().unwrap_or_default();
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let value = if old.get(i) == new.get(j) {
                at(&longest, i + 1, j + 1) + 1
            } else {
                at(&longest, i + 1, j).max(at(&longest, i, j + 1))
            };
            if let Some(cell) = longest.get_mut(i * width + j) {
                *cell = value;
            }
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(one), Some(other)) if one == other => {
                lines.push((' ', (*one).to_owned()));
                (i, j) = (i + 1, j + 1);
            }
            (Some(one), other) if other.is_none() || at(&longest, i + 1, j) >= at(&longest, i, j + 1) => {
                lines.push(('-', (*one).to_owned()));
                i += 1;
            }
            (_, Some(other)) => {
                lines.push(('+', (*other).to_owned()));
                j += 1;
            }
            (_, None) => return lines,
        }
    }
}

/// Which parts of the flow no scenario reaches.
pub(super) fn covered(coverage: &Coverage) -> String {
    let mut text = "\ncoverage\n".to_owned();
    for (what, part) in coverage.parts() {
        if part.all == 0 {
            continue;
        }
        let _ = writeln!(text, "  {what:9} {:>4} of {}", part.all - part.missing.len(), part.all);
        for missing in &part.missing {
            let _ = writeln!(text, "            not reached: {}", printable_lines(missing));
        }
    }
    text
}

/// The last line.
pub(super) fn summary(tested: &[Tested], explored: &[Explored], real: Duration) -> String {
    let failed = tested.iter().filter(|tested| !tested.wrong.is_empty()).count();
    let virtually: Duration = tested.iter().map(|tested| tested.played.took).sum();
    let scenarios = if tested.len() == 1 { "1 scenario".to_owned() } else { format!("{} scenarios", tested.len()) };
    let (plays, wrong) =
        explored.iter().fold((0, 0), |(plays, wrong), one| (plays + one.plays, wrong + one.wrong.len()));
    let with_faults = if explored.is_empty() {
        String::new()
    } else {
        format!("; played {} with faults, of which {wrong} went differently", times(plays))
    };
    let verdict = if failed + wrong == 0 { coloured("ok", GREEN) } else { coloured("FAILED", RED) };
    format!(
        "\n{verdict}: {scenarios}, {} passed, {failed} failed{with_faults}; {} of virtual time in {}\n",
        tested.len() - failed,
        ShownDuration(virtually),
        ShownDuration(real)
    )
}

/// Everything, as JSON.
pub(super) fn to_json(flow: &Path, tested: &[Tested], explored: &[Explored], coverage: &Coverage) -> Value {
    let wrong = |wrong: &Mismatch| json!({ "line": wrong.line, "what": wrong.what, "expected": wrong.expected, "found": wrong.found });
    let scenarios: Vec<Value> = tested
        .iter()
        .map(|tested| {
            let ended = tested.played.ended.as_ref();
            json!({
                "file": tested.scenario.file, "line": tested.scenario.line, "name": tested.scenario.name,
                "passed": tested.wrong.is_empty(),
                "status": ended.map(|ended| ended.status),
                "definition": tested.played.definition.as_deref().map(redact::definition),
                "virtual-ms": u64::try_from(tested.played.took.as_millis()).unwrap_or(u64::MAX),
                "real-ms": u64::try_from(tested.real.as_millis()).unwrap_or(u64::MAX),
                "wrong": tested.wrong.iter().map(wrong).collect::<Vec<_>>(),
                "story": if tested.wrong.is_empty() { Vec::new() } else { story(&tested.scenario, &tested.played) },
            })
        })
        .collect();
    let parts = coverage.parts().map(|(what, part)| {
        let covered = json!({ "all": part.all, "reached": part.all - part.missing.len(), "missing": part.missing });
        (what.to_owned(), covered)
    });
    let coverage: serde_json::Map<String, Value> = parts.into_iter().collect();
    let explored: Vec<Value> = explored.iter().map(|one| one.json(flow)).collect();
    json!({ "scenarios": scenarios, "explored": explored, "coverage": coverage })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expected: &str, found: &str) -> Vec<String> {
        difference(expected, found).into_iter().map(|(sign, line)| format!("{sign}{line}")).collect()
    }

    #[test]
    fn a_difference_has_the_lines_of_both_texts_in_order() {
        assert_eq!(shown("a\nb\nc", "a\nx\nc"), [" a", "-b", "+x", " c"]);
        assert_eq!(shown("a\nb", "a\nb\nc"), [" a", " b", "+c"]);
        assert_eq!(shown("a\nb\nc", "c"), ["-a", "-b", " c"]);
        assert_eq!(shown("", "a"), ["-", "+a"]);
        assert_eq!(shown("a", "a"), [" a"]);
    }
}
