//! `deploy/`: the chart, the base of kustomize that is rendered from it, the compose files, and the functions of the
//! examples. Each is checked by the tools that will read it.

use crate::place::Place;
use crate::run::{Run, program};
use crate::setup;
use crate::tool::{COMPOSE, GRAFANA_MODELS, HELM, KUBECONFORM, KUBERNETES_SCHEMAS, KUSTOMIZE, MONITOR_SCHEMAS};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest version of Kubernetes that the chart supports, and the newest that schemas exist for.
const VERSIONS: [&str; 2] = ["1.29.0", "1.37.0"];

/// Everything that can be turned on.
const ALL: &[&str] = &[
    "s3.enabled=true",
    "collector.enabled=true",
    "jaeger.enabled=true",
    "dashboard.enabled=true",
    "dashboard.namespaces[0]=ingress",
    "redis.auth=true",
    "serviceMonitor.enabled=true",
    "serviceMonitor.labels.release=prometheus",
    "alerts.enabled=true",
    "alerts.labels.release=prometheus",
    "grafana.enabled=true",
    "grafana.namespace=monitoring",
    "flows[0].name=greet",
    "redis.storage.className=fast",
    "redis.nodeSelector.disk=ssd",
];

/// Everything that can be turned off.
const NOTHING: &[&str] =
    &["secrets.create=false", "redis.enabled=false", "networkPolicy.flows=false", "networkPolicy.infrastructure=false"];

/// The dashboard, reachable through a forwarded port only, with a store that the chart does not install.
const SHOWN: &[&str] = &[
    "secrets.create=false",
    "redis.enabled=false",
    "dashboard.enabled=true",
    "dashboard.stateStore=redis://elsewhere:6379",
];

/// The values of the base for clusters without Helm. It has no secrets: random ones would be the same everywhere.
const BASE: &[&str] = &["secrets.create=false"];

const RENDERED: &str = "deploy/kustomize/base/rendered.yaml";

/// Renders the base again.
pub fn render(place: &Place) -> Result<()> {
    setup::for_deploy(place)?;
    let rendered = base(place)?;
    let path = place.root.join(RENDERED);
    fs::write(&path, rendered).with_context(|| format!("cannot write {}", path.display()))
}

/// Checks all of it.
pub fn check(place: &Place) -> Result<()> {
    setup::for_deploy(place)?;
    let work = Work::new(place)?;
    for values in [&[], ALL, NOTHING, SHOWN] {
        let mut lint = HELM.command(place);
        lint.current_dir(&place.root).args(["lint", "--strict", "--quiet", "deploy/chart"]);
        set(&mut lint, values).must("the chart")?;
        for version in VERSIONS {
            let manifests = chart(place, values, version)?;
            keeps_all_keys(&manifests, "deploy/chart")?;
            work.conforms(&manifests, version)?;
        }
    }
    let rendered = fs::read_to_string(place.root.join(RENDERED)).with_context(|| format!("cannot read {RENDERED}"))?;
    monitoring(place, &work.folder)?;
    ensure!(rendered == base(place)?, "{RENDERED} is out of date: run `cargo xtask deploy --render`");
    ensure!(!rendered.contains("kind: Secret"), "{RENDERED} contains a Secret, which all installations would share");
    let mut kustomize = KUSTOMIZE.command(place);
    let built = output(kustomize.current_dir(&place.root).args(["build", "deploy/kustomize/base"]))?;
    work.conforms(&built, VERSIONS[1])?;
    for file in ["laptop", "faasd"] {
        let mut compose = COMPOSE.command(place);
        let file = place.root.join("deploy/compose").join(file).with_extension("yaml");
        keeps_all_keys(
            &fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?,
            &file.display().to_string(),
        )?;
        output(compose.arg(file))?;
    }
    let mut functions = KUBERNETES_SCHEMAS.command(place);
    functions.current_dir(&place.root).args(["deploy/check/functions.py", "deploy/check/stack.yaml"]);
    for name in place.examples_with("stack.yaml")? {
        functions.arg(format!("examples/{name}/stack.yaml"));
    }
    work.conforms(&output(&mut functions)?, VERSIONS[1])
}

