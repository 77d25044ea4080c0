//! Helpers of the gateway's tests.
#![allow(dead_code, reason = "each test file uses some of them")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_gateway::{Function, Gateway, Unreachable};
use http::{HeaderMap, Request, Response};
use tokio::time::{Instant, sleep};

/// A function that records its requests and responds as configured.
pub struct Recorder {
    pub asked: Mutex<Vec<(Duration, Request<Bytes>)>>,
    /// The bodies of the calls that were completed.
    pub done: Mutex<BTreeSet<String>>,
    since: Instant,
    takes: Duration,
    answers: Mutex<Vec<Result<Response<Bytes>, Unreachable>>>,
}

impl Recorder {
    pub fn new() -> Arc<Self> {
        Recorder::taking(Duration::ZERO)
    }

    pub fn taking(takes: Duration) -> Arc<Self> {
        Arc::new(Recorder {
            asked: Mutex::default(),
            done: Mutex::default(),
            since: Instant::now(),
            takes,
            answers: Mutex::default(),
        })
    }

    /// Responds with these statuses first, then with 200.
    pub fn answering(statuses: &[u16]) -> Arc<Self> {
        let recorder = Recorder::new();
        for status in statuses.iter().rev() {
            recorder.answer(Ok(Response::builder().status(*status).body(Bytes::from("no")).unwrap()));
        }
        recorder
    }

    /// Adds a response.
    pub fn answer(&self, answer: Result<Response<Bytes>, Unreachable>) {
        self.answers.lock().unwrap().push(answer);
    }

    pub fn times(&self) -> Vec<u64> {
        self.asked.lock().unwrap().iter().map(|(at, _)| at.as_secs()).collect()
    }

    pub fn bodies(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(_, request)| String::from_utf8_lossy(request.body()).into_owned()).collect()
    }

    pub fn last(&self) -> Request<Bytes> {
        self.asked.lock().unwrap().last().unwrap().1.clone()
    }
}

#[async_trait]
impl Function for Recorder {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unreachable> {
        self.asked.lock().unwrap().push((self.since.elapsed(), request.clone()));
        sleep(self.takes).await;
        self.done.lock().unwrap().insert(String::from_utf8_lossy(request.body()).into_owned());
        let answer = self.answers.lock().unwrap().pop();
        answer.unwrap_or_else(|| Ok(Response::new(request.into_body())))
    }
}

/// Queues a call of `f` with this body.
pub async fn send(gateway: &Gateway, body: &str) {
    gateway.enqueue("f", "", HeaderMap::new(), Bytes::from(body.to_owned())).await.unwrap();
}

/// Serves a router on a free port and returns its address.
pub async fn serve(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}
