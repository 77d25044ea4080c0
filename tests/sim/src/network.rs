//! What replicas call: step functions, and the gateway's async route.

use crate::power::Power;
use crate::world::{EventFault, World};
use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use faas_flow_core::{Code, Failure};
use faas_flow_gateway::Gateway;
use faas_flow_guest::{HttpRequest, HttpResponse};
use faas_flow_host::Network;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Step functions: `name(body)`, and a memory of what they were asked.
pub struct Steps {
    world: Arc<World>,
    asked: Mutex<HashMap<String, (Bytes, u32)>>,
}

impl Steps {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { world, asked: Mutex::default() })
    }

    /// `busy` is answered with 503 and a wish to be left alone for seven seconds, once per key.
    fn call(&self, name: &str, key: &str, body: Bytes) -> HttpResponse {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, times) = asked.entry(format!("{name} {key}")).or_insert_with(|| (body.clone(), 0));
        *times += 1;
        if *first != body {
            self.world.violation(format!("{name} was asked twice with key {key} and with different bodies"));
        }
        if body.starts_with(b"busy") && *times == 1 {
            let headers = vec![("retry-after".to_owned(), "7".to_owned())];
            return HttpResponse { status: 503, headers, body: Bytes::new() };
        }
        let body = [name.as_bytes(), b"(", &body, b")"].concat().into();
        HttpResponse { status: 200, headers: Vec::new(), body }
    }
}

/// The network, as one replica reaches it.
pub struct Wires {
    pub power: Arc<Power>,
    pub steps: Arc<Steps>,
    pub gateway: Arc<Gateway>,
}

#[async_trait]
impl Network for Wires {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let HttpRequest { url, headers, body, .. } = request;
        let header = |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let lost = || Failure::retry(Code::CALL_UNREACHABLE, format!("no answer from {url}"));
        if let Some(name) = url.strip_prefix("http://gateway/function/") {
            let key = header("x-faas-flow-idempotency-key").map(|(_, key)| key.clone()).unwrap_or_default();
            let what = format!("calls {name} with key {key}");
            // A lost answer fails a node that is not tried again: that is no fault of the engine's, and so not drawn here.
            tokio::time::sleep(self.power.world.time(std::time::Duration::from_millis(30))).await;
            self.power.world.note(format_args!("{} {what}", self.power.name));
            if !self.power.is_on() {
                std::future::pending::<()>().await;
            }
            let answer = self.steps.call(name, &key, body);
            tokio::time::sleep(self.power.world.time(std::time::Duration::from_millis(30))).await;
            if !self.power.is_on() {
                std::future::pending::<()>().await;
            }
            return Ok(answer);
        }
        let Some((name, rest)) =
            url.strip_prefix("http://gateway/async-function/").and_then(|tail| tail.split_once('/'))
        else {
            return Err(Failure::reject(Code::BAD_CALL, format!("nobody is at {url}")));
        };
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
                map.append(name, value);
            }
        }
        let rest = format!("/{rest}");
        let times = || match self.power.world.next_event_fault() {
            Some(EventFault::Lost) => 0,
            Some(EventFault::Repeated) => 2,
            None => 1,
        };
        let accept = async {
            for _ in 0..times() {
                self.gateway.enqueue(name, &rest, map.clone(), body.clone()).await?;
            }
            Ok::<_, faas_flow_gateway::Error>(())
        };
        let sent = self.power.step(&format!("sends {rest}"), accept).await;
        let status = match sent {
            None => return Err(lost()),
            Some(Ok(_)) => 202,
            Some(Err(_)) => 500,
        };
        Ok(HttpResponse { status, headers: Vec::new(), body: Bytes::new() })
    }
}
