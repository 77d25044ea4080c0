//! The queue-worker: takes messages, calls functions, posts callbacks (contract §2.2, §2.3).

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::message::Message;
use crate::proxy::{Call, INTERNAL};
use crate::queue::{Delivery, Ticket};
use crate::{Gateway, path};

/// What was left when the workers stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Deliveries that did not end within the limit and were cut off; their messages are among the queued.
    pub cut_off: usize,
    /// Messages that are still in the queue. With a queue in memory they are lost with the process.
    pub queued: usize,
}

/// The running workers.
pub(crate) struct Worker {
    handle: JoinHandle<usize>,
    stop: oneshot::Sender<Duration>,
}

impl Gateway {
    /// Starts the workers, unless they run already.
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

    /// Stops taking messages and lets what is in flight end, for at most `limit`. Calls are still accepted and wait for
    /// the next [`start`](Gateway::start), so close the listener before.
    pub async fn stop(&self, limit: Duration) -> Stopped {
        let cut_off = match self.running() {
            None => 0,
            Some(worker) => {
                // A worker that is gone already has nothing to stop.
                let _ = worker.stop.send(limit);
                worker.handle.await.unwrap_or_default()
            }
        };
        self.queue.flush().await;
        Stopped { cut_off, queued: self.queue.depth().await.unwrap_or_default() }
    }

    /// Stops at once, as a crash would: what was in flight is delivered again after the next
    /// [`start`](Gateway::start), with a NATS queue after its ack wait.
    pub async fn abort(&self) {
        if let Some(worker) = self.running() {
            worker.handle.abort();
            // It ends as cancelled, and its deliveries with it.
            let _ = worker.handle.await;
        }
    }
}

/// Counts a delivery as in flight while it lives.
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

/// What happens to one delivery.
#[derive(Default)]
struct Fate {
    dropped: bool,
    duplicated: bool,
    held: Option<Duration>,
}

impl Gateway {
    /// Always three draws, so that one fault's chance does not change where another strikes.
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

/// Delivers until told to stop; tells how many deliveries it cut off.
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

/// What is to be done with a message after a call.
enum Verdict {
    Done,
    Again(Duration),
}

/// One delivery: the call and its callback within the ack wait, or beyond it beside the next delivery.
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
            // The queue hands the message out again, so the slot is free for that.
            gateway.tally.expired.inc();
            drop(slot);
            ticket.expire();
            call.await
        }
    };
    match verdict {
        Verdict::Done => ticket.ack().await,
        Verdict::Again(wait) => ticket.retry(wait).await,
    }
}

impl Gateway {
    async fn call_queued(&self, message: &Message, attempt: u32) -> Verdict {
        let Some(rest) = path::rejoin(&message.path, &message.query) else {
            tracing::error!(function = message.function, path = message.path, "dropped a call whose path is no url");
            self.tally.failed.inc();
            return Verdict::Done;
        };
        let begun = Instant::now();
        self.tally.delivered.inc();
        let response = self.proxy(self.queued_call(message, rest)).await;
        let status = response.status().as_u16();
        if let Some(retry) = &self.config.retry {
            let asked = retry.codes.contains(&status) || (status >= 400 && response.headers().contains_key(INTERNAL));
            if asked && attempt <= retry.attempts {
                self.tally.retried.inc();
                return Verdict::Again(retry.wait(attempt));
            }
        }
        if !response.status().is_success() {
            self.tally.failed.inc();
            tracing::warn!(function = message.function, status, attempt, "gave an async call up");
        }
        if message.callback.is_some() {
            self.call_back(message, response, begun.elapsed()).await;
        }
        Verdict::Done
    }

    /// The queue-worker's request to the gateway: always POST, with the caller's headers but for the host.
    fn queued_call(&self, message: &Message, rest: String) -> Call {
        let mut headers = message.headers.clone();
        headers.insert(header::USER_AGENT, HeaderValue::from_static("openfaas-ce/nats-queue-worker"));
        headers.remove(header::HOST);
        if let Ok(host) = HeaderValue::from_str(&self.config.host) {
            headers.insert(header::HOST, host);
        }
        Call { method: Method::POST, function: message.function.clone(), rest, headers, body: message.body.clone() }
    }

    /// Posts a call's outcome, once: its body and headers, and four headers more (contract §2.2).
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
            Err(_) => Ok(Err(crate::Unreachable("the url is malformed".into()))),
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
        tracing::warn!(function = message.function, "callback to {url} failed: {failure}");
        self.tally.callback_failures.inc();
    }
}
