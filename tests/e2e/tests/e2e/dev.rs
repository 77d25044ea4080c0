//! `faas-flow dev`: when sources change, the flow is built again and swapped while it is served.

use faas_flow_e2e::command::{faas_flow, run, script};
use faas_flow_e2e::program::{self, root};
use faas_flow_e2e::server::Server;
use faas_flow_e2e::wait::until;
use faas_flow_test_support::modules::{module, version};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A project whose only source names the module that a build copies.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new(source: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("flow")).unwrap();
        let project = Self { folder };
        project.edit(source);
        project
    }

    /// A file beside the folder of sources, where nothing is watched.
    fn around(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn edit(&self, source: &Path) {
        fs::write(self.around("flow/source"), source.display().to_string()).unwrap();
    }

    /// `faas-flow dev`, whose build runs these commands before it makes the module.
    fn dev(&self, before: &str) -> Command {
        let mut command = self.dev_with(before);
        command.args(["--function", "func1=echo"]);
        command
    }

    fn dev_with(&self, before: &str) -> Command {
        let mut command = faas_flow(self.folder.path());
        // A build reads its source before it is counted.
        let build = format!("source=$(cat source); echo built >> ../builds; {before} cp \"$source\" flow.wasm");
        command.args(["dev", "flow", "--build", &build, "--module", "flow.wasm", "--listen", "127.0.0.1:0"]);
        command.args(["--function", "func2=echo"]);
        command
    }

    fn builds(&self) -> usize {
        fs::read_to_string(self.around("builds")).unwrap_or_default().lines().count()
    }
}

async fn says(server: &Server, text: &str) {
    until(text, async || server.log().contains(text)).await;
}

async fn answers(server: &Server, flow: &str, answer: &str) {
    until(answer, async || server.result(flow, "Ada").await.body == answer).await;
}

const SAID: &str = "you said \"Ada\"";

