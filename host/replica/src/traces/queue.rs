//! Spans on their way. They wait in a queue of bounded length, and a thread of its own sends them in batches. The SDK's own
//! processor does not count what it drops, does not end an export that takes too long, and wakes its thread for each span, which
//! costs those who make spans more than all the rest.

use super::counts::{DropReason, SpanCounts};
use super::exporter::{Exporter, Unsent};
use super::health::Health;
use super::settings::SpanBatches;
use opentelemetry_sdk::trace::SpanData;
use std::io;
use std::mem::take;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Takes spans, and has them sent.
pub(super) struct Queue {
    waiting: Arc<Waiting>,
    batches: SpanBatches,
    stop: CancellationToken,
    /// Says that all spans are sent, once it is stopped.
    done: Mutex<Receiver<()>>,
    counts: SpanCounts,
}

/// The spans that wait to be sent.
#[derive(Default)]
struct Waiting {
    spans: Mutex<Spans>,
    /// There is the first span of a batch, or a whole batch.
    changed: Notify,
}

#[derive(Default)]
struct Spans {
    list: Vec<SpanData>,
    /// No more are taken.
    is_closed: bool,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once there are at least so many spans, or no more are taken.
    async fn reaches(&self, count: usize) {
        let reached = || {
            let spans = self.lock();
            spans.list.len() >= count || spans.is_closed
        };
        while !reached() {
            self.changed.notified().await;
        }
    }
}

impl Queue {
    /// Begins to send spans with the exporter that `make` makes, in the runtime that it will be used in.
    pub(super) fn start(
        batches: SpanBatches,
        counts: SpanCounts,
        health: Health,
        make: impl FnOnce() -> Result<Exporter, String> + Send + 'static,
    ) -> Result<Self, String> {
        let waiting = Arc::new(Waiting::default());
        let stop = CancellationToken::new();
        let (tell, begun) = sync_channel(1);
        let (finish, done) = sync_channel(1);
        let worker = Worker { waiting: waiting.clone(), batches, stop: stop.clone(), counts: counts.clone(), health };
        let run = move || {
            let begin = || -> Result<_, String> {
                let text = |error: io::Error| error.to_string();
                let runtime = Builder::new_current_thread().enable_all().build().map_err(text)?;
                let exporter = runtime.block_on(async { make() })?;
                Ok((runtime, exporter))
            };
            // Who began it waits for this, and then for the end, unless it was in a hurry.
            match begin() {
                Ok((runtime, exporter)) => {
                    let _ = tell.send(Ok(()));
                    runtime.block_on(worker.run(exporter));
                    let _ = finish.send(());
                }
                Err(reason) => drop(tell.send(Err(reason))),
            }
        };
        thread::Builder::new().name("traces".to_owned()).spawn(run).map_err(|error| error.to_string())?;
        begun.recv().map_err(|error| error.to_string())??;
        Ok(Self { waiting, batches, stop, done: Mutex::new(done), counts })
    }

    /// Takes a span, unless too many wait already. It never waits.
    pub(super) fn push(&self, span: SpanData) {
        let mut spans = self.waiting.lock();
        if spans.is_closed {
            return self.counts.dropped(DropReason::Stopped, 1);
        }
        if spans.list.len() >= self.batches.queue {
            return self.counts.dropped(DropReason::QueueFull, 1);
        }
        spans.list.push(span);
        let count = spans.list.len();
        drop(spans);
        if count == 1 || count == self.batches.size {
            self.waiting.changed.notify_one();
        }
    }

    /// Takes no more spans, and waits until those that wait are sent. Blocks the thread for at most this time; answers with
    /// whether they are all sent.
    pub(super) fn stop(&self, at_most: Duration) -> bool {
        self.stop.cancel();
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.recv_timeout(at_most).is_ok()
    }
}

/// What sends the spans.
struct Worker {
    waiting: Arc<Waiting>,
    batches: SpanBatches,
    stop: CancellationToken,
    counts: SpanCounts,
    health: Health,
}

impl Worker {
    async fn run(self, exporter: Exporter) {
        while let Some(batch) = self.next().await {
            self.send(&exporter, batch).await;
        }
    }

    /// The spans to send next: as many as there may be in a batch, or those that have come within its time. `None` once it is
    /// stopped and none are left.
    async fn next(&self) -> Option<Vec<SpanData>> {
        let gathered = async {
            self.waiting.reaches(1).await;
            let _ = timeout(self.batches.delay, self.waiting.reaches(self.batches.size)).await;
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => self.waiting.lock().is_closed = true,
            () = gathered => {}
        }
        let mut spans = self.waiting.lock();
        let count = spans.list.len().min(self.batches.size);
        let later = spans.list.split_off(count);
        let batch = take(&mut spans.list);
        spans.list = later;
        Some(batch).filter(|batch| !batch.is_empty())
    }

    async fn send(&self, exporter: &Exporter, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        let sent = match self.batches.timeout {
            Some(at_most) => timeout(at_most, exporter.export(batch)).await.unwrap_or_else(|_| {
                Err(Unsent { spans: count, why: DropReason::ExportFailed, error: "it takes too long".to_owned() })
            }),
            None => exporter.export(batch).await,
        };
        match sent {
            Ok(()) => {
                self.counts.sent(count);
                self.health.succeeded();
            }
            Err(Unsent { spans, why, error }) => {
                self.counts.sent(count.saturating_sub(spans));
                self.counts.dropped(why, spans);
                self.health.failed(&error);
            }
        }
    }
}
