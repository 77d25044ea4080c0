//! How flows in Go are built. Their package may be any: that of a handler of the original library is `function`.

use super::build::Refused;
use super::recipe::{MADE, MODULE, made};
use super::running::Running;
use super::tool::{Tool, Version};
use crate::Error;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

const GO: Tool = Tool {
    name: "go",
    version: &["version"],
    least: Version(1, 24),
    below: None,
    install: "install Go 1.24 or later as https://go.dev/doc/install says",
};
/// A package that is not there, except for this build.
const MAIN: &str = "faas-flow-main";

pub(super) async fn build(folder: &Path) -> Result<PathBuf, Refused> {
    let mut list = go();
    GO.check(&list).await?;
    list.args(["list", "-f", "{{.Name}} {{.ImportPath}}", "."]).current_dir(folder).stdout(Stdio::piped());
    let said = Running::start(&mut list, &GO)?.output().await?;
    let said = String::from_utf8_lossy(&said);
    let (package, path) = said.trim().split_once(' ').unwrap_or_default();
    let mut build = go();
    // Names of functions stay, since failures of the code name them; folders of this machine do not.
    build.args(["build", "-buildmode=c-shared", "-trimpath", "-o"]).arg(folder.join(MODULE));
    if package == "main" {
        build.arg(".");
    } else {
        build.arg("-overlay").arg(overlay(folder, path)?).arg(format!("./{MAIN}"));
    }
    made(&mut build, &GO, folder).await
}

fn go() -> Command {
    let mut go = Command::new(GO.name);
    go.env("GOOS", "wasip1").env("GOARCH", "wasm");
    go
}

/// Writes a `main` for a package that has none, and the file with which Go takes it for a part of the project.
fn overlay(folder: &Path, path: &str) -> Result<PathBuf, Error> {
    let place = folder.join(MADE);
    let (main, overlay) = (place.join("main.go"), place.join("overlay.json"));
    let text = format!(
        "package main\n\nimport (\n\tfaasflow \"github.com/faas-flow/faas-flow/guest-sdk/go\"\n\tfunction \"{path}\"\n)\n\n\
         func init() {{ faasflow.Register(function.Define) }}\n\nfunc main() {{}}\n"
    );
    let map = json!({ "Replace": { folder.join(MAIN).join("main.go").to_string_lossy(): main.to_string_lossy() } });
    let write = |path: &Path, text: String| {
        fs::write(path, text).map_err(|source| Error::OutputUnwritable { path: path.to_owned(), source })
    };
    fs::create_dir_all(&place).map_err(|source| Error::OutputUnwritable { path: place.clone(), source })?;
    write(&main, text)?;
    write(&overlay, map.to_string())?;
    Ok(overlay)
}
