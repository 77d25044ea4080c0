//! Binds the addresses that commands listen on.

use faas_flow_core::Code;
use faas_flow_replica::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Binds `HOST:PORT`; port 0 takes a free port, which the returned address has.
pub(crate) async fn listen(address: &str) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AddrInUse => Error::new(
            Code::ADDRESS_IN_USE,
            format!(
                "the address {address} is already in use: choose another one with --listen (for a function, the key \
                 port), or port 0 for a free port"
            ),
        ),
        _ => Error::new(Code::BAD_ADDRESS, format!("cannot listen on {address}: {error}")),
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}
