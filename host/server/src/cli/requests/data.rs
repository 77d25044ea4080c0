//! What a node got or yielded: for people on a terminal, and as it is for programs.

use super::super::output::{Output, complain, print, print_json, print_text};
use crate::Error;
use bytes::Bytes;
use clap::Args;
use faas_flow_core::{MediaType, NodePath};
use faas_flow_guest::HttpResponse;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdout};

/// How much of the data a terminal shows, in bytes.
const PREVIEW: usize = 256 * 1024;
/// How much of binary data a terminal shows, in bytes.
const HEX: usize = 4096;

#[derive(Args)]
pub(super) struct Data {
    /// Path of a node, for example C[c1]/n1, to show what it got (--input) or yielded (--output), or what its operations did (--operations)
    #[arg(long, value_name = "PATH", requires = "side")]
    node: Option<String>,
    /// Show what the node got, before any forwarder or aggregator
    #[arg(long, requires = "node", group = "side")]
    input: bool,
    /// Show what the node yielded
    #[arg(long, requires = "node", group = "side")]
    output: bool,
    /// Show what each operation of the node got and yielded, with every try of its calls, as far as it is kept (run_payloads)
    #[arg(long, requires = "node", group = "side")]
    operations: bool,
    /// If the node has several predecessors: the one whose output to show
    #[arg(long, value_name = "NODE", requires = "input", conflicts_with_all = ["output", "operations"])]
    from: Option<String>,
}

/// What is asked about a node.
pub(super) enum About {
    /// Its input or output.
    Data(Asked),
    /// What its operations got and yielded.
    Operations(NodePath),
}

/// Which data of which node.
pub(super) struct Asked {
    node: NodePath,
    side: &'static str,
    from: Option<String>,
}

impl Data {
    pub(super) fn asked(self) -> Result<Option<About>, Error> {
        let Some(node) = self.node.as_deref().map(NodePath::parse).transpose()? else { return Ok(None) };
        if self.operations {
            return Ok(Some(About::Operations(node)));
        }
        let side = if self.input { "input" } else { "output" };
        Ok(Some(About::Data(Asked { node, side, from: self.from })))
    }
}

impl Asked {
    pub(super) fn side(&self) -> &'static str {
        self.side
    }

    /// A terminal does not show more than a preview, so no more is asked for.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let preview = stdout().is_terminal().then(|| ("preview", PREVIEW.to_string()));
        let from = self.from.clone().map(|from| ("from", from));
        [("node", self.node.to_string())].into_iter().chain(from).chain(preview).collect()
    }
}

/// What a server has answered.
pub(super) struct Shown {
    media_type: MediaType,
    /// The size of all of it, in bytes.
    size: usize,
    /// Its beginning, or all of it.
    bytes: Bytes,
}

impl Shown {
    /// `None` if the answer does not come from such a route.
    pub(super) fn of(answer: HttpResponse) -> Option<Self> {
        let (_, size) = answer.headers.iter().find(|(name, _)| name == "x-faas-flow-size")?;
        Some(Self { media_type: answer.media_type(), size: size.parse().ok()?, bytes: answer.body })
    }

    pub(super) fn print(self, output: Output) -> Result<(), Error> {
        match output {
            Output::Json => print_json(&self.json()),
            Output::Text if stdout().is_terminal() => {
                complain(format_args!("{}, {} bytes", self.media_type, self.size));
                print_text(self.text());
                Ok(())
            }
            Output::Text => {
                print(&self.bytes);
                Ok(())
            }
        }
    }

    fn json(&self) -> Value {
        let mut shown = json!({ "media_type": self.media_type.to_string(), "size": self.size });
        let (name, value) = match (serde_json::from_slice::<Value>(&self.bytes), std::str::from_utf8(&self.bytes)) {
            (Ok(value), _) => ("json", value),
            (_, Ok(text)) => ("text", json!(text)),
            _ => ("hex", json!(self.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())),
        };
        if let Some(shown) = shown.as_object_mut() {
            shown.insert(name.to_owned(), value);
            if self.bytes.len() < self.size {
                shown.insert("shown".to_owned(), json!(self.bytes.len()));
            }
        }
        shown
    }

    /// JSON is indented, other text stays as it is, and binary data is shown as hexadecimal numbers.
    fn text(&self) -> String {
        let (mut text, shown) = readable(&self.bytes);
        if shown < self.size {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "… (the first {shown} of {} bytes; write them to a file to get all)", self.size);
        }
        text
    }
}

/// Bytes as lines for people, and how many of them these show.
pub(super) fn readable(bytes: &[u8]) -> (String, usize) {
    let (mut text, shown) = match (serde_json::from_slice::<Value>(bytes), beginning(bytes)) {
        (Ok(value), _) => (format!("{value:#}"), bytes.len()),
        (_, Some(text)) => (text.to_owned(), text.len()),
        _ => {
            let bytes = bytes.get(..HEX).unwrap_or(bytes);
            (hex(bytes), bytes.len())
        }
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    (text, shown)
}

/// The text that the bytes are, without a character that is cut off at their end; `None` if they are something else.
fn beginning(bytes: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?,
        Err(_) => return None,
    };
    Some(text).filter(|text| !text.contains('\0'))
}

/// Sixteen bytes a line: where they are, the bytes, and the letters that they are.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (at, line) in bytes.chunks(16).enumerate() {
        let numbers = line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        let letter = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let letters: String = line.iter().map(letter).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:08x}  {numbers:<47}  {letters}", at * 16);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::text::printable_lines;

    /// As a terminal shows it.
    fn shown(bytes: impl Into<Bytes>, size: usize) -> String {
        let shown = Shown { media_type: MediaType::OCTET_STREAM, size, bytes: bytes.into() };
        printable_lines(&shown.text()).to_string()
    }

    #[test]
    fn json_is_indented_and_text_cannot_control_the_terminal() {
        assert_eq!(shown("{\"a\":[1,\"\u{202e}x\"]}", 16), "{\n  \"a\": [\n    1,\n    \"\\u{202e}x\"\n  ]\n}\n");
        assert_eq!(shown("<script>\u{1b}[2J\u{202e}", 15), "<script>\\u{1b}[2J\\u{202e}\n");
        assert_eq!(shown("", 0), "");
    }

    #[test]
    fn what_is_no_text_is_shown_as_numbers_up_to_a_limit() {
        let line = "00000000  00 ff 41 0a                                      ..A.\n";
        assert_eq!(shown(&b"\0\xffA\n"[..], 4), line);
        let long = shown(vec![0xff; 2 * HEX], 16 << 20);
        assert_eq!(long.lines().count(), HEX / 16 + 1);
        assert!(long.contains("… (the first 4096 of 16777216 bytes"), "{long}");
    }

    #[test]
    fn a_character_that_the_preview_cuts_off_is_left_out() {
        let text = "a€".as_bytes();
        assert_eq!(shown(text[..3].to_vec(), 4), "a\n… (the first 1 of 4 bytes; write them to a file to get all)\n");
    }
}
