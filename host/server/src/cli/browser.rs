//! What a server demands of requests that pages in a browser may have sent.

use crate::config::Values;
use axum::Router;
use faas_flow_http::{BrowserRules, open_to_origins};
use std::net::SocketAddr;

/// The rules of a server at this address, if only its own machine can reach it. Elsewhere the host's name is whatever a
/// gateway or proxy sends, and changes need a token, which no page has.
pub(super) fn rules(values: &Values, address: SocketAddr) -> Option<BrowserRules> {
    let hosts = values.allowed_hosts.value.clone();
    // `*` lets in no page that is not listed: it would let every page that is open on this machine start runs.
    let origins = [&*values.allowed_origins.value, &*values.cors_origins.value].concat();
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

/// As [`guarded`], for routes that pages of `cors_origins` may call.
pub(super) fn guarded_and_open(values: &Values, address: SocketAddr, routes: Router) -> Router {
    let origins = &values.cors_origins.value;
    if origins.iter().any(|origin| origin == "*") && rules(values, address).is_some() {
        eprintln!(
            "warning: cors_origins is `*`, but a server that only this machine can reach answers pages of other sites only \
             if their origins are listed: add them to cors_origins"
        );
    }
    guarded(values, address, open_to_origins(routes, origins))
}
