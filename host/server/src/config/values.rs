//! The values in force: defaults, below a configuration file, below the environment, below secrets and options.

use super::error::Error;
use super::format::{Occurrence, Rule};
use super::key::{Both, Defaults, Group, Key, Malformed, Spec};
use super::table::{Values, WATCHDOG_KEYS, all};
use clap::ArgMatches;
use clap::parser::ValueSource;
use faas_flow_core::nearest;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    Environment(String),
    File(PathBuf),
    Secret(PathBuf),
    Option(String),
    Hostname,
    /// Derived from other keys.
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

/// The value of one key.
pub(crate) struct Setting<T: 'static> {
    key: &'static Key<T>,
    pub value: T,
    text: String,
    pub source: Source,
}

impl<T> Setting<T> {
    pub(super) fn with_default(key: &'static Key<T>, defaults: Defaults) -> Result<Self, Error> {
        let text = key.spec.default_for(defaults);
        let value = key.format.parse(text).map_err(|rule| Error::BadValue { name: key.spec.name.to_owned(), rule })?;
        Ok(Self { key, value, text: text.to_owned(), source: Source::Default })
    }

    /// The value as it was written. It may hold a password.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Replaces the value.
    pub fn set(&mut self, value: T, text: impl Into<String>, source: Source) {
        self.value = value;
        self.text = text.into();
        self.source = source;
    }

    /// Whether a value was given, even if it is the same as the default.
    pub fn is_given(&self) -> bool {
        self.source != Source::Default
    }
}

impl Setting<Option<String>> {
    /// Replaces the value of a key whose values are read as they are written.
    pub fn set_text(&mut self, text: String, source: Source) {
        self.set(Some(text.clone()), text, source);
    }

    /// The value, if one was given.
    pub fn given(&self) -> Option<&str> {
        self.value.as_deref().filter(|_| self.is_given())
    }
}

/// The value of a key of any type.
pub(crate) trait Slot {
    fn spec(&self) -> &'static Spec;
    fn text(&self) -> &str;
    fn source(&self) -> &Source;
    /// Reads a value and replaces the one in force.
    fn read(&mut self, text: &str, source: Source) -> Result<(), Rule>;
    /// Takes the value of the option, if it was given. Its command must have the key.
    fn take_option(&mut self, matches: &ArgMatches);
}

impl<T: Clone + Send + Sync + 'static> Slot for Setting<T> {
    fn spec(&self) -> &'static Spec {
        &self.key.spec
    }

    fn text(&self) -> &str {
        &self.text
    }

    fn source(&self) -> &Source {
        &self.source
    }

    fn read(&mut self, text: &str, source: Source) -> Result<(), Rule> {
        self.set(self.key.format.parse(text)?, text, source);
        Ok(())
    }

    fn take_option(&mut self, matches: &ArgMatches) {
        let Key { spec, format } = self.key;
        let Some(option) = spec.option_name() else { return };
        if matches.value_source(spec.name) != Some(ValueSource::CommandLine) {
            return;
        }
        let values = matches.get_many::<T>(spec.name).into_iter().flatten().cloned().collect();
        let Some(value) = format.combine(values) else { return };
        let mut texts: Vec<_> =
            matches.get_raw(spec.name).into_iter().flatten().map(|text| text.to_string_lossy()).collect();
        if format.occurrence() != Occurrence::Items {
            texts.drain(..texts.len().saturating_sub(1));
        }
        self.set(value, texts.join(","), Source::Option(format!("--{option}")));
    }
}

/// What a name means that is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// A misspelt key if it resembles one; otherwise a variable of another program.
    PerhapsForeign,
    /// A mistake, since there should be nothing but keys.
    Mistake,
}

/// Which values a layer replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precedence {
    /// All that were there before.
    High,
    /// Defaults only.
    Low,
}

