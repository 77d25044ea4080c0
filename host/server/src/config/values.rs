//! From the layers to the values in force: defaults, the environment or a file, secrets, options.

use super::kind;
use super::table::{ALL, Key, WATCHDOGS};
use crate::Error;
use faas_flow_core::{Code, nearest, parse_duration};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    Environment(String),
    File(PathBuf),
    Secret(PathBuf),
    Option(String),
    Hostname,
    /// Put together from other keys.
    Keys(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::Environment(name) => write!(f, "environment {name}"),
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Secret(path) => write!(f, "secret file {}", path.display()),
            Source::Option(name) => write!(f, "option {name}"),
            Source::Hostname => f.write_str("hostname"),
            Source::Keys(keys) => write!(f, "from {keys}"),
        }
    }
}

/// Whose defaults hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defaults {
    /// Those of a deployed function.
    Deployed,
    /// Those of this machine: `serve`, `run` and what looks at their runs.
    Local,
}

/// The values in force. All were checked when they were read.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    given: BTreeMap<&'static str, (Vec<String>, Source)>,
    pub defaults: Defaults,
    /// Lines for whoever starts the host.
    pub warnings: Vec<String>,
}

/// What a layer says: a name and its values.
pub(crate) type Layer<'a> = Vec<(&'static Key, Vec<String>, Source)>;

impl Values {
    /// Puts options over the environment over defaults.
    pub fn new(defaults: Defaults, below: Layer<'_>, options: Layer<'_>) -> Self {
        let mut values = Self { given: BTreeMap::new(), defaults, warnings: Vec::new() };
        for (key, given, source) in below.into_iter().chain(options) {
            values.set(key, given, source);
        }
        values
    }

    /// Puts a layer below all that was given so far.
    pub fn put_below(&mut self, layer: Layer<'_>) {
        for (key, given, source) in layer {
            self.given.entry(key.name).or_insert((given, source));
        }
    }

    pub fn set(&mut self, key: &'static Key, given: Vec<String>, source: Source) {
        self.given.insert(key.name, (given, source));
    }

    /// The value as it was written; of a list, the items with commas between them. Empty if there is none.
    pub fn text(&self, key: &Key) -> String {
        match (self.given.get(key.name), self.defaults) {
            (Some((given, _)), _) => given.join(","),
            (None, Defaults::Local) => key.local.unwrap_or(key.default).to_owned(),
            (None, Defaults::Deployed) => key.default.to_owned(),
        }
    }

    /// The value, unless it is empty.
    pub fn some(&self, key: &Key) -> Option<String> {
        Some(self.text(key)).filter(|text| !text.is_empty())
    }

    /// The value, if somebody gave it.
    pub fn given(&self, key: &Key) -> Option<String> {
        self.some(key).filter(|_| self.given.contains_key(key.name))
    }

    pub fn source(&self, key: &Key) -> Source {
        self.given.get(key.name).map_or(Source::Default, |(_, source)| source.clone())
    }

    pub fn switch(&self, key: &Key) -> bool {
        kind::switch(&self.text(key)).unwrap_or_default()
    }

    pub fn time(&self, key: &Key) -> Duration {
        parse_duration(&self.text(key)).unwrap_or_default()
    }

    /// A time of which 0 means that there is no limit.
    pub fn limit(&self, key: &Key) -> Option<Duration> {
        Some(self.time(key)).filter(|time| !time.is_zero())
    }

    pub fn count(&self, key: &Key) -> usize {
        self.text(key).parse().unwrap_or_default()
    }

    pub fn bytes(&self, key: &Key) -> usize {
        kind::bytes(&self.text(key)).unwrap_or_default()
    }

    pub fn port(&self, key: &Key) -> u16 {
        self.text(key).parse().unwrap_or_default()
    }

    pub fn url(&self, key: &Key) -> Option<String> {
        self.some(key).and_then(|text| kind::url(&text))
    }

    pub fn list(&self, key: &Key) -> Vec<String> {
        let Some((given, source)) = self.given.get(key.name) else { return Vec::new() };
        match source {
            Source::Option(_) => given.clone(),
            _ => items(&given.join(",")),
        }
    }
}

fn items(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// How a layer treats a name that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Others' variables are nobody's business; what resembles a key is one, misspelt.
    Resembling,
    /// There is nothing but keys.
    Any,
}

/// Reads a layer of names and values. All problems are reported at once, a line each.
pub(crate) fn read(
    pairs: impl IntoIterator<Item = (String, String)>,
    source: impl Fn(&str) -> Source,
    unknown: Unknown,
) -> Result<Layer<'static>, Vec<Error>> {
    let (mut layer, mut problems): (Layer<'static>, _) = (Vec::new(), Vec::new());
    let pairs: BTreeMap<String, String> = pairs.into_iter().collect();
    for (name, value) in pairs {
        let value = value.trim();
        let Some(key) = ALL.iter().find(|key| key.name == name || key.also == Some(name.as_str())) else {
            problems.extend(misspelt(&name, unknown));
            continue;
        };
        // A variable that is set to nothing is as good as not set.
        if value.is_empty() {
            continue;
        }
        if let Err(rule) = key.kind.check(value) {
            problems.push(Error::new(Code::BAD_CONFIGURATION, format!("{name} {rule}")));
            continue;
        }
        let known = layer.iter().find(|(known, ..)| known.name == key.name);
        if known.is_some_and(|(_, values, _)| *values != [value]) {
            let (first, second) = (key.name, key.also.unwrap_or_default());
            let message = format!("{first} and {second} are one key, and say different things: set only {first}");
            problems.push(Error::new(Code::BAD_CONFIGURATION, message));
            continue;
        }
        layer.push((key, vec![value.to_owned()], source(&name)));
    }
    if problems.is_empty() { Ok(layer) } else { Err(problems) }
}

