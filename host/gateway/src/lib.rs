//! A small OpenFaaS gateway with its queue-worker: for `faas-flow serve`, for tests, and for runs in which things go
//! wrong on purpose.
//!
//! It behaves as the gateway, the provider and the queue-worker of OpenFaaS do together, in one process. What it has to
//! do comes from `openfaas-contract.md` of the project's notes, whose sections are cited as "contract §2.1". It is our
//! own code throughout: OpenFaaS CE's licence allows neither copying nor shipping it.
//!
//! Time is tokio's. With the queue in memory, functions in process, a seed, a current-thread runtime and a paused clock
//! a run repeats itself exactly.

mod config;
mod counters;
mod function;
mod http;
mod message;
mod path;
mod proxy;
mod queue;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Request, Response};
use bytes::Bytes;
use faas_flow_core::Code;
use tokio::sync::Notify;
use tokio::time::Instant;
use url::Url;

pub use config::{Config, Faults, Profile, QueueConfig, Retry};
pub use counters::Counters;
pub use function::{Function, Unreachable, Upstream, Web};
pub use worker::Stopped;

use counters::Tally;
use message::Message;
use proxy::Call;
use queue::Queue;

/// Why an async call was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The body is larger than the profile allows.
    #[error("the body of an async call to {function} has {size} bytes and may have {most}: call /function/{function}")]
    BodyTooLarge {
        /// The function called.
        function: String,
        /// The body's size in bytes.
        size: usize,
        /// The most that is taken.
        most: usize,
    },
    /// The path's escapes are malformed.
    #[error("the path `{0}` is malformed: check its percent escapes")]
    BadPath(String),
    /// `X-Callback-Url` is not a URL.
    #[error("the callback url `{url}` is malformed, {why}: send an absolute url in x-callback-url")]
    BadCallbackUrl {
        /// What was sent.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The queue did not confirm the call. It may have kept it nevertheless.
    #[error("the queue does not answer: {0}: try again")]
    Queue(String),
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

/// An async call that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The value of `X-Call-Id`: the caller's, or a new one.
    pub call_id: HeaderValue,
    /// The value of `X-Start-Time`, in nanoseconds since 1970.
    pub start_time: HeaderValue,
}

/// The gateway. Functions can be set and removed at any time.
pub struct Gateway {
    config: Config,
    queue: Queue,
    functions: RwLock<BTreeMap<String, Arc<dyn Function>>>,
    tally: Tally,
    rng: Mutex<fastrand::Rng>,
    made: Instant,
    /// Something was settled or ended.
    changed: Notify,
    worker: Mutex<Option<worker::Worker>>,
}

impl Gateway {
    /// A gateway without functions, whose async calls wait until [`start`](Gateway::start).
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

    /// Connects to the queue now rather than with the first call, to learn whether it answers. CE's gateway does so at
    /// its start (contract §2.1).
    pub async fn connect(&self) -> Result<(), Error> {
        self.queue.connect().await.map_err(Error::Queue)
    }

    /// Sets or replaces a function.
    pub fn set(&self, name: impl Into<String>, function: Arc<dyn Function>) {
        self.functions.write().unwrap_or_else(PoisonError::into_inner).insert(name.into(), function);
    }

    /// Removes a function; calls of it that are under way go on.
    pub fn remove(&self, name: &str) -> Option<Arc<dyn Function>> {
        self.functions.write().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    /// The function that a name stands for: `NAME`, or `NAME.NAMESPACE`.
    fn function(&self, name: &str) -> Option<Arc<dyn Function>> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        let short = || functions.get(name.rsplit_once('.')?.0);
        functions.get(name).or_else(short).cloned()
    }

    /// The functions' names, with how many replicas each has.
    pub fn functions(&self) -> Vec<(String, usize)> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        functions.iter().map(|(name, function)| (name.clone(), function.replicas())).collect()
    }

    /// Calls a function, as a request to `/function/NAME` does: the request's URI is what follows the name. Whatever
    /// happens, the gateway has an answer.
    pub async fn call(&self, name: &str, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let rest = parts.uri.to_string();
        self.proxy(Call { method: parts.method, function: name.into(), rest, headers: parts.headers, body }).await
    }

    /// Takes an async call, as `POST /async-function/NAME` + `rest` does; `rest` is the escaped path after the name with
    /// its query, `/flow/x/forward?a=1`, or empty. Whether there is such a function is not looked at (contract §2.1).
    ///
    /// Once this returns the call is delivered at least once, unless a profile or a fault says otherwise.
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
        let (size, most) = (body.len(), self.config.body_limit);
        if size > most {
            return Err(Error::BodyTooLarge { function: name.into(), size, most });
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
        self.queue.push(message).await.map_err(Error::Queue)
    }

    /// Gives a request `X-Call-Id` if it has none, and one more `X-Start-Time` (contract §1.4).
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

    /// The gateway's figures now.
    pub async fn counters(&self) -> Counters {
        self.tally.read(self.depth().await)
    }

    /// The figures in Prometheus' text form.
    pub async fn metrics(&self) -> String {
        self.tally.metrics(self.depth().await, &self.functions())
    }

    async fn depth(&self) -> u64 {
        self.queue.depth().await.unwrap_or_default() as u64
    }

    /// Waits until nothing is queued and nothing in flight. Needs started workers.
    pub async fn idle(&self) {
        loop {
            let busy = self.tally.in_flight.get() > 0;
            if !busy && self.queue.depth().await == Some(0) {
                return;
            }
            // A NATS queue may change without us.
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
        Ok(_) => Err(Error::BadCallbackUrl { url, why: "it names no host".into() }),
        Err(error) => Err(Error::BadCallbackUrl { url, why: error.to_string() }),
    }
}
