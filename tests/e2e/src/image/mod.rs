//! Images without a container engine: the instructions of a Dockerfile are carried out in folders, and the result runs
//! as a container does, as its user, in namespaces of its own, on a read-only root.
//!
//! It differs from an engine in two things: the stage that compiles runs its commands with the tools of this machine,
//! and the base of the host's image is a stand-in with the libraries that the host is linked with, from this machine
//! too.
pub mod buildah;
pub mod dockerfile;
pub mod faas_cli;

use crate::{machine, program};
use dockerfile::{Instruction, Stage, fill};
use faas_cli::{copy, ignored};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A root file system, and how to run it.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The platform, `linux/amd64`; empty for that of this machine.
    pub platform: String,
    /// The folder of its files.
    pub root: PathBuf,
    /// `ENV`.
    pub environment: BTreeMap<String, String>,
    /// `USER`.
    pub user: String,
    /// `ENTRYPOINT`.
    pub entry_point: Vec<String>,
    /// `CMD`.
    pub command: Vec<String>,
    /// `HEALTHCHECK`.
    pub health: Vec<String>,
    /// `EXPOSE`.
    pub ports: BTreeSet<u16>,
}

/// Whether this machine can run containers. In CI it must.
pub fn containers() -> bool {
    let lacks = match Command::new("unshare").args(["--mount", "--pid", "--fork", "true"]).output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("unshare: {error}"),
    };
    machine::can_run(Some(&format!("to make namespaces, this needs Linux and root ({lacks})")))
}

/// The image of the host: the last stage of its Dockerfile, with the program under test.
pub fn host(folder: &Path) -> Image {
    let (_, stages) = dockerfile::parse(&read(&program::root().join("deploy/image/Dockerfile")));
    let source = folder.join("host-source");
    fs::create_dir_all(&source).unwrap();
    let program = source.join("faas-flow");
    fs::copy(program::path(), &program).unwrap();
    let base = Image { root: folder.join("host"), ..Image::default() };
    for library in libraries(&program) {
        copy(&library, &base.root.join(library.strip_prefix("/").unwrap()), &|_| true);
    }
    let built = Image { root: folder.join("host-source-root"), ..Image::default() };
    fs::create_dir_all(&built.root).unwrap();
    std::os::unix::fs::symlink(&source, built.root.join("source")).unwrap();
    let stages_before = BTreeMap::from([("build".to_owned(), built)]);
    assemble(stages.last().unwrap(), base, &stages_before, &mut |instruction| panic!("{instruction:?} in the host"))
}

/// What a program needs of its base image: the libraries that it is linked with, and the root certificates.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let text = ends_in(Command::new("ldd").arg(program)).unwrap();
    let libraries = text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
    libraries.chain([PathBuf::from("/etc/ssl/certs/ca-certificates.crt")]).collect()
}

/// What a command prints; if it fails, all that it says.
fn ends_in(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    if output.status.success() { Ok(stdout) } else { Err(format!("{command:?}\n{stdout}{stderr}")) }
}

/// All flows are built in one folder, one at a time, so that their dependencies are compiled only once.
static BUILDING: Mutex<()> = Mutex::new(());

