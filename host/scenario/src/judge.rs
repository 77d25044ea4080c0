//! Compares how a scenario went with what it expects.

use crate::canned::Call;
use crate::places::Places;
use crate::play::{Ended, Played};
use crate::scenario::{At, Expect, ExpectedCall, ExpectedFailure, Scenario, is, suggestion};
use faas_flow_core::run::Progress;
use faas_flow_core::{Code, Labels, NodePath, ShownDuration, Status};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// Something that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The line of the scenario file that says what is expected.
    pub line: u64,
    /// What is wrong, and perhaps what to do.
    pub what: String,
    /// What is expected, if it can be set against what came.
    pub expected: Option<String>,
    /// What came.
    pub found: Option<String>,
}

impl Mismatch {
    fn new(line: u64, what: impl Into<String>) -> Self {
        Self { line, what: what.into(), expected: None, found: None }
    }

    fn between(line: u64, what: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { line, what: what.into(), expected: Some(expected.into()), found: Some(found.into()) }
    }
}

/// All that is not as expected; nothing if the scenario has passed.
pub(crate) fn judge(scenario: &Scenario, played: &Played, places: &Places) -> Vec<Mismatch> {
    let expect = &scenario.expect;
    let begins = expect.line.unwrap_or(scenario.line);
    let mut wrong = Vec::new();
    for (name, key) in &played.missing {
        let known = scenario.functions.keys().map(String::as_str);
        let near = if known.clone().next().is_some() { suggestion(name, known) } else { String::new() };
        wrong.push(Mismatch::new(
            scenario.line,
            format!("`{name}` is called by {}, and the scenario does not say what it answers: add it under `functions`{near}", node_of(key)),
        ));
        if wrong.len() > 2 {
            break;
        }
    }
    wrong.extend(played.violations.iter().map(|violation| Mismatch::new(scenario.line, violation.clone())));
    for done in played.done.iter().filter(|done| done.refused.is_some()) {
        let why = done.refused.as_deref().unwrap_or_default();
        wrong.push(Mismatch::new(scenario.line, format!("{} was refused: {why}", done.what)));
    }
    if let Some(refused) = &played.refused {
        wrong.push(Mismatch::new(begins, format!("the request was refused: {refused}")));
        return wrong;
    }
    match &played.ended {
        Some(ended) => ends((begins, expect), ended, &mut wrong),
        None => wrong.push(Mismatch::new(scenario.line, never_ends(scenario, played))),
    }
    calls(expect, &played.calls, &mut wrong);
    nodes(expect, played, places, &mut wrong);
    logs(expect, played, &mut wrong);
    if let (Some(takes), Some(_)) = (&expect.takes, &played.ended)
        && !is_about(takes.value, played.took)
    {
        let (expected, found) = (ShownDuration(takes.value).to_string(), ShownDuration(played.took).to_string());
        wrong.push(Mismatch::between(takes.line, "the run took a different time", expected, found));
    }
    wrong
}

/// The node in the idempotency key of a call: `node/0` becomes node.
fn node_of(key: &str) -> String {
    let key = key.split('~').next().unwrap_or_default();
    let node = key.rsplit_once('/').map_or(key, |(node, _)| node);
    if node.is_empty() { "the flow".to_owned() } else { format!("node {node}") }
}

/// Whether a run takes as long as expected, with a tolerance of one hundredth: what a backoff takes off is random.
fn is_about(expected: Duration, found: Duration) -> bool {
    expected.abs_diff(found) <= (expected / 100).max(Duration::from_millis(10))
}

