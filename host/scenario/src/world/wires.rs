//! The network as one replica reaches it: the gateway with its queue, the flows of the cluster, and what is outside.

use super::chance::EventFault;
use super::outside::Outside;
use super::power::Power;
use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use faas_flow_core::{Code, Failure};
use faas_flow_gateway::Gateway;
use faas_flow_guest::{HttpRequest, HttpResponse};
use faas_flow_replica::{ChosenBy, Network};
use std::sync::Arc;

/// The address of the gateway.
pub const GATEWAY: &str = "http://gateway";

/// The network, as one replica reaches it.
pub(super) struct Wires {
    pub(super) power: Arc<Power>,
    pub(super) outside: Arc<dyn Outside>,
    pub(super) gateway: Arc<Gateway>,
}

#[async_trait]
impl Network for Wires {
    async fn send(&self, request: HttpRequest, _: ChosenBy) -> Result<HttpResponse, Failure> {
        let url = request.url.clone();
        let path = url.strip_prefix(GATEWAY);
        if let Some(path) = path.and_then(|path| path.strip_prefix("/function/")) {
            let name = path.split(['/', '?']).next().unwrap_or_default();
            if self.is_flow(name) {
                return self.call_flow(name, path, request).await;
            }
            self.power.world.know(header(&request, "x-faas-flow-reqid"));
            return self.outside.call(&self.power, name, request).await;
        }
        match path.and_then(|path| path.strip_prefix("/async-function/")) {
            Some(path) => self.enqueue(path, request).await,
            None => self.outside.request(&self.power, request).await,
        }
    }
}

impl Wires {
    /// A call, or an event, for the queue.
    async fn enqueue(&self, path: &str, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let name = path.split(['/', '?']).next().unwrap_or_default();
        let rest = path.strip_prefix(name).unwrap_or_default();
        self.outside.queues(&self.power, name, header(&request, "x-faas-flow-reqid"));
        let accept = async {
            for _ in 0..self.times() {
                self.gateway.enqueue(name, rest, headers(&request.headers), request.body.clone()).await?;
            }
            Ok::<_, faas_flow_gateway::Error>(())
        };
        let sent = self.power.step(&format!("sends {name}{rest}"), accept).await;
        let status = match sent {
            None => return Err(no_answer(&request.url)),
            Some(Ok(())) => 202,
            Some(Err(_)) => 500,
        };
        Ok(HttpResponse { status, headers: Vec::new(), body: Default::default() })
    }

    /// How often the queue takes the next message.
    fn times(&self) -> u32 {
        match self.power.world.next_event_fault() {
            Some(EventFault::Lost) => 0,
            Some(EventFault::Repeated) => 2,
            None => 1,
        }
    }

    fn is_flow(&self, name: &str) -> bool {
        !self.outside.is_function(name) && self.gateway.functions().iter().any(|(known, _)| known == name)
    }

    /// A request to a flow: a call, a stop, a look, or the end of a run that it called.
    async fn call_flow(&self, name: &str, path: &str, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let HttpRequest { url, headers: sent, method, body } = request;
        let lost = || no_answer(&url);
        let rest = path.strip_prefix(name).unwrap_or_default();
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        let mut asks = Request::builder().method(method.as_str()).uri(&rest).body(body).map_err(|_| lost())?;
        *asks.headers_mut() = headers(&sent);
        let call = self.gateway.call(name, asks);
        let what = rest.split(['?', '=']).next().unwrap_or_default();
        let answer = self.power.step(&format!("asks {name}{what}"), call).await;
        if let Some(run) = what.strip_prefix("/flow/").and_then(|rest| rest.strip_suffix("/stop")) {
            let unreached = answer.as_ref().is_none_or(|answer| answer.status().is_server_error());
            self.outside.reaches(run, !unreached);
        }
        let (parts, body) = answer.ok_or_else(lost)?.into_parts();
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Ok(HttpResponse { status: parts.status.as_u16(), headers, body })
    }
}

/// That a request got no answer.
pub fn no_answer(url: &str) -> Failure {
    Failure::retry(Code::CALL_UNREACHABLE, format!("no answer from {url}"))
}

/// The value of a header of a request; empty if it has none.
pub fn header<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    let found = request.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value.as_str())
}

/// Headers as the gateway takes them.
pub fn headers(pairs: &[(String, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
            map.append(name, value);
        }
    }
    map
}
