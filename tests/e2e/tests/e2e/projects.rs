//! `faas-flow new` and `build`: from nothing to a flow that answers, with one tool, in several languages.

use faas_flow_e2e::command::{Done, faas_flow, run, script};
use faas_flow_e2e::wait::until;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use tempfile::TempDir;

/// `faas-flow`, with the tools that the project's set-up has installed.
fn tool(folder: &Path, arguments: &[&str]) -> Done {
    Done::from(command(folder, arguments).output().unwrap())
}

/// The same, to be started.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = faas_flow(folder);
    let cache =
        std::env::var("XDG_CACHE_HOME").unwrap_or_else(|_| format!("{}/.cache", std::env::var("HOME").unwrap()));
    let tools = format!("{cache}/faas-flow/tools");
    let installed = |name: &str| {
        let mut all = fs::read_dir(&tools).unwrap().flatten().map(|tool| tool.path());
        all.find(|tool| tool.file_name().unwrap().to_str().unwrap().starts_with(name)).unwrap().join("bin")
    };
    command.args(arguments).env("ZIG", format!("{} -m ziglang", installed("ziglang-").join("python").display()));
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", installed("componentize-py-").display()));
    // Dependencies of flows in Rust are compiled once.
    command.env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/new"));
    command
}

/// A command of an author's, which succeeds. What npm installs is in its cache, since the SDK was built with the same versions.
fn shell(folder: &Path, command: &str) {
    let done = Done::from(Command::new("sh").args(["-c", command]).current_dir(folder).output().unwrap());
    assert_eq!(done.code, Some(0), "{command}: {}{}", done.stdout, done.stderr);
}

/// A new flow is built, greets, and refuses, as its starter says.
fn greets(language: &str) {
    let folder = TempDir::new().unwrap();
    let made = tool(folder.path(), &["new", "greet", "--lang", language]);
    let next = made.stderr.clone();
    assert!(made.ok().is_empty(), "what is for people goes to stderr");
    for file in ["greet/flow.yml", "stack.yaml"] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
    if language == "typescript" {
        let install = "npm install --prefix greet";
        assert!(next.contains(install), "{next}");
        shell(folder.path(), &format!("{install} --prefer-offline --no-audit --no-fund"));
        shell(&folder.path().join("greet"), "npm test");
    }
    let tested = tool(folder.path(), &["test", "greet"]).ok();
    assert!(tested.contains("2 scenarios, 2 passed"), "{tested}");
    tool(folder.path(), &["build", "greet"]).ok();
    assert_eq!(tool(folder.path(), &["run", "greet/flow.wasm", "--data", "Ada"]).ok(), "Hello, Ada!");
    tool(folder.path(), &["run", "greet/flow.wasm", "--data", " "]).failed("FF0012", &["there is no name to greet"]);
}

#[test]
fn a_new_flow_in_rust_is_tested_built_and_greets() {
    greets("rust");
}

#[test]
fn a_new_flow_in_go_is_tested_built_and_greets() {
    greets("go");
}

#[test]
fn a_new_flow_in_typescript_is_tested_built_and_greets() {
    greets("typescript");
}

#[test]
fn a_new_flow_in_python_is_tested_built_and_greets() {
    greets("python");
}

#[test]
fn a_new_flow_in_c_is_tested_built_and_greets() {
    greets("c");
}

#[test]
fn existing_files_are_not_overwritten() {
    let folder = TempDir::new().unwrap();
    tool(folder.path(), &["new", "greet", "--lang", "python"]).ok();
    fs::write(folder.path().join("greet/flow.py"), "mine").unwrap();
    tool(folder.path(), &["new", "greet"]).failed("FF0411", &["greet already exists"]);
    assert_eq!(fs::read_to_string(folder.path().join("greet/flow.py")).unwrap(), "mine");
    tool(folder.path(), &["new", "other", "--lang", "go"]).ok();
    let stack = fs::read_to_string(folder.path().join("stack.yaml")).unwrap();
    assert!(stack.contains("lang: faas-flow-python") && stack.contains("lang: faas-flow-go"), "{stack}");
    run(folder.path(), ["new", "Not A Name"]).failed("FF0406", &["Not A Name"]);
}

#[tokio::test]
async fn sources_are_built_and_tested_again_when_they_change() {
    let folder = TempDir::new().unwrap();
    tool(folder.path(), &["new", "greet", "--lang", "go"]).ok();
    let (said, source) = (folder.path().join("said"), folder.path().join("greet/handler.go"));
    let mut watch = command(folder.path(), &["test", "greet", "--watch"]);
    let mut watch = Ended(watch.stdout(fs::File::create(&said).unwrap()).spawn().unwrap());
    let says = async |text: &str, times: usize| {
        until(text, async || fs::read_to_string(&said).unwrap().matches(text).count() == times).await;
    };
    says("ok: 2 scenarios, 2 passed", 1).await;
    let greets = fs::read_to_string(&source).unwrap();
    fs::write(&source, greets.replace("Hello", "Hi")).unwrap();
    says("+ Hi, Adam!", 1).await;
    fs::write(&source, greets).unwrap();
    says("ok: 2 scenarios, 2 passed", 2).await;
    assert!(watch.0.try_wait().unwrap().is_none(), "it goes on");
}

/// Ends its process when it is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_a_build_lacks_is_named_with_what_installs_it() {
    let folder = TempDir::new().unwrap();
    for (file, says) in [
        ("go.mod", ["cannot run go", "install Go"]),
        ("package.json", ["the packages of", "npm install"]),
        ("flow.py", ["cannot run componentize-py", "pip install componentize-py"]),
        ("Makefile", ["cannot run make", "apt-get install make"]),
    ] {
        let sources = folder.path().join(file.replace('.', "-"));
        fs::create_dir(&sources).unwrap();
        fs::write(sources.join(file), "").unwrap();
        let mut command = faas_flow(folder.path());
        command.arg("build").arg(&sources).env("PATH", "/nowhere").env_remove("VIRTUAL_ENV");
        Done::from(command.output().unwrap()).failed("FF0407", &says);
    }
    script(folder.path(), "go", "echo go version go1.21.3 linux/amd64");
    let mut command = faas_flow(folder.path());
    command.args(["build", "go-mod"]).env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()));
    Done::from(command.output().unwrap()).failed("FF0407", &["go is of version 1.21, but this needs 1.24 or later"]);
    run(folder.path(), ["build", "."]).failed("FF0404", &["go.mod", "faas-flow new"]);
}
