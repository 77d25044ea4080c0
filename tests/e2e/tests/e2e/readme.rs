//! The README's first flow builds as it is printed, looks like its picture, and its command prints what the text says.

use faas_flow_e2e::command::{run, script};
use faas_flow_e2e::program::{self, root};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const SDK: &str = "guest-sdk/rust";

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The README's only code block in a language.
fn block<'a>(readme: &'a str, language: &str) -> &'a str {
    let fence = format!("```{language}\n");
    let mut blocks = readme.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    let block = blocks.next().unwrap_or_else(|| panic!("the README has no block in {language}"));
    assert!(blocks.next().is_none(), "the README has two blocks in {language}");
    block
}

/// Builds the crate that a reader gets by following the README: what `cargo new` makes, with the README's lines at the end.
fn build(parent: &Path) -> PathBuf {
    let readme = readme();
    let manifest = block(&readme, "toml");
    let source = block(&readme, "rust");
    let clone = format!("\"../faas-flow/{SDK}\"");
    assert_eq!(manifest.matches(&clone).count(), 1, "{manifest}");
    let sdk = format!("\"{}\"", root().join(SDK).display());
    let mut new = Command::new(env!("CARGO"));
    let made = new.args(["new", "--quiet", "--vcs", "none", "--lib", "first"]).current_dir(parent).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let folder = parent.join("first");
    let made = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    fs::write(folder.join("Cargo.toml"), made + &manifest.replace(&clone, &sdk)).unwrap();
    fs::write(folder.join("src/lib.rs"), source).unwrap();
    // The versions of dependencies that this machine has.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--offline", "--release", "--target", "wasm32-unknown-unknown"]).current_dir(&folder);
    // Kept from one run of the tests to the next, since the SDK takes long to compile.
    let target = program::scratch("readme");
    cargo.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", "-D warnings").stdin(Stdio::null());
    let built = cargo.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("wasm32-unknown-unknown/release/first.wasm")
}

#[test]
fn the_first_flow_builds_as_written_and_does_and_looks_as_the_text_says() {
    let folder = TempDir::new().unwrap();
    let module = build(folder.path());
    let module = module.to_str().unwrap();
    script(folder.path(), "wc.sh", "exec wc -w");
    let arguments = ["run", module, "--quiet", "--data", "Hello flow", "--function", "wc=./wc.sh"];
    let result = run(folder.path(), arguments).ok();
    assert!(readme().contains(&format!("prints `{result}`")), "{result}");

    let picture = root().join("docs/pictures/first.svg");
    let drawn = run(folder.path(), ["graph", "--format", "svg", module]).ok();
    let same = fs::read_to_string(&picture).is_ok_and(|kept| kept == drawn);
    if !same {
        let new = std::env::temp_dir().join("first.svg");
        fs::write(&new, drawn).unwrap();
        panic!("the README's picture is another: look at {}, and copy it to {}", new.display(), picture.display());
    }
}

#[test]
fn the_first_flow_is_as_short_as_it_says() {
    let lines = block(&readme(), "rust").lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 20, "{lines} lines");
}
