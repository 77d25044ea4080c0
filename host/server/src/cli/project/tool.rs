//! The programs that builds need: which versions will do, and how to install them.

use super::build::Refused;
use super::running::Running;
use crate::SourcesError;
use std::fmt;
use std::process::Stdio;
use tokio::process::Command;

/// A program that a build needs.
pub(super) struct Tool {
    /// What people call it, and the program's name.
    pub(super) name: &'static str,
    /// The arguments with which it prints its version.
    pub(super) version: &'static [&'static str],
    /// The oldest version that will do.
    pub(super) least: Version,
    /// The first version that will not do, because the build depends on what it does.
    pub(super) below: Option<Version>,
    /// What to do if it is missing: a command, or a sentence.
    pub(super) install: &'static str,
}

/// A version, of which the first two numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Version {
    /// The first version in a text: `go version go1.26.1 linux/amd64` has 1.26.
    fn find(text: &str) -> Option<Self> {
        text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
            let mut numbers = word.split('.').map(str::parse::<u32>);
            match (numbers.next(), numbers.next()) {
                (Some(Ok(major)), Some(Ok(minor))) => Some(Version(major, minor)),
                _ => None,
            }
        })
    }
}

impl Tool {
    /// Whether the program that a command runs is there, in a version that will do.
    pub(super) async fn check(&self, command: &Command) -> Result<(), Refused> {
        let mut version = Command::new(command.as_std().get_program());
        version.args(self.version).stdout(Stdio::piped());
        let said = Running::start(&mut version, self)?.output().await?;
        match Version::find(&String::from_utf8_lossy(&said)) {
            Some(found) if found < self.least || self.below.is_some_and(|below| found >= below) => {
                let needed = match self.below {
                    Some(below) => format!("{} or later, and before {below}", self.least),
                    None => format!("{} or later", self.least),
                };
                Err(SourcesError::ToolUnfit {
                    program: self.name,
                    found: found.to_string(),
                    needed,
                    install: self.install,
                }
                .into())
            }
            // A build of its own may print no version. If it cannot do what is asked of it, the build says so.
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        for (said, version) in [
            ("go version go1.26.1 linux/amd64", Version(1, 26)),
            ("componentize-py 0.25.1", Version(0, 25)),
            ("v24.1.0\n", Version(24, 1)),
            ("GNU Make 4.3\nBuilt for x86_64-pc-linux-gnu", Version(4, 3)),
        ] {
            assert_eq!(Version::find(said), Some(version), "{said}");
        }
        assert_eq!(Version::find("go version devel +abc"), None);
        assert!(Version(1, 9) < Version(1, 10));
    }
}
