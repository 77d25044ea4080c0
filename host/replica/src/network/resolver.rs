//! Names become addresses here, immediately before a connection is made. That is the moment at which addresses are checked: a
//! name that had another address when somebody looked before gains nothing.

use super::connect::Failed;
use super::destinations::Connection;
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use ipnet::IpNet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// Finds the addresses of names.
#[async_trait::async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, with any port.
    async fn resolve(&self, name: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
pub(super) struct System;

#[async_trait::async_trait]
impl Resolve for System {
    async fn resolve(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
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
#[derive(Clone)]
pub(super) struct Checked {
    pub inner: Arc<dyn Resolve>,
    pub connection: Connection,
}

impl Checked {
    /// The addresses of a name to which there may be a connection. Fails if there is none.
    pub(super) async fn addresses(&self, name: String) -> Result<Vec<SocketAddr>, Failed> {
        let mut allowed = Vec::new();
        let mut refused = None;
        for address in self.inner.resolve(&name).await? {
            match self.connection.refuses(address.ip()) {
                None => allowed.push(address),
                Some(range) => refused = refused.or(Some(RefusedAddress { address: address.ip(), range })),
            }
        }
        match refused {
            Some(refused) if allowed.is_empty() => Err(refused.into()),
            _ => Ok(allowed),
        }
    }
}

impl Service<Name> for Checked {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Failed;
    type Future = BoxFuture<'static, Result<Self::Response, Failed>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let checked = self.clone();
        Box::pin(async move { Ok(checked.addresses(name.as_str().to_owned()).await?.into_iter()) })
    }
}
