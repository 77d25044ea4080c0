//! The dashboard: pages about flows and runs, as the stores have them, with what nodes got and yielded for those who may
//! see it. A local server has it at `/dashboard/`; `faas-flow dashboard` is a server with nothing else, for a cluster. docs/dashboard.md describes it.
//!
//! All links are relative, so that it works wherever a gateway or proxy puts it. Only those of the first page begin with what a
//! proxy says that it has removed from the path, since the proxy may have added the slash at its end.

mod access;
mod audit;
mod begin;
mod bulk;
mod compare;
mod control;
mod definitions;
mod error;
mod flow;
mod flows;
mod form;
mod module_pages;
mod modules;
mod node;
mod oidc;
mod operations;
mod overview;
mod page;
mod pages;
mod patch;
mod payload;
mod rows;
mod run;
mod runs;
mod sealed;
mod sign_in;
mod streams;
mod timeline;
mod upload;

pub use access::Access;
pub use control::Control;
pub use error::Error;
pub use oidc::{Grant, GrantFlaw, OidcSettings};
pub use openidconnect::IssuerUrl;

use crate::access::Head;
use crate::browser::{RESOURCE_POLICY, Visit};
use crate::{Error as HttpError, Refusal};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use definitions::Definitions;
use faas_flow_core::Code;
use faas_flow_replica::Host;
use overview::Latest;
use page::{Page, View};
use std::sync::Arc;
use streams::{Streams, stream_or_page};

/// Pages load and send only what belongs to the dashboard, and other sites cannot show them in a frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// With it, a page of another origin that opens a page of the dashboard does not get hold of its window.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// What the pages are made of.
pub struct Dashboard {
    host: Arc<Host>,
    access: Access,
    control: Control,
    definitions: Definitions,
    latest: Latest,
    /// The prefix of its paths: empty, or a single folder with a slash before it.
    prefix: &'static str,
}

impl Dashboard {
    /// The dashboard of a host's stores.
    pub fn new(host: Arc<Host>, access: Access, control: Control, prefix: &'static str) -> Self {
        let definitions = Definitions::new(host.clone());
        Self { host, access, control, definitions, latest: Latest::default(), prefix }
    }

    /// Its routes, each with the prefix.
    pub fn router(self) -> Router {
        let prefix = self.prefix;
        let at = |path: &str| format!("{prefix}{path}");
        let dashboard = Arc::new(self);
        let mut pages = Router::new()
            .route(&at("/"), get(pages::flows))
            .route(&at("/flows/{flow}"), get(pages::flow))
            .route(&at("/flows/{flow}/run"), post(pages::begin))
            .route(&at("/flows/{flow}/bulk"), post(pages::bulk_of_flow))
            .route(&at("/flows/{flow}/schedules/{schedule}/pause"), post(pages::pause_schedule))
            .route(&at("/flows/{flow}/schedules/{schedule}/resume"), post(pages::resume_schedule))
            .route(&at("/flows/{flow}/schedules/{schedule}/trigger"), post(pages::trigger_schedule))
            .route(&at("/audit"), get(audit::show))
            .route(&at("/flows/{flow}/modules"), get(module_pages::modules))
            .route(&at("/flows/{flow}/modules/difference"), get(module_pages::difference))
            .route(&at("/flows/{flow}/modules/push"), post(module_pages::push))
            .route(&at("/flows/{flow}/modules/promote"), post(module_pages::promote))
            .route(&at("/flows/{flow}/modules/withdraw"), post(module_pages::withdraw))
            .route(&at("/flows/{flow}/modules/rollback"), post(module_pages::roll_back))
            .route(&at("/flows/{flow}/modules/{version}/activate"), post(module_pages::activate))
            .route(&at("/runs"), get(pages::runs))
            .route(&at("/runs/bulk"), post(pages::bulk))
            .route(&at("/runs/{id}"), get(pages::run))
            .route(&at("/runs/{id}/compare"), get(pages::compare))
            .route(&at("/runs/{id}/node"), get(pages::node))
            .route(&at("/runs/{id}/node/input"), get(pages::input))
            .route(&at("/runs/{id}/node/output"), get(pages::output))
            .route(&at("/runs/{id}/node/input/image"), get(pages::input_image))
            .route(&at("/runs/{id}/node/output/image"), get(pages::output_image))
            .route(&at("/runs/{id}/pause"), post(pages::pause))
            .route(&at("/runs/{id}/resume"), post(pages::resume))
            .route(&at("/runs/{id}/stop"), post(pages::stop))
            .route(&at("/runs/{id}/rerun"), post(pages::rerun))
            .route(&at("/runs/{id}/signal"), post(pages::signal))
            .route(&at("/runs/{id}/callback"), post(pages::callback))
            .route(&at("/{*rest}"), any(pages::none));
        if !prefix.is_empty() {
            // Links are relative to the slash.
            let to = format!("{}/", prefix.trim_start_matches('/'));
            let lead = any(async move || (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to)]));
            pages = pages.route(prefix, lead);
        }
        let pages = pages
            .method_not_allowed_fallback(pages::wrong_method)
            .route_layer(from_fn_with_state(dashboard.clone(), admit));
        // Browsers and probes ask for these before anybody has logged in.
        let routes = Router::new()
            .route(&at("/style.css"), get(async || asset("text/css", include_str!("style.css"))))
            .route(&at("/idiomorph.js"), get(async || asset("text/javascript", include_str!("idiomorph.min.js"))))
            .route(&at("/live.js"), get(async || asset("text/javascript", include_str!("live.js"))))
            .route(&at("/sign-in"), get(sign_in::begin))
            .route(&at("/sign-in/callback"), get(sign_in::end))
            .route(&at("/sign-out"), post(sign_in::out))
            .route(&at("/_/health"), get(async || "OK"))
            .route(&at("/_/ready"), get(async || "OK"))
            .merge(pages)
            .layer(from_fn_with_state(dashboard.clone(), answered))
            .with_state(dashboard);
        routes.clone().layer(from_fn_with_state(Streams::new(routes), stream_or_page))
    }
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=60")], text).into_response()
}

