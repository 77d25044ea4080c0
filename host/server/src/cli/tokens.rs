//! `faas-flow token`: tokens with names and rights. docs/security.md says what they are for.

use super::guards::TOKENS;
use super::now;
use super::output::{complain, print, print_json};
use crate::{Error, TokensFileFault};
use clap::{Args, Subcommand};
use faas_flow_core::{Millis, moment, parse_duration};
use faas_flow_http::{NamedToken, Rights, TokenHash, TokensFault, draw_token, parse_tokens};
use serde_json::{Value, json};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tempfile::NamedTempFile;

#[derive(Args)]
pub(super) struct Token {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Create a token and print it, with the line for the file of tokens; the token cannot be shown again
    Create(Create),
    /// List the tokens of a file
    List(List),
    /// Remove a token from a file; servers refuse it from their next start on
    Remove(Remove),
}

#[derive(Args)]
struct Create {
    /// Name under which its bearer acts, in histories and in the audit log
    #[arg(long)]
    name: String,
    /// What its bearer may do: see, see-payloads, control and deploy, separated by commas
    #[arg(long, value_parser = Rights::parse)]
    rights: Rights,
    /// Time after which the token is refused, such as 90d or 12h [default: never]
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<Duration>,
    /// File to which the line is added
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct List {
    /// File of tokens
    #[arg(long, value_name = "FILE", default_value = TOKENS)]
    file: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Remove {
    /// Name of the token
    name: String,
    /// File of tokens
    #[arg(long, value_name = "FILE", default_value = TOKENS)]
    file: PathBuf,
}

impl Token {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        match self.what {
            What::Create(create) => create.run()?,
            What::List(list) => list.run()?,
            What::Remove(Remove { name, file }) => remove(&file, &name)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    fn run(self) -> Result<(), Error> {
        let Self { name, rights, expires, file, json } = self;
        let token = draw_token()?;
        let expires =
            expires.map(|after| now().saturating_add(Millis::try_from(after.as_millis()).unwrap_or(Millis::MAX)));
        let entry = NamedToken::new(&name, rights, TokenHash::of(&token), expires).map_err(|flaw| {
            let path = file.clone().unwrap_or_else(|| PathBuf::from(TOKENS));
            Error::BadTokens { path, fault: TokensFault { line: 1, flaw }.into() }
        })?;
        if let Some(file) = &file {
            add(file, &entry)?;
        }
        if json {
            let Value::Object(mut shown) = shown(&entry) else { return Ok(()) };
            shown.insert("token".to_owned(), token.into());
            shown.insert("entry".to_owned(), entry.to_string().into());
            return print_json(&shown);
        }
        print(format!("{token}\n"));
        match file {
            Some(file) => {
                complain(format_args!("added {name} with the rights {rights} to {}", file.display()));
                complain("give the token to its bearer: it cannot be shown again");
            }
            None => {
                print(format!("{entry}\n"));
                complain("give the token, the first line, to its bearer: it cannot be shown again");
                complain(format_args!("the other line, which does not reveal the token, is for the secret {TOKENS}"));
            }
        }
        Ok(())
    }
}

impl List {
    fn run(self) -> Result<(), Error> {
        let tokens = parse(&self.file, &read(&self.file)?)?;
        if self.json {
            return print_json(&tokens.iter().map(shown).collect::<Vec<_>>());
        }
        for token in tokens {
            let ends = match token.expires {
                None => "never expires".to_owned(),
                Some(at) if at <= now() => format!("expired {}", moment(at)),
                Some(at) => format!("expires {}", moment(at)),
            };
            print(format!("{}  {}  {ends}\n", token.name(), token.rights));
        }
        Ok(())
    }
}

fn shown(token: &NamedToken) -> Value {
    let rights: Vec<String> = token.rights.to_string().split(',').map(str::to_owned).collect();
    json!({ "name": &**token.name(), "rights": rights, "expires": token.expires.map(moment) })
}

/// Adds a line to a file, which need not exist.
fn add(file: &Path, entry: &NamedToken) -> Result<(), Error> {
    let mut text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(bad(file, error)),
    };
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.extend_from_slice(format!("{entry}\n").as_bytes());
    parse(file, &text)?;
    write(file, &text)
}

/// Removes the line with a token. The others, and comments, stay as they are.
fn remove(file: &Path, name: &str) -> Result<(), Error> {
    let text = read(file)?;
    if !parse(file, &text)?.iter().any(|token| &**token.name() == name) {
        return Err(bad(file, TokensFileFault::Unknown(name.to_owned())));
    }
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let others =
        lines.filter(|line| line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()) != Some(name.as_bytes()));
    write(file, &others.flatten().copied().collect::<Vec<_>>())?;
    complain(format_args!("removed {name}: restart the servers that have the secret"));
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|error| bad(file, error))
}

fn parse(file: &Path, text: &[u8]) -> Result<Vec<NamedToken>, Error> {
    parse_tokens(text).map_err(|fault| bad(file, fault))
}

/// Replaces a file as a whole. Only its owner may read it.
fn write(file: &Path, text: &[u8]) -> Result<(), Error> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let replaced = NamedTempFile::new_in(folder).and_then(|mut new| {
        new.write_all(text)?;
        new.persist(file).map_err(io::Error::from)
    });
    replaced.map(drop).map_err(|error| bad(file, error))
}

fn bad(file: &Path, fault: impl Into<TokensFileFault>) -> Error {
    Error::BadTokens { path: file.to_owned(), fault: fault.into() }
}

/// How long a token is valid: `90d`, or a duration as everywhere else.
fn lifetime(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let lifetime =
        days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60)).or_else(|| parse_duration(text));
    lifetime.filter(|lifetime| !lifetime.is_zero()).ok_or_else(|| "must be a time such as 90d, 12h or 30m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    fn entry(name: &str) -> NamedToken {
        NamedToken::new(name, Rights::ALL, TokenHash::of(name), None).unwrap()
    }

    #[test]
    fn a_file_keeps_its_comments_and_has_each_name_once() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join(TOKENS);
        std::fs::write(&file, "# the team").unwrap();
        add(&file, &entry("alice")).unwrap();
        add(&file, &entry("alice2")).unwrap();
        assert_eq!(add(&file, &entry("alice")).unwrap_err().code(), Code::BAD_SECRET);
        remove(&file, "alice").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("# the team\n{}\n", entry("alice2")));
        assert!(remove(&file, "alice").unwrap_err().to_string().contains("`alice`"));
        assert_eq!(remove(&folder.path().join("none"), "alice").unwrap_err().code(), Code::BAD_SECRET);
    }

    #[test]
    fn a_lifetime_may_be_in_days() {
        assert_eq!(lifetime("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(lifetime("12h"), Ok(Duration::from_secs(43_200)));
        for bad in ["", "d", "0d", "soon", "-1d"] {
            assert!(lifetime(bad).is_err(), "{bad}");
        }
    }
}
