//! The keys as options of a command.

use super::error::Error;
use super::key::{AnyKey, Defaults, Group, OptionName};
use super::table::{Values, all};
use super::{file, secrets};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use std::marker::PhantomData;
use std::path::Path;

/// A command that takes keys.
pub(crate) trait Takes {
    /// The groups of its keys.
    const GROUPS: &'static [Group];
    const DEFAULTS: Defaults;
    /// Whether its subcommands take the options, too.
    const SCOPE: Scope = Scope::Command;
}

/// Where on the command line options are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Command,
    Subcommands,
}

/// The options that were given for the keys of a command.
pub(crate) struct Options<C> {
    matches: ArgMatches,
    command: PhantomData<C>,
}

impl<C: Takes> Options<C> {
    /// The values of this process: from its options, environment and secrets.
    pub fn read(self) -> Result<Values, Error> {
        let mut values = Values::with_defaults(C::DEFAULTS)?;
        values.read_environment(C::GROUPS)?;
        self.put_over(&mut values);
        secrets::read_addresses(&mut values)?;
        Ok(values)
    }

    /// The values that are needed before anything else: from options and environment. `None` if something is wrong with them,
    /// which [`Options::read`] reports.
    pub fn peek(&self) -> Option<Values> {
        let mut values = Values::with_defaults(C::DEFAULTS).ok()?;
        values.read_environment(C::GROUPS).ok()?;
        self.put_over(&mut values);
        Some(values)
    }

    /// The values that a container with this file would have, except for its secrets.
    pub fn read_over_file(self, path: &Path) -> Result<Values, Error> {
        let mut values = Values::with_defaults(C::DEFAULTS)?;
        file::read(&mut values, path)?;
        self.put_over(&mut values);
        Ok(values)
    }

    pub(super) fn put_over(&self, values: &mut Values) {
        for slot in values.slots_mut() {
            if C::GROUPS.contains(&slot.spec().group) {
                slot.take_option(&self.matches);
            }
        }
    }
}

fn argument(key: &'static dyn AnyKey, defaults: Defaults) -> Option<Arg> {
    let spec = key.spec();
    let words = key.words();
    let mut help = sentence(spec.meaning, &words);
    if !words.is_empty() {
        help.push_str(&format!(" [possible values: {}]", words.join(", ")));
    }
    let default = spec.default_for(defaults);
    if !default.is_empty() {
        help.push_str(&format!(" [default: {default}]"));
    }
    let argument = key.argument()?.help_heading(spec.group.title()).help(help);
    Some(match spec.option {
        OptionName::Also(short) => argument.alias(short),
        OptionName::AsKey | OptionName::As(_) | OptionName::Positional | OptionName::Variable => argument,
    })
}

/// Markdown as plain text that begins with a capital letter. A link becomes the path of the page in the repository, and the
/// name of a key that of its option. Other words in the font of code are quoted, such as the values of the key.
fn sentence(markdown: &str, values: &[&str]) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, (_, (target, after)))) = rest
        .split_once('[')
        .and_then(|(before, link)| Some((before, link.split_once("](")?)))
        .and_then(|(before, (label, link))| Some((before, (label, link.split_once(')')?))))
    {
        text.push_str(&format!("{before}docs/{target}"));
        rest = after;
    }
    text.push_str(rest);
    let parts = text.split('`').enumerate();
    let text: String = parts.map(|(at, part)| if at % 2 == 1 { code(part, values) } else { part.to_owned() }).collect();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What Markdown sets in the font of code, as plain text.
fn code(text: &str, values: &[&str]) -> String {
    let key = all().into_iter().find(|key| key.spec().name == text && !values.contains(&text));
    match key.and_then(|key| key.spec().option_name()) {
        Some(option) => format!("--{option}"),
        // What looks like a word of the sentence.
        None if text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') => format!("'{text}'"),
        None => text.to_owned(),
    }
}

impl<C: Takes> Args for Options<C> {
    fn augment_args(command: Command) -> Command {
        let keys = all().into_iter().filter(|key| C::GROUPS.contains(&key.spec().group));
        let arguments = keys.filter_map(|key| argument(key, C::DEFAULTS));
        command.args(arguments.map(|argument| argument.global(C::SCOPE == Scope::Subcommands)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: Takes> FromArgMatches for Options<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { matches: matches.clone(), command: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_plain_text() {
        assert_eq!(sentence("trace runs ([tracing](tracing.md))", &[]), "Trace runs (docs/tracing.md)");
        assert_eq!(sentence("those that `functions` lists, or `none`", &[]), "Those that --function lists, or 'none'");
        assert_eq!(sentence("with `X-Timeout` as `NAME:PORT`", &[]), "With X-Timeout as NAME:PORT");
        assert_eq!(sentence("`gateway` or `local`", &["gateway", "local"]), "'gateway' or 'local'");
        assert_eq!(sentence("a [b", &[]), "A [b");
    }
}
