//! A `flow.yml`, as stack.yaml's `environment_file` names it: a map `environment` of keys and values.

use super::error::Error;
use super::key::Group;
use super::table::Values;
use super::values::{Precedence, Source, Unknown};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    environment: BTreeMap<String, Scalar>,
}

/// A value, which faas-cli turns into text whatever its type.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Switch(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

/// Reads a file into the values that are still defaults. Everything in the file must be a key.
pub(super) fn read(values: &mut Values, path: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    parse(values, &text, path)
}

pub(super) fn parse(values: &mut Values, text: &str, path: &Path) -> Result<(), Error> {
    // The parser's own message is dropped, since it quotes the file, which may hold a password.
    let file: File = serde_saphyr::from_str(text)
        .map_err(|error| Error::MalformedFile { path: path.to_owned(), line: error.location().map(|at| at.line()) })?;
    let pairs = file.environment.into_iter().map(|(name, value)| {
        let text = match value {
            Scalar::Switch(switch) => switch.to_string(),
            Scalar::Whole(number) => number.to_string(),
            Scalar::Number(number) => number.to_string(),
            Scalar::Text(text) => text,
        };
        (name, text)
    });
    let read = values.read(pairs, |_| Source::File(path.to_owned()), Unknown::Mistake, Precedence::Low, &Group::ALL);
    read.map_err(|error| placed(error, text, path))
}

/// The error with the file and the line of the key that it is about.
fn placed(error: Error, text: &str, path: &Path) -> Error {
    let name = match &error {
        Error::BadValue { name, .. } | Error::UnknownKey { name, .. } => name,
        Error::Several(_) => {
            let Error::Several(problems) = error else { return error };
            return Error::Several(problems.into_iter().map(|problem| placed(problem, text, path)).collect());
        }
        _ => return error,
    };
    let is_key = |line: &str| {
        let key = line.trim_start().split(':').next().unwrap_or_default();
        key.trim_end().trim_matches(['"', '\'']) == name
    };
    let line = text.lines().zip(1..).find(|(line, _)| is_key(line)).map(|(_, number)| number);
    Error::InFile { path: path.to_owned(), line, error: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Defaults;

    fn parsed(text: &str) -> Result<Values, String> {
        let mut values = Values::with_defaults(Defaults::Deployed).unwrap();
        parse(&mut values, text, Path::new("flow.yml")).map_err(|error| error.to_string()).map(|()| values)
    }

    fn refused(text: &str) -> String {
        parsed(text).err().unwrap_or_else(|| panic!("{text} is read"))
    }

    #[test]
    fn the_originals_example_is_read() {
        let text = "environment:\n  gateway: \"gateway:8080\" # of OpenFaaS\n  enable_tracing: false\n  \
            trace_server: \"jaeger:5775\"\n  enable_hmac: true\n  consul_url: \"consul:8500\"\n  exec_timeout: 60\n  \
            write_debug: true\n  default-method: POST\n";
        let values = parsed(text).unwrap();
        assert_eq!(values.gateway.text(), "gateway:8080");
        assert_eq!(values.gateway.value.as_deref(), Some("http://gateway:8080"));
        assert_eq!((values.validate_request.text(), values.exec_timeout.text()), ("true", "60"));
        assert_eq!(values.slots().iter().filter(|slot| *slot.source() != Source::Default).count(), 7);
    }

    #[test]
    fn unknown_keys_are_named() {
        assert!(refused("environment:\n  gatway: x\n").contains("did you mean `gateway`?"));
        assert!(refused("environment:\n  colour: red\n").contains("unknown key `colour`"));
        for bad in ["", "environment: 7", "gateway: x", "environment:\n  gateway: [a]", "environment:\n  a: b\nmore: 1"]
        {
            assert!(refused(bad).contains("`environment:`"), "{bad}");
        }
        assert!(parsed("environment:\n  lease: 1\n  lease: 2\n").is_err());
    }

    #[test]
    fn a_mistake_is_named_with_its_file_and_line() {
        let said = refused("# settings\nenvironment:\n  lease: 1\n  colour: red\n");
        assert!(said.starts_with("flow.yml:4: ") && said.contains("`colour`"), "{said}");
        let said = refused("environment:\n  gateway: g\n  history_ttl: 0\n");
        assert!(said.starts_with("flow.yml:3: ") && said.contains("history_ttl"), "{said}");
    }

    #[test]
    fn a_mistake_beside_a_password_does_not_show_it() {
        let said = refused("environment:\n  state_store: redis://:s3cret@r\n  gateway: [s3cret\n");
        assert!(!said.contains("s3cret"), "{said}");
    }
}
