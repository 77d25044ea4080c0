//! The queue in a NATS server with JetStream: a work-queue stream on disk and one durable pull consumer, as in OpenFaaS
//! Pro (docs/openfaas.md#queue-worker-of-openfaas-pro and docs/openfaas.md#the-queue-in-tests). The client reconnects by
//! itself when the server is back. A message that the server has confirmed is on its disk.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::message::Acker;
use async_nats::jetstream::stream::{Config as StreamConfig, RetentionPolicy, StorageType};
use async_nats::jetstream::{AckKind, Context, ContextBuilder, Message as Received};
use faas_flow_core::RetryPolicy;
use futures_util::StreamExt;
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};

use super::{Delivery, QueueError, Ticket};
use crate::config::{Config, Profile};
use crate::message::Message;

/// The name of the durable consumer in OpenFaaS Pro.
const CONSUMER: &str = "faas-workers";
/// How long the server keeps a pull open if no message is waiting.
const PULL: Duration = Duration::from_secs(1);
/// How long the server may take to confirm a message.
const CONFIRM: Duration = Duration::from_secs(5);
/// The delays before a failed connection or fetch is tried again, for as long as it takes.
const RETRIES: RetryPolicy = RetryPolicy::exponential(Duration::from_millis(100), Duration::from_secs(2));

pub(crate) struct Nats {
    url: String,
    stream: String,
    ack_wait: Duration,
    max_ack_pending: i64,
    connection: OnceCell<Connection>,
    /// Messages that were fetched, but not delivered yet.
    fetched: Mutex<VecDeque<Delivery>>,
}

struct Connection {
    client: async_nats::Client,
    context: Context,
    consumer: PullConsumer,
}

impl Nats {
    pub fn new(config: &Config, url: &str, stream: &str) -> Self {
        // In CE, the limit applies to all workers together. In Pro it must be higher, since messages that wait for a retry
        // count as pending and would block all others; 1000 is the server's default.
        let max_ack_pending = match config.profile {
            Profile::Ce => i64::try_from(config.inflight).unwrap_or(i64::MAX),
            Profile::Pro => 1000,
        };
        Nats {
            url: url.into(),
            stream: stream.into(),
            ack_wait: config.ack_wait,
            max_ack_pending,
            connection: OnceCell::new(),
            fetched: Mutex::default(),
        }
    }

    pub async fn connect(&self) -> Result<(), QueueError> {
        self.connection().await.map(drop).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &async_nats::Error) -> QueueError {
        QueueError::Failed { url: self.url.clone(), reason: error.to_string() }
    }

