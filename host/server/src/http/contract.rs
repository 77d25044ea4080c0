//! What of-watchdog does in front of other functions: how long a request may take, how many there may be at a time, and
//! what is told of them.

use super::answer::{Caller, REQUEST_ID, failed, insert};
use super::requests::Requests;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use faas_flow_core::{Code, RunId, ShownDuration, parse_duration};
use faas_flow_replica::{Error, Host};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

const TIMEOUT: &str = "x-timeout";
/// What is left of the time for a request when waiting for a result ends, or a tenth of it where that is less.
const SPARE: Duration = Duration::from_secs(1);
/// By it OpenFaaS tells its calls apart.
const CALL_ID: &str = "x-call-id";
const DURATION: &str = "x-duration-seconds";

/// The contract between OpenFaaS and a function.
pub struct Contract {
    host: Arc<Host>,
    exec_timeout: Option<Duration>,
    max_inflight: usize,
    in_flight: AtomicUsize,
    requests: Requests,
}

/// The run that a request is about, from when that is known on: a request may be cut off, its run goes on.
#[derive(Clone, Default)]
pub(super) struct About {
    run: Arc<OnceLock<RunId>>,
    /// Until when a result may be waited for, so that an answer is still in time.
    waits_until: Option<Instant>,
}

impl About {
    pub fn set(&self, run: &RunId) {
        self.run.get_or_init(|| run.clone());
    }

    /// So long may be waited for a result, of this wait.
    pub fn in_time(&self, wait: Duration) -> Duration {
        self.waits_until.map_or(wait, |until| wait.min(until.saturating_duration_since(Instant::now())))
    }
}

/// One request of those at a time.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Contract {
    /// A request may take `exec_timeout`, if there is one; there may be `max_inflight` at a time, where that is not 0.
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

    /// What Prometheus reads: of-watchdog's metrics, and the host's.
    pub fn metrics(&self) -> String {
        let requests = self.requests.prometheus(self.in_flight.load(Ordering::Relaxed));
        requests + &self.host.metrics()
    }

    async fn answer(&self, request: Request, next: Next) -> Response {
        let caller = Caller::of(request.headers());
        let path = request.uri().path();
        if path == "/_/ready" && self.is_full() && !self.host.is_stopping() {
            return self.refuse(&self.full(), caller);
        }
        // What is asked of the host itself is answered in any case.
        if is_own(path) {
            return next.run(request).await;
        }
        match self.enter() {
            Some(_in_flight) => self.in_time(request, next, caller).await,
            None => self.refuse(&self.full(), caller),
        }
    }

    async fn in_time(&self, mut request: Request, next: Next, caller: Caller) -> Response {
        let Some(limit) = self.limit(request.headers()) else { return next.run(request).await };
        let spare = (limit / 10).min(SPARE);
        let about = About { waits_until: Instant::now().checked_add(limit - spare), ..About::default() };
        request.extensions_mut().insert(about.clone());
        if let Ok(response) = tokio::time::timeout(limit, next.run(request)).await {
            return response;
        }
        let limit = ShownDuration(limit);
        let Some(run) = about.run.get() else {
            let message = format!("the request was not answered within {limit}, and no run is known to have begun");
            return self.refuse(&Error::new(Code::REQUEST_TIMED_OUT, message), caller);
        };
        let message = format!("run {run} goes on, but there was no answer within {limit}: ask at /flow/{run}/result");
        let mut response = self.refuse(&Error::new(Code::REQUEST_TIMED_OUT, message), caller);
        insert(response.headers_mut(), REQUEST_ID, run.as_str());
        response
    }

    /// How long this request may take: a caller may ask for less than what holds for all.
    fn limit(&self, headers: &HeaderMap) -> Option<Duration> {
        let asked = headers.get(TIMEOUT).and_then(|value| parse_duration(value.to_str().ok()?));
        let asked = asked.filter(|asked| !asked.is_zero() && self.exec_timeout.is_none_or(|most| *asked <= most));
        asked.or(self.exec_timeout)
    }

    fn is_full(&self) -> bool {
        self.max_inflight != 0 && self.in_flight.load(Ordering::Relaxed) >= self.max_inflight
    }

    fn enter(&self) -> Option<InFlight<'_>> {
        let most = if self.max_inflight == 0 { usize::MAX } else { self.max_inflight };
        let one_more = |before: usize| (before < most).then_some(before + 1);
        self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(InFlight(&self.in_flight))
    }

    fn full(&self) -> Error {
        let message = format!("{} requests are answered here at a time (max_inflight): try again", self.max_inflight);
        Error::new(Code::TOO_MANY_REQUESTS, message)
    }

    fn refuse(&self, error: &Error, caller: Caller) -> Response {
        let response = failed(error, caller);
        self.host.counters().request(response.status().as_u16());
        response
    }
}

/// Whether it is asked of the host itself.
fn is_own(path: &str) -> bool {
    path.starts_with("/_/")
}

async fn entry(State(contract): State<Arc<Contract>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let call = request.headers().get(CALL_ID).and_then(|call| call.to_str().ok()).unwrap_or("-");
    let call: String = call.chars().take(64).collect();
    let mut response = contract.answer(request, next).await;
    let (took, status) = (began.elapsed(), response.status().as_u16());
    let seconds = format!("{:.6}", took.as_secs_f64());
    insert(response.headers_mut(), DURATION, &seconds);
    if !is_own(&path) {
        contract.requests.answered(status, &method, took);
        // Neither the query nor headers nor bodies: they are the caller's own business.
        let run = response.headers().get(REQUEST_ID).and_then(|run| run.to_str().ok()).unwrap_or("-");
        tracing::info!(target: "request", run, call, %method, path, status, seconds, "answered");
    }
    response
}
