//! A configuration key: its names, the format of its values, and what it means.

use super::format::{Format, Occurrence, Rule};

/// A key whose values are of type `T`: an environment variable, and an option of the commands that take it.
pub(crate) struct Key<T: 'static> {
    pub spec: Spec,
    pub format: &'static dyn Format<T>,
}

/// What is known of a key regardless of the type of its values.
#[derive(Debug)]
pub(crate) struct Spec {
    /// The name of the environment variable.
    pub name: &'static str,
    /// A second name of the variable, for those who know it from the original or from OpenTelemetry.
    pub also: Option<&'static str>,
    pub both: Both,
    pub malformed: Malformed,
    pub shown: Shown,
    pub option: OptionName,
    /// The default of deployed functions; empty for none.
    pub default: &'static str,
    /// The default of `serve`, `run` and `dev`, if it is another one.
    pub local: Option<&'static str>,
    pub origin: Origin,
    pub group: Group,
    /// The meaning in one line of Markdown.
    pub meaning: &'static str,
}

/// The name of the option for a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OptionName {
    /// The key's name, with dashes.
    AsKey,
    /// A name in the singular, since the option is given once for each item.
    As(&'static str),
    /// The key's name, and a shorter one.
    Also(&'static str),
    /// There is no option, but a positional argument.
    Positional,
    /// There is none: it is a variable that many programs read.
    Variable,
}

/// What it means that both names of a key are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Both {
    /// They must have the same value.
    Agree,
    /// The second name is the more specific one, and wins.
    SecondWins,
}

/// What happens if the value of the key is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It is an error.
    Refused,
    /// The key is taken as not set, with a warning, as OpenTelemetry's specification demands.
    Ignored,
}

/// Whether people may see a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// They may see it without passwords.
    Redacted,
    /// They may see only that there is one.
    Hidden,
}

/// Which program introduced a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The original faas-flow; the key means the same here.
    Original,
    /// of-watchdog.
    Watchdog,
    /// OpenTelemetry.
    OpenTelemetry,
    /// This program.
    Ours,
}

impl Origin {
    pub const fn as_str(self) -> &'static str {
        match self {
            Origin::Original => "original",
            Origin::Watchdog => "of-watchdog",
            Origin::OpenTelemetry => "OpenTelemetry",
            Origin::Ours => "faas-flow",
        }
    }
}

/// What a key is about. A command takes the keys of the groups that concern it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Address,
    Connections,
    Function,
    Calls,
    Stores,
    Limits,
    Access,
    Schedule,
    Guest,
    Modules,
    Tracing,
}

impl Group {
    pub const ALL: [Group; 11] = [
        Group::Address,
        Group::Connections,
        Group::Function,
        Group::Calls,
        Group::Stores,
        Group::Limits,
        Group::Access,
        Group::Schedule,
        Group::Guest,
        Group::Modules,
        Group::Tracing,
    ];

    /// The heading in the help of commands and in the documentation.
    pub const fn title(self) -> &'static str {
        match self {
            Group::Address => "Listening",
            Group::Connections => "Connections and slow callers",
            Group::Function => "Deployed function",
            Group::Calls => "Calls of functions",
            Group::Stores => "Stores",
            Group::Limits => "Limits and timeouts of runs",
            Group::Access => "Access control",
            Group::Schedule => "Schedules",
            Group::Guest => "Limits of flow code",
            Group::Modules => "Accepted modules",
            Group::Tracing => "Tracing",
        }
    }
}

impl Spec {
    /// The name of the option, without dashes in front; none if there is no option.
    pub fn option_name(&self) -> Option<String> {
        match self.option {
            OptionName::Positional | OptionName::Variable => None,
            OptionName::As(name) => Some(name.to_owned()),
            OptionName::AsKey | OptionName::Also(_) => Some(self.name.replace('_', "-")),
        }
    }

    /// Whether an environment variable of this name is the key.
    pub fn has_name(&self, name: &str) -> bool {
        self.name == name || self.also == Some(name)
    }

