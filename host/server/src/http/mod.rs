//! The HTTP surface of flows: locally under `/function/NAME`, deployed at `/`. `docs/http.md` describes it, and
//! `openapi.json` beside this file says it to machines.

mod about;
mod answer;
mod ask;
mod connections;
mod contract;
mod guards;
mod invoke;
mod modules;
mod requests;
mod starting;
mod step;

pub(crate) use connections::{Patience, serve};
pub use contract::Contract;
pub use guards::{Admin, Guards};
pub(crate) use starting::Starting;

use answer::plain;
pub(crate) use answer::{Caller, ERROR, STATE, allowed, status_of};
use ask::{Ask, Request};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use faas_flow_core::{Code, FlowName, ShownDuration};
use faas_flow_graph::Format;
use faas_flow_guest::GuestError;
use faas_flow_replica::{Error, Host};
use std::sync::Arc;

const OPENAPI: &str = include_str!("openapi.json");

/// What every request is answered with.
struct Surface {
    host: Arc<Host>,
    guards: Guards,
    /// The flow at `/`, where the host is a deployed function.
    flow: Option<FlowName>,
}

/// The local server: every flow and step function under `/function/NAME` and `/async-function/NAME`.
pub fn router(host: Arc<Host>, guards: Guards) -> Router {
    routes(Surface { host, guards, flow: None })
}

/// A deployed function: one flow at `/`, and under its own `/function/NAME` too, so that links hold behind a gateway.
pub fn function_router(host: Arc<Host>, flow: FlowName, guards: Guards) -> Router {
    routes(Surface { host, guards, flow: Some(flow) })
}

fn routes(surface: Surface) -> Router {
    Router::new().fallback(entry).with_state(Arc::new(surface))
}

async fn entry(State(surface): State<Arc<Surface>>, request: HttpRequest) -> Response {
    let caller = Caller::of(request.headers());
    let response = surface.answer(request, caller).await.unwrap_or_else(|error| answer::failed(&error, caller));
    surface.host.counters().request(response.status().as_u16());
    response
}

impl Surface {
    async fn answer(&self, request: HttpRequest, caller: Caller) -> Result<Response, Error> {
        let path = request.uri().path().to_owned();
        let mut parts = path.trim_start_matches('/').splitn(3, '/');
        let (first, second, rest) = (parts.next().unwrap_or_default(), parts.next(), parts.next().unwrap_or_default());
        match (first, second, &self.flow) {
            ("_", Some(what), _) if rest.is_empty() => self.own(what, request.method()),
            ("function" | "async-function", Some(name), None) => {
                let name = ask::decode(name);
                if self.host.functions().get(&name).is_some() {
                    return step::answer(&self.host, &name, request).await;
                }
                let asynchronous = first == "async-function";
                self.flow(&FlowName::new(&name)?, rest, request, asynchronous, caller).await
            }
            ("", None, None) => allowed(request.method(), &[Method::GET]).map(|()| plain(self.index())),
            (_, _, None) => Err(ask::unknown(&path)),
            ("function", Some(name), Some(flow)) if name == flow.as_str() => {
                self.flow(flow, rest, request, false, caller).await
            }
            (_, _, Some(flow)) => self.flow(flow, path.trim_start_matches('/'), request, false, caller).await,
        }
    }

