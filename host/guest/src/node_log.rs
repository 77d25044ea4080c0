//! What flows log: the lines of a node that are kept with the run.

use crate::{KeepBudget, Level};
use faas_flow_core::Millis;
use faas_flow_core::run::LogLine;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// How many lines are kept that are logged under one claim of a node.
const LINES: usize = 200;
/// What a line costs besides its text, in bytes.
const LINE: usize = 64;

/// The lines that a node's code has logged under one claim: the latest 200, as far as the run's budget reaches. What a node
/// has logged last says most about how it ended, so older lines of its own make room.
#[derive(Debug)]
pub struct NodeLog {
    budget: Arc<KeepBudget>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<LogLine>,
    dropped: u32,
}

impl NodeLog {
    /// An empty log.
    pub fn new(budget: Arc<KeepBudget>) -> Self {
        Self { budget, kept: Mutex::default() }
    }

    /// Keeps a line, unless it is of interest to the author only.
    pub fn add(&self, at: Millis, attempt: u32, level: Level, message: &str) {
        if level < Level::Info {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let needs = message.len() + LINE;
        while kept.lines.len() >= LINES || !self.budget.take(needs) {
            kept.dropped = kept.dropped.saturating_add(1);
            let Some(oldest) = kept.lines.pop_front() else { return };
            self.budget.release(cost(&oldest));
        }
        kept.lines.push_back(LogLine { at, level, attempt, message: message.to_owned() });
    }

    /// Takes the lines, and how many were dropped. The lines that were taken still count towards the budget.
    pub fn take(&self) -> (Vec<LogLine>, u32) {
        let Kept { lines, dropped } = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        (lines.into(), dropped)
    }
}

impl Drop for NodeLog {
    /// What was not taken makes room for others: the node was cut off.
    fn drop(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.budget.release(kept.lines.iter().map(cost).sum());
    }
}

fn cost(line: &LogLine) -> usize {
    line.message.len() + LINE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(log: &NodeLog) -> (Vec<String>, u32) {
        let (lines, dropped) = log.take();
        (lines.into_iter().map(|line| line.message).collect(), dropped)
    }

    #[test]
    fn a_node_keeps_its_latest_lines() {
        let log = NodeLog::new(KeepBudget::new(1 << 20));
        (0..250).for_each(|n| log.add(n, 1, Level::Info, &n.to_string()));
        let (kept, dropped) = texts(&log);
        assert_eq!((kept.len(), dropped), (LINES, 50));
        assert_eq!((kept.first().unwrap().as_str(), kept.last().unwrap().as_str()), ("50", "249"));
        log.add(1, 1, Level::Debug, "for the author");
        assert_eq!(texts(&log), (vec![], 0));
    }

    #[test]
    fn a_run_keeps_as_many_bytes_as_its_budget_has_and_what_is_cut_off_frees_them() {
        let budget = KeepBudget::new(3 * (LINE + 1));
        let (first, second) = (NodeLog::new(budget.clone()), NodeLog::new(budget.clone()));
        for text in ["a", "b"] {
            first.add(0, 1, Level::Warn, text);
        }
        for text in ["c", "d"] {
            second.add(0, 1, Level::Warn, text);
        }
        assert_eq!(texts(&second), (vec!["d".to_owned()], 1));
        second.add(0, 1, Level::Error, "e");
        assert_eq!(texts(&second), (vec![], 1), "what was taken counts on");
        drop(first);
        second.add(0, 1, Level::Error, "f");
        assert_eq!(texts(&second), (vec!["f".to_owned()], 0));
        let nothing = NodeLog::new(KeepBudget::new(0));
        nothing.add(0, 1, Level::Error, "g");
        assert_eq!(texts(&nothing), (vec![], 1));
    }
}
