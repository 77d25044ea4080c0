//! What turns one text into another, line by line: which lines of the old text stay, and what is new. `live.js` applies it.

use serde::Serialize;
use std::collections::HashMap;

/// A part of the new text.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Part<'a> {
    /// Lines of the old text: the number of the first one, from 0, and how many.
    Old(usize, usize),
    /// New lines.
    New(&'a str),
}

/// The parts of the new text. Lines that have moved count as old ones.
pub(super) fn patch<'a>(old: &str, new: &'a str) -> Vec<Part<'a>> {
    let old: Vec<&str> = old.split('\n').collect();
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(old.len());
    for (place, line) in old.iter().enumerate() {
        places.entry(line).or_insert(place);
    }
    let mut parts = Vec::new();
    // Where the new lines begin that have no part yet, and where the next line begins.
    let (mut begin, mut at) = (0, 0);
    let mut follows = 0;
    for line in new.split('\n') {
        // The line after the last one that stayed, before any other of the same text.
        let place = if old.get(follows) == Some(&line) { Some(follows) } else { places.get(line).copied() };
        if let Some(place) = place {
            if begin < at {
                parts.push(Part::New(new.get(begin..at - 1).unwrap_or_default()));
            }
            match parts.last_mut() {
                Some(Part::Old(first, count)) if *first + *count == place && begin == at => *count += 1,
                _ => parts.push(Part::Old(place, 1)),
            }
            begin = at + line.len() + 1;
            follows = place + 1;
        }
        at += line.len() + 1;
    }
    if begin < at {
        parts.push(Part::New(new.get(begin..).unwrap_or_default()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `live.js` does.
    fn patched(old: &str, parts: &[Part<'_>]) -> String {
        let old: Vec<&str> = old.split('\n').collect();
        let lines = parts.iter().flat_map(|part| match part {
            Part::Old(first, count) => old[*first..first + count].to_vec(),
            Part::New(text) => vec![*text],
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn only_what_is_new_is_sent() {
        assert_eq!(patch("a\nb\nc", "a\nx\nc"), [Part::Old(0, 1), Part::New("x"), Part::Old(2, 1)]);
        assert_eq!(patch("a\nb\nc", "a\nb\nc"), [Part::Old(0, 3)]);
        assert_eq!(patch("a\nb\nc", "new\na\nb\nc"), [Part::New("new"), Part::Old(0, 3)]);
        assert_eq!(patch("a\nb\nc", "c\na\nb"), [Part::Old(2, 1), Part::Old(0, 2)]);
        assert_eq!(patch("", "a\nb"), [Part::New("a\nb")]);
        let sent = serde_json::to_string(&patch("a\nb", "b\n\"c\"")).unwrap();
        assert_eq!(sent, r#"[[1,1],"\"c\""]"#);
    }

    proptest! {
        #[test]
        fn a_patch_yields_the_new_text(old in "[ab\n]{0,30}", new in "[abc\n]{0,30}") {
            prop_assert_eq!(patched(&old, &patch(&old, &new)), new);
        }
    }
}
