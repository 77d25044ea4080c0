//! The routes of flows and of their host, each with its part of the OpenAPI document.

use super::access::{Head, Need, is_change, need_of};
use super::answer::{Accept, in_form};
use super::audit::{Attempt, code_of};
use super::browser::{OwnPages, make_inert};
use super::error::Error;
use super::guards::ControlMethods;
use super::openapi::{self, On};
use super::request::{RequestContext, RunPath, Target, Wait, WholeBody};
use super::surface::Surface;
use super::{
    about, audit, bulk, invoke, location, logs, modules, operations, own, payloads, reply, runs, schedules, signals,
    step,
};
use axum::Router;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{Method, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, get, on};
use faas_flow_core::RunId;
use faas_flow_gateway::NAMESPACE;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::{Arc, LazyLock};
use tower::ServiceExt;
use utoipa::openapi::path::{PathItem, Paths};
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

/// A path, the handlers of its methods, and what the OpenAPI document says about them.
struct Operation {
    path: String,
    methods: MethodRouter<Arc<Surface>>,
    /// Their part of the document.
    paths: Paths,
    /// The schemas that it refers to.
    schemas: Vec<(String, RefOr<Schema>)>,
    /// The id of each method's operation, by which it is known what the method needs.
    ids: Vec<(Method, String)>,
}

impl Operation {
    fn new((schemas, paths, methods): UtoipaMethodRouter<Arc<Surface>>) -> Self {
        let path = paths.paths.keys().next().cloned().unwrap_or_default();
        let ids = paths.paths.values().flat_map(ids).map(|(method, id)| (method, id.to_owned())).collect();
        let methods = match path.as_str() {
            // GET begins a run.
            "/" => methods.head(invoke::head),
            path if openapi::CONTROLLED.contains(&path) => controls(methods),
            _ => methods,
        };
        Self { path, methods, paths, schemas, ids }
    }

    /// The handlers, which answer only those who bring what they need.
    fn guarded(&'static self, surface: &Arc<Surface>) -> MethodRouter<Arc<Surface>> {
        self.methods.clone().route_layer(from_fn_with_state(Guard { surface: surface.clone(), ids: &self.ids }, admit))
    }
}

/// The methods of a path, each with the id of its operation.
fn ids(item: &PathItem) -> impl Iterator<Item = (Method, &str)> {
    let PathItem { get, post, put, delete, .. } = item;
    let all = [(Method::GET, get), (Method::POST, post), (Method::PUT, put), (Method::DELETE, delete)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?.operation_id.as_deref()?)))
}

/// What guards the methods of an operation.
#[derive(Clone)]
struct Guard {
    surface: Arc<Surface>,
    ids: &'static [(Method, String)],
}

/// Lets only those in who bring what the operation needs. It comes before everything else, so that nobody else learns what there
/// is.
async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Result<Response, Error> {
    let Guard { surface, ids } = guard;
    let asked = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let Some((_, id)) = ids.iter().find(|(method, _)| method == asked) else { return Ok(next.run(request).await) };
    let need = need_of(id);
    if let Need::Right(_) = need {
        OwnPages::admit(request.extensions())?;
    }
    let head = Head::from(&request);
    let actor = if is_change(id) { surface.guards.actor(head)? } else { None };
    // Programs send signals all the time, where nobody needs a token.
    let actor = actor.filter(|actor| id != "signal" || actor.via.is_some());
    let attempt = actor.map(|actor| Attempt::of(id, actor, head, surface.flow.clone()));
    let admitted = match need {
        Need::Right(_) => surface.guards.admit(request.headers(), need),
        _ => Ok(()),
    };
    let response = match admitted {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    if let Some(attempt) = attempt {
        let failed = code_of(&response);
        attempt.ended(&surface.host, failed).await;
    }
    Ok(response)
}

/// All operations. They are made once, since there may be many routers in a process.
fn operations() -> &'static [Operation] {
    static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
        let all = [
            routes!(invoke::call),
            routes!(runs::list, bulk::change),
            routes!(runs::show, runs::delete),
            routes!(logs::show),
            routes!(about::pause),
            routes!(about::resume),
            routes!(about::stop),
            routes!(about::rerun),
            routes!(about::callback),
            routes!(about::state),
            routes!(about::result),
            routes!(payloads::input),
            routes!(payloads::output),
            routes!(operations::show),
            routes!(about::forward),
            routes!(reply::answer),
            routes!(signals::signal_page, signals::signal),
            routes!(modules::list),
            routes!(modules::show, modules::push),
            routes!(modules::pull),
            routes!(modules::activate),
            routes!(modules::roll_back),
            routes!(modules::promote),
            routes!(modules::withdraw),
            routes!(modules::plan),
            routes!(modules::collect),
            routes!(audit::list),
            routes!(schedules::list),
            routes!(schedules::pause),
            routes!(schedules::resume),
            routes!(schedules::trigger),
            routes!(schedules::plan_backfill, schedules::backfill),
            routes!(own::health),
            routes!(own::ready),
            routes!(own::metrics),
            routes!(own::flows),
            routes!(openapi_json),
        ];
        all.into_iter().map(Operation::new).collect()
    });
    &OPERATIONS
}

