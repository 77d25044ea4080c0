//! Writes how scenarios went into their files, as what is expected. Everything else in a file stays as it is.

use crate::play::Played;
use crate::{Error, Tested};
use faas_flow_core::Status;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

impl Tested {
    /// Whether the run has come to an end that can be written down as what is expected.
    pub fn can_be_updated(&self) -> bool {
        let Played { ended, missing, violations, done, .. } = &self.played;
        let refused = done.iter().any(|done| done.refused.is_some());
        ended.is_some() && missing.is_empty() && violations.is_empty() && !refused
    }
}

/// Writes the expectations of scenarios that have failed, or that expect nothing. Answers with the files that were written.
pub fn update(tested: &[Tested]) -> Result<Vec<PathBuf>, Error> {
    let mut files: BTreeMap<&Path, Vec<&Tested>> = BTreeMap::new();
    let is_due = |tested: &&Tested| !tested.wrong.is_empty() || tested.scenario.expect.line.is_none();
    for tested in tested.iter().filter(is_due).filter(|tested| tested.can_be_updated()) {
        files.entry(&tested.scenario.file).or_default().push(tested);
    }
    let mut written = Vec::new();
    for (path, mut all) in files {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        // From the end on, so that the lines before stay where they are.
        all.sort_by_key(|tested| std::cmp::Reverse(tested.scenario.line));
        for tested in all {
            put(&mut lines, tested);
        }
        let text = lines.join("\n") + "\n";
        std::fs::write(path, text).map_err(|source| Error::Unwritable { path: path.to_owned(), source })?;
        written.push(path.to_owned());
    }
    Ok(written)
}

/// How far a line is indented; a `-` that begins an item counts as a space.
fn indent(line: &str) -> usize {
    line.chars().take_while(|c| [' ', '-'].contains(c)).count()
}

/// The number of the line behind a block that begins before `from`: whose lines are indented by `least` or more.
fn block_end(lines: &[String], from: usize, least: usize) -> usize {
    let belongs = |line: &String| {
        let spaces = line.chars().take_while(|c| *c == ' ').count();
        line.trim().is_empty() || spaces >= least
    };
    let end = lines.iter().skip(from).position(|line| !belongs(line)).map_or(lines.len(), |behind| from + behind);
    let blank = lines.iter().take(end).skip(from).rev().take_while(|line| line.trim().is_empty()).count();
    end - blank
}

/// Replaces what a scenario expects.
fn put(lines: &mut Vec<String>, tested: &Tested) {
    let first = usize::try_from(tested.scenario.line).unwrap_or(1).saturating_sub(1);
    let depth = lines.get(first).map_or(0, |line| indent(line));
    let end = block_end(lines, first + 1, depth);
    let is_expect = |line: &String| line.trim_start_matches([' ', '-']).starts_with("expect:") && indent(line) == depth;
    let at = (first..end).find(|at| lines.get(*at).is_some_and(&is_expect));
    let (from, to) = match at {
        Some(at) => (at, block_end(lines, at + 1, depth + 1)),
        None => (end, end),
    };
    let pad = " ".repeat(depth);
    let mut new = vec![format!("{pad}expect:")];
    new.extend(expectations(tested).into_iter().map(
        |line| {
            if line.is_empty() { line } else { format!("{pad}  {line}") }
        },
    ));
    lines.splice(from..to, new);
}