#[tokio::test]
async fn what_is_built_takes_the_place_of_what_is_served() {
    let project = Project::new(&module("greet"));
    let server = Server::start(project.dev(""));
    assert_eq!(server.result("flow", "Ada").await.ok(), "Hello, Ada!");
    says(&server, &format!("serving {}", server.url("/dashboard/"))).await;
    says(&server, " greet done in ").await;
    project.edit(&module("sync-chain"));
    answers(&server, "flow", SAID).await;
    // This is logged after the swap.
    for line in ["building flow: source changed\n", ", active ", "\n  - greet\n", "\n  + sync\n"] {
        says(&server, line).await;
    }
    let log = server.log();
    let took = log.split(", active ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(took.parse::<u64>().is_ok(), "it says how many milliseconds it took: {log}");
    // And back, as when an edit is undone.
    project.edit(&module("greet"));
    answers(&server, "flow", "Hello, Ada!").await;
}

#[tokio::test]
async fn all_that_programs_say_is_shown() {
    let project = Project::new(&module("sync-chain"));
    // More than a pipe holds.
    let says = "i=0; while [ $i -lt 2000 ]; do echo \"line $i of what a program that says a lot has to say\" >&2; i=$((i+1)); done; cat";
    let program = script(project.folder.path(), "says.sh", says);
    let mut command = project.dev_with("");
    command.arg("--function").arg(format!("func1={}", program.display()));
    let server = Server::start(command);
    assert_eq!(server.result("flow", "Ada").await.ok(), SAID);
    let shown = || server.log().lines().filter(|line| line.starts_with("func1: line ")).count();
    until("all of it is shown", async || shown() == 2000).await;
}

#[tokio::test]
async fn the_last_good_version_stays_where_a_build_or_its_module_is_none() {
    let project = Project::new(&module("greet"));
    let server = Server::start(project.dev(""));
    project.edit(Path::new("gone.wasm"));
    says(&server, "cannot stat 'gone.wasm'").await;
    says(&server, "the build failed; flow is still being served in version ").await;
    assert_eq!(server.result("flow", "Ada").await.ok(), "Hello, Ada!");
    let text = project.around("text.wasm");
    fs::write(&text, "hello").unwrap();
    project.edit(&text);
    says(&server, "error FF0001: ").await;
    assert_eq!(server.result("flow", "Ada").await.ok(), "Hello, Ada!");
    project.edit(&module("sync-chain"));
    answers(&server, "flow", SAID).await;
}

#[tokio::test]
async fn a_flow_that_never_built_is_served_once_it_does() {
    let project = Project::new(&module("greet"));
    // The first build fails, and changes a file.
    let server = Server::start(project.dev("test -f fixed || { touch fixed; exit 3; };"));
    says(&server, "the build failed; nothing is being served yet").await;
    assert_eq!(server.result("flow", "Ada").await.ok(), "Hello, Ada!");
    assert_eq!(project.builds(), 2);
}

#[tokio::test]
async fn what_changes_during_a_build_is_one_more_build() {
    let project = Project::new(&module("greet"));
    let server = Server::start(project.dev("while test -f ../hold; do sleep 0.02; done;"));
    let hold = project.around("hold");
    fs::write(&hold, "").unwrap();
    project.edit(Path::new("gone.wasm"));
    until("the second build", async || project.builds() == 2).await;
    for source in ["a", "b", "c"] {
        project.edit(Path::new(source));
    }
    project.edit(&module("sync-chain"));
    fs::remove_file(&hold).unwrap();
    answers(&server, "flow", SAID).await;
    assert_eq!(project.builds(), 3);
    project.edit(&module("greet"));
    answers(&server, "flow", "Hello, Ada!").await;
    assert_eq!(project.builds(), 4);
}

#[tokio::test]
async fn only_the_last_few_versions_are_kept_and_what_a_run_needs() {
    let project = Project::new(&module("greet"));
    let gate = project.around("gate");
    let step = script(
        project.folder.path(),
        "step.sh",
        &format!("while ! test -f {}; do sleep 0.02; done; cat", gate.display()),
    );
    let mut dev = project.dev_with("");
    dev.arg("--function").arg(format!("func1={}", step.display()));
    let server = Server::start(dev);
    let pinned = version(project.folder.path(), 1, "okay");
    project.edit(&pinned);
    says(&server, " → ").await;
    let begun = server.post("/function/flow", "in").await;
    let id = begun.id.unwrap();
    for number in 2..10 {
        project.edit(&version(project.folder.path(), number, "okay"));
        until("it is built", async || server.log().matches(" ms after the build").count() == usize::from(number)).await;
    }
    let listed: Value = serde_json::from_str(&server.get("/function/flow/modules").await.ok()).unwrap();
    let versions = listed["versions"].as_array().unwrap().iter();
    let kept: Vec<&Value> = versions.filter(|version| version["state"] != "removed").collect();
    assert_eq!(kept.len(), 6, "the last five, and the one of the run: {listed}");
    let pinned = faas_flow_core::Digest::of(&fs::read(&pinned).unwrap()).to_string();
    assert!(kept.iter().any(|version| version["digest"] == pinned.as_str()), "{listed}");
    fs::write(&gate, "").unwrap();
    assert_eq!(server.result_of("flow", &id).await.ok(), "in|0001|0001");
}

#[tokio::test]
async fn a_build_that_is_under_way_ends_with_dev() {
    let project = Project::new(&module("greet"));
    let mut dev = project.dev("sleep 600 & echo $! > ../sleeper; wait;");
    let mut dev = dev.stderr(Stdio::null()).spawn().unwrap();
    let sleeper = project.around("sleeper");
    let id = || fs::read_to_string(&sleeper).ok().and_then(|id| id.trim().parse::<u32>().ok());
    until("the build", async || id().is_some()).await;
    kill_process(Pid::from_child(&dev), Signal::INT).unwrap();
    until("the end", async || dev.try_wait().unwrap().is_some()).await;
    assert_eq!(dev.wait().unwrap().code(), Some(0));
    let id = id().unwrap();
    let state = || fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // It may still be a zombie.
    until("the end of the build", async || state().is_empty() || state().contains(") Z ")).await;
}

#[test]
fn a_folder_that_cannot_be_built_is_refused() {
    let folder = TempDir::new().unwrap();
    run(folder.path(), ["dev", "--listen", "127.0.0.1:0"]).failed("FF0404", &["go.mod", "faas-flow new", "--build"]);
    run(folder.path(), ["dev", "gone", "--listen", "127.0.0.1:0"]).failed("FF0404", &["gone"]);
    assert_eq!(run(folder.path(), ["dev", "--build", "make"]).code, Some(2));
}

#[tokio::test]
async fn a_flow_in_rust_is_built_with_cargo() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let source = path.join("src/lib.rs");
    fs::create_dir(path.join("src")).unwrap();
    let original = fs::read_to_string(root().join("examples/greet/src/lib.rs")).unwrap();
    fs::write(&source, &original).unwrap();
    fs::copy(root().join("Cargo.lock"), path.join("Cargo.lock")).unwrap();
    let manifest = format!(
        "[package]\nname = \"greet\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n\
         [dependencies]\nfaas-flow = {{ path = {:?} }}\n[workspace]\n",
        root().join("guest-sdk/rust")
    );
    fs::write(path.join("Cargo.toml"), manifest).unwrap();
    let mut command = faas_flow(path);
    // Kept from one run of the tests to the next, since the SDK takes long to compile.
    command.env("CARGO_TARGET_DIR", program::scratch("dev"));
    let server = Server::start({
        command.args(["dev", "--listen", "127.0.0.1:0"]);
        command
    });
    assert_eq!(server.result("greet", "Ada").await.ok(), "Hello, Ada!");
    fs::write(&source, original.replace("Hello", "Welcome")).unwrap();
    answers(&server, "greet", "Welcome, Ada!").await;
    says(&server, "the graph is the same").await;
    fs::write(&source, original.replace("data: Vec<u8>", "data: Vec<u9>")).unwrap();
    says(&server, "cannot find type `u9`").await;
    says(&server, "the build failed; greet is still being served").await;
    assert_eq!(server.result("greet", "Ada").await.ok(), "Welcome, Ada!");
    let twice = "workflow.dag().node(\"greet\").modify(greet);";
    fs::write(&source, original.replace(twice, &twice.repeat(2))).unwrap();
    says(&server, "error FF0102: ").await;
    assert_eq!(server.result("greet", "Ada").await.ok(), "Welcome, Ada!");
    fs::write(&source, &original).unwrap();
    answers(&server, "greet", "Hello, Ada!").await;
}
