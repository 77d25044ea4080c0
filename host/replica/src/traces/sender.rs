//! Posts spans through the host's own network.

use super::health::Health;
use crate::network::{ChosenBy, Network};
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::ShownDuration;
use faas_flow_guest::HttpRequest;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

pub(super) struct Sender {
    network: Arc<dyn Network>,
    runtime: Handle,
    health: Health,
    /// How long one request may take.
    timeout: Option<Duration>,
}

impl Sender {
    /// Sends requests in the runtime of the network's other requests.
    pub(super) fn new(network: Arc<dyn Network>, runtime: Handle, health: Health, timeout: Option<Duration>) -> Self {
        Self { network, runtime, health, timeout }
    }

    fn failed<T>(&self, reason: String) -> Result<T, HttpError> {
        self.health.caused_by(reason.clone());
        Err(reason.into())
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
        let request = HttpRequest { method: head.method.to_string(), url: head.uri.to_string(), headers, body };
        let (network, at_most) = (self.network.clone(), self.timeout);
        let sent = self.runtime.spawn(async move {
            let sent = network.send(request, ChosenBy::Operator);
            match at_most {
                Some(at_most) => timeout(at_most, sent)
                    .await
                    .map_err(|_| format!("it did not answer within {}", ShownDuration(at_most)))?
                    .map_err(|failure| failure.to_string()),
                None => sent.await.map_err(|failure| failure.to_string()),
            }
        });
        match sent.await? {
            Err(reason) => self.failed(reason),
            Ok(answer) => {
                if !(200..300).contains(&answer.status) {
                    self.health.caused_by(format!("it answered with status {}", answer.status));
                }
                let mut response = Response::builder().status(answer.status);
                // What the exporter looks at: when it may try again.
                if let Some((name, value)) = answer.headers.into_iter().find(|(name, _)| name == "retry-after") {
                    response = response.header(name, value);
                }
                Ok(response.body(answer.body)?)
            }
        }
    }
}
