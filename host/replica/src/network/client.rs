//! A client of HTTP/1.1 that keeps connections for a while, and sends a request once more if its kept connection had died.

use super::connect::{Connector, Line};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;

/// The header with which a callee recognizes a request that it has seen.
pub(crate) const IDEMPOTENCY_KEY: &str = "X-Faas-Flow-Idempotency-Key";

type Pool = legacy::Client<Connector, Full<Bytes>>;

/// A client whose requests all take the same way: directly, or through one proxy.
///
/// A server may close a connection that it has kept at the very moment at which the next request is sent on it. The client
/// therefore closes connections first, after a time that is shorter than that of common servers. If a request dies on a kept
/// connection nevertheless, before a byte of the answer has come, it is sent once more on a new connection, provided that the
/// callee can tell that it is the same: its method is idempotent, or it has an idempotency key.
pub(super) struct Client {
    kept: Pool,
    /// Its connections are new, and carry one request each.
    fresh: Pool,
}

impl Client {
    /// A client that keeps idle connections this long.
    pub(super) fn new(connector: &Connector, keep: Duration) -> Self {
        let pool = |most_idle| {
            legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(keep)
                .pool_max_idle_per_host(most_idle)
                .build(connector.clone())
        };
        Self { kept: pool(if keep.is_zero() { 0 } else { usize::MAX }), fresh: pool(0) }
    }

    /// Sends a request, which `make` makes.
    pub(super) async fn send<E>(
        &self,
        make: impl Fn() -> Result<Request<Full<Bytes>>, E>,
        failed: impl Fn(legacy::Error) -> E,
    ) -> Result<Response<Incoming>, E> {
        let request = make()?;
        let is_repeatable = is_repeatable(&request);
        let sent = match self.kept.request(request).await {
            Err(error) if is_repeatable && Line::of(&error).is_some_and(|line| line.died_idle()) => {
                tracing::debug!(%error, "a kept connection had been closed; sending the request once more");
                self.fresh.request(make()?).await
            }
            sent => sent,
        };
        let sent = sent.map_err(failed);
        sent.inspect(|response| {
            if let Some(line) = response.extensions().get::<Line>() {
                line.has_answered();
            }
        })
    }
}

fn is_repeatable(request: &Request<Full<Bytes>>) -> bool {
    request.method().is_idempotent() || *request.method() == Method::TRACE || {
        request.headers().contains_key(IDEMPOTENCY_KEY)
    }
}
