//! What `cargo metadata` says of the workspace.

use crate::place::Place;
use crate::run::Run as _;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The packages of the workspace.
#[derive(Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
}

/// One package of the workspace.
#[derive(Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The registries that it may be published to: any if there is no list, none if the list is empty.
    publish: Option<Vec<String>>,
    targets: Vec<Target>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

impl Metadata {
    /// Asks cargo.
    pub fn read(place: &Place) -> Result<Self> {
        let mut cargo = place.cargo("metadata");
        let text = cargo.args(["--format-version", "1", "--no-deps"]).quiet().context("`cargo metadata` failed")?;
        serde_json::from_str(&text).context("cannot read what `cargo metadata` printed")
    }

    /// All packages of the workspace.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The package of this name, if the workspace has one.
    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

impl Package {
    /// Whether it may be published to a registry.
    pub fn is_publishable(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }

    /// Whether it has a library.
    pub fn has_library(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "lib"))
    }

    /// Whether it lies below this folder.
    pub fn is_below(&self, folder: &Path) -> bool {
        self.manifest_path.starts_with(folder)
    }
}
