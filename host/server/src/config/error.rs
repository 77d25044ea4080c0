//! What can be wrong with the configuration.

use faas_flow_core::{Code, Malformed, SecretFlaw};
use std::io;
use std::path::PathBuf;

/// Why the configuration cannot be used. No message repeats a value, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A configuration file is not of the right form.
    #[error("{}{} is malformed: write `environment:`, and below it one `key: value` per line", path.display(), line_suffix(*.line))]
    MalformedFile {
        /// The file.
        path: PathBuf,
        /// The line with the mistake, from 1, if it is known.
        line: Option<u64>,
    },
    /// An environment variable that is a key is not text.
    #[error("the environment variable {name} is not valid UTF-8")]
    NotUnicode {
        /// The variable.
        name: String,
    },
    /// A value is not of the key's format, or out of its range.
    #[error("{name} {rule}")]
    BadValue {
        /// The key, by the name under which it was given.
        name: String,
        /// What a value must look like: `must be true or false`.
        rule: String,
    },
    /// Both names of one key were given, with different values.
    #[error("{first} and {second} are names of the same key but have different values: set only {first}")]
    Ambiguous {
        /// The key's first name.
        first: &'static str,
        /// Its second name.
        second: &'static str,
    },
    /// A name is not a key.
    #[error("unknown key `{}`{}", shown(.name), hint(*.nearest))]
    UnknownKey {
        /// The name.
        name: String,
        /// The key that it resembles, if it resembles one.
        nearest: Option<&'static str>,
    },
    /// A secret cannot be read.
    #[error("cannot read the secret {}: {source}", path.display())]
    SecretUnreadable {
        /// The secret's file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file of a secret does not hold one line of text.
    #[error("the secret {} {flaw}", path.display())]
    BadSecret {
        /// The secret's file.
        path: PathBuf,
        /// What is wrong with it.
        flaw: SecretFlaw,
    },
    /// A deployed function has no state store.
    #[error(
        "no state store is configured, and a function's replicas must share one: set state_store, as in \
         redis://HOST:6379, or consul_url"
    )]
    NoStateStore,
    /// A deployed function's state store does not take payloads, and it has no data store.
    #[error(
        "no data store is configured, and the state store does not accept payloads over inline_limit: set data_store, as \
         in s3://BUCKET, or s3_url"
    )]
    NoDataStore,
    /// `s3_url` and `s3_tls` contradict each other.
    #[error("s3_tls is true, but s3_url begins with http://: write s3_url as HOST:PORT or with https://")]
    ContradictoryTls,
    /// A given name of a flow is malformed.
    #[error(transparent)]
    FlowName(#[from] Malformed),
    /// No name of the function is given, and its host name is not that of a pod or service.
    #[error("cannot tell the function's name from the host name `{}`: set flow_name", shown(.hostname))]
    UnknownFlowName {
        /// The host name.
        hostname: String,
    },
    /// The environment asks of-watchdog to check tokens, and there is no of-watchdog.
    #[error(
        "jwt_auth is true, but only of-watchdog checks tokens: put it in front of the function and set upstream_url, or \
         unset jwt_auth"
    )]
    WatchdogMissing,
    /// A mistake in a file.
    #[error("{}{}: {error}", path.display(), line_suffix(*line))]
    InFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1, if it is known.
        line: Option<u64>,
        /// The mistake.
        error: Box<Error>,
    },
    /// Several things are wrong at once; at least two.
    #[error("{}", .0.iter().map(Error::to_string).collect::<Vec<_>>().join("\n  "))]
    Several(Vec<Error>),
}

fn line_suffix(line: Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!(":{line}"))
}

fn hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(key) => format!(": did you mean `{key}`?"),
        None => ": docs/configuration.md describes all keys, and `faas-flow config` lists them".to_owned(),
    }
}

/// A name from outside, without control characters and not too long.
fn shown(name: &str) -> String {
    name.escape_debug().take(100).collect()
}

impl Error {
    /// Wraps a list of problems, unless there is none.
    pub(crate) fn all(mut problems: Vec<Error>) -> Result<(), Error> {
        match problems.pop() {
            None => Ok(()),
            Some(only) if problems.is_empty() => Err(only),
            Some(last) => {
                problems.push(last);
                Err(Error::Several(problems))
            }
        }
    }

    /// The error's code; of several errors, that of the first.
    pub fn code(&self) -> Code {
        match self {
            Error::Unreadable { .. } => Code::INPUT_UNREADABLE,
            Error::MalformedFile { .. }
            | Error::NotUnicode { .. }
            | Error::BadValue { .. }
            | Error::Ambiguous { .. }
            | Error::NoStateStore
            | Error::NoDataStore
            | Error::ContradictoryTls
            | Error::WatchdogMissing => Code::BAD_CONFIGURATION,
            Error::UnknownKey { .. } => Code::UNKNOWN_KEY,
            Error::SecretUnreadable { .. } | Error::BadSecret { .. } => Code::BAD_SECRET,
            Error::FlowName(_) | Error::UnknownFlowName { .. } => Code::BAD_FLOW_NAME,
            Error::InFile { error, .. } => error.code(),
            Error::Several(problems) => problems.first().map_or(Code::INTERNAL, Error::code),
        }
    }
}
