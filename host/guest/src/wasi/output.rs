//! What a flow's code writes to stdout and stderr: made into lines, and the last of it kept.

use faas_flow_core::text::TEXT_LIMIT;

/// The longest line, in bytes. A longer one becomes several.
const LONGEST: usize = 4 << 10;
/// How much of what was written to stderr is kept, in bytes: what a failure can repeat beside its own words.
const KEPT: usize = TEXT_LIMIT - (1 << 10);

/// Makes lines of what comes in parts.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    part: Vec<u8>,
}

impl Lines {
    /// Takes some bytes, and passes on each line that they complete, without its end. Empty lines are left out.
    pub(crate) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut rest = part.strip_suffix(b"\n").unwrap_or(part);
            while self.part.len() + rest.len() > LONGEST {
                let (fitting, more) = rest.split_at(LONGEST.saturating_sub(self.part.len()));
                self.part.extend_from_slice(fitting);
                rest = more;
                self.end(&mut line);
            }
            self.part.extend_from_slice(rest);
            if part.ends_with(b"\n") {
                self.end(&mut line);
            }
        }
    }

    /// Ends the line that has no end yet, if there is one.
    pub(crate) fn end(&mut self, mut line: impl FnMut(&str)) {
        let part = self.part.strip_suffix(b"\r").unwrap_or(&self.part);
        if !part.is_empty() {
            line(&String::from_utf8_lossy(part));
        }
        self.part.clear();
    }
}

/// The last of what was written to stderr.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    bytes: Vec<u8>,
    /// Whether something was written before.
    is_cut: bool,
}

impl LastWords {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Not at each call, since the rest is moved.
        if self.bytes.len() > 2 * KEPT {
            self.bytes.drain(..self.bytes.len() - KEPT);
            self.is_cut = true;
        }
    }

    pub(crate) fn forget(&mut self) {
        self.bytes.clear();
        self.is_cut = false;
    }

    /// The last lines; `None` if nothing was written.
    pub(crate) fn text(&self) -> Option<String> {
        let excess = self.bytes.len().saturating_sub(KEPT);
        let text = String::from_utf8_lossy(self.bytes.get(excess..).unwrap_or_default());
        let text = text.trim();
        let is_cut = self.is_cut || excess > 0;
        let whole_lines = if is_cut { text.split_once('\n').map_or(text, |(_, rest)| rest) } else { text };
        let mark = if is_cut { "…\n" } else { "" };
        (!text.is_empty()).then(|| format!("{mark}{whole_lines}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let mut made = Vec::new();
        let mut lines = Lines::default();
        for part in parts {
            lines.push(part, |line| made.push(line.to_owned()));
        }
        lines.end(|line| made.push(line.to_owned()));
        made
    }

    #[test]
    fn lines_are_made_of_parts() {
        assert_eq!(
            lines(&[b"panic: ", b"boom", b"\n\n", b"goroutine 1\r\n\t", b"main.go"]),
            ["panic: boom", "goroutine 1", "\tmain.go"]
        );
        assert_eq!(lines(&[b"\xff\n"]), ["\u{fffd}"]);
        assert!(lines(&[b"", b"\n\n"]).is_empty());
    }

    #[test]
    fn a_line_without_end_becomes_several() {
        let made = lines(&[&[b'x'; 3 * LONGEST], b"y\n", &[b'z'; LONGEST], b"\n"]);
        assert_eq!(made.iter().map(String::len).collect::<Vec<_>>(), [LONGEST, LONGEST, LONGEST, 1, LONGEST]);
    }

    #[test]
    fn the_last_lines_are_kept_and_are_whole() {
        let mut last = LastWords::default();
        assert_eq!(last.text(), None);
        last.add(b"panic: boom\n");
        assert_eq!(last.text().as_deref(), Some("panic: boom"));
        for number in 0..10_000 {
            last.add(format!("line {number}\n").as_bytes());
        }
        let text = last.text().unwrap();
        assert!(text.starts_with("…\nline ") && text.ends_with("\nline 9999") && text.len() <= KEPT + 4, "{text}");
        last.forget();
        assert_eq!(last.text(), None);
    }
}
