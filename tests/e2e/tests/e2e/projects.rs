//! `faas-flow new` and `build`: from nothing to a flow that answers, with one tool, in several languages.

use faas_flow_e2e::command::{Done, faas_flow, run, script};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// `faas-flow`, with the tools that the project's set-up has installed.
fn tool(folder: &Path, arguments: &[&str]) -> Done {
    let mut command = faas_flow(folder);
    let cache =
        std::env::var("XDG_CACHE_HOME").unwrap_or_else(|_| format!("{}/.cache", std::env::var("HOME").unwrap()));
    let python = |tool: &str| format!("{cache}/faas-flow/tools/{tool}/bin/python");
    let zig = fs::read_dir(format!("{cache}/faas-flow/tools")).unwrap().flatten().map(|tool| tool.file_name());
    let zig = zig.map(|tool| tool.into_string().unwrap()).find(|tool| tool.starts_with("ziglang-")).unwrap();
    command.args(arguments).env("ZIG", format!("{} -m ziglang", python(&zig)));
    Done::from(command.output().unwrap())
}

/// A new flow is built, greets, and refuses, as its starter says.
fn greets(language: &str) {
    let folder = TempDir::new().unwrap();
    let made = tool(folder.path(), &["new", "greet", "--lang", language]).ok();
    assert!(made.is_empty(), "what is for people goes to stderr: {made}");
    for file in ["greet/flow.yml", "stack.yaml"] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
    tool(folder.path(), &["build", "greet"]).ok();
    assert_eq!(tool(folder.path(), &["run", "greet/flow.wasm", "--data", "Ada"]).ok(), "Hello, Ada!");
    tool(folder.path(), &["run", "greet/flow.wasm", "--data", " "]).failed("FF0012", &["there is no name to greet"]);
}

#[test]
fn a_new_flow_in_go_is_built_and_greets() {
    greets("go");
}

#[test]
fn a_new_flow_in_c_is_built_and_greets() {
    greets("c");
}

#[test]
fn existing_files_are_not_overwritten() {
    let folder = TempDir::new().unwrap();
    tool(folder.path(), &["new", "greet", "--lang", "python"]).ok();
    fs::write(folder.path().join("greet/flow.py"), "mine").unwrap();
    tool(folder.path(), &["new", "greet"]).failed("FF0411", &["greet exists already"]);
    assert_eq!(fs::read_to_string(folder.path().join("greet/flow.py")).unwrap(), "mine");
    tool(folder.path(), &["new", "other", "--lang", "go"]).ok();
    let stack = fs::read_to_string(folder.path().join("stack.yaml")).unwrap();
    assert!(stack.contains("lang: faas-flow-python") && stack.contains("lang: faas-flow-go"), "{stack}");
    run(folder.path(), ["new", "Not A Name"]).failed("FF0406", &["Not A Name"]);
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
