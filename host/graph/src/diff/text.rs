//! The difference as lines of text: a sign, what differs, and how.

use super::difference::{Change, Detail, Difference};
use crate::view;
use faas_flow_core::definition::{Carries, Operation};
use faas_flow_core::text::printable;
use serde_json::Value;
use std::fmt::Write as _;

/// Whether text for people is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// With ANSI escape sequences.
    On,
    /// Plain.
    Off,
}

impl Difference {
    /// The difference as lines of text for people, with a summary in the last line.
    pub fn text(&self, colours: Colours) -> String {
        render(self, colours)
    }
}

fn render(difference: &Difference, colours: Colours) -> String {
    let mut out = String::new();
    let mut line = |change: Change, text: String| {
        let (sign, colour) = match change {
            Change::Added => ('+', "32"),
            Change::Removed => ('-', "31"),
            Change::Changed => ('~', "33"),
        };
        // Writing to a string cannot fail.
        let _ = match colours {
            Colours::On => writeln!(out, "\x1b[{colour}m{sign} {}\x1b[0m", printable(&text)),
            Colours::Off => writeln!(out, "{sign} {}", printable(&text)),
        };
    };
    for detail in &difference.flow {
        line(Change::Changed, format!("flow: {}", described(detail)));
    }
    for node in &difference.nodes {
        line(node.change, node.path.clone());
        for detail in &node.details {
            line(node.change, format!("    {}", described(detail)));
        }
    }
    for edge in &difference.edges {
        let what = match (&edge.was, &edge.is) {
            (Some(was), Some(is)) => format!(": carries {} → {}", carried(was), carried(is)),
            (Some(one), None) | (None, Some(one)) if *one != Carries::Output => format!(", carries {}", carried(one)),
            _ => String::new(),
        };
        line(edge.change, format!("{} → {}{what}", edge.from, edge.to));
    }
    for handler in &difference.handlers {
        line(handler.change, format!("handler {}", handler.id));
    }
    out.push_str(&summary(difference));
    out
}

/// `nodes: 1 added, 2 changed; edges: 1 added`
fn summary(difference: &Difference) -> String {
    let count = |what: &str, changes: Vec<Change>| {
        let counts: Vec<String> = Change::ALL
            .into_iter()
            .map(|change| (change, changes.iter().filter(|other| **other == change).count()))
            .filter(|(_, count)| *count > 0)
            .map(|(change, count)| format!("{count} {}", change.word()))
            .collect();
        (!counts.is_empty()).then(|| format!("{what}: {}", counts.join(", ")))
    };
    let parts = [
        count("flow", difference.flow.iter().map(|_| Change::Changed).collect()),
        count("nodes", difference.nodes.iter().map(|node| node.change).collect()),
        count("edges", difference.edges.iter().map(|edge| edge.change).collect()),
        count("handlers", difference.handlers.iter().map(|handler| handler.change).collect()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "the graph is the same\n".to_owned() } else { format!("{}\n", parts.join("; ")) }
}

/// `operations/list/0/apply/target: func1 → func2`
pub(super) fn described(detail: &Detail) -> String {
    let property = &detail.property;
    match (&detail.was, &detail.is) {
        (Some(was), Some(is)) if was == is => format!("{property}: {} (what is hidden differs)", shown(is)),
        (Some(was), Some(is)) => format!("{property}: {} → {}", shown(was), shown(is)),
        (Some(was), None) => format!("{property}: removed (was {})", shown(was)),
        (None, Some(is)) => format!("{property}: added ({})", shown(is)),
        (None, None) => property.clone(),
    }
}

/// Text without quotes, operations as pictures show them, and anything else as JSON.
fn shown(value: &Value) -> String {
    if let Value::String(text) = value {
        return text.escape_debug().to_string();
    }
    match serde_json::from_value::<Operation>(value.clone()) {
        Ok(operation) => view::operation(&operation),
        Err(_) => value.to_string(),
    }
}

fn carried(carries: &Carries) -> String {
    match carries {
        Carries::Output => "the output".to_owned(),
        Carries::Nothing => "nothing".to_owned(),
        Carries::Forwarded(handler) => format!("the output of {handler}"),
    }
}
