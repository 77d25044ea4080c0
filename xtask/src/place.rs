//! Where files are: the clone, and the cache outside it that all clones share.

use crate::run::Run as _;
use anyhow::{Context, Result};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{IsTerminal as _, stderr};
use std::path::PathBuf;
use std::process::Command;

/// The folders that the tasks work in.
pub struct Place {
    /// The clone.
    pub root: PathBuf,
    /// The pinned tools, one folder per tool and version.
    pub tools: PathBuf,
    /// The built modules; `FAAS_FLOW_MODULES` for the tests.
    pub modules: PathBuf,
    /// The output of cargo.
    pub target: PathBuf,
}

impl Place {
    /// Reads the environment: `XDG_CACHE_HOME`, `HOME`, `CARGO_MANIFEST_DIR`, `CARGO_TARGET_DIR`, `FAAS_FLOW_MODULES`.
    pub fn find() -> Result<Self> {
        // Read at run time, since clones that share a target folder share this program too.
        let package = path("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = package.parent().context("xtask has no parent folder")?;
        let cache = match path("XDG_CACHE_HOME") {
            Some(cache) => cache,
            None => path("HOME").context("neither XDG_CACHE_HOME nor HOME is set: set one")?.join(".cache"),
        }
        .join("faas-flow");
        Ok(Self {
            root: root.to_owned(),
            tools: cache.join("tools"),
            modules: path("FAAS_FLOW_MODULES").unwrap_or_else(|| cache.join("modules")),
            target: path("CARGO_TARGET_DIR").unwrap_or_else(|| cache.join("target")),
        })
    }

    /// A cargo command in the clone that builds into the shared cache.
    pub fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.arg(subcommand).current_dir(&self.root);
        cargo.env("CARGO_TARGET_DIR", &self.target).env("FAAS_FLOW_MODULES", &self.modules);
        cargo
    }

    /// A cargo command, for example `build`, that shows its progress on a terminal, and only errors elsewhere.
    pub fn cargo_with_progress(&self, subcommand: &str) -> Command {
        let mut cargo = self.cargo(subcommand);
        if !stderr().is_terminal() {
            cargo.arg("--quiet");
        }
        cargo
    }

    /// Builds programs of the project for development: `<target>/debug/<name>`.
    pub fn build_programs(&self, names: &[&str]) -> Result<()> {
        let is_first = names.iter().any(|name| !self.target.join("debug").join(name).is_file());
        let patience = if is_first { ": the first time, this takes ten minutes or more" } else { "" };
        eprintln!("building {}{patience}", names.join(", "));
        let mut build = self.cargo_with_progress("build");
        build.arg("--workspace");
        for name in names {
            build.args(["--bin", name]);
        }
        // Cargo enables the features of development dependencies once an example is built. So everything is built with the
        // features that the tests use, and neither has to compile wasmtime again after the other.
        build.args(["--example", "f1"]).must("building programs")
    }

    /// The names of the folders in `examples/` that have this file, in order.
    pub fn examples_with(&self, file: &str) -> Result<Vec<String>> {
        let examples = self.root.join("examples");
        let mut names = Vec::new();
        for entry in examples.read_dir().with_context(|| format!("cannot list {}", examples.display()))? {
            let entry = entry?;
            if entry.path().join(file).is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The names of the folders in `examples/` that are flows in Rust: packages with a `cdylib`, from which a module is made.
    /// The other packages are programs that use the host as a library.
    pub fn rust_flows(&self) -> Result<Vec<String>> {
        let mut names = self.examples_with("Cargo.toml")?;
        names.retain(|name| {
            let manifest = self.root.join("examples").join(name).join("Cargo.toml");
            fs::read_to_string(manifest).is_ok_and(|manifest| manifest.contains("\"cdylib\""))
        });
        Ok(names)
    }
}

fn path(variable: &str) -> Option<PathBuf> {
    let value: OsString = env::var_os(variable).filter(|value| !value.is_empty())?;
    std::path::absolute(value).ok()
}
