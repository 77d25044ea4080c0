//! Flows in TypeScript: their SDK, and the modules that are made with it.
//!
//! Nothing is built in the clone. What belongs to the SDK is copied into a folder of the cache, where it has the same paths as in
//! the clone, and the flows find the SDK there as an author's flows find the published one: in a folder `node_modules` above them.

use crate::files::clear;
use crate::modules::{module, replace};
use crate::place::Place;
use crate::run::{Run as _, program};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The SDK, in the clone and in the folder of the cache.
const SDK: &str = "guest-sdk/js";
/// The flows that the tests use: folder, file, and the name of the module.
const OF_TESTS: [(&str, &str, &str); 2] = [
    ("tests/conformance/typescript", "flow.ts", "conformance-typescript"),
    ("tests/fixture-typescript", "flow.ts", "fixture-typescript"),
];

/// Files by their path, with what they contain.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The folder of the cache in which the SDK and the flows are built. The tests look for it there too.
fn folder(place: &Place) -> PathBuf {
    place.modules.join("typescript")
}

/// Builds the SDK and the modules of all flows in TypeScript that are outdated.
pub fn build(place: &Place) -> Result<()> {
    let sdk = sdk(place)?;
    for name in place.examples_with("flow.ts")? {
        flow(place, &sdk, &format!("examples/{name}"), "flow.ts", &name)?;
    }
    OF_TESTS.into_iter().try_for_each(|(folder, file, name)| flow(place, &sdk, folder, file, name))
}

/// Installs what the SDK depends on, as its lock file says, and builds it. Returns its sources.
fn sdk(place: &Place) -> Result<Files> {
    let mut files = sources(place, SDK)?;
    for path in ["wit/flow.wit", "LICENSE", "guest-sdk/js/README.md"] {
        files.insert(path.into(), read(&place.root.join(path))?);
    }
    let folder = folder(place);
    if is_current(&folder, "sdk", &files) {
        return Ok(files);
    }
    eprintln!("building the SDK for TypeScript");
    let here = folder.join(SDK);
    clear(&here)?;
    write(&folder, &files)?;
    let mut npm = program("npm", &["ci", "--ignore-scripts", "--loglevel=error", "--no-audit", "--no-fund"]);
    npm.current_dir(&here).must("installing what the SDK for TypeScript depends on")?;
    program("npm", &["run", "--silent", "build"]).current_dir(&here).must("building the SDK for TypeScript")?;
    link(Path::new(".."), &here.join("node_modules/faas-flow"))?;
    link(&here.join("node_modules"), &folder.join("node_modules"))?;
    mark(&folder, "sdk", &files)?;
    Ok(files)
}

/// The template, and the copy of the package in it. `faas-cli template pull` copies a template and nothing else.
const IN_TEMPLATE: &str = "template/faas-flow-typescript/sdk/js";
/// What the package consists of, beside its manifest.
const IN_PACKAGE: [&str; 5] = ["bin", "dist", "wit", "LICENSE", "README.md"];

/// Writes the copy of the SDK in the template: the package as npm would pack it.
pub fn template(place: &Place) -> Result<()> {
    sdk(place)?;
    let built = folder(place).join(SDK);
    let copy = place.root.join(IN_TEMPLATE);
    clear(&copy)?;
    fs::create_dir_all(&copy).with_context(|| format!("cannot create {}", copy.display()))?;
    for name in IN_PACKAGE {
        program("cp", &["-R"]).arg(built.join(name)).arg(&copy).must("copying the SDK for TypeScript")?;
    }
    // The scripts and tools with which the package was made are not in the copy.
    let manifest = String::from_utf8(read(&built.join("package.json"))?)?;
    let mut manifest: serde_json::Value = serde_json::from_str(&manifest)?;
    if let Some(manifest) = manifest.as_object_mut() {
        manifest.retain(|key, _| key != "scripts" && key != "devDependencies");
    }
    let manifest = serde_json::to_string_pretty(&manifest)? + "\n";
    fs::write(copy.join("package.json"), manifest).with_context(|| format!("cannot write to {}", copy.display()))
}

