//! What the code of a stored run has logged, as far as it is kept.

use super::error::Error;
use super::runs::{load, load_around, read};
use faas_flow_core::run::{KeptLog, LogLevel, LogPart, RunState, RunView, Scopes};
use faas_flow_core::text::printable;
use faas_flow_core::{Millis, NodePath, Partition, RunId, moment};
use faas_flow_store::StateStore;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many documents are read at a time.
const AT_ONCE: usize = 50;

/// What is kept of a run's log.
#[derive(Debug, Clone)]
pub struct RunLog {
    /// The run, without its nodes.
    pub head: RunView,
    /// Its lines: those of one claim of a node in the order in which they were logged, and all by their time.
    pub lines: Vec<RunLogLine>,
}

/// A line of a run's log, or how many lines are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLogLine {
    /// Which line of the run this is. A line has the same id whenever it is read.
    pub id: String,
    /// When it was logged, in milliseconds since the Unix epoch.
    pub at: Millis,
    /// The run.
    pub run: RunId,
    /// The node.
    pub path: NodePath,
    /// In which attempt of the node, from 1; none for a number of dropped lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The digest of the run's module.
    pub digest: String,
    /// The trace that the run belongs to, if it was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// How severe it is.
    pub level: LogLevel,
    /// What it says.
    pub message: String,
    /// How many lines of the node are missing here, if this stands for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u32>,
}

impl RunLogLine {
    /// The line as an object.
    pub fn json(&self) -> String {
        // It has texts and numbers only, so it can be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl fmt::Display for RunLogLine {
    /// `2026-11-29T11:00:00Z INFO  C[c1]/n1 attempt 1: 42 orders`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level.as_str().to_uppercase();
        write!(f, "{} {level:<5} {}", moment(self.at), printable(&self.path))?;
        if let Some(attempt) = self.attempt.filter(|attempt| *attempt > 1) {
            write!(f, " (attempt {attempt})")?;
        }
        write!(f, ": {}", printable(&self.message))
    }
}

/// Reads what is kept of a run's log; none if the store does not know the run. With `node`, only that of one node.
pub async fn read_log(store: &dyn StateStore, run: &RunId, node: Option<&NodePath>) -> Result<Option<RunLog>, Error> {
    let state = match node {
        Some(path) => load_around(store, run, path).await?,
        None => load(store, run).await?,
    };
    let Some(state) = state else { return Ok(None) };
    let parts = parts(&state, node);
    let docs: Vec<String> = parts.iter().filter_map(|(_, part)| part.doc()).collect();
    let mut found = Vec::with_capacity(docs.len());
    for some in docs.chunks(AT_ONCE) {
        found.extend(store.read(&Partition::of_run(run), some).await?);
    }
    let head = RunView::head(state.run());
    let mut found = found.into_iter();
    let mut lines = Vec::new();
    for (path, part) in parts {
        let document = if part.lines > 0 { found.next().flatten() } else { None };
        let document = document.map(|document| read::<LogPart>(run, &document)).transpose()?;
        add(&mut lines, &head, path, part, document);
    }
    lines.sort_by_key(|line| line.at);
    Ok(Some(RunLog { head, lines }))
}

/// The parts of the log of each node, or of one.
fn parts(state: &RunState, node: Option<&NodePath>) -> Vec<(NodePath, KeptLog)> {
    let mut scopes = Scopes::default();
    for scope in state.scopes() {
        scopes.put(scope);
    }
    scopes.settle();
    let nodes = scopes.nodes(state.run()).filter(|shown| !shown.logs().is_empty());
    let parts = nodes.flat_map(|shown| shown.logs().iter().map(|part| (shown.path(), *part)).collect::<Vec<_>>());
    parts.filter(|(path, _)| node.is_none_or(|node| node == path)).collect()
}

/// Adds the lines of a part, after the number of those that were dropped before them.
fn add(lines: &mut Vec<RunLogLine>, head: &RunView, path: NodePath, part: KeptLog, document: Option<LogPart>) {
    let LogPart { trace, lines: kept, .. } =
        document.unwrap_or(LogPart { path: path.clone(), trace: None, lines: Vec::new() });
    let line = |id: String, at: Millis| RunLogLine {
        id: format!("{:016x}/{id}", part.mark),
        at,
        run: head.request_id.clone(),
        path: path.clone(),
        attempt: None,
        digest: head.digest.as_str().to_owned(),
        trace: trace.clone(),
        level: LogLevel::Warn,
        message: String::new(),
        dropped: None,
    };
    if part.dropped > 0 {
        let at = kept.first().map_or(head.started, |first| first.at);
        let message = format!("{} lines of this node were not kept, since they exceed run_logs", part.dropped);
        lines.push(RunLogLine {
            message,
            dropped: Some(part.dropped),
            ..line(format!("dropped-{}", part.dropped), at)
        });
    }
    for (index, one) in kept.into_iter().enumerate() {
        let (attempt, level, message) = (Some(one.attempt), one.level, one.message);
        lines.push(RunLogLine { attempt, level, message, ..line(index.to_string(), one.at) });
    }
}
