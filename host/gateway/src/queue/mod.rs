//! Where accepted calls wait: in memory, or in a stream of a NATS server. Both deliver at least once, to one worker at
//! a time, and again when a delivery was not settled within the ack wait.

mod memory;
mod nats;

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, QueueConfig};
use crate::message::Message;
use memory::Memory;
use nats::Nats;

/// The queue of a gateway.
pub(crate) enum Queue {
    Memory(Arc<Memory>),
    Nats(Box<Nats>),
}

/// A message in a worker's hands.
pub(crate) struct Delivery {
    pub message: Arc<Message>,
    /// Which delivery of this message it is, from 1.
    pub attempt: u32,
    pub ticket: Ticket,
}

/// What a worker tells the queue about a delivery.
pub(crate) enum Ticket {
    /// A copy made by a fault, of which the queue knows nothing.
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

    /// Connects, if there is anything to connect to.
    pub async fn connect(&self) -> Result<(), String> {
        match self {
            Queue::Memory(_) => Ok(()),
            Queue::Nats(nats) => nats.connect().await,
        }
    }

    /// Keeps a message. What was kept is delivered at least once; an error may leave it kept or not.
    pub async fn push(&self, message: Message) -> Result<(), String> {
        match self {
            Queue::Memory(memory) => {
                memory.push(message);
                Ok(())
            }
            Queue::Nats(nats) => nats.push(&message).await,
        }
    }

    /// Waits for a message; `pick` chooses one of so many that wait, at most `window`.
    pub async fn take(&self, window: usize, pick: impl FnMut(usize) -> usize) -> Delivery {
        match self {
            Queue::Memory(memory) => memory.take(window, pick).await,
            Queue::Nats(nats) => nats.take(window, pick).await,
        }
    }

    /// To be called before workers start: what former workers left behind is delivered again.
    pub fn recover(&self) {
        // The NATS server does so by itself, when the ack wait has passed.
        if let Queue::Memory(memory) = self {
            memory.recover();
        }
    }

    /// How many messages are not settled yet, `None` if the queue does not answer.
    pub async fn depth(&self) -> Option<usize> {
        match self {
            Queue::Memory(memory) => Some(memory.depth()),
            Queue::Nats(nats) => nats.depth().await,
        }
    }

    /// Sends what is still buffered on its way to the queue.
    pub async fn flush(&self) {
        if let Queue::Nats(nats) = self {
            nats.flush().await;
        }
    }
}

impl Ticket {
    /// The message is done with.
    pub async fn ack(&self) {
        match self {
            Ticket::Copy => {}
            Ticket::Memory { queue, id } => queue.ack(*id),
            Ticket::Nats(acker) => nats::settle(acker, None).await,
        }
    }

    /// The message is to be delivered again after a wait.
    pub async fn retry(&self, wait: Duration) {
        match self {
            Ticket::Copy => {}
            Ticket::Memory { queue, id } => queue.retry(*id, wait),
            Ticket::Nats(acker) => nats::settle(acker, Some(wait)).await,
        }
    }

    /// The ack wait has passed. A NATS server knows by itself.
    pub fn expire(&self) {
        if let Ticket::Memory { queue, id } = self {
            queue.expire(*id);
        }
    }
}
