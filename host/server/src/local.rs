//! The gateway of a local server: everything under `/async-function/` waits in a queue that behaves as OpenFaaS's does.
//! Beside it, the dashboard.

use crate::dashboard::{Access, Control, Dashboard};
use crate::{Guards, router};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Response};
use axum::routing::any;
use bytes::Bytes;
use faas_flow_gateway::{Function, Gateway, Unreachable};
use faas_flow_replica::{Error, Host};
use std::sync::Arc;
use tower::ServiceExt;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-faas-flow-reqid");

/// The routes of a local server whose async calls go through this gateway, which knows the host's flows and functions from
/// here on.
pub fn local_router(host: &Arc<Host>, guards: Guards, gateway: &Arc<Gateway>) -> Result<Router, Error> {
    let access = Access::new(guards.admin.clone())?;
    let dashboard = Dashboard::new(host.clone(), access, Control::Here, "/dashboard").router();
    let direct = router(host.clone(), guards);
    let flows: Vec<String> = host.versions().all_active().iter().map(|flow| flow.name.to_string()).collect();
    for name in flows.iter().map(String::as_str).chain(host.functions().names()) {
        gateway.set(name, Arc::new(Local { routes: direct.clone(), name: name.to_owned() }));
    }
    let queue = gateway.router();
    let pages = any(move |request: Request| answered(dashboard, request));
    let enqueue = any(move |request: Request| enqueue(queue.clone(), flows.clone(), request));
    Ok(Router::new()
        .route("/dashboard", pages.clone())
        .route("/dashboard/", pages.clone())
        .route("/dashboard/{*path}", pages)
        .route("/async-function/{name}", enqueue.clone())
        .route("/async-function/{name}/{*path}", enqueue)
        .fallback_service(direct))
}

/// A new run gets its request id before it is queued, so that its caller can ask for it.
async fn enqueue(queue: Router, flows: Vec<String>, mut request: Request) -> Response<Body> {
    let name = request.uri().path().trim_start_matches("/async-function/").trim_end_matches('/');
    let starts = flows.iter().any(|flow| flow == name) && !request.headers().contains_key(REQUEST_ID);
    let id = HeaderValue::from_str(&xid::new().to_string()).ok().filter(|_| starts);
    if let Some(id) = &id {
        request.headers_mut().insert(REQUEST_ID, id.clone());
    }
    let id = request.headers().get(REQUEST_ID).cloned();
    let mut response = answered(queue, request).await;
    if let Some(id) = id.filter(|_| response.status().is_success()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn answered(routes: Router, request: Request) -> Response<Body> {
    match routes.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A flow or function of this process.
struct Local {
    routes: Router,
    name: String,
}

#[async_trait]
impl Function for Local {
    async fn call(&self, request: axum::http::Request<Bytes>) -> Result<Response<Bytes>, Unreachable> {
        let failed = |error: &dyn std::fmt::Display| Unreachable(error.to_string());
        let (mut parts, body) = request.into_parts();
        let rest = parts.uri.path_and_query().map_or("/", |rest| rest.as_str()).trim_start_matches('/');
        let slash = if rest.is_empty() || rest.starts_with('?') { "" } else { "/" };
        parts.uri = format!("/function/{}{slash}{rest}", self.name).parse().map_err(|error| failed(&error))?;
        let response = answered(self.routes.clone(), Request::from_parts(parts, Body::from(body))).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.map_err(|error| failed(&error))?;
        Ok(Response::from_parts(parts, body))
    }
}
