//! Programs that run for a call, each in a process group of its own, so that what it has started ends with it.

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use std::collections::BTreeSet;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::output::{Answer, Said};
use faas_flow_guest::Short;

/// The time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(1);
/// The time between two looks at whether processes have ended.
const LOOK: Duration = Duration::from_millis(10);

/// The process groups of this process's programs, until they have ended.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Ends the programs that still run for calls, with all processes that they have started: with SIGTERM, and a second later with
/// SIGKILL. To be called before the process ends, when nothing more is called.
pub async fn end_programs() {
    signal_all(Signal::TERM);
    let ended = async {
        while !groups().is_empty() {
            sleep(LOOK).await;
        }
    };
    if timeout(GRACE, ended).await.is_err() {
        kill_programs();
    }
}

/// Ends the programs that still run for calls at once, with SIGKILL.
pub fn kill_programs() {
    signal_all(Signal::KILL);
}

fn groups() -> BTreeSet<i32> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn signal_all(signal: Signal) {
    for group in groups().into_iter().filter_map(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process_group(group, signal);
    }
}

/// Why a program that has begun did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// Its end could not be awaited.
    #[error(transparent)]
    Lost(#[from] io::Error),
    /// There is not enough memory for its answer.
    #[error(transparent)]
    OutOfMemory(#[from] Short),
    /// The answer is larger than that many bytes.
    #[error("it answered with more than {0} bytes")]
    TooLarge(usize),
}

/// A running program. When this is dropped, it is ended with all processes that it has started.
pub(crate) struct Running {
    child: Option<Child>,
    group: Option<Pid>,
}

impl Running {
    /// Starts a program. If the file is still being written (`ETXTBSY`), tries again for a tenth of a second.
    pub(crate) async fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut tries = 0;
        let child = loop {
            match command.spawn() {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < 20 => {
                    tries += 1;
                    sleep(Duration::from_millis(5)).await;
                }
                spawned => break spawned?,
            }
        };
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            GROUPS.lock().unwrap_or_else(PoisonError::into_inner).insert(group.as_raw_pid());
        }
        Ok(Self { child: Some(child), group })
    }

    /// Gives it its input and reads what it writes, until it has ended itself. Processes that it leaves behind, and that hold
    /// its pipes, are not waited for.
    pub(crate) async fn run(
        mut self,
        input: &Bytes,
        limit: usize,
        said: &mut Said,
    ) -> Result<(ExitStatus, Bytes), Broken> {
        let pipes = self.child.as_mut().map(|child| (child.stdin.take(), child.stdout.take(), child.stderr.take()));
        let (stdin, stdout, mut stderr) = pipes.unwrap_or_default();
        let mut answer = Answer::new(stdout, limit);
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program may answer without reading all of its input.
                let _ = stdin.write_all(input).await;
            }
            Ok::<(), Broken>(())
        };
        let complaints = async {
            said.read(&mut stderr).await;
            Ok::<(), Broken>(())
        };
        let status = {
            let piped = async { tokio::try_join!(write, answer.read(), complaints).map(|_| ()) };
            tokio::select! {
                biased;
                piped = piped => {
                    piped?;
                    None
                }
                status = self.ended() => Some(status),
            }
        };
        let status = match status {
            Some(status) => status?,
            None => self.ended().await?,
        };
        answer.rest().await?;
        said.rest(&stderr);
        Ok((status, answer.finish()))
    }

    async fn ended(&mut self) -> io::Result<ExitStatus> {
        let Some(child) = &mut self.child else { return Err(io::ErrorKind::NotFound.into()) };
        let status = child.wait().await?;
        forget(self.group.take());
        Ok(status)
    }
}

fn forget(group: Option<Pid>) {
    if let Some(group) = group {
        GROUPS.lock().unwrap_or_else(PoisonError::into_inner).remove(&group.as_raw_pid());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some(group), Some(child)) = (self.group.take(), self.child.take()) else { return };
        // The program may have ended by itself.
        let _ = kill_process_group(group, Signal::TERM);
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(end(group, child))),
            Err(_) => {
                let _ = kill_process_group(group, Signal::KILL);
                forget(Some(group));
            }
        }
    }
}

/// Waits for the end of a group that has got SIGTERM, and enforces it.
async fn end(group: Pid, mut child: Child) {
    let ended = async {
        let _ = child.wait().await;
        while test_kill_process_group(group).is_ok() {
            sleep(LOOK).await;
        }
    };
    if timeout(GRACE, ended).await.is_err() {
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait().await;
    }
    forget(Some(group));
}