impl Values {
    /// Puts the environment of this process over the values of the keys of these groups. Keys of other groups are checked, too.
    pub(super) fn read_environment(&mut self, groups: &[Group]) -> Result<(), Error> {
        let mut pairs = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => pairs.push((name, value)),
                Err(_) if all().iter().any(|key| key.spec().has_name(&name)) => return Err(Error::NotUnicode { name }),
                Err(_) => {}
            }
        }
        let source = |name: &str| Source::Environment(name.to_owned());
        self.read(pairs, source, Unknown::PerhapsForeign, Precedence::High, groups)
    }

    /// Reads a layer of names and values. If anything is wrong with it, the error holds all problems.
    pub(super) fn read(
        &mut self,
        pairs: impl IntoIterator<Item = (String, String)>,
        source: impl Fn(&str) -> Source,
        unknown: Unknown,
        precedence: Precedence,
        groups: &[Group],
    ) -> Result<(), Error> {
        let mut problems = Vec::new();
        let mut seen: BTreeMap<&'static str, String> = BTreeMap::new();
        for (name, value) in pairs.into_iter().collect::<BTreeMap<_, _>>() {
            let value = value.trim();
            let Some(key) = all().into_iter().find(|key| key.spec().has_name(&name)) else {
                problems.extend(unknown_key(name, unknown));
                continue;
            };
            // An empty variable counts as unset.
            if value.is_empty() {
                continue;
            }
            let spec = key.spec();
            if let Err(rule) = key.check(value) {
                match spec.malformed {
                    Malformed::Refused => problems.push(Error::BadValue { name, rule }),
                    Malformed::Ignored => self.ignored.push(format!("{name} {rule}; it is treated as not set")),
                }
                continue;
            }
            // The second name comes after the first one, which a test ensures.
            if let (Some(before), Some(second)) = (seen.get(spec.name), spec.also)
                && before != value
                && spec.both == Both::Agree
            {
                problems.push(Error::Ambiguous { first: spec.name, second });
                continue;
            }
            seen.insert(spec.name, value.to_owned());
            let slots = self.slots_mut().into_iter().filter(|slot| groups.contains(&slot.spec().group));
            let mut replaced = slots.filter(|slot| precedence == Precedence::High || *slot.source() == Source::Default);
            if let Some(slot) = replaced.find(|slot| slot.spec().name == spec.name)
                && let Err(rule) = slot.read(value, source(&name))
            {
                problems.push(Error::BadValue { name, rule });
            }
        }
        Error::all(problems)
    }
}

fn unknown_key(name: String, unknown: Unknown) -> Option<Error> {
    if WATCHDOG_KEYS.contains(&name.as_str()) {
        return None;
    }
    let nearest = resembled(&name);
    (nearest.is_some() || unknown == Unknown::Mistake).then_some(Error::UnknownKey { name, nearest })
}

/// The key that a lower-case name resembles: one letter in five may be wrong.
fn resembled(name: &str) -> Option<&'static str> {
    if name.len() < 4 || name.chars().any(char::is_uppercase) {
        return None;
    }
    // Dashes and underscores are so easily confused that they do not count as mistakes.
    let plain = |name: &str| name.replace('-', "_");
    let keys = all();
    let names = keys.iter().flat_map(|key| [Some(key.spec().name), key.spec().also]).flatten();
    let names: Vec<(String, &'static str)> = names.map(|name| (plain(name), name)).collect();
    let tolerance = |key: &str| (key.len() / 5).clamp(1, 3);
    let found = nearest(&plain(name), names.iter().map(|(plain, _)| plain.as_str()), tolerance)?;
    names.iter().find(|(plain, _)| plain == found).map(|(_, name)| *name)
}

#[cfg(test)]
impl Values {
    /// The values of a deployed function with these variables.
    pub(crate) fn of(variables: &[(&str, &str)]) -> Result<Self, Error> {
        let mut values = Values::with_defaults(Defaults::Deployed)?;
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let source = |name: &str| Source::Environment(name.to_owned());
        values.read(pairs, source, Unknown::PerhapsForeign, Precedence::High, &Group::ALL)?;
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, Takes};
    use clap::{Args as _, FromArgMatches as _};

    fn refused(variables: &[(&str, &str)]) -> String {
        Values::of(variables).err().expect("it is refused").to_string()
    }

    struct AllKeys;

    impl Takes for AllKeys {
        const GROUPS: &'static [Group] = &Group::ALL;
        const DEFAULTS: Defaults = Defaults::Deployed;
    }

    /// The values of variables and options.
    fn given(variables: &[(&str, &str)], options: &[&str]) -> Values {
        let command = Options::<AllKeys>::augment_args(clap::Command::new("test").no_binary_name(true));
        let matches = command.try_get_matches_from(options).unwrap();
        let mut values = Values::of(variables).unwrap();
        Options::<AllKeys>::from_arg_matches(&matches).unwrap().put_over(&mut values);
        values
    }