    async fn connection(&self) -> Result<&Connection, async_nats::Error> {
        self.connection.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<Connection, async_nats::Error> {
        let options = async_nats::ConnectOptions::new().reconnect_delay_callback(|attempts| {
            let failed = u32::try_from(attempts).unwrap_or(u32::MAX);
            RETRIES.delay_after(failed, fastrand::f64()).unwrap_or_default()
        });
        let client = options.connect(&self.url).await?;
        let context = ContextBuilder::new().timeout(CONFIRM).ack_timeout(CONFIRM).build(client.clone());
        let config = StreamConfig {
            name: self.stream.clone(),
            subjects: vec![self.stream.clone()],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            ..Default::default()
        };
        let stream = context.get_or_create_stream(config).await?;
        let consumer = pull::Config {
            durable_name: Some(CONSUMER.into()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.ack_wait,
            max_ack_pending: self.max_ack_pending,
            ..Default::default()
        };
        let consumer = stream.create_consumer(consumer).await?;
        Ok(Connection { client, context, consumer })
    }

    pub async fn push(&self, message: &Message) -> Result<(), QueueError> {
        let publish = async {
            let connection = self.connection().await?;
            let confirmed = connection.context.publish(self.stream.clone(), message.to_json().into()).await?;
            confirmed.await?;
            Ok::<(), async_nats::Error>(())
        };
        match timeout(CONFIRM, publish).await {
            Ok(published) => published.map_err(|error| self.failed(&error)),
            Err(_) => Err(QueueError::TimedOut { url: self.url.clone(), limit: CONFIRM }),
        }
    }

    pub async fn take(&self, window: usize, mut pick: impl FnMut(usize) -> usize) -> Delivery {
        let mut delays = RETRIES.delays(fastrand::f64);
        loop {
            if let Some(delivery) = self.fetched(&mut pick) {
                return delivery;
            }
            match self.fetch(window).await {
                Ok(()) => delays = RETRIES.delays(fastrand::f64),
                Err(error) => {
                    tracing::warn!(url = self.url, %error, "could not fetch from the NATS server; trying again");
                    sleep(delays.next().unwrap_or_default()).await;
                }
            }
        }
    }

    fn fetched(&self, mut pick: impl FnMut(usize) -> usize) -> Option<Delivery> {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let at = if fetched.len() > 1 { pick(fetched.len()) } else { 0 };
        fetched.remove(at)
    }

    /// Fetches the waiting messages, at most `window` of them. If there are none, waits for one.
    async fn fetch(&self, window: usize) -> Result<(), async_nats::Error> {
        let consumer = &self.connection().await?.consumer;
        if window > 1 {
            let batch = consumer.fetch().max_messages(window).messages().await?;
            if self.receive(batch).await? > 0 {
                return Ok(());
            }
        }
        self.receive(consumer.batch().max_messages(1).expires(PULL).messages().await?).await.map(drop)
    }

    /// Receives the messages of a pull, and returns how many there were.
    async fn receive(&self, mut batch: pull::Batch) -> Result<usize, async_nats::Error> {
        let mut received_messages = 0;
        // The server ends a pull in time, unless it fails itself.
        while let Ok(Some(received)) = timeout(PULL * 2, batch.next()).await {
            if let Some(delivery) = read(received?).await {
                self.fetched.lock().unwrap_or_else(PoisonError::into_inner).push_back(delivery);
                received_messages += 1;
            }
        }
        Ok(received_messages)
    }

    pub async fn depth(&self) -> Option<usize> {
        let info = self.connection().await.ok()?.consumer.get_info().await.ok()?;
        Some(info.num_ack_pending + usize::try_from(info.num_pending).unwrap_or(usize::MAX))
    }

    pub async fn flush(&self) {
        if let Some(connection) = self.connection.get() {
            // An ack that is lost leads to another delivery, which is allowed.
            let _ = timeout(CONFIRM, connection.client.flush()).await;
        }
    }
}

/// The delivery of a received message. `None` if the message is malformed; then it is removed from the queue.
async fn read(received: Received) -> Option<Delivery> {
    let attempt = received.info().map_or(1, |info| u32::try_from(info.delivered).unwrap_or(1));
    let (raw, acker) = received.split();
    match Message::from_json(&raw.payload) {
        Ok(message) => Some(Delivery { message: Arc::new(message), attempt, ticket: Ticket::Nats(Box::new(acker)) }),
        Err(error) => {
            tracing::error!(%error, "dropped a malformed message");
            settle(&acker, Settlement::Done).await;
            None
        }
    }
}

/// What becomes of a message after a delivery.
#[derive(Debug, Clone, Copy)]
pub(super) enum Settlement {
    /// It is removed from the queue.
    Done,
    /// It is delivered again after a delay.
    Retry(Duration),
}

/// Settles a delivery with the server.
pub(super) async fn settle(acker: &Acker, settlement: Settlement) {
    let kind = match settlement {
        Settlement::Done => AckKind::Ack,
        Settlement::Retry(delay) => AckKind::Nak(Some(delay)),
    };
    if let Err(error) = acker.ack_with(kind).await {
        tracing::warn!(%error, "could not settle a delivery, which will be repeated");
    }
}