/// Checks the alert rules with their tests, and the dashboard for Grafana with its queries.
fn monitoring(place: &Place, folder: &Path) -> Result<()> {
    let promtool = |arguments: &[&str]| {
        let mut promtool = program("promtool", arguments);
        promtool.current_dir(&place.root);
        promtool
    };
    output(&mut promtool(&["check", "rules", "deploy/chart/files/alerts.yaml"]))?;
    output(&mut promtool(&["test", "rules", "deploy/check/alerts-test.yaml"]))?;
    let mut dashboard = GRAFANA_MODELS.command(place);
    dashboard.current_dir(&place.root).args(["deploy/check/dashboard.py", "deploy/chart/files/dashboard.json"]);
    output(dashboard.arg(folder))?;
    output(promtool(&["check", "rules"]).arg(folder.join("queries.json"))).map(drop)
}

/// Checks that a Redis of ours evicts no keys. The host would refuse one that does, see `docs/errors/FF0312.md`.
fn keeps_all_keys(manifests: &str, file: &str) -> Result<()> {
    let servers = manifests.matches("redis-server").count();
    let policies = manifests.replace(',', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let policies = policies.matches("--maxmemory-policy noeviction").count();
    ensure!(servers <= policies, "{file}: a Redis has no `--maxmemory-policy noeviction`");
    Ok(())
}

fn chart(place: &Place, values: &[&str], version: &str) -> Result<String> {
    let mut helm = HELM.command(place);
    helm.current_dir(&place.root).args(["template", "faas-flow", "deploy/chart", "--namespace", "faasflow"]);
    output(set(helm.args(["--kube-version", version]), values))
}

fn set<'a>(helm: &'a mut Command, values: &[&str]) -> &'a mut Command {
    values.iter().fold(helm, |helm, value| helm.args(["--set", value]))
}

/// The chart without the labels that say Helm manages it, since Helm does not manage what is installed from the base.
fn base(place: &Place) -> Result<String> {
    let rendered = chart(place, BASE, VERSIONS[1])?;
    let of_helm = ["# Source:", "helm.sh/", "app.kubernetes.io/managed-by:"];
    let kept = rendered.lines().filter(|line| !of_helm.iter().any(|start| line.trim_start().starts_with(start)));
    Ok(kept.flat_map(|line| [line, "\n"]).collect())
}

/// A folder with the schemas, and with the manifests that are checked against them.
struct Work<'a> {
    place: &'a Place,
    folder: PathBuf,
}

impl<'a> Work<'a> {
    fn new(place: &'a Place) -> Result<Self> {
        let folder = place.target.join("deploy");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let schemas: [(_, &str, &[&str]); 3] = [
            (KUBERNETES_SCHEMAS, "kubernetes", &VERSIONS),
            (MONITOR_SCHEMAS, "monitors", &[]),
            (KUBERNETES_SCHEMAS, "functions", &[]),
        ];
        for (tool, what, arguments) in schemas {
            let mut python = tool.command(place);
            python.arg(place.root.join("deploy/check/schemas.py")).arg(what).arg(&folder).args(arguments);
            python.must("the schemas")?;
        }
        Ok(Self { place, folder })
    }

    /// Checks that every manifest has a schema and keeps to it, without fields that it does not name.
    fn conforms(&self, manifests: &str, version: &str) -> Result<()> {
        let file = self.folder.join("manifests.yaml");
        fs::write(&file, manifests).with_context(|| format!("cannot write {}", file.display()))?;
        let mut kubeconform = KUBECONFORM.command(self.place);
        kubeconform.args(["-strict", "-kubernetes-version", version]);
        for schemas in [
            "{{ .NormalizedKubernetesVersion }}/{{ .ResourceKind }}{{ .KindSuffix }}.json",
            "{{ .ResourceKind }}{{ .KindSuffix }}.json",
        ] {
            kubeconform.arg("-schema-location").arg(self.folder.join(schemas));
        }
        kubeconform.arg(&file).must("the manifests")
    }
}

fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} ended with {}: {}", program.display(), output.status, errors.trim());
    Ok(String::from_utf8(output.stdout)?)
}
