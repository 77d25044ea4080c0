//! The queue in a NATS server with JetStream: a work-queue stream on disk and one durable pull consumer, as OpenFaaS
//! Pro has them (contract §2.3, §2.6). The client connects again by itself when the server comes back; what the server
//! has confirmed is on its disk by then.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::message::Acker;
use async_nats::jetstream::stream::{Config as StreamConfig, RetentionPolicy, StorageType};
use async_nats::jetstream::{AckKind, Context, ContextBuilder, Message as Received};
use futures_util::StreamExt;
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};

use super::{Delivery, Ticket};
use crate::config::{Config, Profile};
use crate::message::Message;

/// The durable consumer's name in OpenFaaS Pro.
const CONSUMER: &str = "faas-workers";
/// How long the server holds a pull open when nothing waits.
const PULL: Duration = Duration::from_secs(1);
/// How long the server may take to confirm a message.
const CONFIRM: Duration = Duration::from_secs(5);
/// The pause after an error, while the client connects again.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Nats {
    url: String,
    stream: String,
    ack_wait: Duration,
    max_ack_pending: i64,
    connection: OnceCell<Connection>,
    /// Fetched to be delivered out of order.
    fetched: Mutex<VecDeque<Delivery>>,
}

struct Connection {
    client: async_nats::Client,
    context: Context,
    consumer: PullConsumer,
}

impl Nats {
    pub fn new(config: &Config, url: &str, stream: &str) -> Self {
        // CE's one at a time holds for all its workers. With retries the server's default is right: a message that
        // waits for its retry counts as pending, and a few of them would stop everything else.
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

    pub async fn connect(&self) -> Result<(), String> {
        self.connection().await.map(drop).map_err(|error| format!("nats server {}: {error}", self.url))
    }

    async fn connection(&self) -> Result<&Connection, async_nats::Error> {
        self.connection.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<Connection, async_nats::Error> {
        let options = async_nats::ConnectOptions::new().reconnect_delay_callback(|_| PAUSE);
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

    pub async fn push(&self, message: &Message) -> Result<(), String> {
        let publish = async {
            let connection = self.connection().await?;
            let confirmed = connection.context.publish(self.stream.clone(), message.to_json().into()).await?;
            confirmed.await?;
            Ok::<(), async_nats::Error>(())
        };
        let failed = |why: String| format!("nats server {}: {why}", self.url);
        match timeout(CONFIRM, publish).await {
            Ok(published) => published.map_err(|error| failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer within {CONFIRM:?}"))),
        }
    }

    pub async fn take(&self, window: usize, mut pick: impl FnMut(usize) -> usize) -> Delivery {
        loop {
            if let Some(delivery) = self.fetched(&mut pick) {
                return delivery;
            }
            if let Err(error) = self.fetch(window).await {
                tracing::warn!("could not fetch from nats server {}, trying again: {error}", self.url);
                sleep(PAUSE).await;
            }
        }
    }

    fn fetched(&self, mut pick: impl FnMut(usize) -> usize) -> Option<Delivery> {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let at = if fetched.len() > 1 { pick(fetched.len()) } else { 0 };
        fetched.remove(at)
    }

    /// Fetches what waits, at most `window` messages; if nothing does, waits for one.
    async fn fetch(&self, window: usize) -> Result<(), async_nats::Error> {
        let consumer = &self.connection().await?.consumer;
        if window > 1 {
            let batch = consumer.fetch().max_messages(window).messages().await?;
            if self.keep(batch).await? > 0 {
                return Ok(());
            }
        }
        self.keep(consumer.batch().max_messages(1).expires(PULL).messages().await?).await.map(drop)
    }

    async fn keep(&self, mut batch: pull::Batch) -> Result<usize, async_nats::Error> {
        let mut kept = 0;
        // The server ends a pull in time, unless it went away with it.
        while let Ok(Some(received)) = timeout(PULL * 2, batch.next()).await {
            if let Some(delivery) = read(received?).await {
                self.fetched.lock().unwrap_or_else(PoisonError::into_inner).push_back(delivery);
                kept += 1;
            }
        }
        Ok(kept)
    }

    pub async fn depth(&self) -> Option<usize> {
        let info = self.connection().await.ok()?.consumer.get_info().await.ok()?;
        Some(info.num_ack_pending + usize::try_from(info.num_pending).unwrap_or(usize::MAX))
    }

    pub async fn flush(&self) {
        if let Some(connection) = self.connection.get() {
            // Acks that do not get through lead to another delivery, which is allowed.
            let _ = timeout(CONFIRM, connection.client.flush()).await;
        }
    }
}

/// A received message; one that cannot be read is done with.
async fn read(received: Received) -> Option<Delivery> {
    let attempt = received.info().map_or(1, |info| u32::try_from(info.delivered).unwrap_or(1));
    let (raw, acker) = received.split();
    match Message::from_json(&raw.payload) {
        Ok(message) => Some(Delivery { message: Arc::new(message), attempt, ticket: Ticket::Nats(Box::new(acker)) }),
        Err(error) => {
            tracing::error!("dropped a queued message that is not a call: {error}");
            settle(&acker, None).await;
            None
        }
    }
}

/// Tells the server that a message is done with, or to be delivered again after a wait.
pub(super) async fn settle(acker: &Acker, retry: Option<Duration>) {
    let kind = retry.map_or(AckKind::Ack, |wait| AckKind::Nak(Some(wait)));
    if let Err(error) = acker.ack_with(kind).await {
        tracing::warn!("could not settle a delivery, it will come again: {error}");
    }
}
