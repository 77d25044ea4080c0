//! What the tasks need beyond cargo: the pinned tools, Debian's packages, and parts of the Rust toolchain. Each is named
//! on standard error before it is installed.

use crate::place::Place;
use crate::run::{Run, program};
use crate::tool::{
    ACTIONLINT, AXE, CARGO_CYCLONEDX, CARGO_DENY, CARGO_FUZZ, CARGO_MUTANTS, CARGO_SHEAR, COMPONENTIZE_PY, COMPOSE,
    GRAFANA_MODELS, HELM, HYPERLINK, JAEGER, KUBECONFORM, KUBERNETES_SCHEMAS, KUSTOMIZE, MDBOOK, MONITOR_SCHEMAS, MYPY,
    OIDC_PROVIDER, PDOC, PYTHON_BUILD, Registry, SCHEMATHESIS, SHELLCHECK, Tool, ZIG, ZIZMOR,
};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The target that flows in Rust are compiled to.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The programs that tests start themselves: servers, each on a port of its own, and the builder of images; each with
/// the name of its package in Debian.
const SERVERS: [(&str, &str); 7] = [
    ("buildah", "buildah"),
    ("redis-server", "redis-server"),
    ("redis-sentinel", "redis-sentinel"),
    ("etcd", "etcd-server"),
    ("nats-server", "nats-server"),
    ("prometheus", "prometheus"),
    // Chromium comes with it.
    ("chromedriver", "chromium-driver"),
];

/// The script that Debian asks whether a package may start a service.
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what the tests need beyond the modules.
pub fn for_tests(place: &Place) -> Result<()> {
    install(place, &[SCHEMATHESIS, AXE, OIDC_PROVIDER])?;
    let missing = SERVERS.iter().filter(|(name, _)| program(name, &["--version"]).quiet().is_none());
    // The tests make keys with it. Older versions do not know `--version`.
    let openssl = program("openssl", &["version"]).quiet().is_none().then_some("openssl");
    // The tests of the terminal's display run in it.
    let tmux = program("tmux", &["-V"]).quiet().is_none().then_some("tmux");
    debian(&missing.map(|(_, package)| *package).chain(openssl).chain(tmux).collect::<Vec<_>>())
}

/// Installs what building the modules needs.
pub fn for_modules(place: &Place) -> Result<()> {
    wasm_target()?;
    // What else flows in TypeScript are built with is in the lock file of their SDK.
    if program("npm", &["--version"]).quiet().is_none() {
        debian(&["nodejs", "npm"])?;
    }
    install(place, &[COMPONENTIZE_PY, ZIG])
}

/// Installs what the checks of the SDK for Python need.
pub fn for_python(place: &Place) -> Result<()> {
    install(place, &[COMPONENTIZE_PY, MYPY, PDOC, PYTHON_BUILD])
}

/// Installs what the checks of `ci` need.
pub fn for_ci(place: &Place) -> Result<()> {
    for_tests(place)?;
    install(place, &[CARGO_DENY, CARGO_SHEAR])?;
    for_workflows(place)?;
    for_deploy(place)?;
    for_docs(place)
}

/// Installs Jaeger, for the test of traces that needs it.
pub fn for_jaeger(place: &Place) -> Result<()> {
    install(place, &[JAEGER])
}

/// Installs the tool that checks dependencies.
pub fn for_advisories(place: &Place) -> Result<()> {
    install(place, &[CARGO_DENY])
}

/// Installs the tools that check the GitHub workflows.
pub fn for_workflows(place: &Place) -> Result<()> {
    install(place, &[ACTIONLINT, SHELLCHECK, ZIZMOR])
}

/// Installs the tools that build the documentation site and check its links.
pub fn for_docs(place: &Place) -> Result<()> {
    install(place, &[MDBOOK, HYPERLINK])
}

/// Installs the tools that package a release.
pub fn for_package(place: &Place) -> Result<()> {
    wasm_target()?;
    install(place, &[HELM, CARGO_CYCLONEDX])
}

