//! Builds a flow's sources into a module: with the compiler of their language, or with the author's own command.

use super::running::{Running, to_stderr};
use super::tool::{Tool, Version};
use super::{Language, recipe};
use crate::{Error, SourcesError};
use faas_flow_core::FlowName;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// What runs an author's own command.
const SHELL: Tool =
    Tool { name: "sh", version: &[], least: Version(0, 0), below: None, install: "add the folder of a shell to PATH" };

/// How a module is made.
pub(in crate::cli) enum Build {
    /// As its language demands.
    Project {
        /// The folder of the sources.
        folder: PathBuf,
        /// What they are written in.
        language: Language,
    },
    /// With a shell command.
    Shell {
        /// The folder in which it runs.
        folder: PathBuf,
        /// The command.
        command: String,
        /// The module that it writes.
        module: PathBuf,
    },
}

impl Build {
    /// How to build the sources in a folder, unless the author says how: with a command that writes a module.
    pub(in crate::cli) fn of(folder: &Path, own: Option<(String, PathBuf)>) -> Result<Self, Error> {
        let unreadable = |source| SourcesError::Unreadable { folder: folder.to_owned(), source };
        let folder = folder.canonicalize().map_err(unreadable)?;
        Ok(match own {
            Some((command, module)) => Build::Shell { module: folder.join(module), folder, command },
            None => Build::Project { language: Language::of(&folder)?, folder },
        })
    }

    /// The name of the flow, where its module does not say it: that of the folder, if a flow may have it.
    pub(in crate::cli) fn name(&self) -> Option<FlowName> {
        match self {
            Build::Project { language: Language::Rust, .. } | Build::Shell { .. } => None,
            Build::Project { folder, .. } => FlowName::new(folder.file_name()?.to_str()?).ok(),
        }
    }

    /// The file of the module, if the author has named it.
    pub(in crate::cli) fn module(&self) -> Option<&Path> {
        match self {
            Build::Project { .. } => None,
            Build::Shell { module, .. } => Some(module),
        }
    }

    /// Builds once, and returns the file of the module. The output of the tools goes to stderr.
    pub(in crate::cli) async fn run(&self) -> Result<PathBuf, Refused> {
        match self {
            Build::Project { folder, language } => recipe::build(*language, folder).await,
            Build::Shell { folder, command, module } => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(command).current_dir(folder).stdout(to_stderr()?);
                Running::start(&mut shell, &SHELL)?.end().await?;
                Ok(module.clone())
            }
        }
    }
}

/// Why a build gave no module.
pub(in crate::cli) enum Refused {
    /// The build failed, and its output says why.
    Build,
    /// It could not be carried out, or its module cannot be used.
    Error(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::Error(error)
    }
}

impl From<SourcesError> for Refused {
    fn from(error: SourcesError) -> Self {
        Refused::Error(error.into())
    }
}