/// `docker build` of a context, on an image of the host. An error is what the command that failed said.
pub fn build(context: &Path, host: &Image, folder: &Path, arguments: &[(&str, &str)]) -> Result<Image, String> {
    let (defaults, stages) = dockerfile::parse(&read(&context.join("Dockerfile")));
    let [build, check, test, last] = stages.as_slice() else { panic!("the template has four stages") };
    assert!(check.from == defaults["HOST_IMAGE"] && last.from == defaults["HOST_IMAGE"] && last.name.is_none());
    assert_eq!(test.from, "build");

    let built = Building::new();
    let mut done = BTreeMap::new();
    built.run(build, context, &done, arguments)?;
    done.insert("build".to_owned(), Image { root: built.root.clone(), ..Image::default() });
    let on_host = |name: &str| {
        let root = folder.join(name);
        copy(&host.root, &root, &|_| true);
        Image { root, ..host.clone() }
    };
    let mut failed = None;
    let checked = assemble(check, on_host("check"), &done, &mut |instruction| {
        let (Instruction::Exec(program), image) = (instruction, on_host_root(folder, host)) else { unreachable!() };
        let output = image.container().exec(program);
        if output.status.code() != Some(0) {
            failed = Some(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    });
    if let Some(failed) = failed {
        return Err(failed);
    }
    done.insert("check".to_owned(), checked);
    built.run(test, context, &done, arguments)?;
    done.insert("test".to_owned(), Image { root: built.root.clone(), ..Image::default() });
    Ok(assemble(last, on_host("image"), &done, &mut |instruction| panic!("{instruction:?} in the last stage")))
}

/// Carries out the stage that plays scenarios, after one that has built this module. It needs no containers.
pub fn play(context: &Path, module: &Path, folder: &Path, arguments: &[(&str, &str)]) -> Result<(), String> {
    let (_, stages) = dockerfile::parse(&read(&context.join("Dockerfile")));
    let test = stages.iter().find(|stage| stage.name.as_deref() == Some("test")).expect("a stage `test`");
    let built = Building { root: folder.to_owned(), _alone: None };
    copy_from(context, "function", &folder.join("build/function"));
    copy(module, &folder.join("build/app/flow.wasm"), &|_| true);
    copy(program::path(), &folder.join("host/usr/local/bin/faas-flow"), &|_| true);
    let host = Image { root: folder.join("host"), ..Image::default() };
    built.run(test, context, &BTreeMap::from([("check".to_owned(), host)]), arguments)
}

fn on_host_root(folder: &Path, host: &Image) -> Image {
    Image { root: folder.join("check"), user: "0:0".to_owned(), ..host.clone() }
}

/// Carries out a stage. `run` runs its commands, if it has any.
fn assemble(
    stage: &Stage,
    mut image: Image,
    stages: &BTreeMap<String, Image>,
    run: &mut dyn FnMut(&Instruction),
) -> Image {
    for instruction in &stage.instructions {
        match instruction {
            Instruction::Copy(Some(from), sources, to) => {
                let [source] = sources.as_slice() else { panic!("one file at a time") };
                let to = image.root.join(to.strip_prefix('/').expect("an absolute target"));
                copy(&stages[from].root.join(source.strip_prefix('/').unwrap()), &to, &|_| true);
            }
            Instruction::Env(pairs) => image.environment.extend(pairs.iter().cloned()),
            Instruction::User(user) => image.user = user.clone(),
            Instruction::WorkDir(folder) => {
                fs::create_dir_all(image.root.join(folder.trim_start_matches('/'))).unwrap()
            }
            Instruction::Cmd(command) => image.command = command.clone(),
            Instruction::EntryPoint(command) => image.entry_point = command.clone(),
            Instruction::HealthCheck(command) => image.health = command.clone(),
            Instruction::Expose(port) => {
                image.ports.insert(*port);
            }
            other => run(other),
        }
    }
    image
}

/// The stages that compile and test, in their folder.
struct Building {
    root: PathBuf,
    _alone: Option<MutexGuard<'static, ()>>,
}

impl Building {
    fn new() -> Self {
        let alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        Self { root: program::scratch("template"), _alone: Some(alone) }
    }

    fn run(
        &self,
        stage: &Stage,
        context: &Path,
        stages: &BTreeMap<String, Image>,
        arguments: &[(&str, &str)],
    ) -> Result<(), String> {
        // The machine may be busy, and modules in JavaScript take their time.
        let mut variables = BTreeMap::from([("compile_timeout".to_owned(), "10m".to_owned())]);
        // A stage on top of this one goes on in its folder.
        let mut workdir = self.root.join("build");
        // Programs of other stages, by their paths in the image. They stay where they are on this machine.
        let mut programs = BTreeMap::new();
        for instruction in &stage.instructions {
            match instruction {
                Instruction::WorkDir(folder) => {
                    assert_eq!(folder, "/build");
                    workdir = self.clear();
                }
                Instruction::Arg(name, default) => {
                    let given = arguments.iter().find(|(given, _)| given == name).map(|(_, value)| (*value).to_owned());
                    variables.extend(given.or(default.clone()).map(|value| (name.clone(), value)));
                }
                Instruction::Copy(None, sources, to) => {
                    for source in sources {
                        copy_from(context, source, &workdir.join(fill(to, &variables)));
                    }
                }
                Instruction::Copy(Some(from), sources, to) => {
                    assert_eq!(*sources, [to.as_str()]);
                    programs.insert(to, stages[from].root.join(to.strip_prefix('/').unwrap()));
                }
                // `cargo xtask` has installed it on this machine.
                Instruction::Shell(line) if line.starts_with("rustup target add ") => {}
                Instruction::Shell(line) => {
                    let here =
                        |line: String, (path, here): (&&String, &PathBuf)| line.replace(*path, here.to_str().unwrap());
                    shell(&programs.iter().fold(line.clone(), here), &workdir, &variables)?;
                }
                other => panic!("{other:?} where the flow is built"),
            }
        }
        Ok(())
    }

    /// The folder that flows are built in. Of earlier builds only what cargo compiled stays, without the modules.
    fn clear(&self) -> PathBuf {
        let workdir = self.root.join("build");
        fs::create_dir_all(&workdir).unwrap();
        for entry in workdir.read_dir().unwrap().map(Result::unwrap) {
            match entry.file_name().to_str() {
                Some("target" | "template") => {}
                _ if entry.path().is_dir() => fs::remove_dir_all(entry.path()).unwrap(),
                _ => fs::remove_file(entry.path()).unwrap(),
            }
        }
        let modules = workdir.join("target/wasm32-unknown-unknown/flow").read_dir().into_iter().flatten();
        for module in
            modules.map(|entry| entry.unwrap().path()).filter(|path| path.extension() == Some("wasm".as_ref()))
        {
            fs::remove_file(module).unwrap();
        }
        workdir
    }
}

/// `COPY` of one source, without what `.dockerignore` excludes.
fn copy_from(context: &Path, source: &str, to: &Path) {
    let patterns = read(&context.join(".dockerignore"));
    let from = context.join(source);
    assert!(from.exists(), "{source} is not in the context");
    let to = if from.is_file() { to.join(source) } else { to.to_owned() };
    copy(&from, &to, &|path| !ignored(&patterns, path.strip_prefix(context).unwrap().to_str().unwrap()));
}

fn shell(line: &str, workdir: &Path, variables: &BTreeMap<String, String>) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(workdir).envs(variables);
    // The cargo that runs this test sets variables that the one in an image does not have.
    for (name, _) in std::env::vars_os() {
        let cargo = name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_HOME";
        if cargo || name == "RUSTFLAGS" {
            shell.env_remove(name);
        }
    }
    ends_in(&mut shell).map(drop)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Image {
    /// A container of this image.
    pub fn container(&self) -> Container<'_> {
        Container { image: self, environment: BTreeMap::new(), secrets: None, writable: true }
    }

    /// Everything but its files, as text.
    pub fn settings(&self) -> String {
        let environment: Vec<_> = self.environment.iter().filter(|(name, _)| *name != "PATH").collect();
        let Self { user, entry_point, command, health, ports, .. } = self;
        format!("{environment:?} {user} {entry_point:?} {command:?} {health:?} {ports:?}")
    }

    /// The size of all its files, in bytes.
    pub fn size(&self) -> u64 {
        fn size(path: &Path) -> u64 {
            if path.is_dir() {
                path.read_dir().unwrap().map(|entry| size(&entry.unwrap().path())).sum()
            } else {
                fs::metadata(path).unwrap().len()
            }
        }
        size(&self.root)
    }
}

/// How to run an image.
pub struct Container<'a> {
    image: &'a Image,
    environment: BTreeMap<String, String>,
    secrets: Option<PathBuf>,
    writable: bool,
}