    #[test]
    fn options_win_over_the_environment_and_that_over_defaults() {
        let seconds = |values: &Values| values.lease.value.as_secs();
        assert_eq!(seconds(&given(&[], &[])), 10);
        assert_eq!(seconds(&given(&[("lease", "20s")], &[])), 20);
        let all = given(&[("lease", "20s")], &["--lease", "25s", "--lease", "30s"]);
        assert_eq!(
            (seconds(&all), all.lease.text(), all.lease.source.to_string().as_str()),
            (30, "30s", "option --lease")
        );
    }

    #[test]
    fn options_are_switches_lists_and_have_short_names() {
        let all = given(
            &[("functions", "c=http://c, d=echo")],
            &[
                "--suppress-lock",
                "--function",
                "a=x,y",
                "--function",
                "b=echo",
                "--state",
                "redis://r",
                "--tracing=false",
            ],
        );
        assert!(all.suppress_lock.value && !all.enable_tracing.value);
        assert_eq!(all.suppress_lock.text(), "true");
        assert_eq!(
            (all.functions.value.clone(), all.functions.text()),
            (vec!["a=x,y".to_owned(), "b=echo".to_owned()], "a=x,y,b=echo")
        );
        assert_eq!(all.state_store.given(), Some("redis://r"));
        assert_eq!(given(&[("functions", "c=http://c, d=echo")], &[]).functions.value, ["c=http://c", "d=echo"]);
    }

    #[test]
    fn a_low_layer_replaces_only_defaults() {
        let mut values = Values::of(&[("lease", "20s")]).unwrap();
        let file = [("lease", "1s"), ("port", "9")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let source = |_: &str| Source::File("flow.yml".into());
        values.read(file, source, Unknown::Mistake, Precedence::Low, &Group::ALL).unwrap();
        assert_eq!((values.lease.value.as_secs(), values.port.value), (20, 9));
        assert_eq!(values.port.source.to_string(), "file flow.yml");
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
            assert_eq!(refused(&[(wrong, "x")]), format!("unknown key `{wrong}`: did you mean `{right}`?"));
        }
    }

    #[test]
    fn variables_that_resemble_no_key_are_not_ours() {
        for foreign in
            ["http_proxy", "no_proxy", "fprocess", "mode", "_", "PATH", "GATEWAY", "release", "postgres", "home", "log"]
        {
            assert!(Values::of(&[(foreign, "x")]).is_ok(), "{foreign}");
        }
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let said = refused(&[("lease", "soon"), ("gatway", "x"), ("port", "http")]);
        assert_eq!(said.lines().count(), 3, "{said}");
    }

    #[test]
    fn two_names_of_one_key_must_agree() {
        let both = |first, second| Values::of(&[("validate_request", first), ("enable_hmac", second)]);
        assert!(!both("false", "false").unwrap().validate_request.value);
        assert!(both("false", "true").err().unwrap().to_string().contains("set only validate_request"));
        assert!(!Values::of(&[("enable_hmac", "false")]).unwrap().validate_request.value);
    }

    #[test]
    fn a_more_specific_name_of_a_key_wins() {
        let (base, specific) = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
        let timeout =
            |variables: &[(&str, &str)]| Values::of(variables).unwrap().otlp_timeout.value.unwrap().as_millis();
        assert_eq!(timeout(&[]), 10_000);
        assert_eq!(timeout(&[(base, "1")]), 1);
        assert_eq!(timeout(&[(specific, "2"), (base, "1")]), 2);
        // One that is malformed is as if it were not there.
        let values = Values::of(&[(base, "1"), (specific, "soon")]).unwrap();
        assert_eq!(values.otlp_timeout.value.unwrap().as_millis(), 1);
        assert_eq!(values.ignored.len(), 1);
        assert!(values.ignored[0].starts_with(&format!("{specific} must be")), "{:?}", values.ignored);
    }

    #[test]
    fn the_table_is_consistent() {
        let keys = all();
        for (at, key) in keys.iter().enumerate() {
            let spec = key.spec();
            let others = || keys[..at].iter().map(|other| other.spec());
            assert!(others().all(|other| !other.has_name(spec.name)), "{}", spec.name);
            assert!(spec.also.is_none_or(|also| others().all(|other| !other.has_name(also))), "{}", spec.name);
            assert!(!spec.meaning.contains('|') && !spec.meaning.is_empty());
            assert!(WATCHDOG_KEYS.iter().all(|name| !spec.has_name(name)));
            assert!(spec.both == Both::Agree || spec.also.is_some_and(|also| spec.name < also), "{}", spec.name);
        }
        for defaults in [Defaults::Deployed, Defaults::Local] {
            assert!(Values::with_defaults(defaults).is_ok());
        }
    }
}
