//! The gateway as a program.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// `faas-flow-gateway` on a free port.
pub struct Program {
    pub address: String,
    child: Child,
}

impl Program {
    pub async fn start(options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faas-flow-gateway"));
        command.args(["--port", "0"]).args(options).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let line = BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap();
        let line: serde_json::Value = serde_json::from_str(&line.expect("the program says its address")).unwrap();
        Program { address: line["address"].as_str().unwrap().to_owned(), child }
    }

    pub fn kill(&mut self) {
        self.child.start_kill().unwrap();
    }

    /// SIGTERM.
    pub async fn terminate(mut self) -> ExitStatus {
        let process = Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(process, Signal::TERM).unwrap();
        self.child.wait().await.unwrap()
    }
}
