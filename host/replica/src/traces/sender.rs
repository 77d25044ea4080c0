//! Posts spans through the host's own network.

use crate::network::{ChosenBy, Network};
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::redact;
use faas_flow_guest::HttpRequest;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

pub(super) struct Sender {
    network: Arc<dyn Network>,
    runtime: Handle,
    /// Whether the last request failed, which was logged.
    fails: AtomicBool,
}

impl Sender {
    pub(super) fn new(network: Arc<dyn Network>) -> Self {
        Self { network, runtime: Handle::current(), fails: AtomicBool::new(false) }
    }

    /// Logs once that spans cannot be sent, and once that they can be sent again.
    fn note(&self, url: &str, failure: Option<String>) {
        let failed = self.fails.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(failure) if !failed => {
                tracing::warn!(
                    server = redact::place(url),
                    error = failure,
                    "spans are lost until trace_server accepts them"
                );
            }
            None if failed => tracing::info!(server = redact::place(url), "trace_server accepts spans again"),
            _ => {}
        }
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
        let url = head.uri.to_string();
        let request = HttpRequest { method: head.method.to_string(), url: url.clone(), headers, body };
        let network = self.network.clone();
        // The exporter's thread has no runtime of its own.
        let answer = self.runtime.spawn(async move { network.send(request, ChosenBy::Operator).await }).await?;
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                self.note(&url, Some(failure.to_string()));
                return Err(failure.to_string().into());
            }
        };
        let failure =
            (!(200..300).contains(&answer.status)).then(|| format!("it answered with status {}", answer.status));
        self.note(&url, failure);
        Ok(Response::builder().status(answer.status).body(answer.body)?)
    }
}
