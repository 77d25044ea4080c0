//! What commands print to stdout.

use crate::Error;
use faas_flow_core::text::printable_lines;
use std::fmt::Display;
use std::io::Write as _;

/// Whether colours are allowed: unless `NO_COLOR` is set.
pub(super) fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|off| off.is_empty())
}

/// Prints indented JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Error> {
    print(json(value)?);
    Ok(())
}

/// Indented JSON with a newline at its end.
pub(super) fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    let json = serde_json::to_string_pretty(value);
    let json = json.map_err(|error| Error::System { what: "write JSON", source: error.into() })?;
    Ok(json + "\n")
}

/// Prints text for people to stdout, without what controls their terminal.
pub(super) fn print_text(text: impl Display) {
    print(printable_lines(&text).to_string());
}

/// Prints a line for people to stderr, without what controls their terminal.
pub(super) fn complain(line: impl Display) {
    eprintln!("{}", printable_lines(&line));
}

/// Prints to stdout. It is not an error if its reader has closed it.
pub(super) fn print(text: impl AsRef<[u8]>) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_ref()).and_then(|()| stdout.flush());
}

/// What a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Text,
    Json,
}

impl Output {
    /// What the flag `--json` asks for.
    pub(super) fn of_flag(json: bool) -> Self {
        if json { Output::Json } else { Output::Text }
    }
}
