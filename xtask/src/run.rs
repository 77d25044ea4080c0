//! Running other programs.

use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// How tasks run a program.
pub trait Run {
    /// Runs it with its output shown. If it fails, the error names `what` it was run for.
    fn must(&mut self, what: &str) -> Result<()>;
    /// Runs it without showing its output. Returns its standard output without surrounding white space, or nothing if it
    /// failed.
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

/// A command that runs a program of this machine, found by its name.
pub fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}
