//! What a server demands of requests that pages in a browser may have sent.

use crate::config::Values;
use axum::Router;
use faas_flow_http::BrowserRules;
use std::net::SocketAddr;

/// The rules of a server at this address, if only its own machine can reach it. Elsewhere the host's name is whatever a
/// gateway or proxy sends, and changes need a token, which no page has.
pub(super) fn rules(values: &Values, address: SocketAddr) -> Option<BrowserRules> {
    let (hosts, origins) = (values.allowed_hosts.value.clone(), values.allowed_origins.value.clone());
    // Behind of-watchdog, other machines reach a function at a loopback address.
    let local_only = address.ip().to_canonical().is_loopback() && values.upstream_url.value.is_none();
    local_only.then(|| BrowserRules::new(address, hosts, origins))
}

/// Puts the routes of a server at this address under its rules.
pub(super) fn guarded(values: &Values, address: SocketAddr, routes: Router) -> Router {
    if let Some(rules) = rules(values, address) {
        return rules.over(routes);
    }
    let given =
        [("allowed_hosts", values.allowed_hosts.is_given()), ("allowed_origins", values.allowed_origins.is_given())];
    for (name, _) in given.into_iter().filter(|(_, given)| *given) {
        eprintln!(
            "warning: {name} has no effect, since other machines can reach {address}: hosts and origins are checked only by \
             a server that listens on a loopback address"
        );
    }
    routes
}
