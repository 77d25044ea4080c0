//! Running other programs.

use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// What a task asks of a program.
pub trait Run {
    /// Runs it in view of the user; anything but success is an error that names `what`.
    fn must(&mut self, what: &str) -> Result<()>;
    /// Runs it unseen and yields its standard output, if it succeeds.
    fn quiet(&mut self) -> Option<String>;
}

impl Run for Command {
    fn must(&mut self, what: &str) -> Result<()> {
        let program = self.get_program().to_owned();
        let status = self.status().with_context(|| format!("cannot start {}", program.display()))?;
        if !status.success() {
            bail!("{what}: {} ended with {status}", program.display());
        }
        Ok(())
    }

    fn quiet(&mut self) -> Option<String> {
        let output = self.stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// A program of the machine, by name.
pub fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}
