//! Flows in Python: their modules, and the checks of the SDK that they are written with.

use crate::modules;
use crate::place::Place;
use crate::run::{Run as _, program};
use crate::setup;
use crate::tool::{COMPONENTIZE_PY, MYPY, PDOC, PYTHON_BUILD};
use anyhow::{Context as _, Result};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

/// The file of an example that names the packages which it needs.
pub const REQUIREMENTS: &str = "requirements.txt";
/// The file with the flow of an example.
const FLOW: &str = "flow.py";
/// The SDK.
const SDK: &str = "guest-sdk/python";

/// Builds the modules of the examples in Python that are outdated.
pub fn build(place: &Place) -> Result<()> {
    let sdk = place.root.join(SDK).join("src");
    let sources = [sdk.join("faas_flow"), sdk.join("faas_flow/wit")];
    for name in place.examples_with(FLOW)? {
        let packages = packages(place, &name)?;
        modules::componentize(place, &name, &COMPONENTIZE_PY, &sources, |tool, module| {
            // Without it, the packages of the system could become part of the module.
            tool.env("VIRTUAL_ENV", COMPONENTIZE_PY.folder(place));
            // A flow that fails while it is built has a message of its own.
            tool.env("RUST_BACKTRACE", "0");
            tool.args(["--world", "full-flow", "componentize", "faas_flow.app", "--python-path", "."]);
            for path in [Some(sdk.clone()), packages].into_iter().flatten() {
                tool.arg("--python-path").arg(path);
            }
            tool.args(["--stub-wasi", "--output"]).arg(module);
        })?;
    }
    Ok(())
}

/// The folder with the packages that an example needs, if it needs any. They are installed once.
fn packages(place: &Place, example: &str) -> Result<Option<PathBuf>> {
    let requirements = place.root.join("examples").join(example).join(REQUIREMENTS);
    let Ok(wanted) = fs::read_to_string(&requirements) else {
        return Ok(None);
    };
    let folder = place.tools.join(format!("python-packages-{example}"));
    let mark = folder.join("installed");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(folder));
    }
    eprintln!("installing the packages of {example} into {}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    let mut pip = COMPONENTIZE_PY.beside(place, "pip");
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--require-hashes"]);
    pip.arg("--target").arg(&folder).arg("--requirement").arg(&requirements);
    pip.must(&format!("installing the packages of {example}"))?;
    fs::write(&mark, wanted).with_context(|| format!("cannot write {}", mark.display()))?;
    Ok(Some(folder))
}

/// Checks the SDK and the examples: their types, their tests, and that the SDK can be packaged and documented.
pub fn check(place: &Place) -> Result<()> {
    setup::for_python(place)?;
    let sdk = place.root.join(SDK);
    let out = place.target.join("python");
    let bindings = out.join("bindings");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot clear {}", out.display()))?;
    }
    let mut generate = COMPONENTIZE_PY.command(place);
    generate.arg("--quiet").arg("--wit-path").arg(place.root.join("wit")).args(["--world", "full-flow", "bindings"]);
    generate.arg(&bindings).must("generating bindings for the SDK")?;

    eprintln!("checking the types of the SDK for Python");
    let mut mypy = MYPY.command(place);
    mypy.current_dir(&sdk).env("MYPYPATH", &bindings).args(["--cache-dir"]).arg(out.join("mypy"));
    mypy.args(["src/faas_flow", "tests"]).must("the types of the SDK for Python")?;
    unittest(&[sdk.join("src")], &sdk, "tests")?;

    for name in place.examples_with(FLOW)? {
        let example = place.root.join("examples").join(&name);
        let mut paths = vec![sdk.join("src")];
        paths.extend(packages(place, &name)?);
        eprintln!("checking {name}");
        let mut mypy = MYPY.command(place);
        mypy.current_dir(&example).env("MYPYPATH", joined(&paths)?).args(["--strict", "--follow-imports=silent"]);
        mypy.arg("--cache-dir").arg(out.join("mypy").join(&name)).arg(".").must(&format!("the types of {name}"))?;
        unittest(&paths, &example, ".")?;
    }

    eprintln!("packaging and documenting the SDK for Python");
    let mut package = PYTHON_BUILD.command(place);
    package.current_dir(&sdk).arg("--outdir").arg(out.join("dist")).arg(".");
    package.stdout(std::process::Stdio::null()).must("packaging the SDK for Python")?;
    document(place, &out.join("api"))
}

/// Renders the documentation of the SDK into a folder.
pub fn document(place: &Place, folder: &std::path::Path) -> Result<()> {
    let mut pdoc = PDOC.command(place);
    pdoc.env("PYTHONPATH", place.root.join(SDK).join("src")).arg("--output-directory").arg(folder);
    pdoc.args(["faas_flow", "faas_flow.testing"]).must("documenting the SDK for Python")
}

/// Runs the tests in a folder, with these folders of packages.
fn unittest(paths: &[PathBuf], folder: &std::path::Path, tests: &str) -> Result<()> {
    let mut python = program("python3", &["-m", "unittest", "discover", "--top-level-directory", "."]);
    python.args(["--start-directory", tests]).current_dir(folder);
    // Bytecode would be left in the clone.
    python.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", joined(paths)?);
    python.must(&format!("the tests in {}", folder.display()))
}

fn joined(paths: &[PathBuf]) -> Result<OsString> {
    env::join_paths(paths).context("a path has a colon, with which Python separates paths")
}