/// What is expected from now on: all that was before, as it came; or else how the run ends, and its calls.
fn expectations(tested: &Tested) -> Vec<String> {
    let (expect, played) = (&tested.scenario.expect, &tested.played);
    let Some(ended) = &played.ended else { return Vec::new() };
    let is_new = expect.line.is_none();
    let mut lines = Vec::new();
    if is_new || expect.status.is_some() || ended.status != Status::Succeeded {
        lines.push(format!("status: {}", ended.status));
    }
    let result = ended.result.as_deref().unwrap_or_default();
    let holds = |part: &str| String::from_utf8_lossy(result).contains(part);
    match &expect.result_contains {
        Some(part) if holds(&part.value) => entry(&mut lines, "result-contains", &Value::from(part.value.clone())),
        _ => {}
    }
    let partly = expect.result_contains.as_ref().is_some_and(|part| !holds(&part.value));
    if (is_new || expect.result.is_some() || partly)
        && ended.status == Status::Succeeded
        && let Ok(text) = std::str::from_utf8(result)
    {
        let json = expect.result.as_ref().is_some_and(|result| !result.value.is_string());
        let value = if json { serde_json::from_str(text).ok() } else { None };
        entry(&mut lines, "result", &value.unwrap_or_else(|| Value::from(text)));
    }
    if let Some(failure) = &ended.failure {
        lines.push("failure:".to_owned());
        lines.push(format!("  code: {}", failure.code));
        if let Some(path) = &failure.path {
            lines.push(format!("  node: {}", scalar(&path.to_string())));
        }
        let expected = expect.failure.as_ref().map(|expected| &expected.value);
        let part = expected.and_then(|expected| expected.contains.as_ref());
        if let Some(part) = part.filter(|part| failure.message.contains(part.as_str())) {
            lines.push(format!("  contains: {}", scalar(part)));
        }
        let status = expected.and_then(|expected| expected.status).and(failure.status);
        lines.extend(status.map(|status| format!("  status: {status}")));
    }
    if let Some(expected) = &expect.response {
        let (status, headers) = ended.response.as_ref().map_or((200, &[][..]), |head| (head.status, &*head.headers));
        lines.push("response:".to_owned());
        lines.push(format!("  status: {status}"));
        let is_named = |name: &str| expected.value.1.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let headers: Vec<&(String, String)> = headers.iter().filter(|(name, _)| is_named(name)).collect();
        if !headers.is_empty() {
            lines.push("  headers:".to_owned());
            lines.extend(headers.iter().map(|(name, value)| format!("    {}: {}", scalar(name), scalar(value))));
        }
    }
    if is_new || expect.calls.is_some() {
        lines.push(if played.calls.is_empty() { "calls: []".to_owned() } else { "calls:".to_owned() });
        for call in &played.calls {
            lines.push(format!("  - function: {}", scalar(&call.function)));
            if let Ok(text) = std::str::from_utf8(&call.body) {
                let mut body = Vec::new();
                entry(&mut body, "body", &Value::from(text));
                lines.extend(body.into_iter().map(|line| if line.is_empty() { line } else { format!("    {line}") }));
            }
        }
    }
    if !expect.counts.is_empty() {
        lines.push("counts:".to_owned());
        for (name, _) in &expect.counts {
            let times = played.calls.iter().filter(|call| call.function == *name).count();
            lines.push(format!("  {}: {times}", scalar(name)));
        }
    }
    let named = |key: &str| expect.labels.iter().any(|(known, _)| known == key);
    let labels: Vec<(&str, &str)> = ended.labels.iter().filter(|(key, _)| named(key)).collect();
    if !labels.is_empty() {
        lines.push("labels:".to_owned());
        lines.extend(labels.iter().map(|(key, value)| format!("  {}: {}", scalar(key), scalar(value))));
    }
    let ran = |name: &str| tested.ran(name);
    list(&mut lines, "ran", expect.ran.iter().map(|one| &one.value).filter(|name| ran(name)));
    list(&mut lines, "did-not-run", expect.did_not_run.iter().map(|one| &one.value).filter(|name| !ran(name)));
    let logged = |text: &String| played.logs.iter().any(|line| line.text.contains(text.as_str()));
    list(&mut lines, "logs", expect.logs.iter().map(|one| &one.value).filter(|text| logged(text)));
    if expect.takes.is_some() {
        lines.push(format!("takes: {}", duration(played.took)));
    }
    lines
}

fn list<'a>(lines: &mut Vec<String>, key: &str, values: impl Iterator<Item = &'a String>) {
    let values: Vec<String> = values.map(|value| format!("  - {}", scalar(value))).collect();
    if !values.is_empty() {
        lines.push(format!("{key}:"));
        lines.extend(values);
    }
}

/// A duration as scenarios write it: `2d1h`, `1500ms`.
fn duration(time: Duration) -> String {
    let (mut rest, mut text) = (time.as_millis(), String::new());
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// An entry of a map: of one line, or with a block of text.
fn entry(lines: &mut Vec<String>, key: &str, value: &Value) {
    let Value::String(text) = value else {
        lines.push(format!("{key}: {value}"));
        return;
    };
    let is_plain = |line: &str| !line.ends_with(' ') && !line.chars().any(|c| c.is_control() || c == '\u{feff}');
    let is_block = text.contains('\n')
        && !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
        && text.split('\n').all(is_plain);
    if !is_block {
        lines.push(format!("{key}: {}", scalar(text)));
        return;
    }
    let keeps = if text.ends_with('\n') { "|" } else { "|-" };
    lines.push(format!("{key}: {keeps}"));
    let block = text.strip_suffix('\n').unwrap_or(text);
    lines.extend(block.split('\n').map(|line| if line.is_empty() { String::new() } else { format!("  {line}") }));
}

/// A text on one line, in quotes unless it is plainly text.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "nan", "inf"];
    let is_inner = |c: char| c.is_ascii_alphanumeric() || " _./[]()-".contains(c);
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && text.chars().all(is_inner)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
        && text.parse::<f64>().is_err();
    // A string of JSON is one of YAML.
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(text: &str) -> Value {
        let mut lines = Vec::new();
        entry(&mut lines, "key", &Value::from(text));
        let map: BTreeMap<String, Value> = serde_saphyr::from_str(&(lines.join("\n") + "\n")).unwrap();
        map["key"].clone()
    }

    #[test]
    fn whatever_is_written_is_read_back() {
        let texts = [
            "",
            " ",
            "a",
            "no",
            "1.5",
            "a: b",
            "a #b",
            "- a",
            "[a]",
            "a\nb",
            "a\nb\n",
            "a\n\nb",
            "\na",
            " a\nb",
            "a \nb",
            "a\n\n",
            "\t",
            "\"quoted\"",
            "it's",
            "ü\u{1b}",
            "{\"a\": 1}",
            "a\r\nb",
            "~",
            "NaN",
            "0x10",
            "e",
            "a,b",
        ];
        for text in texts {
            assert_eq!(read_back(text), Value::from(text), "{text:?}");
        }
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        assert_eq!(duration(Duration::from_secs(90_061)), "1d1h1m1s");
        assert_eq!(duration(Duration::from_millis(1_500)), "1s500ms");
        assert_eq!(duration(Duration::ZERO), "0s");
    }

    #[test]
    fn a_block_ends_before_what_is_less_indented_and_before_blank_lines() {
        let lines: Vec<String> = "- a: 1\n  b:\n    c: 2\n\n- d: 3".lines().map(str::to_owned).collect();
        assert_eq!(block_end(&lines, 1, 2), 3);
        assert_eq!(block_end(&lines, 2, 3), 3);
        assert_eq!(indent("  - a"), 4);
    }
}
