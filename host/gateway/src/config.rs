//! What a gateway is made of: the profile's figures, each of which can be changed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::function::{Function, Web};

/// Whose behaviour the gateway takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// OpenFaaS Community Edition (contract §2.1, §2.2): one async call at a time for the whole cluster, done with
    /// after one try whatever came of it, and at most 256,000 bytes of body.
    Ce,
    /// OpenFaaS Pro (contract §2.3): several async calls at a time, tried again with a growing wait.
    Pro,
}

/// When a failed async call is made again (contract §2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How often a call is made again after the first time (`max_retry_attempts`).
    pub attempts: u32,
    /// The wait before the first retry (`initial_retry_wait`); it doubles from try to try.
    pub initial: Duration,
    /// The longest wait (`max_retry_wait`).
    pub max: Duration,
    /// The statuses that are tried again (`retry_http_codes`). An error answer with the header `X-OpenFaaS-Internal`
    /// (no replica reached, say) is tried again whatever its status.
    pub codes: Vec<u16>,
}

impl Retry {
    /// The wait before the call that follows the `attempt`-th (from 1).
    pub fn wait(&self, attempt: u32) -> Duration {
        let factor = 2u32.checked_pow(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.initial.saturating_mul(factor).min(self.max)
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

/// Faults of the queue, drawn for each delivery. Chances are from 0 to 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Makes a run reproducible; without one each run differs.
    pub seed: Option<u64>,
    /// The chance that a message is lost instead of delivered.
    pub drop: f64,
    /// The chance that a message is delivered once more.
    pub duplicate: f64,
    /// The chance that a delivery is held back, and for how long: beyond `ack_wait` the message is delivered to
    /// somebody else before.
    pub delay: (f64, Duration),
    /// From how many waiting messages the next one is picked at random; 0 and 1 keep the order.
    pub reorder: usize,
}

/// Where async calls wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueConfig {
    /// In the gateway's memory.
    Memory,
    /// In a work-queue stream of a NATS server with JetStream, where they outlive the gateway and the server.
    Nats {
        /// The server, `nats://host:4222`.
        url: String,
        /// The stream and its subject; `faas-request` in OpenFaaS.
        stream: String,
    },
}

/// Makes a [`Gateway`](crate::Gateway). [`Config::new`] has the figures of a profile.
#[derive(Clone)]
pub struct Config {
    /// Decides how unknown functions are answered: 503 by CE's provider, 404 by Pro, which looks a function up first.
    pub profile: Profile,
    /// Where async calls wait.
    pub queue: QueueConfig,
    /// How many async calls are made at a time.
    pub inflight: usize,
    /// The largest body of an async call, in bytes. 256,000 in CE; with Pro what fits into a NATS message of 1 MiB
    /// once it is base64 in JSON (contract §2.4).
    pub body_limit: usize,
    /// After this long a call that still runs is delivered once more.
    pub ack_wait: Duration,
    /// `None`: a call is done with after its first answer.
    pub retry: Option<Retry>,
    /// How long a function may take before the gateway answers 502 for it (`upstream_timeout`).
    pub upstream_timeout: Duration,
    /// The host and port that functions see in `X-Forwarded-Host` of async calls.
    pub host: String,
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// Takes callbacks; the request has the whole URL. By default they go over HTTP.
    pub callbacks: Arc<dyn Function>,
    /// The time of day when the gateway is made, from which `X-Start-Time` counts on with tokio's clock.
    pub started: SystemTime,
}

impl Config {
    /// The figures of a profile, with the queue in memory and without faults.
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
            ack_wait: Duration::from_secs(ack_wait),
            retry,
            upstream_timeout: Duration::from_secs(60),
            host: "gateway.openfaas:8080".into(),
            faults: Faults::default(),
            callbacks: Arc::new(Web::new()),
            started: SystemTime::now(),
        }
    }
}
