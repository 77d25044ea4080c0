//! What the operations of a node got and yielded: a line for each piece of data, and the data below it.

use super::super::output::{Output, print_json, print_text};
use super::data::readable;
use crate::Error;
use faas_flow_http::{NodeOperations, OperationPayload};
use std::fmt::Write as _;

pub(super) fn show(shown: &NodeOperations, output: Output) -> Result<(), Error> {
    match output {
        Output::Json => print_json(shown)?,
        Output::Text => print_text(text(shown)),
    }
    Ok(())
}

fn text(NodeOperations { operations, dropped, .. }: &NodeOperations) -> String {
    let mut text = String::new();
    if operations.is_empty() && *dropped == 0 {
        text.push_str("Nothing is kept of this node's operations: none has finished, or run_payloads is 0.\n");
    }
    // Writing to a string cannot fail.
    if *dropped > 0 {
        let _ = writeln!(text, "{dropped} pieces of data were not kept, since they exceed run_payloads");
    }
    let mut before: Option<&OperationPayload> = None;
    for one in operations {
        let _ = writeln!(text, "{}", headline(one));
        let is_same = before.is_some_and(|before| {
            (&before.text, &before.base64, before.size) == (&one.text, &one.base64, one.size) && one.size > 0
        });
        match (&one.withheld, is_same) {
            (Some(why), _) => {
                let _ = writeln!(text, "  (not shown: {why})");
            }
            (None, true) => text.push_str("  (the same as before)\n"),
            (None, false) => text.push_str(&indented(one)),
        }
        before = Some(one);
    }
    text
}

/// `operation 0: apply wc, try 2, attempt 3, output from a (of 9), status 503, text/plain, 12 bytes, redacted`
fn headline(one: &OperationPayload) -> String {
    let mut facts = vec![match &one.target {
        Some(target) => format!("{} {target}", one.kind),
        None => one.kind.clone(),
    }];
    facts.extend(one.number.map(|number| format!("try {number}")));
    facts.extend((one.attempt > 1).then(|| format!("attempt {}", one.attempt)));
    let of = one.of.filter(|of| *of > 1).map_or(String::new(), |of| format!(" (of {of})"));
    facts.push(match &one.from {
        Some(from) => format!("{} {from}{of}", one.side),
        None => one.side.clone(),
    });
    facts.extend(one.status.map(|status| format!("status {status}")));
    facts.push(one.media_type.clone());
    facts.push(format!("{} bytes", one.size));
    facts.extend(one.redacted.then(|| "redacted".to_owned()));
    let operation = one.operation.map_or(String::new(), |index| format!("operation {index}: "));
    // The names of branches come from data, and a line is to stay one.
    (operation + &facts.join(", ")).replace(['\n', '\r'], " ")
}

fn indented(one: &OperationPayload) -> String {
    let bytes = one.bytes();
    let (readable, shown) = readable(&bytes);
    let mut text: String = readable.lines().map(|line| format!("  {line}\n")).collect();
    if (shown as u64) < one.size {
        let _ = writeln!(text, "  … (the first {shown} of {} bytes)", one.size);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_piece_of_data_has_a_line_and_is_shown_once() {
        let shown = json!({
            "request_id": "r", "node": "n", "dropped": 2,
            "operations": [
                { "at": 1, "attempt": 1, "kind": "modify", "operation": 0, "side": "output", "media_type": "text/plain", "size": 2, "text": "hi" },
                { "at": 1, "attempt": 1, "kind": "apply", "operation": 1, "target": "wc", "try": 1, "side": "input", "media_type": "text/plain", "size": 2, "text": "hi" },
                { "at": 1, "attempt": 2, "kind": "apply", "operation": 1, "target": "wc", "try": 1, "side": "output", "status": 503, "media_type": "application/json", "size": 7, "redacted": true, "text": "{\"a\":1}" },
                { "at": 1, "attempt": 1, "kind": "aggregate", "side": "input", "from": "a\nb", "of": 9, "media_type": "application/octet-stream", "size": 9, "base64": "/w==" },
                { "at": 1, "attempt": 1, "kind": "forward", "side": "input", "media_type": "a/b", "size": 9, "redacted": true, "withheld": "it is no JSON" },
            ],
        });
        let expected = "2 pieces of data were not kept, since they exceed run_payloads
operation 0: modify, output, text/plain, 2 bytes
  hi
operation 1: apply wc, try 1, input, text/plain, 2 bytes
  (the same as before)
operation 1: apply wc, try 1, attempt 2, output, status 503, application/json, 7 bytes, redacted
  {
    \"a\": 1
  }
aggregate, input a b (of 9), application/octet-stream, 9 bytes
  00000000  ff                                               .
  … (the first 1 of 9 bytes)
forward, input, a/b, 9 bytes, redacted
  (not shown: it is no JSON)
";
        assert_eq!(text(&serde_json::from_value(shown).unwrap()), expected);
        let nothing = json!({ "request_id": "r", "node": "n", "dropped": 0, "operations": [] });
        assert!(text(&serde_json::from_value(nothing).unwrap()).starts_with("Nothing is kept"));
    }
}
