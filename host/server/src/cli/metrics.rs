//! The port that metrics of a function are read from.

use super::common;
use crate::config::{METRICS_PORT, UPSTREAM_URL, Values};
use crate::http::{self, Patience};
use crate::{Contract, Error};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use faas_flow_core::Code;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Takes the port, unless there is to be none. Where of-watchdog stands in front, it has metrics of its own.
pub(super) async fn listen(values: &Values, ip: IpAddr) -> Result<Option<TcpListener>, Error> {
    let port = values.port(&METRICS_PORT);
    if port == 0 || values.some(&UPSTREAM_URL).is_some() {
        return Ok(None);
    }
    let address = SocketAddr::new(ip, port);
    let listening = common::listen(&address.to_string()).await;
    listening.map(|(listener, _)| Some(listener)).map_err(|error| match error.code() {
        code @ Code::ADDRESS_IN_USE => {
            let message = "is for metrics, and taken by another process: set metrics_port to another, or to 0 for none";
            Error::new(code, format!("{address} {message}"))
        }
        _ => error,
    })
}

/// The routes of that port.
pub(super) fn routes(contract: Arc<Contract>) -> Router {
    let metrics = get(move || std::future::ready(([(CONTENT_TYPE, TEXT)], contract.metrics())));
    Router::new().route("/metrics", metrics)
}

/// Serves them, as long as the process lives.
pub(super) fn serve(listener: TcpListener, routes: Router, patience: Patience) {
    tokio::spawn(http::serve(listener, routes, patience, std::future::pending()));
}