/// The ids of all operations.
#[cfg(test)]
pub(super) fn operation_ids() -> Vec<String> {
    let items = operations().iter().flat_map(|operation| operation.paths.paths.values());
    items.flat_map(ids).map(|(_, id)| id.to_owned()).collect()
}

/// The OpenAPI document as JSON, for a server on which runs are controlled by these methods.
pub(super) fn document(methods: ControlMethods) -> &'static str {
    static BY_POST: LazyLock<String> = LazyLock::new(|| write(ControlMethods::Post));
    static BY_GET_TOO: LazyLock<String> = LazyLock::new(|| write(ControlMethods::GetAndPost));
    fn write(methods: ControlMethods) -> String {
        let routes = operations().iter().map(|operation| (&operation.paths, operation.schemas.as_slice()));
        openapi::build(routes, methods).to_json().unwrap_or_default()
    }
    match methods {
        ControlMethods::Post => &BY_POST,
        ControlMethods::GetAndPost => &BY_GET_TOO,
    }
}

/// This document
#[utoipa::path(
    get,
    path = "/_/openapi.json",
    operation_id = "openapi",
    responses(
        (status = 200, description = "This document.", content_type = "application/json", body = serde_json::Value),
        On<405>,
    ),
)]
async fn openapi_json(State(surface): State<Arc<Surface>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document(surface.guards.control_methods())).into_response()
}

/// GET and POST alike change a run here, so HEAD is refused, which axum would answer as GET.
fn controls(methods: MethodRouter<Arc<Surface>>) -> MethodRouter<Arc<Surface>> {
    async fn refuse(State(surface): State<Arc<Surface>>, _: Target, method: Method) -> Response {
        surface.controls_only(&method)
    }
    methods.head(refuse).fallback(refuse)
}

/// The routes of a flow below a prefix, which is empty or begins with a slash.
fn of_flow(prefix: &str, surface: &Arc<Surface>) -> Router<Arc<Surface>> {
    let routes = operations().iter().filter(|operation| !operation.path.starts_with("/_/"));
    let router = routes.fold(Router::new(), |router, operation| match operation.path.as_str() {
        "/" if prefix.is_empty() => router.route("/", operation.guarded(surface)),
        "/" => at_flow(router, prefix, operation.guarded(surface)),
        path => router.route(&format!("{prefix}{path}"), operation.guarded(surface)),
    });
    router.method_not_allowed_fallback(wrong_method_of_flow)
}

/// As [`of_flow`], for callers that do not wait for the run.
fn of_flow_async(prefix: &str, surface: &Arc<Surface>) -> Router<Arc<Surface>> {
    let call = on(MethodFilter::GET.or(MethodFilter::POST), invoke::call_async).head(invoke::head);
    let routes = operations().iter().filter(|Operation { path, .. }| path != "/" && !path.starts_with("/_/"));
    let router = routes.fold(at_flow(Router::new(), prefix, call), |router, operation| {
        router.route(&format!("{prefix}{}", operation.path), operation.guarded(surface))
    });
    router.method_not_allowed_fallback(wrong_method_of_flow)
}

/// A flow's own path, with and without a slash at its end, and whatever else is below it.
fn at_flow(router: Router<Arc<Surface>>, prefix: &str, call: MethodRouter<Arc<Surface>>) -> Router<Arc<Surface>> {
    router
        .route(prefix, call.clone())
        .route(&format!("{prefix}/"), call)
        .route(&format!("{prefix}/{{*rest}}"), any(below_flow))
}

/// The routes of the host itself.
fn of_host(surface: &Arc<Surface>) -> Router<Arc<Surface>> {
    let routes = operations().iter().filter(|operation| operation.path.starts_with("/_/"));
    routes.fold(Router::new(), |router, operation| {
        let (path, methods) = (&operation.path, operation.guarded(surface));
        router.route(path, methods.clone()).route(&format!("{path}/"), methods)
    })
}

