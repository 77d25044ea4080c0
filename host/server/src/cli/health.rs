//! `faas-flow health`: the health check of a container, whose image has neither a shell nor `curl`.

use super::output::print_text;
use crate::Error;
use clap::Args;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// The time for a healthy server to answer.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(super) struct Health {
    /// Port of the server on this machine
    #[arg(long, default_value_t = 8080, env = "port")]
    port: u16,
}

impl Health {
    /// Succeeds if `/_/health` answers with 200.
    pub(super) fn run(&self) -> Result<ExitCode, Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let status = ask(address).map_err(|source| Error::Unhealthy { address, source })?;
        print_text(format_args!("{status}\n"));
        Ok(if status == "200" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Requests `/_/health` and returns the status. HTTP/1.0 responses end with the connection.
fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /_/health HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    // The status line `HTTP/1.0 200` is enough. More is not read, since the server may be any program.
    let mut start = String::new();
    stream.take(12).read_to_string(&mut start)?;
    let status = start.split(' ').nth(1).filter(|status| start.starts_with("HTTP/") && status.len() == 3);
    status.map(str::to_owned).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the response is not HTTP"))
}