fn misspelt(name: &str, unknown: Unknown) -> Option<Error> {
    if WATCHDOGS.contains(&name) {
        return None;
    }
    let message = match (resembled(name), unknown) {
        (Some(key), _) => format!("there is no key `{}`: did you mean `{key}`?", shown(name)),
        (None, Unknown::Any) => {
            format!("there is no key `{}`: docs/configuration.md has all, `faas-flow config` prints them", shown(name))
        }
        (None, Unknown::Resembling) => return None,
    };
    Some(Error::new(Code::UNKNOWN_KEY, message))
}

fn shown(name: &str) -> String {
    name.escape_debug().take(60).collect()
}

/// The key that a lower-case name resembles: one letter in five may be wrong.
fn resembled(name: &str) -> Option<&'static str> {
    if name.len() < 4 || name.chars().any(|c| c.is_uppercase()) {
        return None;
    }
    // Dashes and underscores are easily confused, so that they are no difference.
    let plain = |name: &str| name.replace('-', "_");
    let names: Vec<(String, &str)> =
        ALL.iter().flat_map(|key| [Some(key.name), key.also]).flatten().map(|name| (plain(name), name)).collect();
    let tolerance = |key: &str| (key.len() / 5).clamp(1, 3);
    let found = nearest(&plain(name), names.iter().map(|(plain, _)| plain.as_str()), tolerance)?;
    names.iter().find(|(plain, _)| plain == found).map(|(_, name)| *name)
}

/// One error of several: all their lines, and the first one's code.
pub(crate) fn join(problems: Vec<Error>) -> Error {
    let code = problems.first().map_or(Code::INTERNAL, Error::code);
    let lines: Vec<String> = problems.iter().map(Error::to_string).collect();
    Error::new(code, lines.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::super::table::*;
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Result<Values, String> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let layer = read(pairs, |name| Source::Environment(name.to_owned()), Unknown::Resembling);
        layer.map(|layer| Values::new(Defaults::Deployed, layer, Vec::new())).map_err(|all| join(all).to_string())
    }

    #[test]
    fn options_win_over_the_environment_and_that_over_defaults() {
        let option = |text: &str| vec![(&LEASE, vec![text.to_owned()], Source::Option("--lease".into()))];
        let layer = || read([("lease".into(), "20s".into())], |n| Source::Environment(n.into()), Unknown::Any).unwrap();
        let seconds = |values: &Values| values.time(&LEASE).as_secs();
        assert_eq!(seconds(&Values::new(Defaults::Deployed, Vec::new(), Vec::new())), 10);
        assert_eq!(seconds(&Values::new(Defaults::Deployed, layer(), Vec::new())), 20);
        let all = Values::new(Defaults::Deployed, layer(), option("30s"));
        assert_eq!((seconds(&all), all.source(&LEASE).to_string()), (30, "option --lease".to_owned()));
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_names_the_nearest() {
        for (wrong, right) in [
            ("gatway", "gateway"),
            ("consul-url", "consul_url"),
            ("default_method", "default-method"),
            ("exec_timeuot", "exec_timeout"),
            ("s3url", "s3_url"),
            ("state-store", "state_store"),
            ("enable_hmca", "enable_hmac"),
            ("authenticate_requests", "authenticate_request"),
        ] {
            let said = environment(&[(wrong, "x")]).unwrap_err();
            assert_eq!(said, format!("there is no key `{wrong}`: did you mean `{right}`?"));
        }
    }

    #[test]
    fn variables_that_resemble_no_key_are_not_ours() {
        for foreign in
            ["http_proxy", "no_proxy", "fprocess", "mode", "_", "PATH", "GATEWAY", "release", "postgres", "home", "log"]
        {
            assert!(environment(&[(foreign, "x")]).is_ok(), "{foreign}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let said = environment(&[("lease", "soon"), ("gatway", "x"), ("port", "http")]).unwrap_err();
        assert_eq!(said.lines().count(), 3, "{said}");
    }

    #[test]
    fn two_names_of_one_key_must_agree() {
        let both = |first, second| environment(&[("validate_request", first), ("enable_hmac", second)]);
        assert!(!both("false", "false").unwrap().switch(&VALIDATE_REQUEST));
        assert!(both("false", "true").unwrap_err().contains("set only validate_request"));
        assert!(!environment(&[("enable_hmac", "false")]).unwrap().switch(&VALIDATE_REQUEST));
    }

    #[test]
    fn the_table_holds_together() {
        for (at, key) in ALL.iter().enumerate() {
            assert!(ALL[..at].iter().all(|other| other.name != key.name), "{}", key.name);
            for default in [Some(key.default), key.local].into_iter().flatten().filter(|text| !text.is_empty()) {
                assert_eq!(key.kind.check(default), Ok(()), "{}", key.name);
            }
            assert!(!key.meaning.contains('|') && !key.meaning.is_empty());
        }
        assert!(WATCHDOGS.iter().all(|name| ALL.iter().all(|key| key.name != *name)));
    }
}
