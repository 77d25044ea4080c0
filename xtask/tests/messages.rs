//! The example messages on the pages of error codes are messages that the program has.
//!
//! A page shows a message with values in it (`…` stands for more text); the sources have it with gaps, `{name}`. Both are
//! patterns, and an example is right if some text fits it and a string of the sources.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Codes whose messages are texts of the flow.
const OF_THE_FLOW: [&str; 2] = ["FF0012", "FF0013"];
/// The fewest letters of a string that identify a whole message, and those of one that may follow other text.
const WHOLE: usize = 8;
const END: usize = 12;

#[test]
fn the_examples_of_error_pages_are_messages_of_the_program() {
    // As Cargo says when it runs the test: a target folder that clones share may have this program from another one.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).parent().unwrap();
    let sources =
        files(&root.join("host"), "rs").into_iter().filter(|file| !file.components().any(|c| c.as_os_str() == "tests"));
    let strings: Vec<Pattern> = sources.flat_map(|file| strings(&fs::read_to_string(file).unwrap())).collect();
    let mut wrong = Vec::new();
    for page in files(&root.join("docs/errors"), "md") {
        for line in fs::read_to_string(&page).unwrap().lines() {
            let Some((code, message)) = line.strip_prefix("error ").and_then(|line| line.split_once(": ")) else {
                continue;
            };
            let code = code.split(' ').next().unwrap();
            let example = Pattern::new(&message.replace('…', "{}"));
            if !OF_THE_FLOW.contains(&code) && !strings.iter().any(|string| string.may_be(&example)) {
                wrong.push(line.to_owned());
            }
        }
    }
    assert!(wrong.is_empty(), "the program has no such messages:\n{}", wrong.join("\n"));
}

/// A text with gaps, which are `None`.
#[derive(Debug)]
struct Pattern {
    parts: Vec<Option<char>>,
    /// The words of the text that are certainly whole.
    words: Vec<String>,
}

impl Pattern {
    /// Reads the text of a format string.
    fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut words = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' if rest.peek() != Some(&'{') => {
                    while rest.next().is_some_and(|c| c != '}') {}
                    parts.push(None);
                }
                c => {
                    // `{{` and `}}` stand for one.
                    if c == '{' || c == '}' {
                        rest.next_if_eq(&c);
                    }
                    parts.push(Some(c));
                }
            }
        }
        for literal in parts.split(Option::is_none) {
            let literal: String = literal.iter().flatten().collect();
            words.extend(literal.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 4).map(str::to_owned));
        }
        Self { parts, words }
    }

    fn letters(&self) -> usize {
        self.parts.iter().flatten().filter(|c| c.is_alphabetic()).count()
    }

    /// Whether this string, alone or after other text, can be the example.
    fn may_be(&self, example: &Pattern) -> bool {
        let letters = self.letters();
        let is_likely = self.words.is_empty()
            || self.words.iter().any(|word| example.words.iter().any(|other| other.contains(word.as_str())));
        is_likely
            && (letters >= WHOLE && meet(&self.parts, &example.parts)
                || letters >= END && meet(&[&[None], &*self.parts].concat(), &example.parts))
    }
}

/// Whether some text fits both patterns.
fn meet(one: &[Option<char>], other: &[Option<char>]) -> bool {
    // Whether the rest of `one` meets each rest of `other`, from the ends of both.
    let mut below: Vec<bool> = (0..=other.len()).map(|j| other[j..].iter().all(Option::is_none)).collect();
    for i in (0..one.len()).rev() {
        let mut row = vec![false; other.len() + 1];
        row[other.len()] = one[i].is_none() && below[other.len()];
        for j in (0..other.len()).rev() {
            row[j] = match (one[i], other[j]) {
                (Some(a), Some(b)) => a == b && below[j + 1],
                // A gap stands for nothing, or for one more character of the other pattern.
                _ => below[j] || row[j + 1],
            };
        }
        below = row;
    }
    below[0]
}

/// The strings in a source file, without those in comments.
fn strings(source: &str) -> Vec<Pattern> {
    let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n").replace("'\"'", "' '");
    let mut found = Vec::new();
    let mut rest = code.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '"' {
            continue;
        }
        let mut text = String::new();
        while let Some(c) = rest.next().filter(|c| *c != '"') {
            match c {
                '\\' => match rest.next() {
                    // The next line continues the text.
                    Some('\n') => while rest.next_if(|c| c.is_whitespace()).is_some() {},
                    Some('n') => text.push('\n'),
                    Some(escaped) => text.push(escaped),
                    None => {}
                },
                c => text.push(c),
            }
        }
        found.push(Pattern::new(&text));
    }
    found
}

/// The files with this extension in a folder and its folders.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|has| has == extension) {
            found.push(path);
        }
    }
    found
}

#[test]
fn patterns_meet_if_a_text_fits_both() {
    let meets = |one, other| meet(&Pattern::new(one).parts, &Pattern::new(other).parts);
    assert!(meets("cannot read {}: {source}", "cannot read a.txt: no such file"));
    assert!(meets("the store {place} is full: free some space", "the store flows.db is full: {}"));
    assert!(!meets("unknown key `{}`{}", "there is no key `gatway`: did you mean `gateway`?"));
    assert!(!meets("try again", "try again later"));
}
