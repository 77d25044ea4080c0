//! Posts spans over the host's own network, from the thread that collects them.

use crate::network::{Network, place};
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_guest::HttpRequest;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

pub(super) struct Sender {
    network: Arc<dyn Network>,
    runtime: Handle,
    /// The log has said so.
    fails: AtomicBool,
}

impl Sender {
    pub(super) fn new(network: Arc<dyn Network>) -> Self {
        Self { network, runtime: Handle::current(), fails: AtomicBool::new(false) }
    }

    /// Says once that spans cannot be sent, and once that they can be again.
    fn note(&self, url: &str, failure: Option<String>) {
        let failed = self.fails.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(failure) if !failed => {
                tracing::warn!("spans are lost until trace_server, {}, takes them: {failure}", place(url));
            }
            None if failed => tracing::warn!("trace_server, {}, takes spans again", place(url)),
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
        let headers = head.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let url = head.uri.to_string();
        let request =
            HttpRequest { method: head.method.to_string(), url: url.clone(), headers: headers.collect(), body };
        let network = self.network.clone();
        // The thread that collects spans has no runtime of its own.
        let answer = self.runtime.spawn(async move { network.send(request).await }).await?;
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
