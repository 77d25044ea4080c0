//! How a module is made in each language: which programs make it, and how they are called.

use super::build::Refused;
use super::cargo;
use super::go;
use super::language::Language;
use super::running::{Running, to_stderr};
use super::tool::{Tool, Version};
use crate::{Error, SourcesError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// Where modules are built, in the folder of a project.
pub(super) const MADE: &str = ".faas-flow/build";
/// The module.
pub(super) const MODULE: &str = ".faas-flow/build/flow.wasm";
/// What compilers of C leave there for the next time.
const OBJECTS: &str = ".faas-flow/build/objects";
/// The target of Rust: modules without a system below them.
const TARGET: &str = "wasm32-unknown-unknown";

const CARGO: Tool = Tool {
    name: "cargo",
    version: &["--version"],
    least: Version(1, 85),
    below: None,
    install: "install Rust as https://rustup.rs says, then run `rustup target add wasm32-unknown-unknown`",
};
const NODE: Tool = Tool {
    name: "node",
    version: &["--version"],
    least: Version(18, 0),
    below: None,
    install: "install Node 18 or later as https://nodejs.org says, then run `npm install` in the folder of the flow",
};
/// The part of the SDK for TypeScript that makes modules.
const TYPESCRIPT: &str = "node_modules/.bin/faas-flow-typescript";
/// Its own Python becomes part of the module, so that another version makes another module.
const COMPONENTIZE_PY: Tool = Tool {
    name: "componentize-py",
    version: &["--version"],
    least: Version(0, 25),
    below: Some(Version(0, 26)),
    install: "in the folder of the flow, run `python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1 -r \
              requirements.txt`",
};
/// The SDK for Python, seen from the folder of a project that has its template.
const PYTHON_SDK: &str = "../template/faas-flow-python/sdk/src";
const MAKE: Tool = Tool {
    name: "make",
    version: &["--version"],
    least: Version(3, 81),
    below: None,
    install: "install it with the package manager of your system: `apt-get install make`",
};

/// Builds the module of a project.
pub(super) async fn build(language: Language, folder: &Path) -> Result<PathBuf, Refused> {
    match language {
        Language::Rust => rust(folder).await,
        Language::Go => go::build(folder).await,
        Language::Typescript => {
            // Packages lie in the folder or, in a workspace, above it.
            let found = folder.ancestors().map(|above| above.join(TYPESCRIPT)).find(|file| file.exists());
            let found = found.ok_or_else(|| SourcesError::NotInstalled { folder: folder.to_owned() })?;
            let mut node = Command::new(NODE.name);
            made(node.arg(found).args(["build", "--output", MODULE]), &NODE, folder).await
        }
        Language::Python => python(folder).await,
        Language::C => {
            let mut tool = Command::new(MAKE.name);
            tool.args(["--silent", &format!("MODULE={MODULE}"), &format!("BUILD={OBJECTS}")]);
            made(&mut tool, &MAKE, folder).await
        }
    }
}

/// Runs a command in the folder of the project, which writes the module to its place.
pub(super) async fn made(command: &mut Command, tool: &Tool, folder: &Path) -> Result<PathBuf, Refused> {
    tool.check(command).await?;
    let (module, place) = (folder.join(MODULE), folder.join(MADE));
    std::fs::create_dir_all(&place).map_err(|source| Error::OutputUnwritable { path: place, source })?;
    command.current_dir(folder).stdout(to_stderr()?);
    Running::start(command, tool)?.end().await?;
    if module.exists() { Ok(module) } else { Err(SourcesError::NotMade { program: tool.name, module }.into()) }
}

async fn rust(folder: &Path) -> Result<PathBuf, Refused> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| CARGO.name.into()));
    CARGO.check(&cargo).await?;
    cargo.args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"]);
    cargo.current_dir(folder).stdout(Stdio::piped());
    let said = Running::start(&mut cargo, &CARGO)?.output().await?;
    Ok(cargo::made(&said, folder)?)
}

/// Packages, and the compiler, are those of the virtual environment that is active, or lies in the folder.
async fn python(folder: &Path) -> Result<PathBuf, Refused> {
    let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let beside = [".venv", "venv"].map(|name| folder.join(name)).into_iter().find(|place| place.is_dir());
    let environment = active.or(beside);
    let inside =
        environment.as_ref().map(|place| place.join("bin").join(COMPONENTIZE_PY.name)).filter(|file| file.exists());
    let mut python = Command::new(inside.unwrap_or_else(|| COMPONENTIZE_PY.name.into()));
    if let Some(environment) = environment {
        python.env("VIRTUAL_ENV", environment);
    }
    // What goes wrong is in the author's code, and not in the compiler's.
    python.env("RUST_BACKTRACE", "0");
    python.args(["--quiet", "--world", "full-flow", "componentize", "faas_flow.app", "--output", MODULE]);
    // The SDK that came with the project, unless the environment has another.
    let sdk = folder.join(PYTHON_SDK);
    if sdk.is_dir() {
        python.args(["--python-path", "."]).arg("--python-path").arg(sdk);
    }
    made(&mut python, &COMPONENTIZE_PY, folder).await
}
