//! Which requests a server answers that only its own machine can reach.

use crate::answer::{Accept, in_form};
use crate::error::Error;
use axum::Router;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use faas_flow_gateway::{self as gateway, Fault};
use std::net::SocketAddr;

/// The [rules of the gateway](gateway::BrowserRules), whose refusals are errors as those of all other routes.
#[derive(Debug)]
pub struct BrowserRules(gateway::BrowserRules);

impl BrowserRules {
    /// The rules of a server at this address. Besides `localhost` and the address itself, it answers to the allowed hosts,
    /// each `NAME` or `NAME:PORT`; `*` allows any. Pages of the allowed origins (`https://example.com:8443`) may start runs
    /// and read their results.
    pub fn new(address: SocketAddr, allowed_hosts: Vec<String>, allowed_origins: Vec<String>) -> Self {
        Self(gateway::BrowserRules::new(address, allowed_hosts, allowed_origins))
    }

    /// Puts these routes under the rules.
    pub fn over(self, routes: Router) -> Router {
        self.0.over(routes, refused)
    }
}

fn refused(headers: &HeaderMap, fault: Fault) -> Response {
    in_form(Error::from(fault).into_response(), Accept::of(headers))
}
