//! What the bearer of a token may do.

use std::fmt;

/// One thing that the bearer of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// See runs, their states, histories and logs, schedules, versions, and the audit log.
    See,
    /// See results, and what nodes got and yielded.
    SeePayloads,
    /// Change runs and schedules.
    Control,
    /// Push, activate, roll back and remove versions.
    Deploy,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 4] = [Self::See, Self::SeePayloads, Self::Control, Self::Deploy];

    /// Its name in the file of tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::See => "see",
            Self::SeePayloads => "see-payloads",
            Self::Control => "control",
            Self::Deploy => "deploy",
        }
    }

    /// The right with a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.as_str() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Several rights. Those who may control runs or see payloads may also see runs: their answers say which runs exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// No right.
    pub const NONE: Self = Self(0);
    /// Every right.
    pub const ALL: Self =
        Self(Right::See.bit() | Right::SeePayloads.bit() | Right::Control.bit() | Right::Deploy.bit());

    /// Reads `see,control`.
    ///
    /// # Errors
    ///
    /// A name is not that of a right, or there is none.
    pub fn parse(text: &str) -> Result<Self, UnknownRight> {
        text.split(',').map(str::trim).try_fold(Self::NONE, |rights, name| {
            let right = Right::parse(name).ok_or_else(|| UnknownRight { name: name.chars().take(40).collect() })?;
            Ok(rights.with(right))
        })
    }

    /// These rights and another one.
    #[must_use]
    pub const fn with(self, right: Right) -> Self {
        let implied = match right {
            Right::SeePayloads | Right::Control => Right::See.bit(),
            Right::See | Right::Deploy => 0,
        };
        Self(self.0 | right.bit() | implied)
    }

    /// These rights and others.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether a right is among them.
    pub const fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Right::ALL.into_iter().filter(|right| self.has(*right)).map(Right::as_str).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

/// A name that no right has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no right `{}`: a token may have see, see-payloads, control and deploy, separated by commas", name.escape_debug())]
pub struct UnknownRight {
    /// Its first 40 characters.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_change_runs_or_see_payloads_may_see_runs() {
        let rights = |text| Rights::parse(text).unwrap();
        assert_eq!(rights("control").to_string(), "see,control");
        assert_eq!(rights("see-payloads").to_string(), "see,see-payloads");
        assert_eq!(rights("deploy").to_string(), "deploy");
        assert_eq!(rights("deploy, control,see-payloads"), Rights::ALL);
        assert!(!rights("see").has(Right::Control) && !rights("deploy").has(Right::See));
        assert_eq!(Rights::NONE.to_string(), "none");
    }

    #[test]
    fn unknown_rights_are_named() {
        for (bad, name) in
            [("sea", "sea"), ("see,,control", ""), ("", ""), ("See", "See"), ("see;control", "see;control")]
        {
            assert_eq!(Rights::parse(bad).unwrap_err().name, name, "{bad}");
        }
    }
}
