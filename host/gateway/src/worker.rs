//! The queue-worker: takes messages from the queue, calls functions and posts callbacks
//! (docs/openfaas.md#queue-worker-of-the-community-edition and docs/openfaas.md#queue-worker-of-openfaas-pro).

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use faas_flow_core::redact;
use http::{HeaderValue, Method, Request, Response, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::message::Message;
use crate::proxy::{Call, INTERNAL};
use crate::queue::{Delivery, Ticket};
use crate::{Gateway, path};

/// What was left over when the workers stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Deliveries that did not end within the limit and were cancelled. Their messages are still queued.
    pub cut_off: usize,
    /// Messages that are still queued. If the queue is in memory, they are lost when the process ends.
    pub queued: usize,
}

/// The running workers.
pub(crate) struct Worker {
    handle: JoinHandle<usize>,
    stop: oneshot::Sender<Duration>,
}

impl Gateway {
    /// Starts the workers, unless they are running.
    pub fn start(self: &Arc<Self>) {
        let mut worker = self.worker.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if worker.as_ref().is_some_and(|worker| !worker.handle.is_finished()) {
            return;
        }
        let (stop, stopped) = oneshot::channel();
        *worker = Some(Worker { handle: tokio::spawn(work(self.clone(), stopped)), stop });
    }

    fn running(&self) -> Option<Worker> {
        self.worker.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    /// Stops taking messages, and waits at most `limit` for deliveries in flight. Calls are still accepted and wait for the
    /// next [`start`](Gateway::start), so close the listener first.
    pub async fn stop(&self, limit: Duration) -> Stopped {
        let cut_off = match self.running() {
            None => 0,
            Some(worker) => {
                // If the worker has ended already, there is nothing to stop.
                let _ = worker.stop.send(limit);
                worker.handle.await.unwrap_or_default()
            }
        };
        self.queue.flush().await;
        Stopped { cut_off, queued: self.queue.depth().await.unwrap_or_default() }
    }

    /// Stops immediately, like a crash: deliveries in flight are repeated after the next [`start`](Gateway::start); with a
    /// NATS queue, after the ack wait.
    pub async fn abort(&self) {
        if let Some(worker) = self.running() {
            worker.handle.abort();
            // The result only says that it was cancelled, like its deliveries.
            let _ = worker.handle.await;
        }
    }
}

/// Counts a delivery as in flight until it is dropped.
struct InFlight(Arc<Gateway>);

impl InFlight {
    fn new(gateway: &Arc<Gateway>) -> Self {
        gateway.tally.in_flight.inc();
        InFlight(gateway.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.tally.in_flight.dec();
        self.0.changed.notify_one();
    }
}

/// The faults that are injected into one delivery.
#[derive(Default)]
struct Fate {
    dropped: bool,
    duplicated: bool,
    held: Option<Duration>,
}

impl Gateway {
    /// Draws the faults of a delivery. It always takes three random numbers, so that the probability of one fault does not
    /// change when others occur.
    fn fate(&self) -> Fate {
        let faults = &self.config.faults;
        let mut rng = self.rng();
        let [dropped, duplicated, delayed] = [rng.f64(), rng.f64(), rng.f64()];
        Fate {
            dropped: dropped < faults.drop,
            duplicated: duplicated < faults.duplicate,
            held: (delayed < faults.delay.0).then_some(faults.delay.1),
        }
    }
}

/// Delivers messages until it is stopped. Returns how many deliveries it has cancelled.
async fn work(gateway: Arc<Gateway>, mut stop: oneshot::Receiver<Duration>) -> usize {
    gateway.queue.recover();
    let slots = Arc::new(Semaphore::new(gateway.config.inflight.max(1)));
    let window = gateway.config.faults.reorder;
    let mut running = JoinSet::new();
    let mut copies: VecDeque<(Delivery, InFlight)> = VecDeque::new();
    let limit = loop {
        let slot = tokio::select! {
            biased;
            limit = &mut stop => break limit.unwrap_or_default(),
            slot = slots.clone().acquire_owned() => slot,
        };
        // The semaphore is never closed.
        let Ok(slot) = slot else { break Duration::ZERO };
        while running.try_join_next().is_some() {}
        if let Some((copy, in_flight)) = copies.pop_front() {
            running.spawn(deliver(in_flight, copy, None, slot));
            continue;
        }
        let delivery = tokio::select! {
            biased;
            limit = &mut stop => break limit.unwrap_or_default(),
            delivery = gateway.queue.take(window, |waiting| gateway.rng().usize(..waiting)) => delivery,
        };
        let in_flight = InFlight::new(&gateway);
        let fate = gateway.fate();
        if fate.dropped {
            gateway.tally.dropped.inc();
            delivery.ticket.ack().await;
            continue;
        }
        if fate.duplicated {
            gateway.tally.duplicated.inc();
            let copy = Delivery { message: delivery.message.clone(), attempt: delivery.attempt, ticket: Ticket::Copy };
            copies.push_back((copy, InFlight::new(&gateway)));
        }
        running.spawn(deliver(in_flight, delivery, fate.held, slot));
    };
    let all = async { while running.join_next().await.is_some() {} };
    match timeout(limit, all).await {
        Ok(()) => 0,
        Err(_) => running.len(),
    }
}

/// What to do with a message after a call.
enum Verdict {
    Done,
    /// Deliver it again after a delay.
    Again(Duration),
}

/// Makes the call of one delivery, and its callback. If that takes longer than the ack wait, it continues beside the next
/// delivery of the message.
async fn deliver(in_flight: InFlight, delivery: Delivery, held: Option<Duration>, slot: OwnedSemaphorePermit) {
    let gateway = &in_flight.0;
    let Delivery { message, attempt, ticket } = delivery;
    let mut call = pin!(async {
        if let Some(held) = held {
            gateway.tally.delayed.inc();
            sleep(held).await;
        }
        gateway.call_queued(&message, attempt).await
    });
    let verdict = tokio::select! {
        biased;
        verdict = &mut call => verdict,
        () = sleep(gateway.config.ack_wait) => {
            // The queue delivers the message again, which needs the slot.
            gateway.tally.expired.inc();
            drop(slot);
            ticket.expire();
            call.await
        }
    };
    match verdict {
        Verdict::Done => ticket.ack().await,
        Verdict::Again(delay) => ticket.retry(delay).await,
    }
}

impl Gateway {
    async fn call_queued(&self, message: &Message, attempt: u32) -> Verdict {
        let Some(rest) = path::rejoin(&message.path, &message.query) else {
            tracing::error!(function = message.function, path = message.path, "dropped a call whose path is not a URL");
            self.tally.failed.inc();
            return Verdict::Done;
        };
        let begun = Instant::now();
        self.tally.delivered.inc();
        let response = self.proxy(self.queued_call(message, rest)).await;
        let status = response.status().as_u16();
        if let Some(retry) = &self.config.retry {
            let asked = retry.codes.contains(&status) || (status >= 400 && response.headers().contains_key(INTERNAL));
            if asked && let Some(delay) = retry.delay_after(attempt) {
                self.tally.retried.inc();
                return Verdict::Again(delay);
            }
        }
        if !response.status().is_success() {
            self.tally.failed.inc();
            tracing::warn!(function = message.function, status, attempt, "asynchronous call failed; giving up");
        }
        if message.callback.is_some() {
            self.call_back(message, response, begun.elapsed()).await;
        }
        Verdict::Done
    }

