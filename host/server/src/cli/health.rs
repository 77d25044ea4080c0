//! `faas-flow health`: what the health check of a container runs, whose image has neither shell nor `curl`.

use crate::Error;
use clap::Args;
use faas_flow_core::Code;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// A server that takes longer is not healthy.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(super) struct Health {
    /// The port that the server listens on, on this machine
    #[arg(long, default_value_t = 8080, env = "port")]
    port: u16,
}

impl Health {
    /// Succeeds if `/_/health` answers with 200.
    pub(super) fn run(&self) -> Result<ExitCode, Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let status = ask(address)
            .map_err(|error| Error::new(Code::CALL_UNREACHABLE, format!("no answer from {address}: {error}")))?;
        println!("{status}");
        Ok(if status == "200" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The status of its answer, in HTTP/1.0, which ends with the connection.
fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /_/health HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    // `HTTP/1.0 200`: more is not needed, and whoever answers need not be a server of ours.
    let mut start = String::new();
    stream.take(12).read_to_string(&mut start)?;
    let status = start.split(' ').nth(1).filter(|status| start.starts_with("HTTP/") && status.len() == 3);
    status.map(str::to_owned).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "that is not HTTP"))
}
