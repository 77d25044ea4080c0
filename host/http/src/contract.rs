//! What of-watchdog does in front of other functions: it limits how long a request may take and how many are answered at a
//! time, and counts and logs them.

use super::answer::{Accept, in_form};
use super::error::Error;
use super::exposition::exposition_for;
use super::headers::{REQUEST_ID, insert};
use super::invoke::labels_of;
use super::request::RequestContext;
use super::requests::Requests;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use faas_flow_core::parse_duration;
use faas_flow_replica::Host;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TIMEOUT: HeaderName = HeaderName::from_static("x-timeout");
/// The header with which OpenFaaS identifies a call.
const CALL_ID: HeaderName = HeaderName::from_static("x-call-id");
const DURATION: HeaderName = HeaderName::from_static("x-duration-seconds");
/// How long before a request's time limit the wait for its result ends, so that it can still be answered; a tenth of
/// the limit if that is less.
const SPARE: Duration = Duration::from_secs(1);

/// The contract between OpenFaaS and a function.
pub struct Contract {
    host: Arc<Host>,
    exec_timeout: Option<Duration>,
    max_inflight: usize,
    in_flight: AtomicUsize,
    requests: Requests,
}

/// One request of those in flight.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Contract {
    /// A contract under which a request may take `exec_timeout`, if there is one, and `max_inflight` requests are answered at
    /// a time; 0 is no limit.
    pub fn new(host: Arc<Host>, exec_timeout: Option<Duration>, max_inflight: usize) -> Arc<Self> {
        Arc::new(Self {
            host,
            exec_timeout,
            max_inflight,
            in_flight: AtomicUsize::new(0),
            requests: Requests::default(),
        })
    }

    /// Puts these routes under the contract.
    pub fn over(self: &Arc<Self>, routes: Router) -> Router {
        routes.layer(from_fn_with_state(self.clone(), entry))
    }

    /// What Prometheus reads: of-watchdog's metrics, and the host's, in the form that the headers of its request prefer.
    pub async fn metrics(&self, headers: &HeaderMap) -> impl IntoResponse + use<> {
        let exposition = exposition_for(headers);
        let requests = self.requests.registry(self.in_flight.load(Ordering::Relaxed));
        ([(CONTENT_TYPE, exposition.content_type())], self.host.metrics(exposition, &[requests]).await)
    }

    async fn answer(&self, request: Request, next: Next) -> Response {
        let accept = Accept::of(request.headers());
        let path = request.uri().path();
        if path == "/_/ready" && self.is_full() && !self.host.is_stopping() {
            return self.refuse(self.full(), accept);
        }
        // The host's own routes have no limits.
        if is_own(path) {
            return next.run(request).await;
        }
        match self.enter() {
            Some(_in_flight) => self.in_time(request, next, accept).await,
            None => self.refuse(self.full(), accept),
        }
    }

    async fn in_time(&self, mut request: Request, next: Next, accept: Accept) -> Response {
        let Some(limit) = self.limit(request.headers()) else { return next.run(request).await };
        let spare = (limit / 10).min(SPARE);
        let context = RequestContext::until(Instant::now().checked_add(limit - spare));
        request.extensions_mut().insert(context.clone());
        match tokio::time::timeout(limit, next.run(request)).await {
            Ok(response) => response,
            Err(_) => self.refuse(Error::TimedOut { limit, run: context.run().cloned() }, accept),
        }
    }

    /// How long this request may take. A caller may ask for less time than there is for all requests, not for more.
    fn limit(&self, headers: &HeaderMap) -> Option<Duration> {
        let asked = headers.get(TIMEOUT).and_then(|value| parse_duration(value.to_str().ok()?));
        let asked = asked.filter(|asked| !asked.is_zero() && self.exec_timeout.is_none_or(|most| *asked <= most));
        asked.or(self.exec_timeout)
    }

    fn is_full(&self) -> bool {
        self.max_inflight != 0 && self.in_flight.load(Ordering::Relaxed) >= self.max_inflight
    }

    fn enter(&self) -> Option<InFlight<'_>> {
        let max = if self.max_inflight == 0 { usize::MAX } else { self.max_inflight };
        let one_more = |before: usize| (before < max).then_some(before + 1);
        self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(InFlight(&self.in_flight))
    }

    fn full(&self) -> Error {
        Error::TooManyRequests { max: self.max_inflight }
    }

    fn refuse(&self, error: Error, accept: Accept) -> Response {
        let response = in_form(error.into_response(), accept);
        self.host.counters().request(response.status().as_u16());
        response
    }
}

/// Whether a path is one of the host's own, and not the flow's.
fn is_own(path: &str) -> bool {
    path.starts_with("/_/")
}

async fn entry(State(contract): State<Arc<Contract>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let call = request.headers().get(CALL_ID).and_then(|call| call.to_str().ok()).unwrap_or("-");
    let call: String = call.chars().take(64).collect();
    let labels = labels_of(request.headers()).ok().filter(|labels| !labels.is_empty());
    let mut response = contract.answer(request, next).await;
    let took = began.elapsed();
    let status = response.status().as_u16();
    let seconds = format!("{:.6}", took.as_secs_f64());
    insert(response.headers_mut(), DURATION, &seconds);
    if !is_own(&path) {
        contract.requests.answered(status, &method, took);
        // Not the query, the headers and the bodies: they are private to the caller.
        let run = response.headers().get(REQUEST_ID).and_then(|run| run.to_str().ok()).unwrap_or("-");
        let labels = labels.as_ref().map(tracing::field::display);
        tracing::info!(target: "request", run, labels, call, %method, path, status, seconds, "answered");
    }
    response
}
