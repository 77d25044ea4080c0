//! What an author is told of a definition: the first problems and warnings, and how many more there are.

use super::{Problem, Warning};
use crate::Code;
use crate::suggest::nearest;
use std::collections::HashSet;

/// How many problems, and how many warnings, are told. The rest is counted.
pub const MOST_TOLD: usize = 50;
/// How many names a message lists; of more, it says how many there are.
const MOST_LISTED: usize = 20;
/// How many characters of a name a message shows.
const LONGEST_SHOWN: usize = 80;
/// How many pairs of characters may be compared, over all problems, to find names that are similar to misspelt ones. A
/// hundred names of ten letters take 10,000.
const COMPARED: usize = 20_000_000;

pub(super) struct Report {
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
    more_problems: usize,
    more_warnings: usize,
    /// How many pairs of characters may still be compared.
    to_compare: usize,
}

impl Default for Report {
    fn default() -> Self {
        Self { problems: vec![], warnings: vec![], more_problems: 0, more_warnings: 0, to_compare: COMPARED }
    }
}

impl Report {
    pub(super) fn problem(&mut self, problem: impl FnOnce() -> Problem) {
        if self.problems.len() < MOST_TOLD {
            self.problems.push(problem());
        } else {
            self.more_problems += 1;
        }
    }

    pub(super) fn warning(&mut self, warning: impl FnOnce() -> Warning) {
        if self.warnings.len() < MOST_TOLD {
            self.warnings.push(warning());
        } else {
            self.more_warnings += 1;
        }
    }

    /// `: did you mean …?` with the most similar name, if there is a similar one. Nothing if the problem will not be told, or if
    /// there are too many names to compare.
    pub(super) fn did_you_mean(&mut self, wrong: &str, known: &HashSet<&str>) -> String {
        if self.problems.len() >= MOST_TOLD {
            return String::new();
        }
        let each = |name: &&str| name.len().saturating_add(1);
        let pairs = known.iter().map(each).sum::<usize>().saturating_mul(wrong.len().saturating_add(1));
        let Some(left) = self.to_compare.checked_sub(pairs) else { return String::new() };
        self.to_compare = left;
        let found = nearest(wrong, known.iter().copied(), |_| wrong.len().max(3) / 3);
        found.map_or(String::new(), |name| format!(": did you mean `{name}`?"))
    }

    /// The warnings, or the problems if there are any. The last one counts those that are not told.
    pub(super) fn end(self) -> Result<Vec<Warning>, Vec<Problem>> {
        let Self { mut problems, mut warnings, more_problems, more_warnings, .. } = self;
        if more_problems > 0 {
            let message =
                format!("there are {more_problems} more problems: correct the first {MOST_TOLD}, then check again");
            problems.push(Problem { code: Code::MORE_PROBLEMS, path: String::new(), message });
        }
        if more_warnings > 0 {
            warnings.push(Warning { path: String::new(), message: format!("there are {more_warnings} more warnings") });
        }
        if problems.is_empty() { Ok(warnings) } else { Err(problems) }
    }
}

/// A name of the author's in a message: its first characters, without line breaks and the like.
pub(super) fn shown(name: &str) -> String {
    let mut shown = name.chars().take(LONGEST_SHOWN).collect::<String>().escape_debug().to_string();
    if name.chars().nth(LONGEST_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Names in a message: all, or the first ones and how many there are.
pub(super) fn listed(names: &[&str], between: &str) -> String {
    let mut listed = names.iter().take(MOST_LISTED).map(|name| shown(name)).collect::<Vec<_>>().join(between);
    if names.len() > MOST_LISTED {
        listed.push_str(&format!("{between}… ({} in all)", names.len()));
    }
    listed
}