/// Why a run has not ended, and what to do.
fn never_ends(scenario: &Scenario, played: &Played) -> String {
    let waits = |node: &&crate::Node| matches!(node.progress, Progress::Ready | Progress::Running);
    let waiting: Vec<String> = played
        .nodes
        .iter()
        .filter(waits)
        .map(|node| match (&node.view.waits_for, node.view.sleeps_since) {
            (Some(wait), _) => format!("{} waits for {wait}", node.path),
            (None, Some(_)) => format!("{} sleeps", node.path),
            (None, None) if node.view.retrying().is_some() => format!("{} is tried again and again", node.path),
            (None, None) => format!("{} is {}", node.path, node.progress.as_str()),
        })
        .take(5)
        .collect();
    let signal = played.nodes.iter().filter(waits).find_map(|node| match &node.view.waits_for.as_ref()?.of {
        faas_flow_core::run::Awaited::Signal { signal } => Some(signal.clone()),
        _ => None,
    });
    let advice = match signal {
        Some(signal) => format!("send it with `- signal: {signal}` under `steps`, or give the node a timeout"),
        None => "shorten it with other answers of its functions, or give it more time with `at-most`".to_owned(),
    };
    let most = ShownDuration(scenario.at_most.min(played.took));
    let waiting = if waiting.is_empty() { String::new() } else { format!(": {}", waiting.join(", ")) };
    format!("{}: the run has not ended after {most} of virtual time{waiting}; {advice}", Code::SCENARIO_ENDLESS)
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a file expects, as text.
fn text_of(expected: &Value) -> String {
    match expected {
        Value::String(text) => text.clone(),
        json => serde_json::to_string_pretty(json).unwrap_or_default(),
    }
}

/// What came, in the form in which it is expected.
fn like(expected: &Value, found: &[u8]) -> String {
    match (expected, serde_json::from_slice::<Value>(found)) {
        (Value::String(_), _) | (_, Err(_)) => shown(found),
        (_, Ok(json)) => text_of(&json),
    }
}

fn ends((begins, expect): (u64, &Expect), ended: &Ended, wrong: &mut Vec<Mismatch>) {
    let usual = if expect.failure.is_some() { Status::Failed } else { Status::Succeeded };
    let status = expect.status.clone().unwrap_or(At { line: begins, value: usual });
    if status.value != ended.status {
        let why = ended.failure.as_ref().map_or(String::new(), |failure| format!(": {failure}"));
        let found = format!("{}{why}", ended.status);
        wrong.push(Mismatch::between(status.line, "the run ended differently", status.value.to_string(), found));
    }
    if let Some(At { line, value: expected }) = &expect.failure {
        failure(*line, expected, ended, wrong);
    }
    labels(expect, &ended.labels, wrong);
    let result = ended.result.as_deref().unwrap_or_default();
    if let Some(At { line, value }) = &expect.result
        && !is(value, result)
    {
        wrong.push(Mismatch::between(*line, "the result is different", text_of(value), like(value, result)));
    }
    if let Some(At { line, value }) = &expect.result_contains
        && !shown(result).contains(value.as_str())
    {
        wrong.push(Mismatch::between(*line, "the result does not contain this", value.clone(), shown(result)));
    }
    if let Some(At { line, value: (status, headers) }) = &expect.response {
        let found = ended.response.clone().unwrap_or(faas_flow_core::ResponseHead { status: 200, headers: Vec::new() });
        if let Some(status) = status.filter(|status| *status != found.status) {
            let what = "the answer has a different status";
            wrong.push(Mismatch::between(*line, what, status.to_string(), found.status.to_string()));
        }
        for (name, value) in headers {
            let all = found.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            let values: Vec<&str> = all.map(|(_, value)| value.as_str()).collect();
            if !values.contains(&value.as_str()) {
                let what = format!("the header {name} of the answer has a different value");
                wrong.push(Mismatch::between(*line, what, value.clone(), values.join(", ")));
            }
        }
    }
}

fn failure(line: u64, expected: &ExpectedFailure, ended: &Ended, wrong: &mut Vec<Mismatch>) {
    let Some(found) = &ended.failure else {
        wrong.push(Mismatch::new(line, "the run was expected to fail, but has no failure"));
        return;
    };
    if let Some(code) = expected.code.filter(|code| *code != found.code) {
        let what = "the run failed for a different reason";
        wrong.push(Mismatch::between(line, what, code.to_string(), found.to_string()));
    }
    let at = found.path.as_ref().map(NodePath::to_string).unwrap_or_default();
    if let Some(node) = expected.node.as_ref().filter(|node| **node != at) {
        wrong.push(Mismatch::between(line, "a different node failed", node.clone(), at));
    }
    if let Some(part) = expected.contains.as_ref().filter(|part| !found.message.contains(part.as_str())) {
        let what = "the failure does not say this";
        wrong.push(Mismatch::between(line, what, part.clone(), found.message.clone()));
    }
    if let Some(status) = expected.status.filter(|status| found.status != Some(*status)) {
        let chosen =
            found.status.map_or_else(|| "none that the flow has chosen".to_owned(), |status| status.to_string());
        wrong.push(Mismatch::between(
            line,
            "the failure is answered with a different status",
            status.to_string(),
            chosen,
        ));
    }
}

fn labels(expect: &Expect, found: &Labels, wrong: &mut Vec<Mismatch>) {
    for (key, At { line, value }) in &expect.labels {
        let found = found.iter().find(|(known, _)| known == key).map(|(_, value)| value);
        if found != Some(value.as_str()) {
            let what = format!("the run has a different label {key}");
            wrong.push(Mismatch::between(*line, what, value.clone(), found.unwrap_or("no such label")));
        }
    }
}

fn shown_call(call: &Call) -> String {
    format!("{} {:?}", call.function, shown(&call.body))
}

fn expected_call(call: &ExpectedCall) -> String {
    match (&call.body, &call.body_contains) {
        (Some(body), _) => format!("{} {:?}", call.function, text_of(body)),
        (None, Some(part)) => format!("{} with {part:?} in its body", call.function),
        (None, None) => call.function.clone(),
    }
}

fn fits(expected: &ExpectedCall, call: &Call) -> bool {
    expected.function == call.function
        && expected.body.as_ref().is_none_or(|body| is(body, &call.body))
        && expected.body_contains.as_ref().is_none_or(|part| shown(&call.body).contains(part.as_str()))
}

fn calls(expect: &Expect, found: &[Call], wrong: &mut Vec<Mismatch>) {
    if let Some(At { line, value: expected }) = &expect.calls {
        let each: Vec<&At<ExpectedCall>> =
            expected.iter().flat_map(|call| std::iter::repeat_n(call, call.value.times)).collect();
        let differs = each.iter().zip(found).position(|(expected, call)| !fits(&expected.value, call));
        let at = differs.or_else(|| (each.len() != found.len()).then(|| each.len().min(found.len())));
        if let Some(at) = at {
            let line = each.get(at).map_or(*line, |call| call.line);
            let what = format!("call {} is different, or there are more or fewer calls", at + 1);
            let expected: Vec<String> = each.iter().map(|call| expected_call(&call.value)).collect();
            // Those that are as expected are written as expected, so that the difference shows.
            let found: Vec<String> = found
                .iter()
                .enumerate()
                .map(|(at, call)| match (each.get(at), expected.get(at)) {
                    (Some(one), Some(text)) if fits(&one.value, call) => text.clone(),
                    _ => shown_call(call),
                })
                .collect();
            wrong.push(Mismatch::between(line, what, expected.join("\n"), found.join("\n")));
        }
    }
    for (name, At { line, value }) in &expect.counts {
        let times = found.iter().filter(|call| call.function == *name).count();
        if times != *value {
            let what = format!("{name} is called more or less often than expected");
            wrong.push(Mismatch::between(*line, what, value.to_string(), times.to_string()));
        }
    }
}

/// The nodes that ran, by their paths and by their places.
pub(crate) fn ran(played: &Played, places: &Places) -> BTreeSet<String> {
    let ran = played.nodes.iter().filter(|node| node.ran());
    ran.flat_map(|node| [node.path.to_string(), places.place(&node.path)]).collect()
}

fn nodes(expect: &Expect, played: &Played, places: &Places, wrong: &mut Vec<Mismatch>) {
    let all = ran(played, places);
    let ran = |name: &str| all.contains(name);
    for At { line, value } in expect.ran.iter().filter(|name| !ran(&name.value)) {
        wrong.push(Mismatch::new(*line, format!("node `{value}` did not run")));
    }
    for At { line, value } in expect.did_not_run.iter().filter(|name| ran(&name.value)) {
        wrong.push(Mismatch::new(*line, format!("node `{value}` ran")));
    }
}

fn logs(expect: &Expect, played: &Played, wrong: &mut Vec<Mismatch>) {
    let mut lines = played.logs.iter();
    for At { line, value } in &expect.logs {
        if !lines.any(|logged| logged.text.contains(value.as_str())) {
            let all: Vec<&str> = played.logs.iter().map(|logged| logged.text.as_str()).collect();
            let what = "the flow does not log this, or not in this order";
            wrong.push(Mismatch::between(*line, what, value.clone(), all.join("\n")));
            return;
        }
    }
}