/// Builds the module of a flow, unless it was made from the same sources.
fn flow(place: &Place, sdk: &Files, path: &str, file: &str, name: &str) -> Result<()> {
    let files = sources(place, path)?;
    let mut inputs = sdk.clone();
    inputs.extend(files.clone());
    let folder = folder(place);
    let module = module(place, name);
    if module.is_file() && is_current(&folder, name, &inputs) {
        return Ok(());
    }
    let started = Instant::now();
    eprintln!("building {name} with its SDK");
    write(&folder, &files)?;
    let mut node = program("node", &[]);
    node.arg(folder.join(SDK).join("bin/faas-flow-typescript.mjs")).args(["build", file, "--output"]).arg(&module);
    node.current_dir(folder.join(path)).stdout(std::process::Stdio::null()).must(&format!("building {name}"))?;
    mark(&folder, name, &inputs)?;
    eprintln!("built {name} in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Builds the module of a flow in JavaScript that is written against the contract alone, unless it was made from the same sources.
pub fn without_sdk(place: &Place, path: &str, name: &str) -> Result<()> {
    let (folder, module, wit) = (folder(place), module(place, name), place.root.join("wit"));
    let mut files = sources(place, path)?;
    files.insert("wit/flow.wit".into(), read(&wit.join("flow.wit"))?);
    if module.is_file() && is_current(&folder, name, &files) {
        return Ok(());
    }
    let mut node = program("node", &[]);
    node.arg(folder.join("node_modules/.bin/componentize-qjs")).arg("--wit").arg(wit);
    node.args(["--world", "flow", "--js", "flow.js", "--sync", "--minify", "--output"]).arg(&module);
    node.current_dir(place.root.join(path)).stdout(std::process::Stdio::null()).must(&format!("building {name}"))?;
    mark(&folder, name, &files)
}

/// The sources below a folder of the clone, by their paths in the clone: all files but those that were built or installed there.
fn sources(place: &Place, path: &str) -> Result<Files> {
    let mut files = Files::new();
    let mut folders = vec![PathBuf::from(path)];
    while let Some(folder) = folders.pop() {
        let there = place.root.join(&folder);
        for entry in there.read_dir().with_context(|| format!("cannot list {}", there.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            let path = folder.join(&name);
            let is_built = ["node_modules", "dist", "docs"].iter().any(|built| name == *built);
            if entry.file_type()?.is_dir() && !is_built {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| ["ts", "js", "mjs", "json"].iter().any(|one| extension == *one))
            {
                files.insert(path, read(&entry.path())?);
            }
        }
    }
    // A copy of the contract that a build by hand leaves.
    files.remove(&Path::new(SDK).join("wit/flow.wit"));
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(folder: &Path, files: &Files) -> Result<()> {
    for (path, bytes) in files {
        let path = folder.join(path);
        let parent = path.parent().context("a file has no folder")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn link(to: &Path, from: &Path) -> Result<()> {
    if from.symlink_metadata().is_ok() {
        fs::remove_file(from).with_context(|| format!("cannot replace {}", from.display()))?;
    }
    symlink(to, from).with_context(|| format!("cannot create {}", from.display()))
}

/// Whether something was last made from these files.
fn is_current(folder: &Path, name: &str, files: &Files) -> bool {
    fs::read(folder.join(name).with_extension("inputs")).is_ok_and(|last| last == together(files))
}

fn mark(folder: &Path, name: &str, files: &Files) -> Result<()> {
    replace(&folder.join(name).with_extension("inputs"), &together(files))
}

/// Everything that something is made from, to compare with the last build. It is a few kilobytes, so it is not hashed.
fn together(files: &Files) -> Vec<u8> {
    files.iter().flat_map(|(path, bytes)| [path.as_os_str().as_encoded_bytes(), b"\n", bytes].concat()).collect()
}
