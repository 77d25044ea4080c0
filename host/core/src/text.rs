//! Text that comes from outside, such as the messages of flows and functions: how much of it is kept, and how it is shown.

use std::fmt::{self, Write};

/// The most bytes of a text from outside that are kept, with the mark that says how long it was.
pub const TEXT_LIMIT: usize = 8 * 1024;

/// Room for the mark of a text that was cut off.
const MARK: usize = 64;

/// The text, cut off at a character's end if it has more than [`TEXT_LIMIT`] bytes. The mark at its end says how many it had.
pub fn bounded(text: impl Into<String>) -> String {
    let mut text = text.into();
    let size = text.len();
    if size > TEXT_LIMIT {
        text.truncate(text.floor_char_boundary(TEXT_LIMIT - MARK));
        text.shrink_to_fit();
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", CutOff(size));
    }
    text
}

/// The mark of a text that was cut off.
struct CutOff(usize);

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "… (cut off; it has {} bytes)", self.0)
    }
}

/// Shows a text on one line: what would begin a line, control a terminal or change the direction of writing is written as
/// `\n` or `\u{1b}`.
pub fn printable(text: &(impl fmt::Display + ?Sized)) -> impl fmt::Display {
    Printable(text, Lines::One)
}

/// Shows a text as [`printable`] does, but keeps its line breaks and tabs.
pub fn printable_lines(text: &(impl fmt::Display + ?Sized)) -> impl fmt::Display {
    Printable(text, Lines::Several)
}

/// Shows a text as [`printable_lines`] does, each line but the first behind so many spaces.
pub fn indented(text: &(impl fmt::Display + ?Sized), spaces: usize) -> String {
    printable_lines(text).to_string().replace('\n', &format!("\n{:spaces$}", ""))
}

/// Whether a text keeps its line breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    Several,
}

struct Printable<'a, T: ?Sized>(&'a T, Lines);

impl<T: fmt::Display + ?Sized> fmt::Display for Printable<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping { out: f, lines: self.1 }, "{}", self.0)
    }
}

/// Writes a value on one line, as [`printable`] does, and at most [`TEXT_LIMIT`] bytes of it.
pub fn write_printable(out: &mut dyn Write, value: &dyn fmt::Debug) -> fmt::Result {
    let mut bounded = Bounded { out: Escaping { out, lines: Lines::One }, left: TEXT_LIMIT - MARK, size: 0 };
    write!(bounded, "{value:?}")?;
    let Bounded { out: Escaping { out, .. }, left, size } = bounded;
    if left == 0 { write!(out, "{}", CutOff(size)) } else { Ok(()) }
}

/// Passes text on with everything escaped that is not to be shown as it is.
struct Escaping<W> {
    out: W,
    lines: Lines,
}

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let keeps_lines = self.lines == Lines::Several;
        let is_shown = |c: char| !is_control(c) || keeps_lines && matches!(c, '\n' | '\t');
        for part in text.split_inclusive(|c| !is_shown(c)) {
            match part.char_indices().next_back() {
                Some((at, last)) if !is_shown(last) => {
                    self.out.write_str(part.get(..at).unwrap_or_default())?;
                    write_escaped(&mut self.out, last)?;
                }
                _ => self.out.write_str(part)?,
            }
        }
        Ok(())
    }
}

/// Passes on as much text as there is room for, and counts all of it.
struct Bounded<W> {
    out: W,
    /// 0 once something was left out.
    left: usize,
    size: usize,
}

impl<W: Write> Write for Bounded<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.size = self.size.saturating_add(text.len());
        if text.len() < self.left {
            self.left -= text.len();
            return self.out.write_str(text);
        }
        let fitting = text.get(..text.floor_char_boundary(self.left)).unwrap_or_default();
        self.left = 0;
        self.out.write_str(fitting)
    }
}

/// Whether a character controls how others are shown: control characters, line separators, and marks of direction.
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn write_escaped(out: &mut impl Write, c: char) -> fmt::Result {
    match c {
        '\n' | '\r' | '\t' => write!(out, "{}", c.escape_default()),
        c => write!(out, "{}", c.escape_unicode()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_a_characters_end_and_says_how_long_it_was() {
        assert_eq!(bounded("short"), "short");
        let exact = "a".repeat(TEXT_LIMIT);
        assert_eq!(bounded(exact.clone()), exact);
        for text in ["a".repeat(30 << 20), format!("a{}", "€".repeat(TEXT_LIMIT))] {
            let cut = bounded(text.clone());
            assert!(cut.len() <= TEXT_LIMIT && cut.len() > TEXT_LIMIT - 2 * MARK, "{}", cut.len());
            assert!(cut.ends_with(&format!("… (cut off; it has {} bytes)", text.len())), "{cut}");
            assert_eq!(bounded(cut.clone()), cut, "it is cut off once");
        }
    }

    #[test]
    fn what_controls_a_terminal_a_line_or_the_direction_is_escaped() {
        let nasty = "a\n\r\t\u{1b}[2J\u{7f}\u{9b}31m\u{2028}\u{2029}\u{202e}\u{2066}\u{61c}é日\\";
        let shown = printable(nasty).to_string();
        assert_eq!(shown, "a\\n\\r\\t\\u{1b}[2J\\u{7f}\\u{9b}31m\\u{2028}\\u{2029}\\u{202e}\\u{2066}\\u{61c}é日\\");
        assert_eq!(printable_lines("a\n\tb\u{1b}c\r\n").to_string(), "a\n\tb\\u{1b}c\\r\n");
        assert_eq!(printable("").to_string(), "");
    }

    #[test]
    fn a_value_is_written_on_one_line_and_no_longer_than_the_limit() {
        let mut out = String::new();
        write_printable(&mut out, &format_args!("a\nb")).unwrap();
        assert_eq!(out, "a\\nb");
        out.clear();
        write_printable(&mut out, &format_args!("{}€", "x".repeat(1 << 20))).unwrap();
        assert!(out.len() <= TEXT_LIMIT && out.ends_with("… (cut off; it has 1048579 bytes)"), "{}", out.len());
    }
}
