//! The port that serves a function's metrics.

use super::listen::listen as bind;
use crate::Error;
use crate::config::Values;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use faas_flow_http::Contract;
use faas_flow_http::{self as http, BrowserRules, Patience};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Binds the port, unless it is disabled. Behind of-watchdog it is, since of-watchdog has metrics of its own.
pub(super) async fn listen(values: &Values, ip: IpAddr) -> Result<Option<(TcpListener, SocketAddr)>, Error> {
    let port = values.metrics_port.value;
    if port == 0 || values.upstream_url.value.is_some() {
        return Ok(None);
    }
    let address = SocketAddr::new(ip, port);
    let listening = bind(&address.to_string()).await;
    listening.map(Some).map_err(|error| match error {
        Error::AddressInUse { .. } => Error::MetricsAddressInUse { address },
        _ => error,
    })
}

/// The routes of that port.
pub(super) fn routes(contract: Arc<Contract>) -> Router {
    let metrics = async move |headers: HeaderMap| contract.metrics(&headers).await;
    Router::new().route("/metrics", get(metrics))
}

/// Serves the routes until the process ends, under these rules if there are any.
pub(super) fn serve(listener: TcpListener, routes: Router, rules: Option<BrowserRules>, patience: Patience) {
    let routes = match rules {
        Some(rules) => rules.over(routes),
        None => routes,
    };
    tokio::spawn(http::serve(listener, routes, patience, std::future::pending()));
}
