//! `faas-flow-gateway`, the gateway as a program of its own.

use crate::program;
use serde_json::Value;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A gateway before a function. It is killed when its value is dropped.
pub struct Gateway {
    /// Where it listens, without a slash at the end.
    pub url: String,
    _child: Child,
}

impl Gateway {
    /// A gateway that passes on calls of a function to this address.
    pub async fn of(function: &str, address: &str) -> Self {
        let mut child = Command::new(program::path().with_file_name("faas-flow-gateway"))
            .args(["--port", "0", "--function", &format!("{function}={address}")])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the gateway is built: `cargo build --workspace --bin faas-flow-gateway`");
        let line = BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap().unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let url = line["address"].as_str().unwrap().trim_end_matches('/').to_owned();
        Self { url, _child: child }
    }
}
