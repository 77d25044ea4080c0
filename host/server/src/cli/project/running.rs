//! Programs that a build runs. Each has a process group of its own, so that it ends with all that it started.

use super::build::Refused;
use super::tool::Tool;
use crate::{Error, SourcesError};
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::fd::AsFd as _;
use std::process::Stdio;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// A running program. When this is dropped, the program and all processes that it started are terminated.
pub(super) struct Running {
    child: Child,
    /// Its process group, until it has ended.
    group: Option<u32>,
}

impl Running {
    /// Starts a program.
    pub(super) fn start(command: &mut Command, tool: &Tool) -> Result<Self, SourcesError> {
        command.stdin(Stdio::null()).process_group(0);
        let missing = |source| SourcesError::ToolMissing { program: tool.name, install: tool.install, source };
        let child = command.spawn().map_err(missing)?;
        let group = child.id();
        Ok(Self { child, group })
    }

    /// Waits for the end of a program whose output is shown.
    pub(super) async fn end(mut self) -> Result<(), Refused> {
        let status = self.child.wait().await;
        self.group = None;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(Refused::Build),
            Err(source) => Err(Error::System { what: "wait for the build", source }.into()),
        }
    }

    /// Waits for the end of a program whose stdout is piped, and returns what it has written there.
    pub(super) async fn output(mut self) -> Result<Vec<u8>, Refused> {
        let mut said = Vec::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            // If the pipe breaks, the program has ended, and its status is checked next.
            let _ = stdout.read_to_end(&mut said).await;
        }
        self.end().await?;
        Ok(said)
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

/// The place of output that people see while data may go to stdout.
pub(super) fn to_stderr() -> Result<Stdio, Error> {
    let stderr = std::io::stderr().as_fd().try_clone_to_owned();
    stderr.map(Stdio::from).map_err(|source| Error::System { what: "duplicate stderr", source })
}
