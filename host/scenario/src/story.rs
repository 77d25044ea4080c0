//! The story of a run: what each node got and gave, and what was called, in the order in which it happened.

use crate::canned::{Call, Reply};
use crate::play::Played;
use crate::scenario::Scenario;
use faas_flow_core::ShownDuration;
use faas_flow_core::run::Progress;
use std::time::Duration;

/// How much of some data is shown, in characters.
const SHOWN: usize = 160;

/// The story, a line for each thing that happened.
pub fn story(scenario: &Scenario, played: &Played) -> Vec<String> {
    let mut told: Vec<(Duration, String)> = Vec::new();
    told.push((Duration::ZERO, format!("the run begins with {}", data(&scenario.input.bytes))));
    let since = |at: u64| Duration::from_millis(at.saturating_sub(scenario.began));
    for node in &played.nodes {
        if let Some(started) = node.view.started {
            let got: Vec<String> = node
                .got
                .iter()
                .map(|(from, bytes)| match from {
                    Some(from) => format!("{} of {from}", data(bytes)),
                    None => data(bytes),
                })
                .collect();
            let got = if got.is_empty() { "nothing".to_owned() } else { got.join(", ") };
            told.push((since(started), format!("{} got {got}", node.path)));
        }
        told.extend(node.view.happened().into_iter().map(|sentence| {
            (
                since(node.view.since.or(node.view.started).unwrap_or(scenario.began)),
                format!("{}: {sentence}", node.path),
            )
        }));
        let at = since(node.view.since.unwrap_or(scenario.began));
        match (node.progress, &node.gave) {
            (Progress::Done, Some(bytes)) => told.push((at, format!("{} gave {}", node.path, data(bytes)))),
            (Progress::Done, None) => told.push((at, format!("{} is done", node.path))),
            (Progress::Failed | Progress::Cancelled, _) => {
                told.push((at, format!("{} is {}", node.path, node.progress.as_str())));
            }
            (Progress::Ready | Progress::Running, _) => {
                let waits = node.view.waits_for.as_ref().map(|wait| format!(": it waits for {wait}"));
                told.push((played.took, format!("{} is not done{}", node.path, waits.unwrap_or_default())));
            }
            _ => {}
        }
    }
    told.extend(played.calls.iter().map(|call| (call.at, told_call(call))));
    told.extend(played.done.iter().map(|done| match &done.refused {
        Some(why) => (done.at, format!("{} is refused: {why}", done.what)),
        None => (done.at, format!("{} comes", done.what)),
    }));
    if let Some(refused) = &played.refused {
        told.push((Duration::ZERO, format!("the request is refused: {refused}")));
    }
    told.push((
        played.took,
        match &played.ended {
            Some(ended) => {
                let why = ended.failure.as_ref().map_or(String::new(), |failure| format!(": {failure}"));
                let result = ended.result.as_ref().map_or(String::new(), |result| format!(" with {}", data(result)));
                format!("the run is {}{result}{why}", ended.status)
            }
            None => "the run has not ended".to_owned(),
        },
    ));
    // What happened in the same moment stays in the order of the nodes.
    told.sort_by_key(|(at, _)| *at);
    told.into_iter().map(|(at, what)| format!("{:>12}  {what}", ShownDuration(at).to_string())).collect()
}

fn told_call(call: &Call) -> String {
    let node = call.key.rsplit_once('/').map_or("", |(node, _)| node);
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
