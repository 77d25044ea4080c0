//! The dashboard: pages about flows and runs, as the stores have them, without payloads. A local server has it at
//! `/dashboard/`; `faas-flow dashboard` is it alone, for a cluster. `docs/dashboard.md` describes it.
//!
//! All links are relative, so that it works wherever a gateway or proxy puts it.

mod access;
mod control;
mod definitions;
mod flow;
mod flows;
mod form;
mod page;
mod run;
mod timeline;

pub(crate) use access::Access;
pub(crate) use control::Control;

use crate::http::{Caller, ERROR, allowed, status_of};
use crate::remote::Action;
use access::About;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use definitions::Definitions;
use faas_flow_core::{Code, FlowName, NodePath, RunId, Status};
use faas_flow_replica::{Error, Host};
use form::Form;
use page::Page;
use std::sync::Arc;

/// Only what comes from here is shown or asked, and nobody else shows it in a frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What the pages are made of.
pub(crate) struct Dashboard {
    host: Arc<Host>,
    access: Access,
    control: Control,
    definitions: Definitions,
    /// What stands before its own paths.
    prefix: &'static str,
}

impl Dashboard {
    /// The dashboard of a host's stores.
    pub fn new(host: Arc<Host>, access: Access, control: Control, prefix: &'static str) -> Self {
        let definitions = Definitions::new(host.clone());
        Self { host, access, control, definitions, prefix }
    }

    /// Its routes, each with the prefix.
    pub fn router(self) -> Router {
        Router::new().fallback(entry).with_state(Arc::new(self))
    }

    async fn answer(&self, request: Request, caller: Caller, depth: usize) -> Result<Response, Error> {
        let path = request.uri().path().strip_prefix(self.prefix).unwrap_or_default().to_owned();
        let method = request.method().clone();
        let mut parts = path.trim_start_matches('/').splitn(4, '/').map(decoded);
        let parts = std::array::from_fn(|_| parts.next());
        let parts: [Option<&str>; 4] = parts.each_ref().map(Option::as_deref);
        match parts {
            // What a browser, or a probe, asks for before anybody has said who they are.
            [Some("style.css"), None, ..] => return asset("text/css", include_str!("style.css")),
            [Some("live.js"), None, ..] => return asset("text/javascript", include_str!("live.js")),
            [Some("_"), Some("health" | "ready"), None, _] => return Ok("OK".into_response()),
            _ => self.access.admit(request.headers())?,
        }
        let page = match parts {
            // Links are relative to the slash.
            _ if path.is_empty() => {
                let to = format!("{}/", self.prefix.trim_start_matches('/'));
                return Ok((StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to)]).into_response());
            }
            [Some(""), None, ..] => {
                allowed(&method, &[Method::GET])?;
                self.flows().await?
            }
            [Some("flows"), Some(flow), None, _] => {
                allowed(&method, &[Method::GET])?;
                self.flow(&FlowName::new(flow)?, status(request.uri().query())?).await?
            }
            [Some("flows"), Some(flow), Some("run"), None] => {
                allowed(&method, &[Method::POST])?;
                let (flow, form) = (FlowName::new(flow)?, Form::read(request).await?);
                self.access.check(About::Flow(&flow), form.field("ticket"))?;
                // Browsers end lines in forms with CRLF, whatever was typed.
                let body = form.field("body").replace("\r\n", "\n");
                let run = self.begin(&flow, body.into()).await?;
                return Ok(lead(format!("../../runs/{run}")));
            }
            [Some("runs"), Some(run), None, _] => {
                allowed(&method, &[Method::GET])?;
                self.run(&RunId::new(run)?).await?
            }
            [Some("runs"), Some(run), Some(what @ ("pause" | "resume" | "stop" | "rerun")), None] => {
                allowed(&method, &[Method::POST])?;
                let (run, form) = (RunId::new(run)?, Form::read(request).await?);
                self.access.check(About::Run(&run), form.field("ticket"))?;
                let action = match what {
                    "pause" => Action::Pause,
                    "resume" => Action::Resume,
                    "stop" => Action::Stop,
                    _ => Action::Rerun(NodePath::parse(form.field("node"))?),
                };
                self.control(&run, action).await?;
                return Ok(lead(format!("../{run}")));
            }
            _ => {
                let shown: String = path.escape_debug().take(100).collect();
                return Err(Error::new(Code::ROUTE_UNKNOWN, format!("the dashboard has no page `{shown}`")));
            }
        };
        Ok(page.answer(caller, depth))
    }
}

/// Leads the browser to a page.
fn lead(to: String) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

/// The state that runs are wanted in: `?state=failed`; any, if there is none.
fn status(query: Option<&str>) -> Result<Option<Status>, Error> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let Some((_, word)) = pairs.find(|(name, _)| name == "state") else { return Ok(None) };
    Status::parse(&word).map(Some).ok_or_else(|| {
        let known = Status::ALL.map(Status::as_str).join(", ");
        Error::new(Code::BAD_REQUEST, format!("`{}` is no state of a run: there are {known}", word.escape_debug()))
    })
}

fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

fn asset(kind: &'static str, text: &'static str) -> Result<Response, Error> {
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=60")], text).into_response())
}

async fn entry(State(dashboard): State<Arc<Dashboard>>, request: Request) -> Response {
    let caller = Caller::of(request.headers());
    // How far down the page is, for its links.
    let depth = request.uri().path().strip_prefix(dashboard.prefix).unwrap_or_default().matches('/').count();
    let answered = dashboard.answer(request, caller, depth).await;
    let mut response = answered.unwrap_or_else(|error| {
        let mut response = Page::of_error(&error, depth).answer(caller, depth);
        *response.status_mut() = status_of(error.code());
        if error.code() == Code::TOKEN_NEEDED {
            let question = HeaderValue::from_static("Basic realm=\"faas-flow\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, question);
        }
        if let Ok(code) = HeaderValue::from_str(&error.code().to_string()) {
            response.headers_mut().insert(ERROR, code);
        }
        response
    });
    let headers = response.headers_mut();
    let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
    say(header::CONTENT_SECURITY_POLICY, POLICY);
    say(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(header::X_FRAME_OPTIONS, "DENY");
    say(header::REFERRER_POLICY, "no-referrer");
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