impl Container<'_> {
    /// Sets a variable.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Mounts a folder at `/var/openfaas/secrets`.
    pub fn secrets(mut self, folder: &Path) -> Self {
        self.secrets = Some(folder.to_owned());
        self
    }

    /// Runs it as a pod of this name, which is its hostname in Kubernetes.
    pub fn pod(self, name: &str) -> Self {
        self.environment("HOSTNAME", name).environment("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    }

    /// Makes everything but `/tmp` read-only: `readonly_root_filesystem: true`.
    pub fn read_only(mut self) -> Self {
        self.writable = false;
        self
    }

    /// The command that runs the image's entry point.
    pub fn main(&self) -> Command {
        self.command(&[self.image.entry_point.as_slice(), &self.image.command].concat())
    }

    /// Runs a program in it, and waits for its end.
    pub fn exec(&self, program: &[String]) -> std::process::Output {
        self.command(program).stdin(Stdio::null()).output().unwrap()
    }

    /// It has namespaces of its own for mounts, processes and host names, and shares the network with the test's
    /// servers.
    fn command(&self, program: &[String]) -> Command {
        let root = &self.image.root;
        for folder in ["tmp", "proc", "dev", "var/openfaas/secrets", "home/app"] {
            fs::create_dir_all(root.join(folder)).unwrap();
            fs::set_permissions(root.join(folder), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(root.join("dev/null"), "").unwrap();
        let mut script = String::from(
            "set -e\nmount --make-rprivate /\nmount --bind \"$ROOT\" \"$ROOT\"\n\
             mount -t tmpfs -o mode=1777 none \"$ROOT/tmp\"\nmount -t proc none \"$ROOT/proc\"\n\
             mount --bind /dev/null \"$ROOT/dev/null\"\n[ -z \"$HOSTNAME\" ] || hostname \"$HOSTNAME\"\n",
        );
        if let Some(secrets) = &self.secrets {
            script += &format!("mount --bind '{}' \"$ROOT/var/openfaas/secrets\"\n", secrets.display());
        }
        if !self.writable {
            script += "mount -o remount,bind,ro \"$ROOT\"\n";
        }
        script +=
            &format!("root=$ROOT\nunset ROOT\nexec chroot --userspec={} --groups= \"$root\" \"$@\"\n", self.image.user);
        let mut command = Command::new("unshare");
        // The outer `unshare` dies with the test and takes everything in its namespace along, which a program that has
        // become another user would outlive. In the inner one the program is the first process, as in containers.
        command.args(["--pid", "--fork", "--kill-child", "--"]);
        command.args(["unshare", "--mount", "--uts", "--pid", "--fork", "--", "sh", "-c", &script, "sh"]);
        command.args(program).env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("ROOT", root).env("compile_timeout", "10m");
        command.envs(&self.image.environment).envs(&self.environment);
        command
    }
}
