//! The configuration as people read it: what is in force, and the table of the docs.

#[cfg(test)]
use super::table::Group;
use super::table::{ALL, Key};
use super::values::{Source, Values};
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

/// Text without the passwords that addresses in it may hold: neither before the host nor among the options.
pub(crate) fn redacted(text: &str) -> String {
    let ends = [' ', '`', '"', ','];
    let mut shown = String::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once("://") {
        let _ = write!(shown, "{head}://");
        // A password may hold slashes and even an `@`, if nobody encoded them.
        let address = tail.get(..tail.find(ends).unwrap_or(tail.len())).unwrap_or_default();
        let place = address.split('?').next().unwrap_or_default();
        rest = place.rfind('@').and_then(|at| tail.get(at..)).inspect(|_| shown.push_str("***")).unwrap_or(tail);
    }
    shown.push_str(rest);
    for option in ["?token=", "&token=", "?password=", "&password="] {
        if let Some((head, tail)) = shown.split_once(option) {
            let end = tail.find(|c| c == '&' || ends.contains(&c)).unwrap_or(tail.len());
            shown = format!("{head}{option}***{}", tail.get(end..).unwrap_or_default());
        }
    }
    shown
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

    #[test]
    fn no_password_is_shown() {
        for (text, shown) in [
            ("redis://u:s3cret@r:1/0?prefix=a", "redis://***@r:1/0?prefix=a"),
            ("redis://:s3/cr@et@r:1/0", "redis://***@r:1/0"),
            ("consul://c?token=s3cret&dc=d", "consul://c?token=***&dc=d"),
            ("f=http://u:s3cret@a/x,g=http://b", "f=http://***@a/x,g=http://b"),
            ("sqlite:a@b.db", "sqlite:a@b.db"),
            ("s3://bucket?endpoint=http://e", "s3://bucket?endpoint=http://e"),
            ("no answer from http://u:s3cret@h/p: refused", "no answer from http://***@h/p: refused"),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }
}
