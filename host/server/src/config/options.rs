//! The keys as options of a command.

use super::table::{ALL, Group, Key, Named};
use super::values::{Defaults, Layer, Source, Unknown, Values, join, read};
use super::{kind::Kind, secrets};
use crate::Error;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use faas_flow_core::Code;
use std::marker::PhantomData;

/// A command that takes keys.
pub(crate) trait Takes {
    /// Which ones.
    const GROUPS: &'static [Group];
    /// Whose defaults hold.
    const DEFAULTS: Defaults;
    /// Whether its subcommands take them too.
    const GLOBAL: bool = false;
}

/// What was said on the command line of the keys that a command takes.
pub(crate) struct Options<C> {
    given: Layer<'static>,
    command: PhantomData<C>,
}

impl<C: Takes> Options<C> {
    /// Puts the options over the environment and the secrets of this process.
    pub fn read(self) -> Result<Values, Error> {
        let mut layer = environment()?;
        layer.retain(|(key, ..)| C::GROUPS.contains(&key.group));
        let mut values = Values::new(C::DEFAULTS, layer, self.given);
        secrets::addresses(&mut values)?;
        Ok(values)
    }

    /// Puts the options over the keys of a file, as they would be in a container.
    pub fn over(self, layer: Layer<'static>) -> Values {
        Values::new(C::DEFAULTS, layer, self.given)
    }
}

fn environment() -> Result<Layer<'static>, Error> {
    let mut pairs = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        let value = match value.into_string() {
            Ok(value) => value,
            Err(_) if ALL.iter().any(|key| key.name == name) => {
                return Err(Error::new(Code::BAD_CONFIGURATION, format!("{name} is not UTF-8 text")));
            }
            Err(_) => continue,
        };
        pairs.push((name, value));
    }
    read(pairs, |name| Source::Environment(name.to_owned()), Unknown::Resembling).map_err(join)
}

fn argument(key: &'static Key, defaults: Defaults) -> Option<Arg> {
    // An option's name has to live as long as the process: there are as many as there are keys.
    let name: &'static str = key.option_name()?.leak();
    let kind = key.kind;
    let check = move |text: &str| kind.check(text).map(|()| text.to_owned());
    let mut argument = Arg::new(key.name).long(name).value_name(kind.placeholder()).value_parser(check);
    argument = argument.action(ArgAction::Append).help_heading(key.group.title());
    if let Named::Also(short) = key.option {
        argument = argument.alias(short);
    }
    if matches!(kind, Kind::Switch) {
        argument = argument.num_args(0..=1).require_equals(true).default_missing_value("true");
    }
    let default = match defaults {
        Defaults::Local => key.local.unwrap_or(key.default),
        Defaults::Deployed => key.default,
    };
    let default = if default.is_empty() { String::new() } else { format!(" [default: {default}]") };
    Some(argument.help(format!("{}{default}", sentence(key.meaning))))
}

fn sentence(text: &str) -> String {
    let text = text.replace('`', "");
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

impl<C: Takes> Args for Options<C> {
    fn augment_args(command: Command) -> Command {
        let keys = ALL.iter().filter(|key| C::GROUPS.contains(&key.group));
        command.args(keys.filter_map(|key| argument(key, C::DEFAULTS)).map(|argument| argument.global(C::GLOBAL)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: Takes> FromArgMatches for Options<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for key in ALL.iter().filter(|key| C::GROUPS.contains(&key.group)) {
            let Some(name) = key.option_name() else { continue };
            if matches.value_source(key.name) != Some(ValueSource::CommandLine) {
                continue;
            }
            let mut values: Vec<String> = matches.get_many(key.name).into_iter().flatten().cloned().collect();
            // The last one counts, but for lists.
            if !matches!(key.kind, Kind::List) {
                values = values.pop().into_iter().collect();
            }
            given.push((*key, values, Source::Option(format!("--{name}"))));
        }
        Ok(Self { given, command: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
