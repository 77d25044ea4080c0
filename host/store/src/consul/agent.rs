//! The parts of Consul's HTTP API that are used: transactions, and reads of all keys with a prefix.

use crate::StoreError;
use crate::address::Address;
use crate::error::with_causes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use faas_flow_core::RetryPolicy;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The waits before a request is sent again that no server executed, since there was no leader. How often is limited by the
/// time limit.
const RETRIES: RetryPolicy = RetryPolicy::exponential(Duration::from_millis(20), Duration::from_millis(250));

/// What an agent says that reaches no server that could execute a request.
const LEADERLESS: &str = "No cluster leader";

/// One agent, or a load balancer before several. Every call ends within the time limit.
pub(super) struct Agent {
    settings: Settings,
    /// Replaced after a request that failed, with its connections: the agent at the other end may have lost the servers, while
    /// one that works is behind the same address.
    client: RwLock<Client>,
    base: String,
    place: String,
    query: String,
}

/// What a client is made of.
struct Settings {
    headers: HeaderMap,
    authorities: Vec<Certificate>,
    timeout: Duration,
}

impl Settings {
    fn client(&self) -> reqwest::Result<Client> {
        let client = Client::builder()
            .default_headers(self.headers.clone())
            // A store is inside: what the environment says about proxies is about the outside.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .timeout(self.timeout);
        self.authorities.iter().cloned().fold(client, reqwest::ClientBuilder::add_root_certificate).build()
    }
}

/// One operation of a transaction.
#[derive(Debug, Serialize)]
pub(super) enum Op {
    #[serde(rename = "KV")]
    Kv(Kv),
}

/// An operation on a key.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Kv {
    verb: &'static str,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    flags: u64,
    index: u64,
}

impl Op {
    fn new(verb: &'static str, key: String) -> Self {
        Op::Kv(Kv { verb, key, ..Kv::default() })
    }

    /// Writes a key unconditionally.
    pub(super) fn set(key: String, value: &[u8]) -> Self {
        Op::Kv(Kv { verb: "set", key, value: Some(STANDARD.encode(value)), ..Kv::default() })
    }

    /// Writes a key if it was last modified at `index`; 0 if it must not exist.
    pub(super) fn cas(key: String, value: &[u8], flags: u64, index: u64) -> Self {
        Op::Kv(Kv { verb: "cas", key, value: Some(STANDARD.encode(value)), flags, index })
    }

    /// Requires that a key was last modified at `index`; 0 if it must not exist.
    pub(super) fn check(key: String, index: u64) -> Self {
        match index {
            0 => Op::new("check-not-exists", key),
            _ => Op::Kv(Kv { verb: "check-index", key, index, ..Kv::default() }),
        }
    }

    /// Reads all keys with a prefix. Unlike `get`, it does not fail if there are none.
    pub(super) fn read(prefix: String) -> Self {
        Op::new("get-tree", prefix)
    }

    pub(super) fn delete(key: String) -> Self {
        Op::new("delete", key)
    }

    pub(super) fn delete_all(prefix: String) -> Self {
        Op::new("delete-tree", prefix)
    }
}

/// A key as it was read or written. The answer to a write has no value.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) flags: u64,
    #[serde(default)]
    value: Option<String>,
    pub(super) modify_index: u64,
}

impl Pair {
    pub(super) fn value(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.value.as_deref().unwrap_or_default()).ok()
    }
}

/// The outcome of a transaction.
pub(super) enum Outcome {
    /// It was applied. The pairs that it has read and written.
    Done(Vec<Pair>),
    /// A condition did not hold, and nothing was applied. Consul's message.
    Stale(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    results: Option<Vec<Outer>>,
    #[serde(default)]
    errors: Option<Vec<Refusal>>,
}

#[derive(Deserialize)]
struct Outer {
    #[serde(rename = "KV")]
    kv: Pair,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    what: String,
}

impl Agent {
    pub(super) fn new(address: &Address<'_>) -> Result<Self, StoreError> {
        let usage = || address.bad(format!("use {}://HOST:PORT", address.scheme));
        let host = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        if address.place.is_empty() || !address.place.chars().all(host) {
            return Err(usage());
        }
        let scheme = if address.scheme == "consuls" { "https" } else { "http" };
        let base = format!("{scheme}://{}/v1/", address.place);
        reqwest::Url::parse(&base).map_err(|_| usage())?;
        let mut query = "?consistent".to_owned();
        if let Some(dc) = address.text("dc") {
            if dc.is_empty() || !dc.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
                return Err(address.bad("dc must be the name of a datacenter"));
            }
            query.push_str(&format!("&dc={dc}"));
        }
        let timeout = address.millis("timeout_ms")?.unwrap_or(Duration::from_secs(5));
        let mut headers = HeaderMap::new();
        let token = address.text("token").or_else(|| std::env::var("CONSUL_HTTP_TOKEN").ok());
        if let Some(token) = token.filter(|token| !token.is_empty()) {
            let token = HeaderValue::try_from(token).map_err(|_| address.bad("token must be the id of a token"));
            let mut token = token?;
            token.set_sensitive(true);
            headers.insert("x-consul-token", token);
        }
        let settings = Settings { headers, authorities: authorities(address)?, timeout };
        let place = format!("{}://{}", address.scheme, address.place);
        let client = settings.client().map_err(|error| unavailable(&place, with_causes(&error)))?;
        Ok(Self { settings, client: RwLock::new(client), base, place, query })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn corrupt(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Corrupt { place: self.place.clone(), reason: reason.into() }
    }

    pub(super) fn unavailable(&self, reason: impl Into<String>) -> StoreError {
        unavailable(&self.place, reason)
    }