    /// The queue-worker's request to the gateway: always POST, with the caller's headers except `Host`.
    fn queued_call(&self, message: &Message, rest: String) -> Call {
        let mut headers = message.headers.clone();
        headers.insert(header::USER_AGENT, HeaderValue::from_static("openfaas-ce/nats-queue-worker"));
        headers.remove(header::HOST);
        if let Ok(host) = HeaderValue::from_str(&self.config.host) {
            headers.insert(header::HOST, host);
        }
        Call { method: Method::POST, function: message.function.clone(), rest, headers, body: message.body.clone() }
    }

    /// Posts the outcome of a call once: its body and headers, and four more headers
    /// (docs/openfaas.md#callbacks-of-the-queue-worker).
    async fn call_back(&self, message: &Message, outcome: Response<Bytes>, took: Duration) {
        let Some(url) = &message.callback else { return };
        let (outcome, body) = outcome.into_parts();
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.headers_mut() = outcome.headers;
        let own = [
            ("x-duration-seconds", format!("{:.6}", took.as_secs_f64())),
            ("x-function-status", outcome.status.as_str().to_owned()),
            ("x-function-name", message.function.clone()),
        ];
        for (name, value) in own {
            if let Ok(value) = HeaderValue::from_str(&value) {
                request.headers_mut().insert(name, value);
            }
        }
        let posted = match url.as_str().parse() {
            Ok(uri) => {
                *request.uri_mut() = uri;
                timeout(self.config.upstream_timeout, self.config.callbacks.call(request)).await
            }
            Err(_) => Ok(Err(crate::Unreachable("the URL is malformed".into()))),
        };
        let failure = match posted {
            Ok(Ok(response)) if response.status().is_success() => {
                self.tally.callbacks.inc();
                return;
            }
            Ok(Ok(response)) => response.status().to_string(),
            Ok(Err(crate::Unreachable(why))) => why,
            Err(_) => format!("no answer within {:?}", self.config.upstream_timeout),
        };
        let url = redact::origin(url.as_str());
        tracing::warn!(function = message.function, url, error = failure, "callback failed");
        self.tally.callback_failures.inc();
    }
}
