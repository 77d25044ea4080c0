//! Builds a flow's sources into a module, with cargo or the author's own command.

use super::Refused;
use crate::{Error, SourcesError};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

const TARGET: &str = "wasm32-unknown-unknown";

/// How a module is made.
pub(super) enum Build {
    /// With cargo, in this folder.
    Cargo(PathBuf),
    /// With a shell command, which writes this module.
    Shell { folder: PathBuf, command: String, module: PathBuf },
}

impl Build {
    pub(super) fn of(folder: &Path, command: Option<String>, module: Option<PathBuf>) -> Result<Self, Error> {
        let unreadable = |source| SourcesError::Unreadable { folder: folder.to_owned(), source };
        let folder = folder.canonicalize().map_err(unreadable)?;
        match (command, module) {
            (Some(command), Some(module)) => Ok(Build::Shell { module: folder.join(module), folder, command }),
            _ if folder.join("Cargo.toml").is_file() => Ok(Build::Cargo(folder)),
            _ => Err(SourcesError::NoCargoToml { folder }.into()),
        }
    }

    /// The file of the module, if it is known before the build.
    pub(super) fn module(&self) -> Option<&Path> {
        match self {
            Build::Cargo(_) => None,
            Build::Shell { module, .. } => Some(module),
        }
    }

    /// Builds once. The output of the tools goes to stderr.
    pub(super) async fn run(&self) -> Result<PathBuf, Refused> {
        match self {
            Build::Shell { folder, command, module } => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(command).current_dir(folder).stdout(to_stderr()?);
                start(shell, "sh").map_err(Error::from)?.end().await?;
                Ok(module.clone())
            }
            Build::Cargo(folder) => {
                let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
                let mut cargo = Command::new(program);
                cargo.args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"]);
                cargo.current_dir(folder).stdout(Stdio::piped());
                let mut running = start(cargo, "cargo").map_err(Error::from)?;
                let mut said = Vec::new();
                if let Some(mut stdout) = running.child.stdout.take() {
                    // If the pipe breaks, cargo has ended, and its status is checked next.
                    let _ = stdout.read_to_end(&mut said).await;
                }
                running.end().await?;
                Ok(made(&said, folder).map_err(Error::from)?)
            }
        }
    }
}

fn to_stderr() -> Result<Stdio, Error> {
    let stderr = std::io::stderr().as_fd().try_clone_to_owned();
    stderr.map(Stdio::from).map_err(|source| Error::System { what: "duplicate stderr", source })
}

/// A line of cargo's output.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The only module among the files that cargo says it wrote.
fn made(said: &[u8], folder: &Path) -> Result<PathBuf, SourcesError> {
    let messages = said.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Message>(line).ok());
    let artifacts =
        messages.filter(|message| message.reason == "compiler-artifact").flat_map(|message| message.filenames);
    let mut modules: Vec<PathBuf> =
        artifacts.filter(|file| file.extension().is_some_and(|extension| extension == "wasm")).collect();
    match (modules.pop(), modules.is_empty()) {
        (Some(module), true) => Ok(module),
        (Some(_), false) => Err(SourcesError::SeveralModules { folder: folder.to_owned() }),
        (None, _) => Err(SourcesError::NoModule { folder: folder.to_owned() }),
    }
}

/// A running build. When this is dropped, the build and all processes that it started are terminated.
struct Running {
    child: Child,
    /// Its process group, until it has ended.
    group: Option<u32>,
}

fn start(mut command: Command, program: &'static str) -> Result<Running, SourcesError> {
    command.stdin(Stdio::null()).process_group(0);
    let child = command.spawn().map_err(|source| SourcesError::ToolMissing { program, source })?;
    let group = child.id();
    Ok(Running { child, group })
}

impl Running {
    async fn end(mut self) -> Result<(), Refused> {
        let status = self.child.wait().await;
        self.group = None;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(Refused::Build),
            Err(source) => Err(Error::System { what: "wait for the build", source }.into()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = self.group.and_then(|group| i32::try_from(group).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_found_among_what_cargo_says() {
        let artifact = |files: &str| format!("{{\"reason\":\"compiler-artifact\",\"filenames\":[{files}]}}\n");
        let said = |lines: &[&str]| made(lines.concat().as_bytes(), Path::new("flow"));
        let (library, module) = (artifact("\"/t/libdep.rlib\""), artifact("\"/t/flow.wasm\",\"/t/libflow.rlib\""));
        let end = "{\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(said(&[&library, "no json\n", &module, end]).unwrap(), PathBuf::from("/t/flow.wasm"));
        assert!(said(&[&library, end]).unwrap_err().to_string().contains("crate-type"));
        let two = said(&[&module, &artifact("\"/t/other.wasm\"")]).unwrap_err();
        assert!(two.to_string().contains("several modules"), "{two}");
    }
}
