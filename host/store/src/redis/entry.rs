//! A run's entry as Redis has it: its text, and the words by which the run is found.

use crate::{RunEntry, RunFailure};
use faas_flow_core::{Code, Digest, FlowName, Labels, Millis, RunId, Status};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Labels as one word: `order=42,customer=7`, in which everything but letters and digits is percent-encoded. Empty without labels.
fn word(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| label_word(key, value)).collect::<Vec<_>>().join(",")
}

/// A label in that form.
pub(super) fn label_word(key: &str, value: &str) -> String {
    format!("{}={}", utf8_percent_encode(key, NON_ALPHANUMERIC), utf8_percent_encode(value, NON_ALPHANUMERIC))
}

fn labels(word: &str) -> Option<Labels> {
    let mut labels = Labels::new();
    for label in word.split(',') {
        let (key, value) = label.split_once('=')?;
        let text = |word| percent_decode_str(word).decode_utf8().ok();
        labels.insert(&text(key)?, &text(value)?).ok()?;
    }
    Some(labels)
}

/// What the index of words has of a run: its start, so that all have the same length, and its words, those of the host first.
pub(super) fn indexed(entry: &RunEntry) -> String {
    let RunEntry { flow, digest, status, labels, failure, started, .. } = entry;
    let mut indexed =
        format!("{started:020} {},{},{}", status_word(*status), flow_word(flow, *status), version_word(digest.short()));
    if let Some(RunFailure { code, .. }) = failure {
        indexed.push(',');
        indexed.push_str(&code_word(*code));
    }
    if !labels.is_empty() {
        indexed.push(',');
        indexed.push_str(&word(labels));
    }
    indexed
}

/// A status in the index of words. Unlike labels, words of the host begin with a colon.
pub(super) fn status_word(status: Status) -> String {
    format!(":s={}", status.as_str())
}

/// A flow with a status in the index of words.
pub(super) fn flow_word(flow: &FlowName, status: Status) -> String {
    format!(":f={}={}", utf8_percent_encode(flow.as_str(), NON_ALPHANUMERIC), status.as_str())
}

/// The beginning of a version's digest in the index of words.
pub(super) fn version_word(short: &str) -> String {
    format!(":v={short}")
}

/// The code of a failure in the index of words.
pub(super) fn code_word(code: Code) -> String {
    format!(":c={code}")
}

/// Encodes how a run has failed: code and message.
pub(super) fn encode_failure(RunFailure { code, message }: &RunFailure) -> String {
    format!("{code} {message}")
}

/// Decodes what [`encode_failure`] has written.
pub(super) fn decode_failure(bytes: &[u8]) -> Option<RunFailure> {
    let (code, message) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
    Some(RunFailure { code: Code::parse(code).unwrap_or(Code::INTERNAL), message: message.to_owned() })
}

/// Encodes an entry as words: flow, digest, status, start, end, due, and labels if there are any.
pub(super) fn encode(entry: &RunEntry) -> String {
    let optional = |time: Option<Millis>| time.map_or("-".into(), |time| time.to_string());
    let RunEntry { run: _, flow, digest, status, labels, failure: _, started, ended, due } = entry;
    let labels = if labels.is_empty() { String::new() } else { format!(" {}", word(labels)) };
    format!("{flow} {digest} {} {started} {} {}{labels}", status.as_str(), optional(*ended), optional(*due))
}

/// Decodes what [`encode`] has written.
pub(super) fn decode(run: &RunId, bytes: &[u8]) -> Option<RunEntry> {
    let optional = |word: &str| match word {
        "-" => Some(None),
        time => time.parse().ok().map(Some),
    };
    let mut words: Vec<&str> = std::str::from_utf8(bytes).ok()?.split(' ').collect();
    let labels = if words.len() == 7 { labels(words.pop()?)? } else { Labels::new() };
    let [flow, digest, status, started, ended, due] = words.try_into().ok()?;
    Some(RunEntry {
        run: run.clone(),
        flow: FlowName::new(flow).ok()?,
        digest: Digest::new(digest).ok()?,
        status: Status::parse(status)?,
        labels,
        failure: None,
        started: started.parse().ok()?,
        ended: optional(ended)?,
        due: optional(due)?,
    })
}
