//! Names become addresses here, immediately before a connection is made. That is the moment at which addresses are checked: a
//! name that had another address when somebody looked before gains nothing.

use super::destinations::Connection;
use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The system's resolver.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// All addresses of a name are refused.
#[derive(Debug, thiserror::Error)]
#[error("the address {address} is in {range}")]
pub(super) struct RefusedAddress {
    pub address: IpAddr,
    pub range: IpNet,
}

/// A resolver that leaves out the addresses to which there must be no connection.
pub(super) struct Checked {
    pub inner: Arc<dyn Resolve>,
    pub connection: Connection,
    /// The proxies of the environment, which may be anywhere.
    pub proxies: Vec<String>,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(name.as_str()));
        let resolving = self.inner.resolve(name);
        if is_proxy {
            return resolving;
        }
        let connection = self.connection.clone();
        Box::pin(async move {
            let mut allowed = Vec::new();
            let mut refused = None;
            for address in resolving.await? {
                match connection.refuses(address.ip()) {
                    None => allowed.push(address),
                    Some(range) => refused = refused.or(Some(RefusedAddress { address: address.ip(), range })),
                }
            }
            match refused {
                Some(refused) if allowed.is_empty() => Err(refused.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// The host names of the proxies that the environment names.
pub(super) fn proxies() -> Vec<String> {
    let variables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let values = variables.into_iter().filter_map(|name| std::env::var(name).ok());
    let host = |value: String| {
        let url = if value.contains("://") { value } else { format!("http://{value}") };
        Some(Url::parse(&url).ok()?.host_str()?.to_owned())
    };
    values.filter_map(host).collect()
}