/// Installs the fuzzer.
pub fn for_fuzz(place: &Place) -> Result<()> {
    install(place, &[CARGO_FUZZ])
}

/// Installs the tool for mutation testing.
pub fn for_mutants(place: &Place) -> Result<()> {
    install(place, &[CARGO_MUTANTS])
}

/// Installs the tools that check `deploy/`.
pub fn for_deploy(place: &Place) -> Result<()> {
    install(place, &[HELM, KUBECONFORM, KUSTOMIZE, COMPOSE, KUBERNETES_SCHEMAS, MONITOR_SCHEMAS, GRAFANA_MODELS])?;
    // It comes with Prometheus.
    debian(program("promtool", &["--version"]).quiet().is_none().then_some("prometheus").as_slice())
}

/// Installs what the benchmark needs: what its flows and the host are compiled with, and Redis.
pub fn for_bench(place: &Place) -> Result<()> {
    wasm_target()?;
    runtimes(place, &[])?;
    let redis = program("redis-server", &["--version"]).quiet().is_none().then_some("redis-server");
    debian(redis.as_slice())
}

/// Installs what a release of the host is built with. Returns the path of `llvm-profdata`, which merges profiles.
pub fn for_release(place: &Place) -> Result<PathBuf> {
    for_bench(place)?;
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

/// Node, Python, and the compiler of the etcd client's protocol: installed from Debian where that is allowed, demanded of
/// the user otherwise.
fn runtimes(place: &Place, tools: &[&Tool]) -> Result<()> {
    let mut packages = Vec::new();
    let sources = place.root.join("xtask/src");
    let mut protoc = program("protoc", &["--descriptor_set_out=/dev/null", "--proto_path"]);
    if protoc.arg(&sources).arg(sources.join("protoc.proto")).quiet().is_none() {
        packages.extend(["protobuf-compiler", "libprotobuf-dev"]);
    }
    if tools.iter().any(|tool| matches!(tool.registry, Registry::PyPi))
        && program("python3", &["-c", "import ensurepip, venv"]).quiet().is_none()
    {
        packages.extend(["python3", "python3-venv"]);
    }
    if tools.iter().any(|tool| matches!(tool.registry, Registry::Npm))
        && program("npm", &["--version"]).quiet().is_none()
    {
        packages.extend(["nodejs", "npm"]);
    }
    debian(&packages)?;
    if let Some(tool) = tools.iter().find(|tool| matches!(tool.registry, Registry::Go)) {
        go(tool.package)?;
    }
    Ok(())
}

/// Makes sure that Go is there, which is too big to be installed without being asked for.
pub fn go(what: &str) -> Result<()> {
    if program("go", &["version"]).quiet().is_none() {
        bail!("Go is missing, which is needed to compile {what}: install Go 1.26 or later and run this again");
    }
    Ok(())
}

/// Installs packages of Debian without starting their services. Only root may; everyone else is told the command.
fn debian(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let root = program("id", &["-u"]).quiet().is_some_and(|id| id == "0");
    if !root || program("apt-get", &["--version"]).quiet().is_none() {
        let names = packages.join(" ");
        bail!(
            "packages are missing, which only root can install: run `sudo apt-get install {names}` (or install what they \
             are called on your system), and run this again"
        );
    }
    eprintln!("installing {} with apt-get", packages.join(", "));
    program("apt-get", &["update", "--quiet"]).must("updating the package lists")?;
    let _off = ServicesOff::until_dropped()?;
    let mut apt = program("apt-get", &["install", "--yes", "--quiet", "--no-install-recommends"]);
    // Another process may hold the lock: machines often update themselves right after they start.
    apt.args(["-o", "DPkg::Lock::Timeout=300"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive").args(packages).must("installing packages")
}

/// While it lives, no package starts a service. A policy that exists already is left alone.
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
            // If this fails, the file keeps services from starting, which a user notices and which does us no harm.
            let _ = fs::remove_file(SERVICE_POLICY);
        }
    }
}