/// Lets only those in who may see the dashboard.
async fn admit(State(dashboard): State<Arc<Dashboard>>, request: Request, next: Next) -> Result<Response, HttpError> {
    Visit::may_look(request.extensions())?;
    if let Err(error) = dashboard.access.admit(request.method(), request.uri(), request.headers()) {
        // Requests without a valid token are not recorded, since they have no name.
        if error.code() == Code::RIGHT_MISSING
            && !request.method().is_safe()
            && let Some(attempt) = dashboard.refused(Head::from(&request))
        {
            attempt.ended(&dashboard.host, Some(error.code())).await;
        }
        return Err(error);
    }
    Ok(next.run(request).await)
}

/// Shows errors as pages, and adds the headers that all answers have.
async fn answered(State(dashboard): State<Arc<Dashboard>>, request: Request, next: Next) -> Response {
    let view = View::of(&request, dashboard.prefix);
    // Programs cannot sign in.
    let wants_page = request
        .headers()
        .get(header::ACCEPT)
        .is_some_and(|accept| accept.as_bytes().windows(9).any(|part| part == b"text/html"));
    let is_page = request.method() == Method::GET && wants_page;
    let offer =
        dashboard.access.sign_in.as_ref().filter(|_| is_page && !request.headers().contains_key(header::AUTHORIZATION));
    let offer = offer.map(|_| sign_in::address(view.up(), dashboard.prefix, request.uri()));
    let mut response = next.run(request).await;
    if let Some(Refusal(failure)) = response.extensions_mut().remove() {
        if let Some(to) = offer.filter(|_| failure.code == Code::TOKEN_NEEDED) {
            return (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
        }
        let (page, body) = Page::of_failure(&failure, &view).answer(&view).into_parts();
        *response.body_mut() = body;
        let headers = response.headers_mut();
        headers.extend(page.headers);
        // It is a page of the dashboard as others are, with its styles.
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.remove(header::WWW_AUTHENTICATE);
        if failure.code == Code::TOKEN_NEEDED {
            let question = HeaderValue::from_static("Basic realm=\"faas-flow\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, question);
        }
    }
    let headers = response.headers_mut();
    // Data of nodes has a stricter one.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
