//! The story of a run: what each node got and gave, and what was called, in the order in which it happened.

use crate::canned::{Call, Reply};
use crate::nodes::Node;
use crate::play::Played;
use crate::scenario::Scenario;
use faas_flow_core::run::Progress;
use faas_flow_core::{Millis, NodePath, ShownDuration};
use std::time::Duration;

/// How much of some data is shown, in characters.
const SHOWN: usize = 160;

/// The story, a line for each thing that happened.
pub fn story(scenario: &Scenario, played: &Played) -> Vec<String> {
    let mut told = Told { scenario, played, lines: Vec::new() };
    told.add(Duration::ZERO, format!("the run begins with {}", data(&scenario.input.bytes)));
    told.scope(None);
    let of_nodes: Vec<String> = played.nodes.iter().map(|node| node.path.to_string()).collect();
    for call in played.calls.iter().filter(|call| !of_nodes.iter().any(|node| node == node_of(call))) {
        told.add(call.at, told_call(call));
    }
    for done in &played.done {
        told.add(
            done.at,
            match &done.refused {
                Some(why) => format!("{} is refused: {why}", done.what),
                None => format!("{} comes", done.what),
            },
        );
    }
    if let Some(refused) = &played.refused {
        told.add(Duration::ZERO, format!("the request is refused: {refused}"));
    }
    told.add(
        played.took,
        match &played.ended {
            Some(ended) => {
                let why = ended.failure.as_ref().map_or(String::new(), |failure| format!(": {failure}"));
                let result = ended.result.as_ref().map_or(String::new(), |result| format!(" with {}", data(result)));
                format!("the run ends, {}{result}{why}", ended.status)
            }
            None => "the run has not ended".to_owned(),
        },
    );
    // What happened in the same moment stays in the order of the definition.
    told.lines.sort_by_key(|(at, _)| *at);
    told.lines.into_iter().map(|(at, what)| format!("{:>12}  {what}", ShownDuration(at).to_string())).collect()
}

struct Told<'a> {
    scenario: &'a Scenario,
    played: &'a Played,
    lines: Vec<(Duration, String)>,
}

impl Told<'_> {
    fn add(&mut self, at: Duration, what: String) {
        self.lines.push((at, what));
    }

    fn since(&self, at: Millis) -> Duration {
        Duration::from_millis(at.saturating_sub(self.scenario.began))
    }

    /// The nodes of the branches of a node, or of the outermost dag.
    fn scope(&mut self, around: Option<&NodePath>) {
        let played = self.played;
        for node in &played.nodes {
            if node.path.scope.parent().map(|(parent, _)| parent).as_ref() == around {
                self.node(node);
            }
        }
    }

    fn node(&mut self, node: &Node) {
        let path = node.path.to_string();
        if let Some(started) = node.view.started {
            let got = node.got.iter().map(|(from, bytes)| match from {
                Some(from) => format!("{} of {from}", data(bytes)),
                None => data(bytes),
            });
            let got: Vec<String> = got.collect();
            let got = if got.is_empty() { "nothing".to_owned() } else { got.join(", ") };
            self.add(self.since(started), format!("{path} got {got}"));
        }
        for call in self.played.calls.iter().filter(|call| node_of(call) == path) {
            self.add(call.at, told_call(call));
        }
        self.scope(Some(&node.path));
        let at = self.since(node.view.since.unwrap_or(self.scenario.began));
        if let Some(failure) = &node.view.caught {
            self.add(at, format!("{path} caught {failure}"));
        }
        match (node.progress, &node.gave) {
            (Progress::Done, Some(bytes)) => self.add(at, format!("{path} gave {}", data(bytes))),
            (Progress::Done, None) => self.add(at, format!("{path} is done")),
            (Progress::Failed | Progress::Cancelled, _) => {
                let last = node.view.attempts.iter().rev().find_map(|attempt| attempt.failure.as_ref());
                let why = last.map_or(String::new(), |failure| format!(": {failure}"));
                self.add(at, format!("{path} is {}{why}", node.progress.as_str()));
            }
            (Progress::Ready | Progress::Running, _) => {
                let waits = node.view.waits_for.as_ref().map(|wait| format!(": it waits for {wait}"));
                self.add(self.played.took, format!("{path} is not done{}", waits.unwrap_or_default()));
            }
            _ => {}
        }
    }
}

/// The node that made a call, without the number of the operation.
fn node_of(call: &Call) -> &str {
    call.key.rsplit_once('/').map_or("", |(node, _)| node)
}

fn told_call(call: &Call) -> String {
    let node = node_of(call);
    let answer = match &call.answer {
        Some(Reply::Answered { status, body }) => format!("{status} {}", data(body)),
        Some(Reply::Failed(why)) => why.clone(),
        None => "no answer".to_owned(),
    };
    format!("{node} calls {} with {} → {answer}", call.function, data(&call.body))
}

/// Data as it is shown: its beginning, on one line.
pub(crate) fn data(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "no data".to_owned();
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return format!("{} bytes", bytes.len()) };
    let shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() { format!("{shown:?}… ({} bytes)", bytes.len()) } else { format!("{shown:?}") }
}
