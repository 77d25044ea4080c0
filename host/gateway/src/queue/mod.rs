//! The queue of accepted calls: in memory, or in a stream of a NATS server. Both deliver a message at least once, to one
//! worker at a time, and again if a delivery is not settled within the ack wait.

mod memory;
mod nats;

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, QueueConfig};
use crate::message::Message;
use memory::Memory;
use nats::{Nats, Settlement};

/// Why the queue did not confirm a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The server could not be reached, or answered with an error.
    #[error("the NATS server {url} failed: {reason}")]
    Failed {
        /// The server's URL.
        url: String,
        /// The client's message.
        reason: String,
    },
    /// The server did not answer in time.
    #[error("the NATS server {url} did not answer within {} s", .limit.as_secs())]
    TimedOut {
        /// The server's URL.
        url: String,
        /// The time limit.
        limit: Duration,
    },
}

/// The queue of a gateway.
pub(crate) enum Queue {
    Memory(Arc<Memory>),
    Nats(Box<Nats>),
}

/// A delivery of a message to a worker.
pub(crate) struct Delivery {
    pub message: Arc<Message>,
    /// The number of this delivery of the message, from 1.
    pub attempt: u32,
    pub ticket: Ticket,
}

/// Settles a delivery with the queue.
pub(crate) enum Ticket {
    /// A copy that a fault has made, which the queue does not know.
    Copy,
    Memory {
        queue: Arc<Memory>,
        id: u64,
    },
    Nats(Box<async_nats::jetstream::message::Acker>),
}

impl Queue {
    pub fn new(config: &Config) -> Queue {
        match &config.queue {
            QueueConfig::Memory => Queue::Memory(Arc::default()),
            QueueConfig::Nats { url, stream } => Queue::Nats(Box::new(Nats::new(config, url, stream))),
        }
    }

    /// Connects to the server, if the queue has one.
    pub async fn connect(&self) -> Result<(), QueueError> {
        match self {
            Queue::Memory(_) => Ok(()),
            Queue::Nats(nats) => nats.connect().await,
        }
    }

    /// Adds a message, which is then delivered at least once. After an error the message may be queued or not.
    pub async fn push(&self, message: Message) -> Result<(), QueueError> {
        match self {
            Queue::Memory(memory) => {
                memory.push(message);
                Ok(())
            }
            Queue::Nats(nats) => nats.push(&message).await,
        }
    }

    /// Waits for a message. If several are waiting, `pick` chooses one: it gets their number, at most `window`, and returns an
    /// index.
    pub async fn take(&self, window: usize, pick: impl FnMut(usize) -> usize) -> Delivery {
        match self {
            Queue::Memory(memory) => memory.take(window, pick).await,
            Queue::Nats(nats) => nats.take(window, pick).await,
        }
    }

    /// Makes deliveries of earlier workers available again. Must be called before workers start.
    pub fn recover(&self) {
        // A NATS server does so by itself after the ack wait.
        if let Queue::Memory(memory) = self {
            memory.recover();
        }
    }

    /// How many messages are not settled yet. `None` if the queue does not answer.
    pub async fn depth(&self) -> Option<usize> {
        match self {
            Queue::Memory(memory) => Some(memory.depth()),
            Queue::Nats(nats) => nats.depth().await,
        }
    }

    /// Sends what is buffered for the queue.
    pub async fn flush(&self) {
        if let Queue::Nats(nats) = self {
            nats.flush().await;
        }
    }
}

impl Ticket {
    /// Removes the message from the queue.
    pub async fn ack(&self) {
        match self {
            Ticket::Copy => {}
            Ticket::Memory { queue, id } => queue.ack(*id),
            Ticket::Nats(acker) => nats::settle(acker, Settlement::Done).await,
        }
    }

    /// Lets the message be delivered again after a delay.
    pub async fn retry(&self, delay: Duration) {
        match self {
            Ticket::Copy => {}
            Ticket::Memory { queue, id } => queue.retry(*id, delay),
            Ticket::Nats(acker) => nats::settle(acker, Settlement::Retry(delay)).await,
        }
    }

    /// Reports that the ack wait has passed. A NATS server notices by itself.
    pub fn expire(&self) {
        if let Ticket::Memory { queue, id } = self {
            queue.expire(*id);
        }
    }
}
