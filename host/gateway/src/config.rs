//! The configuration of a gateway: a profile's values, each of which can be changed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use faas_flow_core::RetryPolicy;

use crate::function::{Function, Web};
use crate::logs::Logs;

/// The edition of OpenFaaS whose behaviour the gateway has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The Community Edition: one asynchronous call at a time for the whole cluster, one try for each, and at most 256,000
    /// bytes of body (docs/openfaas.md#asynchronous-calls and docs/openfaas.md#queue-worker-of-the-community-edition).
    Ce,
    /// OpenFaaS Pro: several asynchronous calls at a time, which are retried with growing delays
    /// (docs/openfaas.md#queue-worker-of-openfaas-pro).
    Pro,
}

/// When a failed asynchronous call is retried (docs/openfaas.md#queue-worker-of-openfaas-pro).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How often a call is retried after the first try (`max_retry_attempts`).
    pub attempts: u32,
    /// The delay before the first retry (`initial_retry_wait`). It doubles with each retry.
    pub initial: Duration,
    /// The longest delay (`max_retry_wait`).
    pub max: Duration,
    /// The statuses that are retried (`retry_http_codes`). An error with the header `X-OpenFaaS-Internal`, for example
    /// because no replica could be reached, is always retried.
    pub codes: Vec<u16>,
}

impl Retry {
    /// The delay before the next try after `failed_tries` (1 and more), or `None` if there is no further try.
    pub fn delay_after(&self, failed_tries: u32) -> Option<Duration> {
        let policy = RetryPolicy::exponential(self.initial, self.max).with_max_tries(self.attempts.saturating_add(1));
        policy.delay_after(failed_tries, 0.0)
    }
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            attempts: 10,
            initial: Duration::from_secs(10),
            max: Duration::from_secs(120),
            codes: vec![408, 429, 500, 502, 503, 504],
        }
    }
}

/// Faults of the queue, which are drawn for each delivery. Probabilities are from 0 to 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// The seed of the random numbers. Without one, each run differs.
    pub seed: Option<u64>,
    /// The probability that a message is lost instead of being delivered.
    pub drop: f64,
    /// The probability that a message is delivered twice.
    pub duplicate: f64,
    /// The probability that a delivery is delayed, and by how much. If it exceeds `ack_wait`, the message is delivered again
    /// in the meantime.
    pub delay: (f64, Duration),
    /// The number of waiting messages from which the next one is picked at random. 0 and 1 keep the order.
    pub reorder: usize,
}

/// Where asynchronous calls wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueConfig {
    /// In the gateway's memory.
    Memory,
    /// In a work-queue stream of a NATS server with JetStream, where they survive the end of the gateway and of the server.
    Nats {
        /// The server's URL, such as `nats://host:4222`.
        url: String,
        /// The name of the stream and its subject; `faas-request` in OpenFaaS.
        stream: String,
    },
}

/// The configuration of a [`Gateway`](crate::Gateway). [`Config::new`] has the values of a profile.
#[derive(Clone)]
pub struct Config {
    /// Decides about the response for unknown functions: 503 from CE's provider, 404 from Pro, which looks a function up
    /// first.
    pub profile: Profile,
    /// Where asynchronous calls wait.
    pub queue: QueueConfig,
    /// How many asynchronous calls are made at a time.
    pub inflight: usize,
    /// The largest body of an asynchronous call, in bytes: 256,000 in CE; in Pro, as much as fits in Base64 and JSON into a
    /// NATS message of 1 MiB (docs/openfaas.md#size-limits).
    pub body_limit: usize,
    /// The largest body that is read of a request, in bytes. A larger one is answered with 413.
    pub request_limit: usize,
    /// How long the body of a request may take to arrive; `None` for any time.
    pub read_timeout: Option<Duration>,
    /// How long a call may take before its message is delivered again.
    pub ack_wait: Duration,
    /// When a failed call is retried; `None` for never.
    pub retry: Option<Retry>,
    /// How long a function may take before the gateway responds with 502 (`upstream_timeout`).
    pub upstream_timeout: Duration,
    /// The host and port that functions see in `X-Forwarded-Host` of asynchronous calls.
    pub host: String,
    /// The faults to inject.
    pub faults: Faults,
    /// What the functions have logged, for `/system/logs`; `None` if that is not known here.
    pub logs: Option<Logs>,
    /// Receives callbacks, as requests with the whole URL. By default they are sent over HTTP.
    pub callbacks: Arc<dyn Function>,
    /// The time at which the gateway is created. `X-Start-Time` is this time plus what has passed on tokio's clock.
    pub started: SystemTime,
}

impl Config {
    /// The values of a profile, with the queue in memory and without faults.
    pub fn new(profile: Profile) -> Self {
        let (inflight, body_limit, ack_wait, retry) = match profile {
            Profile::Ce => (1, 256_000, 30, None),
            Profile::Pro => (10, 780_000, 60, Some(Retry::default())),
        };
        Config {
            profile,
            queue: QueueConfig::Memory,
            inflight,
            body_limit,
            request_limit: 64 << 20,
            read_timeout: None,
            ack_wait: Duration::from_secs(ack_wait),
            retry,
            upstream_timeout: Duration::from_secs(60),
            host: "gateway.openfaas:8080".into(),
            faults: Faults::default(),
            logs: None,
            callbacks: Arc::new(Web::new()),
            started: SystemTime::now(),
        }
    }
}
