//! What a key's value may look like.

use faas_flow_core::{ShownDuration, parse_duration};
use std::time::Duration;

/// The kind of a value. Its `check` is the one place where a value from outside is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A file or folder.
    Path,
    /// `true` or `false`.
    Switch,
    /// Whole seconds or a duration of Go, between these in milliseconds.
    Time { least: u64, most: u64 },
    /// A number of bytes, perhaps with `KiB`, `MiB` or `GiB`.
    Bytes,
    /// A whole number, at least this one.
    Count { least: u64 },
    /// A TCP port; 0 has a meaning of its own.
    Port,
    /// `HOST:PORT`, to listen on.
    Listen,
    /// `HOST:PORT`, or an http or https address.
    Server,
    /// A store's address: docs/stores.md.
    Store,
    /// One of these.
    Word(&'static [&'static str]),
    /// Several texts, with commas between them.
    List,
}

/// Any duration.
pub(crate) const TIME: Kind = Kind::Time { least: 0, most: u64::MAX };

impl Kind {
    /// In a few words, for the table of the docs.
    #[cfg(test)]
    pub fn describe(self) -> String {
        match self {
            Kind::Text => "text".to_owned(),
            Kind::Path => "path".to_owned(),
            Kind::Switch => "`true` or `false`".to_owned(),
            Kind::Time { .. } => "time".to_owned(),
            Kind::Bytes => "size".to_owned(),
            Kind::Count { .. } => "number".to_owned(),
            Kind::Port => "port".to_owned(),
            Kind::Listen => "`HOST:PORT`".to_owned(),
            Kind::Server => "`HOST:PORT` or URL".to_owned(),
            Kind::Store => "[store](stores.md)".to_owned(),
            Kind::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Kind::List => "list".to_owned(),
        }
    }

    /// What stands for the value in the help of a command.
    pub fn placeholder(self) -> &'static str {
        match self {
            Kind::Text => "TEXT",
            Kind::Path => "PATH",
            Kind::Switch => "true|false",
            Kind::Time { .. } => "TIME",
            Kind::Bytes => "SIZE",
            Kind::Count { .. } => "COUNT",
            Kind::Port => "PORT",
            Kind::Listen => "HOST:PORT",
            Kind::Server => "URL",
            Kind::Store => "STORE",
            Kind::Word(_) => "WORD",
            Kind::List => "LIST",
        }
    }

    /// Says what a value must look like, if it does not. The value itself is not repeated: it may hold a password.
    pub fn check(self, text: &str) -> Result<(), String> {
        let must = |holds: bool, rule: &str| if holds { Ok(()) } else { Err(rule.to_owned()) };
        match self {
            // What these name says more when it is used.
            Kind::Text | Kind::Path | Kind::Listen | Kind::Store | Kind::List => {
                must(!text.contains('\0'), "holds a NUL")
            }
            Kind::Switch => must(switch(text).is_some(), "must be true or false"),
            Kind::Time { least, most } => match parse_duration(text) {
                None => Err("must be whole seconds or a duration: 30, 10s, 1m30s, 500ms".to_owned()),
                Some(given) if given < Duration::from_millis(least) || given > Duration::from_millis(most) => {
                    Err(format!("must be between {} and {}", shown(least), shown(most)))
                }
                Some(_) => Ok(()),
            },
            Kind::Bytes => must(bytes(text).is_some(), "must be a number of bytes, or as 32KiB, 64MiB, 1GiB"),
            Kind::Count { least } => must(
                text.parse().is_ok_and(|count: u64| count >= least),
                &format!("must be a whole number, at least {least}"),
            ),
            Kind::Port => must(text.parse::<u16>().is_ok(), "must be a port, 0 to 65535"),
            Kind::Server => must(
                url(text).is_some(),
                "must be HOST:PORT or an http or https address, without a user, a password and a query",
            ),
            Kind::Word(words) => must(words.contains(&text), &format!("must be one of {}", words.join(", "))),
        }
    }
}

/// As in Go: `1`, `t`, `true`, and their opposites.
pub(crate) fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A number of bytes.
pub(crate) fn bytes(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at_checked(digits)?;
    let factor: usize = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        _ => return None,
    };
    count.parse::<usize>().ok()?.checked_mul(factor)
}

/// The address of a server that was given as `HOST:PORT` or whole, without a slash at its end.
pub(crate) fn url(text: &str) -> Option<String> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let parsed = reqwest::Url::parse(&whole).ok()?;
    let plain = parsed.username().is_empty() && parsed.password().is_none() && parsed.query().is_none();
    let good = matches!(parsed.scheme(), "http" | "https") && parsed.has_host() && plain && !text.ends_with(':');
    good.then(|| whole.trim_end_matches('/').to_owned())
}

fn shown(millis: u64) -> ShownDuration {
    ShownDuration(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, size) in [("0", 0), ("100", 100), ("32KiB", 32 << 10), ("64 MiB", 64 << 20), ("1Gi", 1 << 30)] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for bad in ["", "MiB", "-1", "1.5MiB", "1MB", "99999999999999999999", "17179869184GiB"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_server_is_a_host_and_port_as_in_the_original_or_an_address() {
        assert_eq!(url("gateway.openfaas:8080").as_deref(), Some("http://gateway.openfaas:8080"));
        assert_eq!(url("https://gw.example/").as_deref(), Some("https://gw.example"));
        for bad in ["", "ftp://gw", "http://", "http://u:p@gw", "gw:port", "gw:99999", "gw?x=1", "a b", "gw:"] {
            assert_eq!(url(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_value_that_is_refused_is_not_repeated() {
        let kinds = [Kind::Switch, TIME, Kind::Bytes, Kind::Count { least: 1 }, Kind::Port, Kind::Server];
        for kind in kinds.into_iter().chain([Kind::Word(&["a", "b"])]) {
            let rule = kind.check("s3cret:s3cret@s3cret?").unwrap_err();
            assert!(!rule.contains("s3cret"), "{rule}");
        }
        assert!(Kind::Time { least: 100, most: 3_600_000 }.check("10000").unwrap_err().contains("100 ms and 1 h"));
    }
}
