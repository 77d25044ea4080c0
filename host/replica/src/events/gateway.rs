//! Sends events through the async route of an OpenFaaS gateway.

use super::{Event, Keys, SIGNATURE, Signed, TIME};
use crate::{Events, Network};
use async_trait::async_trait;
use faas_flow_core::{Code, Failure, FlowName, NodePath, RunId};
use faas_flow_guest::HttpRequest;
use faas_flow_versions::Clock;
use std::sync::Arc;
use std::time::Duration;

/// How long the gateway may take to queue an event.
const LIMIT: Duration = Duration::from_secs(5);

/// The async route of a gateway: `POST GATEWAY/async-function/FLOW/flow/RUN/forward`, signed.
pub struct GatewayEvents {
    network: Arc<dyn Network>,
    gateway: String,
    keys: Option<Keys>,
    clock: Clock,
}

impl GatewayEvents {
    /// Events through the gateway at this URL, which has no slash at its end.
    pub fn new(network: Arc<dyn Network>, gateway: String, keys: Option<Keys>, clock: Clock) -> Self {
        Self { network, gateway, keys, clock }
    }
}

#[async_trait]
impl Events for GatewayEvents {
    async fn send(&self, flow: &FlowName, run: &RunId, path: &NodePath) -> Result<(), Failure> {
        let body = Event { run: run.clone(), path: path.clone() }.encode();
        let target = Event::target(flow, run);
        let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        if let Some(keys) = &self.keys {
            let time = self.clock.now();
            let signed = Signed { method: "POST", path: &target, run: run.as_str(), body: &body };
            headers.push((SIGNATURE.to_owned(), keys.sign(&signed, time)));
            headers.push((TIME.to_owned(), time.to_string()));
        }
        let url = format!("{}/async-function/{flow}/flow/{run}/forward", self.gateway);
        let request = HttpRequest { method: "POST".to_owned(), url, headers, body: body.into() };
        match tokio::time::timeout(LIMIT, self.network.send(request)).await {
            Ok(Ok(answer)) if (200..300).contains(&answer.status) => Ok(()),
            Ok(Ok(answer)) => {
                let message = format!("the gateway answered an event with status {}", answer.status);
                Err(Failure::retry(Code::CALL_STATUS, message))
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => {
                let message = format!("the gateway did not take an event within {} s", LIMIT.as_secs());
                Err(Failure::retry(Code::CALL_TIMED_OUT, message))
            }
        }
    }
}
