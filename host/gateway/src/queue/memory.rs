//! The queue in memory. Nothing in it depends on the order of threads or on the time of day: with tokio's paused clock and
//! a current-thread runtime, runs are reproducible.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::{Delivery, Ticket};
use crate::message::Message;

#[derive(Default)]
pub(crate) struct Memory {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    next_id: u64,
    /// All messages that are not settled, with the number of their deliveries so far.
    messages: BTreeMap<u64, (Arc<Message>, u32)>,
    /// The messages that can be delivered. Ids that were settled in the meantime are skipped.
    ready: VecDeque<u64>,
    /// The messages that wait for their retry.
    delayed: BTreeSet<(Instant, u64)>,
}

impl State {
    /// Moves due messages to `ready`, and returns when the next one is due.
    fn promote(&mut self, now: Instant) -> Option<Instant> {
        while let Some(&(due, id)) = self.delayed.first() {
            if due > now {
                return Some(due);
            }
            self.delayed.pop_first();
            self.ready.push_back(id);
        }
        None
    }
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, message: Message) {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        state.messages.insert(id, (Arc::new(message), 0));
        state.ready.push_back(id);
        drop(state);
        self.arrived.notify_one();
    }

    pub async fn take(self: &Arc<Self>, window: usize, mut pick: impl FnMut(usize) -> usize) -> Delivery {
        loop {
            let due = {
                let mut state = self.state();
                let due = state.promote(Instant::now());
                let State { messages, ready, .. } = &mut *state;
                while !ready.is_empty() {
                    let choice = ready.len().min(window.max(1));
                    let at = if choice > 1 { pick(choice) } else { 0 };
                    let taken = ready.remove(at).and_then(|id| Some((id, messages.get_mut(&id)?)));
                    if let Some((id, (message, attempt))) = taken {
                        *attempt += 1;
                        let ticket = Ticket::Memory { queue: self.clone(), id };
                        return Delivery { message: message.clone(), attempt: *attempt, ticket };
                    }
                }
                due
            };
            match due {
                None => self.arrived.notified().await,
                Some(due) => {
                    tokio::select! { biased; _ = self.arrived.notified() => {} _ = sleep_until(due) => {} }
                }
            }
        }
    }

    pub fn ack(&self, id: u64) {
        self.state().messages.remove(&id);
    }

    pub fn retry(&self, id: u64, delay: Duration) {
        self.state().delayed.insert((Instant::now() + delay, id));
        self.arrived.notify_one();
    }

    pub fn expire(&self, id: u64) {
        self.state().ready.push_front(id);
        self.arrived.notify_one();
    }

    pub fn recover(&self) {
        let mut state = self.state();
        state.delayed.clear();
        state.ready = state.messages.keys().copied().collect();
        drop(state);
        self.arrived.notify_one();
    }

    pub fn depth(&self) -> usize {
        self.state().messages.len()
    }
}
