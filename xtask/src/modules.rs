//! Builds modules from the examples and from the flows of the tests: `<cache>/modules/<name>.wasm`.

use crate::place::Place;
use crate::run::Run;
use crate::setup::TARGET;
use crate::tool::{COMPONENTIZE_PY, Tool};
use crate::{c, go, python, typescript};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use wit_component::ComponentEncoder;

/// The packages below `tests/` that are flows, with the names of their modules.
pub const OF_TESTS: [(&str, &str); 3] =
    [("conformance-flow", "conformance-rust"), ("fixture-flow", "fixture"), ("versions-flow", "versions")];

/// Builds all modules but those of the benchmark. Those in other languages than Rust are built only if they are outdated.
pub fn build(place: &Place) -> Result<()> {
    fs::create_dir_all(&place.modules).with_context(|| format!("cannot create {}", place.modules.display()))?;
    rust(place)?;
    go::build(place)?;
    typescript::build(place)?;
    python::build(place)?;
    c::build(place)?;
    wasi(place)
}

/// Builds flows that are written against the contract alone, and show what a language gets from the host through WASI.
fn wasi(place: &Place) -> Result<()> {
    let folder = place.root.join("tests/wasi");
    go::module(place, &folder.join("go"), "wasi-go")?;
    typescript::without_sdk(place, "tests/wasi/js", "wasi-js")?;
    let folders = [folder.join("python"), place.root.join("wit")];
    let [_, wit] = &folders;
    componentize(place, "wasi-python", &COMPONENTIZE_PY, &folders, |tool, module| {
        tool.arg("--wit-path").arg(wit).args([
            "--world",
            "flow",
            "componentize",
            "app",
            "--python-path",
            ".",
            "--output",
        ]);
        tool.arg(module);
    })
}

/// The path of the module of an example.
pub fn module(place: &Place, example: &str) -> PathBuf {
    place.modules.join(example).with_extension("wasm")
}

fn rust(place: &Place) -> Result<()> {
    let names = place.rust_flows()?;
    if names.is_empty() {
        return Ok(());
    }
    eprintln!("building {} flows in Rust", names.len());
    let mut cargo = place.cargo_with_progress("build");
    cargo.args(["--profile", "flow", "--target", TARGET]);
    for name in &names {
        cargo.arg("--package").arg(format!("example-{name}"));
    }
    // Flows that only the tests use.
    for (package, _) in OF_TESTS {
        cargo.args(["--package", package]);
    }
    cargo.must("building flows")?;
    let built = place.target.join(TARGET).join("flow");
    for name in &names {
        let file = format!("example_{}.wasm", name.replace('-', "_"));
        encode(&built.join(file), &module(place, name))?;
    }
    for (package, name) in OF_TESTS {
        let file = format!("{}.wasm", package.replace('-', "_"));
        encode(&built.join(file), &module(place, name))?;
    }
    Ok(())
}

/// Builds the flows of the benchmark, and returns the folder of their modules: `<cache>/modules/bench/<flow>.wasm`.
pub fn build_for_bench(place: &Place) -> Result<PathBuf> {
    let folder = place.modules.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut cargo = place.cargo_with_progress("build");
    cargo.args(["--profile", "flow", "--target", TARGET, "--package", "bench-flows", "--examples"]);
    cargo.must("building the benchmark's flows")?;
    for flow in ["f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12"] {
        let core = place.target.join(TARGET).join("flow/examples").join(flow).with_extension("wasm");
        encode(&core, &folder.join(flow).with_extension("wasm"))?;
    }
    Ok(folder)
}

/// Wraps the core module that the Rust compiler produced as a component.
fn encode(core: &Path, module: &Path) -> Result<()> {
    let bytes = fs::read(core).with_context(|| format!("cannot read {}", core.display()))?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|encoder| encoder.encode())
        .with_context(|| format!("cannot make a component of {}", core.display()))?;
    replace(module, &component)
}

/// Runs a componentizer in the first of the folders that a module is made from, unless it was made from the same inputs.
pub fn componentize(
    place: &Place,
    name: &str,
    tool: &Tool,
    folders: &[PathBuf],
    arguments: impl Fn(&mut Command, &Path),
) -> Result<()> {
    let module = module(place, name);
    let stamp = module.with_extension("inputs");
    let mut command = Command::new(tool.package);
    arguments(&mut command, Path::new(""));
    let mut inputs = inputs(tool, folders)?;
    inputs.extend(format!("{command:?}").into_bytes());
    if module.is_file() && fs::read(&stamp).is_ok_and(|last| last == inputs) {
        return Ok(());
    }
    let started = Instant::now();
    eprintln!("building {name} with {} {}", tool.package, tool.version);
    let partial = partial(&module);
    let mut command = tool.command(place);
    command.current_dir(folders.first().context("a module is made from nothing")?).stdout(std::process::Stdio::null());
    arguments(&mut command, &partial);
    command.must(&format!("building {name}"))?;
    fs::rename(&partial, &module).with_context(|| format!("cannot replace {}", module.display()))?;
    replace(&stamp, &inputs)?;
    eprintln!("built {name} in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Everything that a module is made from, to compare with the last build. It is small, so it is not hashed.
fn inputs(tool: &Tool, folders: &[PathBuf]) -> Result<Vec<u8>> {
    let mut all = format!("{} {}\n", tool.package, tool.version).into_bytes();
    for folder in folders {
        let mut files = Vec::new();
        for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            let source = path.extension().is_some_and(|extension| ["py", "wit"].iter().any(|s| extension == *s))
                || path.ends_with(python::REQUIREMENTS);
            if source && path.is_file() && !is_test(&path) {
                files.push(path);
            }
        }
        files.sort();
        for file in files {
            all.extend(file.file_name().unwrap_or_default().as_encoded_bytes());
            all.push(b'\n');
            all.extend(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
        }
    }
    Ok(all)
}

fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("test_"))
}

/// Replaces a file atomically, so that no reader sees half of it. A file that would not change is left alone, and keeps
/// its modification time.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let partial = partial(path);
    fs::write(&partial, bytes).with_context(|| format!("cannot write {}", partial.display()))?;
    fs::rename(&partial, path).with_context(|| format!("cannot replace {}", path.display()))
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    name.into()
}
