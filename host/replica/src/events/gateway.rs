//! Sends events through the asynchronous route of an OpenFaaS gateway.

use super::{Event, Keys, SIGNATURE, Signed, TIME};
use crate::network::{CallError, ChosenBy, Quote, Retry};
use crate::{Events, Network};
use async_trait::async_trait;
use faas_flow_core::{Failure, FlowName, redact};
use faas_flow_guest::HttpRequest;
use faas_flow_versions::Clock;
use std::sync::Arc;
use std::time::Duration;

/// Maximum time for the gateway to queue an event.
const LIMIT: Duration = Duration::from_secs(5);

/// The asynchronous route of a gateway: `POST GATEWAY/async-function/FLOW/flow/RUN/forward`, signed.
pub struct GatewayEvents {
    network: Arc<dyn Network>,
    gateway: String,
    keys: Option<Keys>,
    clock: Clock,
}

impl GatewayEvents {
    /// Sends events through the gateway at this URL, which must not end with a slash. Without `keys`, they are not signed.
    pub fn new(network: Arc<dyn Network>, gateway: String, keys: Option<Keys>, clock: Clock) -> Self {
        Self { network, gateway, keys, clock }
    }
}

#[async_trait]
impl Events for GatewayEvents {
    async fn send(&self, flow: &FlowName, event: Event, trace: Vec<(String, String)>) -> Result<(), Failure> {
        let body = event.encode();
        let run = &event.run;
        let target = Event::target(flow, run);
        let mut headers = trace;
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        if let Some(keys) = &self.keys {
            let time = self.clock.now();
            let signed = Signed { method: "POST", path: &target, run: run.as_str(), body: &body };
            headers.push((SIGNATURE.to_owned(), keys.sign(&signed, time)));
            headers.push((TIME.to_owned(), time.to_string()));
        }
        let url = format!("{}/async-function/{flow}/flow/{run}/forward", self.gateway);
        let request = HttpRequest { method: "POST".to_owned(), url, headers, body: body.into() };
        let callee = || redact::place(&self.gateway);
        let answer = tokio::time::timeout(LIMIT, self.network.send(request, ChosenBy::Operator));
        let answer = answer.await.map_err(|_| CallError::TimedOut {
            callee: callee(),
            limit: LIMIT,
            quote: Quote::default(),
        })??;
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        let quote = Quote::default();
        Err(CallError::Status { callee: callee(), status: answer.status, quote, retry: Retry::Yes }.into())
    }
}
