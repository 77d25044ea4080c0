//! Runs the program with a flow.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Ends the process when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A module that `cargo xtask modules` has built.
fn module(name: &str) -> PathBuf {
    let set = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let modules = set("FAAS_FLOW_MODULES").unwrap_or_else(|| {
        set("XDG_CACHE_HOME").unwrap_or_else(|| set("HOME").unwrap().join(".cache")).join("faas-flow/modules")
    });
    let module = modules.join(name).with_extension("wasm");
    assert!(module.is_file(), "the module {name} is missing: run `cargo xtask modules`");
    module
}

#[test]
fn a_flow_runs_with_its_state_in_the_own_store() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-own-store"));
    command.arg(module("greet")).arg("127.0.0.1:0").stderr(Stdio::piped());
    let mut server = Ended(command.spawn().unwrap());
    let mut said = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let address = said.find_map(|line| {
        let line = line.unwrap();
        Some(line.split_once("http://")?.1.split('/').next()?.to_owned())
    });
    let address = address.expect("the program prints its address");
    let mut stream = TcpStream::connect(&address).unwrap();
    let head = format!("POST /function/greet HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 4");
    let request = format!("{head}\r\n\r\nAdam");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("Hello, Adam!"), "{answer}");
}
