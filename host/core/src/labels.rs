//! Labels of runs, by which people find them.

use crate::text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many labels a run may have.
pub const MAX_LABELS: usize = 16;
/// How long a key may be, in bytes.
const KEY: usize = 63;
/// How long a value may be, in bytes.
const VALUE: usize = 128;

/// Labels of a run, each with a key and a value: sorted by key, and each key once.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

/// Why something is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLabel {
    /// It has no `=`.
    #[error("`{text}` is not a label; write a key and a value, such as order=42")]
    Malformed {
        /// The beginning of it.
        text: String,
    },
    /// The key has other characters, or is too long.
    #[error(
        "the key `{key}` of a label must have 1 to {KEY} characters of A-Z a-z 0-9 . _ / -, of which the first is a letter or digit"
    )]
    Key {
        /// The beginning of it.
        key: String,
    },
    /// The value is too long or has control characters.
    #[error("the value of the label `{key}` is longer than {VALUE} bytes, or has control characters")]
    Value {
        /// The label.
        key: String,
    },
    /// It is not UTF-8.
    #[error("a label is not UTF-8 text")]
    NotText,
    /// There are too many.
    #[error("a run has at most {MAX_LABELS} labels")]
    TooMany,
}

impl Labels {
    /// No labels.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of a label.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Adds a label, or replaces its value. An error changes nothing.
    pub fn insert(&mut self, key: &str, value: &str) -> Result<(), BadLabel> {
        let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
        let begins = key.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if !begins || key.len() > KEY || !key.bytes().all(is_key) {
            return Err(BadLabel::Key { key: beginning(key) });
        }
        if value.len() > VALUE || value.chars().any(char::is_control) {
            return Err(BadLabel::Value { key: key.to_owned() });
        }
        if self.0.len() >= MAX_LABELS && !self.0.contains_key(key) {
            return Err(BadLabel::TooMany);
        }
        self.0.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// Adds a label that is written as `order=42`. Spaces around key and value do not count.
    pub fn add(&mut self, label: &str) -> Result<(), BadLabel> {
        let (key, value) = label.split_once('=').ok_or_else(|| BadLabel::Malformed { text: beginning(label) })?;
        self.insert(key.trim(), value.trim())
    }

    /// Adds labels that are separated by commas. Nothing between two commas is nothing.
    pub fn add_all(&mut self, labels: &str) -> Result<(), BadLabel> {
        labels.split(',').filter(|label| !label.trim().is_empty()).try_for_each(|label| self.add(label))
    }

    /// Whether all of these are among the labels of a run.
    pub fn admit(&self, labels: &Labels) -> bool {
        self.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// `order=42, customer=7`
impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (key, value)) in self.iter().enumerate() {
            write!(f, "{}{key}={}", if at > 0 { ", " } else { "" }, text::printable(value))?;
        }
        Ok(())
    }
}

fn beginning(text: &str) -> String {
    text::printable(&text.chars().take(80).collect::<String>()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &str) -> Result<Labels, BadLabel> {
        let mut all = Labels::new();
        all.add_all(labels).map(|()| all)
    }

    /// LABEL-1.
    #[test]
    fn labels_are_keys_with_values() {
        let labels = of("order=42, customer=Ada Lovelace,,empty=,a.b/c-d_e==x").unwrap();
        assert_eq!(labels.to_string(), "a.b/c-d_e==x, customer=Ada Lovelace, empty=, order=42");
        assert_eq!(of("order=1,order=2").unwrap().get("order"), Some("2"), "the last one counts");
        assert_eq!(of("").unwrap(), Labels::new());
    }

    /// LABEL-2.
    #[test]
    fn all_labels_of_a_filter_must_be_there() {
        let run = of("order=42,customer=7").unwrap();
        for (filter, admits) in [("", true), ("order=42", true), ("customer=7,order=42", true), ("order=4", false)] {
            assert_eq!(of(filter).unwrap().admit(&run), admits, "{filter}");
        }
        assert!(!of("order=42,other=1").unwrap().admit(&run));
    }

    /// LABEL-4.
    #[test]
    fn a_malformed_label_is_refused() {
        let key = |key: &str| matches!(of(&format!("{key}=v")), Err(BadLabel::Key { .. }));
        for bad in ["", " ", "-a", "ä", "a b", "a\u{202e}", &"k".repeat(64)] {
            assert!(key(bad), "{bad}");
        }
        assert!(!key(&"k".repeat(63)));
        assert!(matches!(of("order"), Err(BadLabel::Malformed { .. })));
        assert!(matches!(of("k=a\u{7}b"), Err(BadLabel::Value { .. })));
        assert!(matches!(of(&format!("k={}", "v".repeat(129))), Err(BadLabel::Value { .. })));
        let many = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(of(&many(16)).unwrap().len(), 16);
        assert_eq!(of(&many(17)), Err(BadLabel::TooMany));
        let text = of(&"x".repeat(1 << 20)).unwrap_err().to_string();
        assert!(text.len() < 300, "{text}");
    }
}
