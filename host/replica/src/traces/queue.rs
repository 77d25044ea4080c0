//! Spans on their way. They wait in a queue of bounded length, and a thread of its own sends them in batches. The SDK's own
//! processor does not count what it drops, and does not end an export that takes too long.

use super::counts::{DropReason, SpanCounts};
use super::exporter::{Exporter, Unsent};
use super::health::Health;
use super::settings::SpanBatches;
use opentelemetry_sdk::trace::SpanData;
use std::future::pending;
use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Takes spans, and has them sent.
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    stop: CancellationToken,
    /// Says that all spans are sent, once it is stopped.
    done: Mutex<Receiver<()>>,
    counts: SpanCounts,
}

impl Queue {
    /// Begins to send spans with the exporter that `make` makes, in the runtime that it will be used in.
    pub(super) fn start(
        batches: SpanBatches,
        counts: SpanCounts,
        health: Health,
        make: impl FnOnce() -> Result<Exporter, String> + Send + 'static,
    ) -> Result<Self, String> {
        let (spans, waiting) = mpsc::channel(batches.queue);
        let stop = CancellationToken::new();
        let (tell, begun) = sync_channel(1);
        let (finish, done) = sync_channel(1);
        let worker = Worker { waiting, batches, stop: stop.clone(), counts: counts.clone(), health };
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
        Ok(Self { spans, stop, done: Mutex::new(done), counts })
    }

    /// Takes a span, unless too many wait already. It never waits.
    pub(super) fn push(&self, span: SpanData) {
        match self.spans.try_send(span) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => self.counts.dropped(DropReason::QueueFull, 1),
            Err(mpsc::error::TrySendError::Closed(_)) => self.counts.dropped(DropReason::Stopped, 1),
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
    waiting: mpsc::Receiver<SpanData>,
    batches: SpanBatches,
    stop: CancellationToken,
    counts: SpanCounts,
    health: Health,
}

impl Worker {
    async fn run(mut self, exporter: Exporter) {
        while let Some(batch) = self.next().await {
            self.send(&exporter, batch).await;
        }
    }

    /// The spans to send next: as many as there may be in a batch, or those that have come within its time. `None` once it is
    /// stopped and none are left.
    async fn next(&mut self) -> Option<Vec<SpanData>> {
        let mut batch = Vec::new();
        let mut due = None;
        while batch.len() < self.batches.size {
            let room = self.batches.size - batch.len();
            let timer = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                got = self.waiting.recv_many(&mut batch, room) => {
                    if got == 0 {
                        break;
                    }
                    due = due.or_else(|| Instant::now().checked_add(self.batches.delay));
                }
                () = self.stop.cancelled(), if !self.waiting.is_closed() => self.waiting.close(),
                () = timer => break,
            }
        }
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
