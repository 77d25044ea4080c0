//! Flows in Python: their modules, and the checks of the SDK that they are written with.

use crate::modules;
use crate::place::Place;
use crate::run::{Run as _, program};
use crate::sdk_copy::{SdkCopy, generated};
use crate::setup;
use crate::tool::{COMPONENTIZE_PY, MYPY, PDOC, PYTHON_BUILD};
use anyhow::{Context as _, Result};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

/// The file of a flow that names the packages which it needs.
pub const REQUIREMENTS: &str = "requirements.txt";
/// The file with a flow.
const FLOW: &str = "flow.py";
/// The flows of the tests: the names of their modules, and their folders.
const OF_TESTS: [(&str, &str); 2] =
    [("conformance-python", "tests/conformance/python"), ("fixture-python", "tests/fixture-python")];
/// The SDK.
const SDK: &str = "guest-sdk/python";
/// The contract in the SDK.
const CONTRACT: &str = "src/faas_flow/wit/flow.wit";
/// The copy of the SDK in the template.
const COPY: SdkCopy = SdkCopy {
    sdk: SDK,
    copy: "template/faas-flow-python/sdk",
    folders: &["", "src/faas_flow"],
    header: |name, from| match Path::new(name).extension().and_then(OsStr::to_str) {
        Some("py" | "toml") => Some(generated("#", from)),
        Some("wit") => Some(generated("//", from)),
        _ => Some(String::new()),
    },
};

/// A flow: its name, and the folder that it is in.
struct Flow {
    name: String,
    folder: PathBuf,
}

/// The flows in Python: examples, and those of the tests.
fn flows(place: &Place) -> Result<Vec<Flow>> {
    let examples = place.examples_with(FLOW)?.into_iter();
    let examples = examples.map(|name| Flow { folder: place.root.join("examples").join(&name), name });
    let of_tests = OF_TESTS.map(|(name, folder)| Flow { name: name.into(), folder: place.root.join(folder) });
    Ok(examples.chain(of_tests).collect())
}

/// Builds the modules of the flows in Python that are outdated.
pub fn build(place: &Place) -> Result<()> {
    let sdk = place.root.join(SDK).join("src");
    for flow in flows(place)? {
        let packages = packages(place, &flow)?;
        let folders = [flow.folder, sdk.join("faas_flow"), sdk.join("faas_flow/wit")];
        modules::componentize(place, &flow.name, &COMPONENTIZE_PY, &folders, |tool, module| {
            // Without it, the packages of the system could become part of the module.
            tool.env("VIRTUAL_ENV", COMPONENTIZE_PY.folder(place));
            // A flow that fails while it is built has a message of its own.
            tool.env("RUST_BACKTRACE", "0");
            tool.args(["--world", "full-flow", "componentize", "faas_flow.app", "--python-path", "."]);
            for path in [Some(&sdk), packages.as_ref()].into_iter().flatten() {
                tool.arg("--python-path").arg(path);
            }
            tool.arg("--output").arg(module);
        })?;
    }
    Ok(())
}

/// The folder with the packages that a flow needs, if it needs any. They are installed once.
fn packages(place: &Place, Flow { name, folder }: &Flow) -> Result<Option<PathBuf>> {
    let requirements = folder.join(REQUIREMENTS);
    let Ok(wanted) = fs::read_to_string(&requirements) else {
        return Ok(None);
    };
    let folder = place.tools.join(format!("python-packages-{name}"));
    let mark = folder.join("installed");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(folder));
    }
    eprintln!("installing the packages of {name} into {}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    let mut pip = COMPONENTIZE_PY.beside(place, "pip");
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--require-hashes"]);
    pip.arg("--target").arg(&folder).arg("--requirement").arg(&requirements);
    pip.must(&format!("installing the packages of {name}"))?;
    fs::write(&mark, wanted).with_context(|| format!("cannot write {}", mark.display()))?;
    Ok(Some(folder))
}

/// Writes the SDK's copy of the contract, since a package of Python cannot have a link to it, and the copy of the SDK in the
/// template.
pub fn generate(place: &Place) -> Result<()> {
    let contract = place.root.join(SDK).join(CONTRACT);
    fs::copy(place.root.join("wit/flow.wit"), &contract)
        .with_context(|| format!("cannot write {}", contract.display()))?;
    COPY.write(place)
}

/// Checks the SDK and the flows: their types, their tests, and that the SDK can be packaged and documented.
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

    for flow in flows(place)? {
        let mut paths = vec![sdk.join("src")];
        paths.extend(packages(place, &flow)?);
        let Flow { name, folder } = flow;
        eprintln!("checking {name}");
        let mut mypy = MYPY.command(place);
        mypy.current_dir(&folder).env("MYPYPATH", joined(&paths)?).args(["--strict", "--follow-imports=silent"]);
        mypy.arg("--cache-dir").arg(out.join("mypy").join(&name)).arg(".").must(&format!("the types of {name}"))?;
        unittest(&paths, &folder, ".")?;
    }

    eprintln!("packaging and documenting the SDK for Python");
    let mut package = PYTHON_BUILD.command(place);
    package.current_dir(&sdk).arg("--outdir").arg(out.join("dist")).arg(".");
    package.stdout(std::process::Stdio::null()).must("packaging the SDK for Python")?;
    let api = out.join("api");
    document(place, &api)?;
    eprintln!("the documentation of the SDK for Python is in {}", api.display());
    Ok(())
}

/// Renders the documentation of the SDK into a folder.
pub fn document(place: &Place, folder: &Path) -> Result<()> {
    let mut pdoc = PDOC.command(place);
    pdoc.env("PYTHONPATH", place.root.join(SDK).join("src")).arg("--output-directory").arg(folder);
    pdoc.args(["faas_flow", "faas_flow.testing"]).must("documenting the SDK for Python")
}

/// Runs the tests in a folder, with these folders of packages.
fn unittest(paths: &[PathBuf], folder: &Path, tests: &str) -> Result<()> {
    let mut python = program("python3", &["-m", "unittest", "discover", "--top-level-directory", "."]);
    python.args(["--start-directory", tests]).current_dir(folder);
    // Bytecode would be left in the clone.
    python.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", joined(paths)?);
    python.must(&format!("the tests in {}", folder.display()))
}

fn joined(paths: &[PathBuf]) -> Result<OsString> {
    env::join_paths(paths).context("a path has a colon, with which Python separates paths")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdk_copy::assert_in_step;

    #[test]
    fn the_template_for_python_has_the_sdk_of_this_repository() {
        let place = Place::find().unwrap();
        let contract = fs::read(place.root.join(SDK).join(CONTRACT)).unwrap();
        let is_current = contract == fs::read(place.root.join("wit/flow.wit")).unwrap();
        assert!(is_current, "the contract in {SDK} is outdated: run `cargo xtask template`");
        assert_in_step(&place.root.join(COPY.copy), &COPY.files(&place).unwrap());
    }
}
