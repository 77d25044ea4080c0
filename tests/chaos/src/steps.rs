//! The step functions and the receiver of callbacks: they answer predictably, and note what they see.

use crate::cases::{FUNCTIONS, LIMITED};
use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;

/// How long a function takes, in milliseconds.
const TAKES: Range<u64> = 20..800;

/// What the step functions saw.
#[derive(Default)]
pub struct Seen {
    /// Per idempotency key: function and body of the first call, and the number of calls.
    calls: HashMap<String, ((String, Bytes), usize)>,
    /// All calls.
    pub total: usize,
    /// Keys that came with another function or body, or not at all.
    changed: HashSet<String>,
    /// Calls of the limited function that are in flight, and the most that ever were.
    in_flight: usize,
    pub most_in_flight: usize,
    /// What was called back, by request id.
    callbacks: HashMap<String, Vec<Bytes>>,
}

/// Counts a call of the limited function until it is answered, or until its caller goes away.
struct InFlight(Notes);

impl InFlight {
    fn new(notes: &Notes) -> Self {
        let mut seen = notes.lock().unwrap_or_else(PoisonError::into_inner);
        seen.in_flight += 1;
        seen.most_in_flight = seen.most_in_flight.max(seen.in_flight);
        drop(seen);
        Self(notes.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).in_flight -= 1;
    }
}

/// Notes shared with the server.
pub type Notes = Arc<Mutex<Seen>>;

impl Seen {
    /// Keys that were seen with one body, and later with another.
    pub fn changed(&self) -> usize {
        self.changed.len()
    }

    /// Calls that were made before.
    pub fn repeated(&self) -> usize {
        self.total - self.calls.len()
    }

    /// Each idempotency key, and how many calls came with it.
    pub fn times(&self) -> impl Iterator<Item = (&str, usize)> {
        self.calls.iter().map(|(key, (_, times))| (key.as_str(), *times))
    }

    /// How many keys each run used.
    pub fn keys(&self) -> HashMap<&str, usize> {
        let mut keys = HashMap::new();
        for key in self.calls.keys() {
            *keys.entry(key.split('/').next().unwrap_or_default()).or_default() += 1;
        }
        keys
    }

    /// Whether a run called back, and always with this.
    pub fn called_back(&self, run: &str, with: &str) -> bool {
        self.callbacks.get(run).is_some_and(|bodies| bodies.iter().all(|body| body == with.as_bytes()))
    }

    fn call(&mut self, key: Option<String>, function: &str, body: &Bytes) {
        self.total += 1;
        let key = key.unwrap_or_default();
        let call = (function.to_owned(), body.clone());
        let (first, times) = self.calls.entry(key.clone()).or_insert_with(|| (call.clone(), 0));
        *times += 1;
        if *first != call || key.is_empty() {
            self.changed.insert(key);
        }
    }
}

/// Serves on a free port of this machine; yields the address.
pub async fn serve(notes: Notes) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let router = Router::new().fallback(answer).with_state(notes);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn answer(State(notes): State<Notes>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().trim_matches('/').to_owned();
    if let Some(run) = path.strip_prefix("callback/") {
        let mut seen = notes.lock().unwrap_or_else(PoisonError::into_inner);
        seen.callbacks.entry(run.to_owned()).or_default().push(body);
        return StatusCode::OK.into_response();
    }
    if !FUNCTIONS.contains(&path.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let key = headers.get("x-faas-flow-idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    notes.lock().unwrap_or_else(PoisonError::into_inner).call(key, &path, &body);
    let _in_flight = (path == LIMITED).then(|| InFlight::new(&notes));
    tokio::time::sleep(Duration::from_millis(fastrand::u64(TAKES))).await;
    [&body, &b">"[..], path.as_bytes()].concat().into_response()
}
