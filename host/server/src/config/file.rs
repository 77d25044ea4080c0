//! A `flow.yml`, as stack.yaml's `environment_file` names it: a map `environment` of keys and values.

use super::values::{Layer, Source, Unknown, join, read};
use crate::Error;
use faas_flow_core::Code;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    environment: BTreeMap<String, Scalar>,
}

/// faas-cli makes text of all of these.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Switch(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

/// Reads a file, strictly: all that is in it must be keys.
pub(crate) fn layer(path: &Path) -> Result<Layer<'static>, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::new(Code::INPUT_UNREADABLE, format!("cannot read {}: {error}", path.display())))?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<Layer<'static>, Error> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| {
        // What the parser shows of the file may hold a password.
        let at = error.location().map_or_else(String::new, |at| format!(":{}", at.line()));
        let message =
            format!("{}{at} is not of the form `environment:` with a `key: value` in each line", path.display());
        Error::new(Code::BAD_CONFIGURATION, message)
    })?;
    let pairs = file.environment.into_iter().map(|(name, value)| {
        let text = match value {
            Scalar::Switch(switch) => switch.to_string(),
            Scalar::Whole(number) => number.to_string(),
            Scalar::Number(number) => number.to_string(),
            Scalar::Text(text) => text,
        };
        (name, text)
    });
    read(pairs, |_| Source::File(path.to_owned()), Unknown::Any).map_err(join)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(String, String)>, String> {
        let layer = parse(text, Path::new("flow.yml")).map_err(|error| error.to_string())?;
        Ok(layer.into_iter().map(|(key, values, _)| (key.name.to_owned(), values.join(","))).collect())
    }

    #[test]
    fn the_originals_example_is_read() {
        let text = "environment:\n  gateway: \"gateway:8080\" # of OpenFaaS\n  enable_tracing: false\n  \
            trace_server: \"jaeger:5775\"\n  enable_hmac: true\n  consul_url: \"consul:8500\"\n  exec_timeout: 60\n  \
            write_debug: true\n  default-method: POST\n";
        let all = parsed(text).unwrap();
        let value = |name: &str| all.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!(value("gateway"), Some("gateway:8080"));
        assert_eq!((value("validate_request"), value("exec_timeout")), (Some("true"), Some("60")));
        assert_eq!(all.len(), 7);
    }

    #[test]
    fn whatever_is_no_key_is_named() {
        assert!(parsed("environment:\n  gatway: x\n").unwrap_err().contains("did you mean `gateway`?"));
        assert!(parsed("environment:\n  colour: red\n").unwrap_err().contains("no key `colour`"));
        for bad in ["", "environment: 7", "gateway: x", "environment:\n  gateway: [a]", "environment:\n  a: b\nmore: 1"]
        {
            assert!(parsed(bad).unwrap_err().contains("`environment:`"), "{bad}");
        }
        let twice = parsed("environment:\n  lease: 1\n  lease: 2\n");
        assert!(twice.is_err(), "{twice:?}");
    }

    #[test]
    fn a_mistake_beside_a_password_does_not_show_it() {
        let said = parsed("environment:\n  state_store: redis://:s3cret@r\n  gateway: [s3cret\n").unwrap_err();
        assert!(!said.contains("s3cret"), "{said}");
    }
}
