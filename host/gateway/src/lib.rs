//! A small OpenFaaS gateway with its queue-worker: for `faas-flow serve`, for tests, and for experiments with injected
//! faults.
//!
//! It behaves like the gateway, the provider and the queue-worker of OpenFaaS together, in one process. The facts about
//! OpenFaaS are in `docs/openfaas.md`, to whose sections the comments link. None of the code comes from OpenFaaS, since
//! the licence of the Community Edition (CE) allows neither copying nor shipping it.
//!
//! Time is tokio's. With the queue in memory, functions in this process, a seed, a current-thread runtime and a paused
//! clock, runs are reproducible.

mod browser;
mod config;
mod connections;
mod counters;
mod function;
mod http;
pub mod log;
mod logs;
mod message;
mod path;
mod proxy;
mod queue;
mod system;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Request, Response};
use bytes::Bytes;
use faas_flow_core::{Code, redact};
use tokio::sync::Notify;
use tokio::time::Instant;
use url::Url;

pub use browser::{BrowserRules, Fault, Visit};
pub use config::{Config, Faults, Profile, QueueConfig, Retry};
pub use connections::{Patience, Peer, Stopping, serve};
pub use counters::Counters;
pub use function::{Function, Unreachable, Upstream, Web};
pub use logs::Logs;
pub use proxy::{pass_on, strip_hop};
pub use queue::QueueError;
pub use worker::Stopped;

use counters::Tally;
use message::Message;
use proxy::Call;
use queue::Queue;

/// The namespace of all functions: that of OpenFaaS, which `faas-cli` appends to their names.
pub const NAMESPACE: &str = "openfaas-fn";

/// Why an asynchronous call was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The body is larger than the profile allows.
    #[error(
        "the body of an asynchronous call to {function} has {size} bytes, and at most {limit} are allowed: call /function/{function} instead"
    )]
    BodyTooLarge {
        /// The function called.
        function: String,
        /// The body's size in bytes.
        size: usize,
        /// The size limit in bytes.
        limit: usize,
    },
    /// The path has malformed percent escapes.
    #[error("the path `{0}` is malformed: check its percent escapes")]
    BadPath(String),
    /// `X-Callback-Url` is not a URL.
    #[error("the callback URL `{url}` is malformed, {why}: send an absolute URL in X-Callback-Url")]
    BadCallbackUrl {
        /// The value of the header, without what may be secret.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The queue did not confirm the call. It may be queued nevertheless.
    #[error("the call was not queued, {0}: try again")]
    Queue(#[from] QueueError),
}

impl Error {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Error::BodyTooLarge { .. } => Code::BODY_TOO_LARGE,
            Error::BadPath(_) | Error::BadCallbackUrl { .. } => Code::BAD_REQUEST,
            Error::Queue(_) => Code::CALL_UNREACHABLE,
        }
    }
}

/// An asynchronous call that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The value of `X-Call-Id`: the caller's, or a new one.
    pub call_id: HeaderValue,
    /// The value of `X-Start-Time`, in nanoseconds since 1970.
    pub start_time: HeaderValue,
}

/// The gateway. Functions can be added and removed at any time.
pub struct Gateway {
    config: Config,
    queue: Queue,
    functions: RwLock<BTreeMap<String, Arc<dyn Function>>>,
    tally: Tally,
    rng: Mutex<fastrand::Rng>,
    made: Instant,
    /// Notified when a delivery ends.
    changed: Notify,
    worker: Mutex<Option<worker::Worker>>,
}

impl Gateway {
    /// Creates a gateway without functions. Asynchronous calls wait in the queue until [`start`](Gateway::start).
    pub fn new(config: Config) -> Arc<Gateway> {
        let rng = config.faults.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Arc::new(Gateway {
            queue: Queue::new(&config),
            config,
            functions: RwLock::default(),
            tally: Tally::default(),
            rng: Mutex::new(rng),
            made: Instant::now(),
            changed: Notify::new(),
            worker: Mutex::default(),
        })
    }

    /// Connects to the queue now and not at the first call, to find out whether it answers. CE's gateway does so when it
    /// starts (docs/openfaas.md#asynchronous-calls).
    pub async fn connect(&self) -> Result<(), Error> {
        Ok(self.queue.connect().await?)
    }

    /// Adds or replaces a function.
    pub fn set(&self, name: impl Into<String>, function: Arc<dyn Function>) {
        self.functions.write().unwrap_or_else(PoisonError::into_inner).insert(name.into(), function);
    }

    /// Removes a function. Calls in flight continue.
    pub fn remove(&self, name: &str) -> Option<Arc<dyn Function>> {
        self.functions.write().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    /// Finds a function by `NAME` or `NAME.NAMESPACE`, with its name.
    fn function(&self, name: &str) -> Option<(String, Arc<dyn Function>)> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        let short = || functions.get_key_value(name.rsplit_once('.')?.0);
        functions.get_key_value(name).or_else(short).map(|(name, function)| (name.clone(), function.clone()))
    }

