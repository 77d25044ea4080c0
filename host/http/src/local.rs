//! The routes of a local server: those of its flows and functions; `/async-function/…`, whose calls wait in a queue that
//! behaves as OpenFaaS's does; and the dashboard.

use crate::answer::in_form;
use crate::browser::{Visit, make_inert};
use crate::dashboard::{Access, Control, Dashboard};
use crate::request::without_namespace;
use crate::surface::read_body;
use crate::{Accept, Error, Guards, REQUEST_ID, router_beside_queue};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Response};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::any;
use bytes::Bytes;
use faas_flow_core::FlowName;
use faas_flow_gateway::{Function, Gateway, Unreachable};
use faas_flow_replica::Host;
use faas_flow_versions::Flow;
use std::sync::Arc;
use tower::ServiceExt;

/// The routes of a local server whose async calls go through this gateway. The gateway reaches the flows and functions that
/// the host has at this moment.
pub fn local_router(host: &Arc<Host>, guards: Guards, gateway: &Arc<Gateway>) -> Result<Router, Error> {
    let access = || {
        let access = Access::new(guards.admin.clone(), guards.result_access, guards.payloads.clone());
        access.map(|access| access.behind(guards.proxies.clone()))
    };
    let system = system(gateway, access()?);
    let dashboard = Dashboard::new(host.clone(), access()?, Control::Here, "/dashboard").router();
    let direct = router_beside_queue(host.clone(), guards);
    let flows: Vec<String> = host.versions().all_active().iter().map(|flow| flow.name.to_string()).collect();
    for name in flows.iter().map(String::as_str).chain(host.functions().names()) {
        gateway.set(name, Arc::new(Local { routes: direct.clone(), name: name.to_owned() }));
    }
    let queue = Queue { host: host.clone(), routes: gateway.router(), flows: flows.into() };
    let async_calls = Router::new()
        .route("/async-function/{name}", any(call))
        .route("/async-function/{name}/", any(call))
        .route("/async-function/{name}/{*path}", any(enqueue))
        .with_state(queue)
        .layer(from_fn(queued));
    let direct = direct.layer(from_fn_with_state(gateway.clone(), counted));
    Ok(direct.merge(async_calls).merge(dashboard).merge(system))
}

/// What `faas-cli` asks a gateway for. Those may read it who may see the dashboard; `faas-cli login` takes the token as its
/// password. Whether the server is there is told to everybody.
fn system(gateway: &Arc<Gateway>, access: Access) -> Router {
    gateway.system_router().layer(from_fn_with_state(Arc::new(access), told)).layer(from_fn(inert))
}

async fn told(State(access): State<Arc<Access>>, accept: Accept, request: Request, next: Next) -> Response<Body> {
    if request.uri().path() == "/healthz" {
        return next.run(request).await;
    }
    let admitted = Visit::may_look(request.extensions()).map_err(Error::from);
    match admitted.and_then(|()| access.admit(request.method(), request.uri(), request.headers())) {
        Ok(()) => next.run(request).await,
        Err(error) => in_form(error.into_response(), accept),
    }
}

async fn inert(request: Request, next: Next) -> Response<Body> {
    let mut response = next.run(request).await;
    make_inert(&mut response);
    response
}

/// Counts calls of flows and functions, as the gateway does those in its queue.
async fn counted(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response<Body> {
    let called = request.uri().path().strip_prefix("/function/").map(str::to_owned);
    let response = next.run(request).await;
    if let Some((name, below)) = called.as_ref().map(|path| path.split_once('/').unwrap_or((path, "")))
        && below != "flow"
        && !below.starts_with("flow/")
        && !below.starts_with("modules")
    {
        gateway.count(name, response.status().as_u16());
    }
    response
}

/// The gateway's queue, and the flows whose calls begin a run.
#[derive(Clone)]
struct Queue {
    host: Arc<Host>,
    routes: Router,
    flows: Arc<[String]>,
}

/// A new run gets its request id before it is queued, so that its caller can ask for it.
async fn call(State(queue): State<Queue>, Path(name): Path<String>, mut request: Request) -> Response<Body> {
    if queue.flows.iter().any(|flow| flow == without_namespace(&name))
        && !request.headers().contains_key(REQUEST_ID)
        && let Ok(id) = HeaderValue::from_str(queue.host.draw_id().as_str())
    {
        request.headers_mut().insert(REQUEST_ID, id);
    }
    let flow = FlowName::new(without_namespace(&name)).ok().and_then(|name| queue.host.versions().active(&name));
    enqueue_for(queue, flow.as_deref(), request).await
}

/// Takes calls only from those who may begin runs, and keeps browsers from executing what the queue answers.
async fn queued(accept: Accept, request: Request, next: Next) -> Response<Body> {
    let mut response = match Visit::may_begin(request.extensions()) {
        Ok(()) => next.run(request).await,
        Err(fault) => in_form(Error::from(fault).into_response(), accept),
    };
    make_inert(&mut response);
    response
}

async fn enqueue(State(queue): State<Queue>, request: Request) -> Response<Body> {
    enqueue_for(queue, None, request).await
}

async fn enqueue_for(queue: Queue, flow: Option<&Flow>, request: Request) -> Response<Body> {
    let id = request.headers().get(REQUEST_ID).cloned();
    let accept = Accept::of(request.headers());
    let (parts, body) = request.into_parts();
    let body = match read_body(&queue.host, flow, body).await {
        Ok(body) => body,
        Err(error) => return in_form(error.into_response(), accept),
    };
    let mut response = answered(queue.routes, Request::from_parts(parts, Body::from(body))).await;
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