    /// Applies all operations, or none.
    pub(super) async fn txn(&self, ops: &[Op]) -> Result<Outcome, StoreError> {
        // Strings and numbers can always be encoded.
        let body = serde_json::to_vec(ops).unwrap_or_default();
        let (status, body) = self.call(Method::PUT, "txn", "", body).await?;
        let answer: Answer = match status {
            StatusCode::OK | StatusCode::CONFLICT => self.json(&body)?,
            _ => return Err(self.unavailable(format!("it answered {status}"))),
        };
        let refusals: Vec<String> = answer.errors.into_iter().flatten().map(|refusal| refusal.what).collect();
        if let Some(reason) = refusals.iter().find(|what| what.contains("Permission denied")) {
            return Err(StoreError::Denied { place: self.place.clone(), reason: one_line(reason) });
        }
        match refusals.into_iter().next() {
            Some(what) => Ok(Outcome::Stale(one_line(&what))),
            None if status == StatusCode::CONFLICT => Err(self.corrupt("it rejected a transaction without a reason")),
            None => Ok(Outcome::Done(answer.results.into_iter().flatten().map(|outer| outer.kv).collect())),
        }
    }

    /// Reads in one consistent view.
    pub(super) async fn read(&self, ops: &[Op]) -> Result<Vec<Pair>, StoreError> {
        match self.txn(ops).await? {
            Outcome::Done(pairs) => Ok(pairs),
            Outcome::Stale(what) => Err(self.unavailable(what)),
        }
    }

    /// All pairs whose keys have a prefix, in one consistent view.
    pub(super) async fn below(&self, prefix: &str) -> Result<Vec<Pair>, StoreError> {
        self.list(&format!("kv/{prefix}"), "&recurse").await
    }

    /// The keys with a prefix.
    pub(super) async fn keys(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.list(&format!("kv/{prefix}"), "&keys").await
    }

    /// The distinct beginnings of the keys with a prefix, each up to and including the next slash.
    pub(super) async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.list(&format!("kv/{prefix}"), "&keys&separator=/").await
    }

    async fn list<T: DeserializeOwned>(&self, path: &str, options: &str) -> Result<Vec<T>, StoreError> {
        let (status, body) = self.call(Method::GET, path, options, Vec::new()).await?;
        match status {
            StatusCode::OK => self.json(&body),
            StatusCode::NOT_FOUND => Ok(Vec::new()),
            _ => Err(self.unavailable(format!("it answered {status}"))),
        }
    }

    fn json<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, StoreError> {
        serde_json::from_slice(body)
            .map_err(|error| self.corrupt(format!("its answer is not one of Consul's: {error}")))
    }

    /// Sends a request, and again while there is no leader that could execute it.
    async fn call(
        &self,
        method: Method,
        path: &str,
        options: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), StoreError> {
        let url = format!("{}{path}{}{options}", self.base, self.query);
        let body = Bytes::from(body);
        let deadline = Instant::now() + self.settings.timeout;
        let mut delays = RETRIES.delays(fastrand::f64);
        loop {
            let answer = self.send(method.clone(), &url, body.clone()).await;
            let error = match self.judged(answer) {
                Err(error @ StoreError::Unavailable { .. }) => error,
                answer => return answer,
            };
            self.connect_again();
            let leaderless = error.to_string().contains(LEADERLESS);
            match delays.next().filter(|delay| leaderless && Instant::now() + *delay <= deadline) {
                Some(delay) => sleep(delay).await,
                None => return Err(error),
            }
        }
    }

    async fn send(&self, method: Method, url: &str, body: Bytes) -> reqwest::Result<(StatusCode, Bytes)> {
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = client.request(method, url).body(body).send().await?;
        Ok((answer.status(), answer.bytes().await?))
    }

    fn connect_again(&self) {
        // It could be made before, from the same settings.
        if let Ok(client) = self.settings.client() {
            *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
        }
    }

    fn judged(&self, answer: reqwest::Result<(StatusCode, Bytes)>) -> Result<(StatusCode, Bytes), StoreError> {
        let (status, body) = answer.map_err(|error| {
            if error.is_timeout() {
                return self.unavailable(format!("no answer within timeout_ms={}", self.settings.timeout.as_millis()));
            }
            self.unavailable(with_causes(&error.without_url()))
        })?;
        let message = || one_line(&String::from_utf8_lossy(&body));
        match status {
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
                Err(StoreError::Denied { place: self.place.clone(), reason: message() })
            }
            StatusCode::PAYLOAD_TOO_LARGE => Err(StoreError::TooLarge {
                place: self.place.clone(),
                reason: message(),
                remedy: "use Consul 1.14 or later, or raise its limits.txn_max_req_len".into(),
            }),
            StatusCode::OK | StatusCode::CONFLICT | StatusCode::NOT_FOUND => Ok((status, body)),
            _ => Err(self.unavailable(format!("it answered {status}: {}", message()))),
        }
    }
}

/// The certificates to trust in addition to the system's.
fn authorities(address: &Address<'_>) -> Result<Vec<Certificate>, StoreError> {
    let Some(path) = address.text("ca") else { return Ok(Vec::new()) };
    let bad = |reason: String| address.bad(format!("ca must be a file of PEM certificates: {path}: {reason}"));
    let pem = std::fs::read(&path).map_err(|error| bad(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| bad(with_causes(&error)))?;
    if certificates.is_empty() {
        return Err(bad("it has no certificates".to_owned()));
    }
    Ok(certificates)
}

fn unavailable(place: &str, reason: impl Into<String>) -> StoreError {
    StoreError::Unavailable { place: place.to_owned(), reason: reason.into() }
}

/// A server's message on one line of limited length.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect::<String>().trim().to_owned()
}