/// The step functions of a local server. They take any method, whatever follows their names.
fn of_steps(surface: &Surface, prefix: &str) -> Router<Arc<Surface>> {
    /// What names of functions may consist of without being encoded.
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    surface.host.functions().names().into_iter().fold(Router::new(), |router, name| {
        let path = format!("{prefix}/{}", utf8_percent_encode(name, ENCODED));
        let with_namespace = format!("{path}.{NAMESPACE}");
        let name: Arc<str> = name.into();
        let step = any(async move |State(surface): State<Arc<Surface>>, request: Request| {
            step::answer(&surface, &name, request).await
        });
        [path, with_namespace].iter().fold(router, |router, path| {
            router
                .route(path, step.clone())
                .route(&format!("{path}/"), step.clone())
                .route(&format!("{path}/{{*rest}}"), step.clone())
        })
    })
}

/// Whether a local server answers `/async-function/…` itself, as it would a synchronous call whose caller does not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AsyncCalls {
    /// It does.
    Here,
    /// A gateway's queue takes them.
    Queued,
}

/// The routes of a local server.
pub(super) fn local(surface: Surface, async_calls: AsyncCalls) -> Router {
    let surface = Arc::new(surface);
    let mut routes = Router::new()
        .route("/", get(own::index))
        .merge(of_flow("/function/{name}", &surface))
        .merge(of_steps(&surface, "/function"));
    if async_calls == AsyncCalls::Here {
        routes = routes
            .merge(of_flow_async("/async-function/{name}", &surface))
            .merge(of_steps(&surface, "/async-function"));
    }
    finish(routes, surface)
}

/// The routes of a deployed function: at `/`, and below its own `/function/NAME`, so that links hold behind a gateway, too.
pub(super) fn deployed(surface: Surface) -> Router {
    let surface = Arc::new(surface);
    let mut routes = of_flow("", &surface);
    if let Some(name) = &surface.flow {
        routes = routes.merge(of_flow(&format!("/function/{name}"), &surface));
        // For those who have resolved a `Location` against the flow's path with a slash at its end.
        routes = routes.route(&format!("/{name}/flow/{{id}}/result"), get(about::result));
    }
    finish(routes, surface)
}

/// Adds what all routes have in common.
fn finish(routes: Router<Arc<Surface>>, surface: Arc<Surface>) -> Router {
    let routes = routes.merge(of_host(&surface)).method_not_allowed_fallback(wrong_method);
    let trimmed = routes.clone().fallback(no_route).with_state(surface.clone());
    routes
        .fallback(async move |request: Request| without_leading_slashes(trimmed, request).await)
        .layer(from_fn_with_state(surface.clone(), answered))
        .with_state(surface)
}

/// Counts each answer, writes failures in the form that the caller reads, and keeps browsers from executing what is in it.
async fn answered(State(surface): State<Arc<Surface>>, accept: Accept, request: Request, next: Next) -> Response {
    let mut response = in_form(next.run(request).await, accept);
    make_inert(&mut response);
    surface.host.counters().request(response.status().as_u16());
    response
}

/// Gateways may put one slash too many before a path: such a path means the same as with one.
async fn without_leading_slashes(routes: Router, mut request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    if !path.starts_with("//") {
        return Error::NoRoute { path: request.uri().path().to_owned() }.into_response();
    }
    let trimmed = format!("/{}", path.trim_start_matches('/'));
    match trimmed.parse::<Uri>() {
        Ok(uri) => *request.uri_mut() = uri,
        Err(_) => return Error::NoRoute { path: trimmed }.into_response(),
    }
    match routes.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn no_route(uri: Uri) -> Error {
    Error::NoRoute { path: uri.path().to_owned() }
}

/// What is below a flow's path and has no route: only the result of a run, for those who name the flow twice.
async fn below_flow(
    State(surface): State<Arc<Surface>>,
    target: Target,
    context: RequestContext,
    request: Request,
) -> Result<Response, Error> {
    let path = request.uri().path().to_owned();
    let below = path.trim_start_matches('/').splitn(3, '/').nth(2).unwrap_or_default();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let Some(run) = location::named_twice(below, &target.0.name).filter(|_| reads) else {
        return Err(Error::NoRoute { path });
    };
    let id = RunId::new(run)?;
    context.concerns(&id);
    let headers = request.headers().clone();
    let wait = Wait::of(&headers)?;
    let body = WholeBody::from_request(request, &surface).await?;
    about::result(State(surface), target, RunPath { id }, wait, context, headers, body).await
}

async fn wrong_method(method: Method) -> Error {
    Error::WrongMethod { method }
}

async fn wrong_method_of_flow(_: Target, method: Method) -> Error {
    Error::WrongMethod { method }
}
