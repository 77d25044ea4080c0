//! Binds the addresses that commands listen on, and says how many callers they take and how slow these may be.

use crate::Error;
use crate::config::Values;
use axum::Router;
use faas_flow_http::{Contract, Patience};
use faas_flow_replica::Host;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Binds `HOST:PORT`; port 0 takes a free port, which the returned address has.
pub(crate) async fn listen(address: &str) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::AddrInUse => Error::AddressInUse { address: address.to_owned() },
        _ => Error::BadAddress { address: address.to_owned(), source },
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

/// Where to listen: at the key `listen`, of which `:PORT` names only the port, or else at the key `port`; on this interface.
pub(super) fn address(values: &Values, interface: &str) -> String {
    match &values.listen.value {
        Some(listen) if listen.starts_with(':') => format!("{interface}{listen}"),
        Some(listen) => listen.clone(),
        None => format!("{interface}:{}", values.port.value),
    }
}

/// The address with which addresses begin that flows hand out: unless the operator says another one, that of this server.
pub(super) fn set_public_url(values: &mut Values, at: SocketAddr) {
    let ip = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    values.public_url.value.get_or_insert_with(|| format!("http://{}", SocketAddr::new(ip, at.port())));
}

/// How slow callers may be, and how many connections there may be.
pub(super) fn patience(values: &Values) -> Patience {
    let connections = match values.max_connections.value {
        0 => open_files() / 4 * 3,
        connections => connections,
    };
    Patience {
        read: values.read_timeout.value,
        write: values.write_timeout.value,
        connections: Some(connections.max(1)),
    }
}

/// The routes of a local server, with no more requests at a time than `max_inflight`.
pub(super) fn limited(routes: Router, host: &Arc<Host>, values: &Values) -> Router {
    match values.max_inflight.value {
        0 => routes,
        most => Contract::new(host.clone(), None, most).over(routes),
    }
}

/// The number of files that this process may open, after raising it as far as the system allows.
fn open_files() -> usize {
    const MOST: u64 = 1 << 20;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(MOST).min(MOST);
    let raised = Rlimit { current: Some(wanted), maximum };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(_) => current.unwrap_or(MOST),
    };
    usize::try_from(files).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_the_commands_own_interface() {
        let at = |given: &[(&str, &str)], interface| address(&Values::of(given).unwrap(), interface);
        assert_eq!(at(&[("listen", ":9000")], "127.0.0.1"), "127.0.0.1:9000");
        assert_eq!(at(&[("listen", ":9000")], "0.0.0.0"), "0.0.0.0:9000");
        assert_eq!(at(&[("listen", "[::1]:9000")], "127.0.0.1"), "[::1]:9000");
        assert_eq!(at(&[("port", "9000")], "127.0.0.1"), "127.0.0.1:9000");
    }
}
