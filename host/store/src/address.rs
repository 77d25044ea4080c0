//! The address of a store: `scheme:place?option=value&option=value`.

use crate::StoreError;
use faas_flow_core::redact;
use percent_encoding::percent_decode_str;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The parts of an address. Each backend interprets them, and rejects unknown options with [`Address::knows`].
pub(crate) struct Address<'a> {
    url: &'a str,
    /// The part before the first colon.
    pub(crate) scheme: &'a str,
    /// The part after it, up to the options, without leading `//`. It may contain a password.
    pub(crate) place: &'a str,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Address<'a> {
    pub(crate) fn parse(url: &'a str) -> Self {
        let (head, options) = url.split_once('?').unwrap_or((url, ""));
        let (scheme, place) = head.split_once(':').unwrap_or((head, ""));
        let options = options.split('&').filter(|option| !option.is_empty());
        Self {
            url,
            scheme,
            place: place.strip_prefix("//").unwrap_or(place),
            options: options.map(|option| option.split_once('=').unwrap_or((option, ""))).collect(),
        }
    }

    /// Rejects options other than these.
    pub(crate) fn knows(&self, known: &[&str]) -> Result<(), StoreError> {
        match self.options.iter().find(|(name, _)| !known.contains(name)) {
            None => Ok(()),
            Some(_) if known.is_empty() => Err(self.bad("it has no options")),
            Some((name, _)) => {
                Err(self.bad(format!("`{name}` is not one of its options, which are {}", known.join(", "))))
            }
        }
    }

    /// The value of an option, percent-decoded. If it is given more than once, the last one counts.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.options.iter().rev().find(|(option, _)| *option == name)?;
        Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
    }

    /// An option whose value is a whole number.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let number = |value: String| value.parse().map_err(|_| self.bad(format!("{name} must be a number")));
        self.text(name).map(number).transpose()
    }

    /// An option whose value is a number of milliseconds.
    pub(crate) fn millis(&self, name: &str) -> Result<Option<Duration>, StoreError> {
        Ok(self.number(name)?.map(Duration::from_millis))
    }

    /// An option whose value is one of several words.
    pub(crate) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, StoreError> {
        let Some(value) = self.text(name) else { return Ok(None) };
        let chosen = choices.iter().find(|(word, _)| *word == value);
        let words = || choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
        chosen.map(|(_, choice)| Some(*choice)).ok_or_else(|| self.bad(format!("{name} must be {}", words())))
    }

    /// The place as a path.
    pub(crate) fn path(&self) -> Result<PathBuf, StoreError> {
        if self.place.is_empty() || self.place.starts_with(':') || self.place.contains('\0') {
            return Err(self.bad(format!("use {}:PATH", self.scheme)));
        }
        Ok(self.place.into())
    }

    /// Creates the error of a malformed address. `rule` says what it must look like.
    pub(crate) fn bad(&self, rule: impl Into<String>) -> StoreError {
        let mut url = redact::text(&redact::place(self.url));
        // Options that the backend does not know may be secret whatever their names.
        if self.url.contains('?') {
            url.push_str("?***");
        }
        StoreError::BadUrl { url, rule: rule.into() }
    }
}

/// Whether a backend on disk may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
}

impl Access {
    /// The option `mode`.
    pub(crate) fn of(address: &Address<'_>) -> Result<Self, StoreError> {
        let chosen = address.choice("mode", &[("rw", Access::ReadWrite), ("ro", Access::ReadOnly)])?;
        Ok(chosen.unwrap_or(Access::ReadWrite))
    }
}

/// What a write to disk survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    ProcessCrash,
    PowerLoss,
}

impl Durability {
    /// The option `synchronous`.
    pub(crate) fn of(address: &Address<'_>) -> Result<Self, StoreError> {
        let choices = [("normal", Durability::ProcessCrash), ("full", Durability::PowerLoss)];
        Ok(address.choice("synchronous", &choices)?.unwrap_or(Durability::ProcessCrash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_into_its_parts() {
        let address = Address::parse("x://a:b@c:1/2?n=5&t=a%26b&flag&n=6");
        assert_eq!((address.scheme, address.place), ("x", "a:b@c:1/2"));
        assert_eq!(address.number::<u8>("n").unwrap(), Some(6), "the last one counts");
        assert_eq!(address.text("t").unwrap(), "a&b");
        assert_eq!(address.text("flag").unwrap(), "");
        assert_eq!(address.text("missing"), None);
        assert!(address.knows(&["n", "t", "flag"]).is_ok());
        assert!(address.knows(&["n", "t"]).is_err());
        assert!(address.number::<u8>("t").is_err());
        assert!(!address.bad("").to_string().contains("a:b"));
        assert!(!Address::parse("x:y?password=hidden").knows(&["n"]).unwrap_err().to_string().contains("hidden"));
    }
}
