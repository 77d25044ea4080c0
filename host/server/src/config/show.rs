//! The configuration as people read it: what is in force, and the table of the docs.

#[cfg(test)]
use super::table::Group;
use super::table::{ALL, Key};
use super::values::{Source, Values};
use crate::network::redacted;
use std::fmt::Write as _;

/// A key in force.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Row {
    pub key: &'static str,
    /// Without passwords.
    pub value: String,
    pub from: String,
    /// Whose key it is.
    pub of: &'static str,
}

/// All keys in the order of the table.
pub(crate) fn rows(values: &Values) -> Vec<Row> {
    let row = |key: &&'static Key| Row {
        key: key.name,
        value: redacted(&values.text(key)),
        from: values.source(key).to_string(),
        of: key.origin.as_str(),
    };
    ALL.iter().map(row).collect()
}

impl Row {
    pub fn of(key: &'static str, value: impl Into<String>, from: &Source) -> Self {
        Self { key, value: value.into(), from: from.to_string(), of: "faas-flow" }
    }
}

/// The tables of docs/configuration.md.
#[cfg(test)]
pub(crate) fn markdown() -> String {
    let mut text = String::new();
    for group in Group::ALL {
        let _ = write!(
            text,
            "\n### {}\n\n| key | value | default | of | meaning |\n|---|---|---|---|---|\n",
            group.title()
        );
        for key in ALL.iter().filter(|key| key.group == group) {
            let also = key.also.map_or_else(String::new, |also| format!(", `{also}`"));
            let code = |text: &str| if text.is_empty() { "none".to_owned() } else { format!("`{text}`") };
            let default = match key.local {
                None if key.default.is_empty() => String::new(),
                None => code(key.default),
                Some(local) => format!("{}; on a laptop {}", code(key.default), code(local)),
            };
            let origin = key.origin.as_str();
            let (name, kind, meaning) = (key.name, key.kind.describe(), key.meaning);
            let _ = writeln!(text, "| `{name}`{also} | {kind} | {default} | {origin} | {meaning} |");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const BEGIN: &str = "<!-- keys: made of host/server/src/config/table.rs -->\n";
    const END: &str = "\n<!-- end of keys -->\n";

    #[test]
    fn docs_are_in_step_with_the_table() {
        let path = Path::new("../../docs/configuration.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (head, rest) = text.split_once(BEGIN).expect("the mark where the keys begin");
        let (found, tail) = rest.split_once(END).expect("the mark where they end");
        if found == markdown() {
            return;
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, format!("{head}{BEGIN}{}{END}{tail}", markdown())).unwrap();
            return;
        }
        panic!("docs/configuration.md differs from the table: UPDATE_DOCS=1 cargo test --workspace docs_are_in_step");
    }
}