    /// The default of deployed functions, or of local commands.
    pub fn default_for(&self, defaults: Defaults) -> &'static str {
        match defaults {
            Defaults::Deployed => self.default,
            Defaults::Local => self.local.unwrap_or(self.default),
        }
    }
}

/// Which defaults are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defaults {
    /// Those of a deployed function.
    Deployed,
    /// Those of `serve`, `run`, `dev` and the commands that look at their runs.
    Local,
}

impl<T> Key<T> {
    pub const fn new(
        name: &'static str,
        format: &'static dyn Format<T>,
        default: &'static str,
        origin: Origin,
        group: Group,
        meaning: &'static str,
    ) -> Self {
        let option = OptionName::AsKey;
        let (both, malformed, shown) = (Both::Agree, Malformed::Refused, Shown::Redacted);
        let spec =
            Spec { name, also: None, both, malformed, shown, option, default, local: None, origin, group, meaning };
        Self { spec, format }
    }

    /// A variable of OpenTelemetry's specification.
    pub const fn of_telemetry(
        name: &'static str,
        format: &'static dyn Format<T>,
        default: &'static str,
        meaning: &'static str,
    ) -> Self {
        let mut key = Self::new(name, format, default, Origin::OpenTelemetry, Group::Tracing, meaning);
        key.spec.option = OptionName::Variable;
        key
    }

    /// The key with a second, more specific name of the variable.
    pub const fn specifically(mut self, also: &'static str) -> Self {
        self.spec.also = Some(also);
        self.spec.both = Both::SecondWins;
        self
    }

    /// The key, of which malformed values are ignored.
    pub const fn leniently(mut self) -> Self {
        self.spec.malformed = Malformed::Ignored;
        self
    }

    /// The key, of whose value nothing is shown.
    pub const fn hidden(mut self) -> Self {
        self.spec.shown = Shown::Hidden;
        self
    }

    /// The key with another default for local commands.
    pub const fn locally(mut self, local: &'static str) -> Self {
        self.spec.local = Some(local);
        self
    }

    /// The key with a second name of the variable.
    pub const fn also(mut self, also: &'static str) -> Self {
        self.spec.also = Some(also);
        self
    }

    /// The key with another option.
    pub const fn option(mut self, option: OptionName) -> Self {
        self.spec.option = option;
        self
    }
}

/// A key of any type.
pub(crate) trait AnyKey: Sync {
    fn spec(&'static self) -> &'static Spec;
    /// The format of its values in a few words of Markdown.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares the documentation with it"))]
    fn describe(&self) -> String;
    /// The words that are its values, if only certain words are.
    fn words(&self) -> Vec<&'static str>;
    /// Whether a text is a value of it.
    fn check(&self, text: &str) -> Result<(), Rule>;
    /// The option of a command for it, without its help; none if there is no option.
    fn argument(&'static self) -> Option<clap::Arg>;
}

impl<T: Clone + Send + Sync + 'static> AnyKey for Key<T> {
    fn spec(&'static self) -> &'static Spec {
        &self.spec
    }

    fn describe(&self) -> String {
        self.format.describe()
    }

    fn words(&self) -> Vec<&'static str> {
        self.format.words()
    }

    fn check(&self, text: &str) -> Result<(), Rule> {
        self.format.parse(text).map(|_| ())
    }

    fn argument(&'static self) -> Option<clap::Arg> {
        // An option's name must live as long as the process: there are as many as there are keys.
        let name: &'static str = self.spec.option_name()?.leak();
        let format = self.format;
        let argument = clap::Arg::new(self.spec.name)
            .long(name)
            .value_name(format.placeholder())
            .value_parser(move |text: &str| format.parse_option(text))
            .action(clap::ArgAction::Append);
        Some(match format.occurrence() {
            Occurrence::Switch => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
            Occurrence::Value | Occurrence::Items => argument,
        })
    }
}