    async fn flow(
        &self,
        flow: &FlowName,
        rest: &str,
        request: HttpRequest,
        asynchronous: bool,
        caller: Caller,
    ) -> Result<Response, Error> {
        let Some(deployed) = self.host.versions().active(flow) else {
            let message = format!("there is no flow and no function `{flow}` here: see / for what there is");
            return Err(Error::new(Code::FLOW_UNKNOWN, message));
        };
        let (parts, body) = request.into_parts();
        let mut request = Request::new(flow, parts, caller);
        let ask = Ask::read(rest, &request.query, &request.method)?;
        allowed(&request.method, ask.methods())?;
        if ask.needs_token() {
            self.guards.admit(&request.headers)?;
        }
        if let Some(run) = ask.run() {
            request.about.set(run);
        }
        request.body = match &ask {
            Ask::Modules(modules) => match modules.largest(&self.host) {
                Some(largest) => read_module(&self.host, body, &request.headers, largest).await?,
                None => self.read_body(body).await?,
            },
            _ => self.read_body(body).await?,
        };
        match ask {
            Ask::Invoke => self.invoke(request, asynchronous).await,
            Ask::Definition => {
                let json = faas_flow_graph::render(&deployed.definition, flow.as_str(), Format::Json);
                Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
            }
            Ask::Forward(run) => self.forward(&request, &run).await,
            Ask::Control(what, run) => self.control(&request, what, &run).await,
            Ask::Rerun(run) => self.rerun(&request, &run).await,
            Ask::State(run) => self.state(&request, &run).await,
            Ask::Result(run) => self.result(&request, &run).await,
            Ask::Modules(modules) => self.modules(&request, modules).await,
        }
    }

    /// `/_/…`: what the host says of itself.
    fn own(&self, what: &str, method: &Method) -> Result<Response, Error> {
        let json = [(header::CONTENT_TYPE, "application/json")];
        let response = match what {
            "health" | "ready" if self.host.is_stopping() => {
                (StatusCode::SERVICE_UNAVAILABLE, plain("stopping")).into_response()
            }
            "health" | "ready" => plain("OK"),
            "metrics" => plain(self.host.metrics()),
            "openapi.json" => (json, OPENAPI).into_response(),
            _ => return Err(ask::unknown(&format!("/_/{what}"))),
        };
        allowed(method, &[Method::GET]).map(|()| response)
    }

    fn index(&self) -> String {
        let flows = self.host.versions().all_active();
        let flows = flows.iter().map(|flow| format!("POST /function/{}\n", flow.name));
        let functions = self.host.functions().names();
        let functions = functions.iter().map(|name| format!("POST /function/{name} (a step function)\n"));
        flows.chain(functions).collect()
    }

    async fn read_body(&self, body: Body) -> Result<Bytes, Error> {
        read_body(&self.host, body).await
    }
}

async fn read_body(host: &Host, body: Body) -> Result<Bytes, Error> {
    let most = host.settings().body_limit;
    let too_large = || Error::new(Code::BODY_TOO_LARGE, format!("the body is larger than {most} bytes"));
    read_up_to(host, body, most).await?.ok_or_else(too_large)
}

/// The body of a push. One that says itself that it is too large is not read.
async fn read_module(host: &Host, body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Error> {
    let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let too_large = |size: usize| Error::from(GuestError::ModuleTooLarge { size, limit });
    match said {
        Some(size) if size > limit => Err(too_large(size)),
        said => read_up_to(host, body, limit).await?.ok_or_else(|| too_large(said.unwrap_or(limit + 1))),
    }
}

/// The body, unless it is larger than this.
async fn read_up_to(host: &Host, body: Body, most: usize) -> Result<Option<Bytes>, Error> {
    let limit = host.settings().read_timeout;
    let read = match limit {
        Some(limit) => tokio::time::timeout(limit, to_bytes(body, most)).await,
        None => Ok(to_bytes(body, most).await),
    };
    let Ok(read) = read else {
        let limit = ShownDuration(limit.unwrap_or_default());
        let message = format!("the body did not arrive within {limit} (read_timeout): send it faster, or less of it");
        return Err(Error::new(Code::REQUEST_TOO_SLOW, message));
    };
    match read {
        Ok(body) => Ok(Some(body)),
        Err(error) => {
            let source = std::error::Error::source(&error);
            match source.is_some_and(|source| source.to_string().contains("length limit")) {
                true => Ok(None),
                false => Err(Error::new(Code::BAD_REQUEST, format!("the body ended early: {error}"))),
            }
        }
    }
}
