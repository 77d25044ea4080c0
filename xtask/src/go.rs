//! Flows in Go, and the SDK for them.

use crate::place::Place;
use crate::run::{Run, program};
use crate::setup;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the SDK is.
const SDK: &str = "guest-sdk/go";
/// The folders in the SDK that are flows of its tests, and the beginning of the names of their modules.
const OF_TESTS: [(&str, &str); 2] = [("internal", "go-"), ("internal/migration", "go-original-")];

/// The conformance flow, and the name of its module.
const CONFORMANCE: (&str, &str) = ("tests/conformance/go", "conformance-go");

/// Builds all flows in Go. Go itself finds out what is up to date.
pub fn build(place: &Place) -> Result<()> {
    setup::go("the flows in Go")?;
    let examples = place.examples_with("go.mod")?;
    eprintln!("building flows in Go");
    for name in examples {
        module(place, &place.root.join("examples").join(&name), &name)?;
    }
    let (folder, name) = CONFORMANCE;
    module(place, &place.root.join(folder), name)?;
    let sdk = place.root.join(SDK);
    for (folder, prefix) in OF_TESTS {
        let folder = sdk.join(folder);
        for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if defines_a_flow(&path) {
                module(place, &path, &format!("{prefix}{name}"))?;
            }
        }
    }
    Ok(())
}

/// Whether a folder has a file in Go that defines a flow.
fn defines_a_flow(folder: &Path) -> bool {
    let Ok(entries) = folder.read_dir() else { return false };
    let mut files = entries.flatten().map(|entry| entry.path());
    files.any(|file| {
        file.extension().is_some_and(|extension| extension == "go")
            && fs::read_to_string(&file).is_ok_and(|text| text.contains("func Define("))
    })
}

/// Builds the module of a flow. One whose package is not `main`, as those of the original library are, gets a `main` that
/// exists only for this build.
pub fn module(place: &Place, folder: &Path, name: &str) -> Result<()> {
    let module = crate::modules::module(place, name);
    let mut list = program("go", &["list", "-f", "{{.Name}} {{.ImportPath}}", "."]);
    let listed = for_modules(&mut list, folder).quiet();
    let listed = listed.with_context(|| format!("{} is no package of Go: run `go vet` there", folder.display()))?;
    let (package, path) = listed.split_once(' ').unwrap_or_default();
    let mut build = program("go", &["build", "-buildmode=c-shared", "-trimpath", "-o"]);
    build.arg(&module);
    if package == "main" {
        build.arg(".");
    } else {
        build.arg("-overlay").arg(overlay(place, folder, path, name)?).arg("./faas-flow-main");
    }
    for_modules(&mut build, folder).must(&format!("building {name}"))
}

/// The file that tells Go of a `main` for a package that has none.
fn overlay(place: &Place, folder: &Path, path: &str, name: &str) -> Result<PathBuf> {
    let generated = place.target.join("go").join(name);
    fs::create_dir_all(&generated).with_context(|| format!("cannot create {}", generated.display()))?;
    let (main, overlay) = (generated.join("main.go"), generated.join("overlay.json"));
    let text = format!(
        "package main\n\nimport (\n\tfaasflow \"github.com/faas-flow/faas-flow/guest-sdk/go\"\n\tfunction \"{path}\"\n)\n\n\
         func init() {{ faasflow.Register(function.Define) }}\n\nfunc main() {{}}\n"
    );
    let replaced = folder.join("faas-flow-main/main.go");
    let map = serde_json::json!({ "Replace": { replaced.to_string_lossy(): main.to_string_lossy() } });
    fs::write(&main, text).with_context(|| format!("cannot write {}", main.display()))?;
    fs::write(&overlay, map.to_string()).with_context(|| format!("cannot write {}", overlay.display()))?;
    Ok(overlay)
}

/// A command of Go for the target of flows.
fn for_modules<'a>(go: &'a mut Command, folder: &Path) -> &'a mut Command {
    in_folder(go, folder).env("GOOS", "wasip1").env("GOARCH", "wasm")
}

fn in_folder<'a>(go: &'a mut Command, folder: &Path) -> &'a mut Command {
    go.current_dir(folder).env("GOWORK", "off").env_remove("GOFLAGS")
}

/// Checks the format of all Go, and runs the tests of the SDK and of the examples, natively.
pub fn check(place: &Place) -> Result<()> {
    setup::go("the SDK for Go")?;
    let sdk = place.root.join(SDK);
    let mut gofmt = program("gofmt", &["-l", "guest-sdk", "examples", "template", "tests"]);
    let unformatted = gofmt.current_dir(&place.root).quiet().context("gofmt cannot read a file: run it")?;
    ensure!(unformatted.is_empty(), "the format differs: run `gofmt -w` on\n{unformatted}");
    for_modules(&mut program("go", &["vet", "./..."]), &sdk).must("lints of the SDK for Go, for WebAssembly")?;
    let examples = place.examples_with("go.mod")?;
    let folders = examples.iter().map(|name| place.root.join("examples").join(name));
    for folder in [sdk, place.root.join(CONFORMANCE.0)].into_iter().chain(folders) {
        in_folder(&mut program("go", &["vet", "./..."]), &folder).must("lints of Go")?;
        in_folder(&mut program("go", &["test", "./..."]), &folder).must("tests of Go")?;
    }
    Ok(())
}

/// Writes the copy of the SDK in the template: `faas-cli template pull` copies that folder and nothing else.
pub fn template(place: &Place) -> Result<()> {
    let copy = place.root.join(COPY);
    if copy.is_dir() {
        fs::remove_dir_all(&copy).with_context(|| format!("cannot clear {}", copy.display()))?;
    }
    for (path, text) in copied(place)? {
        let path = copy.join(path);
        let folder = path.parent().unwrap_or(&copy);
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Where the copy is.
const COPY: &str = "template/faas-flow-go/sdk/go";

/// The files of the copy: what a flow and its tests need, without the tests of the SDK. Each file in Go says that it is
/// generated.
fn copied(place: &Place) -> Result<BTreeMap<String, String>> {
    let sdk = place.root.join(SDK);
    let mut files = BTreeMap::new();
    for folder in ["", "flowtest", "internal/abi", "internal/bridge"] {
        let entries = sdk.join(folder);
        for entry in entries.read_dir().with_context(|| format!("cannot list {}", entries.display()))? {
            let path = entry?.path();
            let name = path.strip_prefix(&sdk)?.to_string_lossy().into_owned();
            let is_code = name.ends_with(".go") && !name.ends_with("_test.go");
            if !is_code && name != "go.mod" && name != "LICENSE" {
                continue;
            }
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let header = match &*name {
                "LICENSE" => String::new(),
                _ => format!("// Code generated by `cargo xtask template` from {SDK}/{name}. DO NOT EDIT.\n\n"),
            };
            files.insert(name, header + &text);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_the_sdk_for_go_of_this_repository() {
        let place = Place::find().unwrap();
        let copy = place.root.join(COPY);
        let expected = copied(&place).unwrap();
        assert!(expected.contains_key("internal/abi/imports_wasip1.go"), "{:?}", expected.keys());
        for (path, text) in &expected {
            let found = fs::read_to_string(copy.join(path)).unwrap_or_default();
            assert_eq!(found, *text, "{path} is outdated: run `cargo xtask template`");
        }
        let folders = ["", "flowtest", "internal/abi", "internal/bridge"];
        let entries = folders.iter().flat_map(|folder| copy.join(folder).read_dir().unwrap());
        let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).count();
        assert_eq!(files, expected.len(), "the copy has more files: run `cargo xtask template`");
    }
}
