//! The licences of the crates that a program contains: they ask to be passed on with it.

use crate::place::Place;
use crate::run::Run as _;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A script that the dashboard's pages load, which is a file of the repository: its name and version, its licence, where it comes
/// from, and the text of the licence.
const SCRIPT: [&str; 4] = [
    "idiomorph 0.8.0",
    "0BSD",
    "https://github.com/bigskysoftware/idiomorph",
    include_str!("../../host/http/src/dashboard/idiomorph.LICENSE"),
];

/// How the files that hold a licence, a notice or the names of authors begin.
const FILES: [&str; 5] = ["license", "licence", "copying", "notice", "copyright"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    license_file: Option<PathBuf>,
    repository: Option<String>,
    manifest_path: PathBuf,
    /// Where it was published; none for a crate of the workspace.
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// `build`, `dev`, or none for what becomes part of the program.
    kind: Option<String>,
}

/// Lists everything that the program of a package contains when it is built for a machine: a page with each crate, its
/// licence, and the texts that come with it.
pub fn list(place: &Place, package: &str, machine: &str) -> Result<String> {
    let mut cargo = place.cargo("metadata");
    cargo.args(["--format-version", "1", "--locked", "--filter-platform", machine]);
    let text = cargo.quiet().context("`cargo metadata` failed")?;
    let metadata: Metadata = serde_json::from_str(&text).context("cannot read what `cargo metadata` printed")?;
    let contained = metadata.contained(package)?;
    let mut page = String::from(
        "# Third-party software\n\nThe program contains the following software. Its licences follow the list.\n\n",
    );
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in contained {
        let name = format!("{} {}", package.name, package.version);
        let license = package.license.as_deref().unwrap_or("see its text");
        let home = package.repository.clone().unwrap_or_else(|| format!("https://crates.io/crates/{}", package.name));
        writeln!(page, "- {name} ({license}), {home}")?;
        for text in package.texts()? {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    // Every program has the crate with the pages.
    let [name, license, home, text] = SCRIPT;
    writeln!(page, "- {name} ({license}), {home}")?;
    texts.entry(text.trim().to_owned()).or_default().insert(name.to_owned());
    for (text, names) in texts {
        let names: Vec<String> = names.into_iter().collect();
        write!(page, "\n## {}\n\n````text\n{}\n````\n", names.join(", "), text.trim_end())?;
    }
    Ok(page)
}

impl Metadata {
    /// The crates from registries that a package's program contains, by name and version.
    fn contained(&self, package: &str) -> Result<Vec<&Package>> {
        let packages: HashMap<&str, &Package> = self.packages.iter().map(|it| (it.id.as_str(), it)).collect();
        let nodes: HashMap<&str, &Node> = self.resolve.nodes.iter().map(|it| (it.id.as_str(), it)).collect();
        let root = self.packages.iter().find(|it| it.name == package && it.source.is_none());
        let mut open = vec![root.with_context(|| format!("there is no package {package}"))?.id.as_str()];
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        while let Some(id) = open.pop() {
            if let Some(node) = seen.insert(id).then(|| nodes.get(id)).flatten() {
                open.extend(node.deps.iter().filter(|it| it.is_contained()).map(|it| it.pkg.as_str()));
            }
        }
        let mut contained: Vec<_> = seen.into_iter().filter_map(|id| packages.get(id).copied()).collect();
        contained.retain(|package| package.source.is_some());
        contained.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        Ok(contained)
    }
}

impl Dependency {
    fn is_contained(&self) -> bool {
        self.dep_kinds.iter().any(|it| it.kind.is_none())
    }
}

impl Package {
    /// The texts of its licences and notices, each once.
    fn texts(&self) -> Result<BTreeSet<String>> {
        let folder = self.manifest_path.parent().context("a manifest without a folder")?;
        let mut files: Vec<PathBuf> = self.license_file.iter().map(|file| folder.join(file)).collect();
        for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_file() && is_license(&path) {
                files.push(path);
            }
        }
        let read = |file: &PathBuf| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        let texts = files.iter().map(read).collect::<Result<Vec<_>>>()?;
        Ok(texts.iter().map(|bytes| String::from_utf8_lossy(bytes).replace('\r', "").trim().to_owned()).collect())
    }
}

fn is_license(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    FILES.iter().any(|start| name.starts_with(start)) && !name.ends_with(".rs")
}
