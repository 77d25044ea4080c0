//! The configuration for people: the values in force, and the tables of the documentation.

use super::key::{Origin, Shown};
use super::table::Values;
use super::values::Source;
use faas_flow_core::redact;

/// A key and its value. Serialized, it is a row of `faas-flow config --json`.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Row {
    pub key: &'static str,
    /// The value, without passwords.
    pub value: String,
    pub from: String,
    /// The program that introduced the key.
    pub of: &'static str,
}

impl Row {
    /// A row of one of our own keys.
    pub fn of(key: &'static str, value: impl Into<String>, from: &Source) -> Self {
        Self { key, value: value.into(), from: from.to_string(), of: Origin::Ours.as_str() }
    }
}

impl Values {
    /// All keys in the order of the table.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let rows = self.slots().into_iter().map(|slot| Row {
            key: slot.spec().name,
            value: match slot.spec().shown {
                Shown::Hidden if !slot.text().is_empty() => redact::HIDDEN.to_owned(),
                Shown::Hidden | Shown::Redacted => redact::text(slot.text()),
            },
            from: slot.source().to_string(),
            of: slot.spec().origin.as_str(),
        });
        rows.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::Group;
    use super::super::table::all;
    use std::fmt::Write as _;
    use std::path::Path;

    const BEGIN: &str = "<!-- keys: made of host/server/src/config/table.rs -->\n";
    const END: &str = "\n<!-- end of keys -->\n";

    /// The tables of docs/configuration.md.
    fn markdown() -> String {
        let mut text = String::new();
        for group in Group::ALL {
            let _ = write!(
                text,
                "\n### {}\n\n| key | value | default | of | meaning |\n|---|---|---|---|---|\n",
                group.title()
            );
            for key in all().into_iter().filter(|key| key.spec().group == group) {
                let spec = key.spec();
                let also = spec.also.map_or_else(String::new, |also| format!(", `{also}`"));
                let code = |text: &str| if text.is_empty() { "none".to_owned() } else { format!("`{text}`") };
                let default = match spec.local {
                    None if spec.default.is_empty() => String::new(),
                    None => code(spec.default),
                    Some(local) => format!("{}; on a laptop {}", code(spec.default), code(local)),
                };
                let (name, format, origin, meaning) = (spec.name, key.describe(), spec.origin.as_str(), spec.meaning);
                let _ = writeln!(text, "| `{name}`{also} | {format} | {default} | {origin} | {meaning} |");
            }
        }
        text
    }

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
