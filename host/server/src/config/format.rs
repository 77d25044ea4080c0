//! What the values of keys look like: each format reads text into a type, and knows its unit and its range.

mod network;
mod numbers;
mod telemetry;

pub(crate) use network::{CorsOrigins, Hosts, Origins, Proxy, Ranges, Server};
pub(crate) use numbers::{Count, Port, Size, Time, TimeLimit};
pub(crate) use telemetry::{AnyCase, Millis, MillisLimit, Pairs, PropagatorList, Ratio, TraceServers};

use faas_flow_core::redact::Rules;
use faas_flow_core::schedule::ScheduleEntry;
use faas_flow_http::dashboard::Grant;
use faas_flow_replica::CREDENTIAL_HEADERS;
use reqwest::header::HeaderName;
use std::path::PathBuf;

/// What a value must look like. It does not repeat the value that was refused, which may hold a password.
pub(crate) type Rule = String;

/// How a key is given on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occurrence {
    /// `--key VALUE`; the last one counts.
    Value,
    /// `--key` or `--key=true`.
    Switch,
    /// `--key ITEM` for each item.
    Items,
}

/// A format whose values are of type `T`.
pub(crate) trait Format<T>: Sync {
    /// The format in a few words of Markdown, for the documentation.
    fn describe(&self) -> String;

    /// What stands for the value in the help of a command.
    fn placeholder(&self) -> &'static str;

    /// Reads a value.
    fn parse(&self, text: &str) -> Result<T, Rule>;

    /// How the key is given on the command line.
    fn occurrence(&self) -> Occurrence {
        Occurrence::Value
    }

    /// Reads what follows one occurrence of the option.
    fn parse_option(&self, text: &str) -> Result<T, Rule> {
        self.parse(text)
    }

    /// Puts the values of all occurrences of the option together.
    fn combine(&self, mut values: Vec<T>) -> Option<T> {
        values.pop()
    }

    /// The words that are allowed, if only certain words are.
    fn words(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// A format in which an empty text means that there is no value.
pub(crate) struct Optional<F>(pub F);

impl<T, F: Format<T>> Format<Option<T>> for Optional<F> {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn placeholder(&self) -> &'static str {
        self.0.placeholder()
    }

    fn parse(&self, text: &str) -> Result<Option<T>, Rule> {
        if text.is_empty() { Ok(None) } else { self.0.parse(text).map(Some) }
    }

    fn words(&self) -> Vec<&'static str> {
        self.0.words()
    }
}

/// Text that is checked where it is used, if at all.
pub(crate) struct Text {
    described: &'static str,
    placeholder: &'static str,
}

impl Text {
    pub const ANY: Text = Text { described: "text", placeholder: "TEXT" };
    /// An address to listen on.
    pub const LISTEN: Text = Text { described: "`HOST:PORT`", placeholder: "HOST:PORT" };
    pub const URL: Text = Text { described: "URL", placeholder: "URL" };
    /// A store's address: docs/stores.md.
    pub const STORE: Text = Text { described: "[store](stores.md)", placeholder: "STORE" };
}

/// The rights of those who sign in, a line each.
pub(crate) struct Grants;

impl Format<Vec<Grant>> for Grants {
    fn describe(&self) -> String {
        "lines".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "GRANT"
    }

    fn parse(&self, text: &str) -> Result<Vec<Grant>, Rule> {
        let lines = text.split(['\n', ';']).map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| Grant::parse(line).map_err(|flaw| flaw.to_string())).collect()
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    fn combine(&self, values: Vec<Vec<Grant>>) -> Option<Vec<Grant>> {
        Some(values.concat())
    }
}

/// The name of a header.
pub(crate) struct HeaderOf;

impl Format<HeaderName> for HeaderOf {
    fn describe(&self) -> String {
        "header".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "HEADER"
    }

    fn parse(&self, text: &str) -> Result<HeaderName, Rule> {
        text.trim().parse().map_err(|_| "must be the name of a header, such as X-Forwarded-User".to_owned())
    }
}

impl Format<String> for Text {
    fn describe(&self) -> String {
        self.described.to_owned()
    }

    fn placeholder(&self) -> &'static str {
        self.placeholder
    }

    fn parse(&self, text: &str) -> Result<String, Rule> {
        without_nul(text).map(str::to_owned)
    }
}

/// A file or folder.
pub(crate) struct FilePath;

impl Format<PathBuf> for FilePath {
    fn describe(&self) -> String {
        "path".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "PATH"
    }

    fn parse(&self, text: &str) -> Result<PathBuf, Rule> {
        without_nul(text).map(PathBuf::from)
    }
}