    /// Counts a call that has not come through the gateway, if it was of one of its functions.
    pub fn count(&self, name: &str, status: u16) {
        if let Some((name, _)) = self.function(name) {
            self.tally.started(&name);
            self.tally.ended(&name, status);
        }
    }

    /// The names of the functions, each with its number of replicas.
    pub fn functions(&self) -> Vec<(String, usize)> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        functions.iter().map(|(name, function)| (name.clone(), function.replicas())).collect()
    }

    /// Calls a function, like a request to `/function/NAME`; the request's URI is the part after the name. Failures become
    /// the gateway's own responses.
    pub async fn call(&self, name: &str, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let rest = parts.uri.to_string();
        self.proxy(Call { method: parts.method, function: name.into(), rest, headers: parts.headers, body }).await
    }

    /// Queues an asynchronous call, like `POST /async-function/NAME` + `rest`. `rest` is the percent-encoded path after the
    /// name, with its query: `/flow/x/forward?a=1`, or empty. Whether the function exists is not checked
    /// (docs/openfaas.md#asynchronous-calls).
    ///
    /// When this returns successfully, the call will be delivered at least once, unless the profile or a fault says
    /// otherwise.
    pub async fn enqueue(
        &self,
        name: &str,
        rest: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Accepted, Error> {
        let accepted = self.identify(&mut headers);
        let outcome = self.queue_up(name, rest, headers, body).await;
        let counter = if outcome.is_ok() { &self.tally.accepted } else { &self.tally.refused };
        counter.inc();
        outcome.map(|()| accepted)
    }

    async fn queue_up(&self, name: &str, rest: &str, headers: HeaderMap, body: Bytes) -> Result<(), Error> {
        let limit = self.config.body_limit;
        if body.len() > limit {
            return Err(Error::BodyTooLarge { function: name.into(), size: body.len(), limit });
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path::decode(path).ok_or_else(|| Error::BadPath(path.into()))?;
        let callback = callback(&headers)?;
        let host = headers.get("host").map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
        let message = Message {
            function: name.into(),
            path,
            query: query.into(),
            headers,
            body,
            host: host.unwrap_or_default(),
            callback,
        };
        Ok(self.queue.push(message).await?)
    }

    /// Adds `X-Call-Id` to a request if it has none, and another `X-Start-Time`
    /// (docs/openfaas.md#the-path-of-a-request).
    fn identify(&self, headers: &mut HeaderMap) -> Accepted {
        let call_id = headers.entry("x-call-id").or_insert_with(|| self.new_call_id()).clone();
        let now = self.config.started + self.made.elapsed();
        let nanos = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let start_time = HeaderValue::from_str(&nanos.to_string()).unwrap_or(HeaderValue::from_static("0"));
        headers.append("x-start-time", start_time.clone());
        Accepted { call_id, start_time }
    }

    /// A random UUID.
    fn new_call_id(&self) -> HeaderValue {
        let bits = self.rng().u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        let mut uuid = String::with_capacity(36);
        for (at, digit) in hex.chars().enumerate() {
            if matches!(at, 8 | 12 | 16 | 20) {
                uuid.push('-');
            }
            uuid.push(digit);
        }
        HeaderValue::from_str(&uuid).unwrap_or(HeaderValue::from_static(""))
    }

    fn rng(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present values of the gateway's counters.
    pub async fn counters(&self) -> Counters {
        self.tally.read(self.depth().await)
    }

    /// The counters in the Prometheus text format.
    pub async fn metrics(&self) -> String {
        self.tally.metrics(self.depth().await, &self.functions())
    }

    async fn depth(&self) -> u64 {
        self.queue.depth().await.unwrap_or_default() as u64
    }

    /// Waits until nothing is queued or in flight. Requires running workers.
    pub async fn idle(&self) {
        loop {
            let busy = self.tally.in_flight.get() > 0;
            if !busy && self.queue.depth().await == Some(0) {
                return;
            }
            // A NATS queue may change without a notification.
            let _ = tokio::time::timeout(Duration::from_millis(100), self.changed.notified()).await;
        }
    }
}

fn callback(headers: &HeaderMap) -> Result<Option<Url>, Error> {
    let Some(value) = headers.get("x-callback-url").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let url = String::from_utf8_lossy(value.as_bytes()).into_owned();
    match Url::parse(&url) {
        Ok(parsed) if parsed.has_host() => Ok(Some(parsed)),
        Ok(_) => Err(Error::BadCallbackUrl { url: redact::origin(&url), why: "it has no host".into() }),
        Err(error) => Err(Error::BadCallbackUrl { url: redact::origin(&url), why: error.to_string() }),
    }
}
