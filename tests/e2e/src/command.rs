//! The program's commands, run to their end.

use crate::program;
use serde_json::Value;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program, to run in this folder. It sees nothing of the environment that it could take for a setting.
pub fn faas_flow(folder: &Path) -> Command {
    let mut command = Command::new(program::path());
    command.current_dir(folder).stdin(Stdio::null()).env_remove("RUST_LOG").env("NO_COLOR", "1");
    for (variable, _) in env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("FAAS_FLOW_")
            || name.starts_with("OTEL_")
            || name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            command.env_remove(variable);
        }
    }
    // Modules of 40 MB take long to compile with a program that is not optimized, on a machine that may be busy.
    command.env("compile_timeout", "10m");
    command
}

/// A command that has ended.
#[derive(Debug)]
pub struct Done {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All that it wrote to stdout.
    pub stdout: String,
    /// All that it wrote to stderr.
    pub stderr: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Runs a command of the program in a folder, and waits for its end.
pub fn run<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Done {
    faas_flow(folder).args(arguments).output().unwrap().into()
}

impl Done {
    /// What it wrote to stdout. It must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// What it wrote to stdout, read as JSON. It must have succeeded.
    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// It must have failed with this error code. Its message has all of these parts and refers to the code's page; it
    /// printed no data, but perhaps the failure as JSON.
    #[track_caller]
    pub fn failed(self, code: &str, says: &[&str]) {
        assert_eq!(self.code, Some(1), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        let says_code = [": ", " at "].iter().any(|next| self.stderr.contains(&format!("error {code}{next}")));
        assert!(says_code, "{}", self.stderr);
        assert!(self.stderr.contains(&format!("faas-flow explain {code}")), "{}", self.stderr);
        for part in says {
            assert!(self.stderr.contains(part), "`{}` does not say `{part}`", self.stderr);
        }
        let printed: Value = serde_json::from_str(&self.stdout).unwrap_or_default();
        assert!(self.stdout.is_empty() || printed["failure"]["code"] == code, "{}", self.stdout);
    }
}

/// Writes a shell script that serves as a function.
pub fn script(folder: &Path, name: &str, body: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