fn without_nul(text: &str) -> Result<&str, Rule> {
    if text.contains('\0') { Err("must not contain a NUL character".to_owned()) } else { Ok(text) }
}

/// `true` or `false`, or what Go's `strconv.ParseBool` takes besides.
pub(crate) struct Switch;

impl Format<bool> for Switch {
    fn describe(&self) -> String {
        "`true` or `false`".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "true|false"
    }

    fn parse(&self, text: &str) -> Result<bool, Rule> {
        match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        }
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Switch
    }
}

/// One of certain words, each of which stands for a value.
pub(crate) struct Words<T: 'static> {
    placeholder: &'static str,
    words: &'static [(&'static str, T)],
}

impl<T> Words<T> {
    pub const fn new(placeholder: &'static str, words: &'static [(&'static str, T)]) -> Self {
        Self { placeholder, words }
    }
}

impl<T: Copy + Sync> Format<T> for Words<T> {
    fn describe(&self) -> String {
        self.words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    }

    fn placeholder(&self) -> &'static str {
        self.placeholder
    }

    fn parse(&self, text: &str) -> Result<T, Rule> {
        let found = self.words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| format!("must be one of {}", self.words().join(", ")))
    }

    fn words(&self) -> Vec<&'static str> {
        self.words.iter().map(|(word, _)| *word).collect()
    }
}

/// Several texts, separated by commas.
pub(crate) struct List;

impl Format<Vec<String>> for List {
    fn describe(&self) -> String {
        "list".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "ITEM"
    }

    fn parse(&self, text: &str) -> Result<Vec<String>, Rule> {
        let items = without_nul(text)?.split(',').map(str::trim);
        Ok(items.filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    /// An option is given once for each item, which may contain commas.
    fn parse_option(&self, text: &str) -> Result<Vec<String>, Rule> {
        Ok(vec![without_nul(text)?.to_owned()])
    }

    fn combine(&self, values: Vec<Vec<String>>) -> Option<Vec<String>> {
        Some(values.concat())
    }
}

/// JSON pointers, separated by commas or line breaks.
pub(crate) struct Pointers;

impl Format<Rules> for Pointers {
    fn describe(&self) -> String {
        "list of JSON pointers".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "POINTER"
    }

    fn parse(&self, text: &str) -> Result<Rules, Rule> {
        let mut rules = Rules::default();
        for pointer in without_nul(text)?.split([',', '\n']).map(str::trim).filter(|pointer| !pointer.is_empty()) {
            rules.add(pointer).map_err(|bad| bad.to_string())?;
        }
        Ok(rules)
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    /// An option is given once for each pointer, which may contain commas.
    fn parse_option(&self, text: &str) -> Result<Rules, Rule> {
        let mut rules = Rules::default();
        rules.add(without_nul(text)?).map_err(|bad| bad.to_string())?;
        Ok(rules)
    }

    fn combine(&self, values: Vec<Rules>) -> Option<Rules> {
        Some(values.into_iter().fold(Rules::default(), Rules::and))
    }
}

/// Schedules, a line each.
pub(crate) struct Schedules;

impl Format<Vec<ScheduleEntry>> for Schedules {
    fn describe(&self) -> String {
        "[schedules](schedules.md#in-the-configuration), a line each".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "NAME=WHEN"
    }

    fn parse(&self, text: &str) -> Result<Vec<ScheduleEntry>, Rule> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let read = |line| ScheduleEntry::parse(line).map_err(|bad| format!("has a line that is not a schedule: {bad}"));
        lines.map(read).collect()
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    fn combine(&self, values: Vec<Vec<ScheduleEntry>>) -> Option<Vec<ScheduleEntry>> {
        Some(values.concat())
    }
}

/// Headers with credentials that runs keep. The values are their names in lower case.
pub(crate) struct CredentialHeaders;

impl Format<Vec<&'static str>> for CredentialHeaders {
    fn describe(&self) -> String {
        "list".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "HEADER"
    }

    fn parse(&self, text: &str) -> Result<Vec<&'static str>, Rule> {
        let known = |name: &str| CREDENTIAL_HEADERS.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| known(name).ok_or_else(|| self.rule())).collect()
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    fn combine(&self, values: Vec<Vec<&'static str>>) -> Option<Vec<&'static str>> {
        Some(values.concat())
    }
}

impl CredentialHeaders {
    fn rule(&self) -> Rule {
        format!("must be among {}; a run keeps all other headers anyway", CREDENTIAL_HEADERS.join(", "))
    }
}

#[cfg(test)]
mod tests;
