//! The queue in memory. Nothing in it depends on the order of threads or the time of day: with tokio's paused clock and
//! a current-thread runtime a run repeats itself exactly.

use std::collections::{BTreeMap, VecDeque};
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
    /// All that is not settled, with the number of deliveries so far.
    messages: BTreeMap<u64, (Arc<Message>, u32)>,
    /// What can be delivered. An id that was settled meanwhile is passed over.
    ready: VecDeque<u64>,
    /// What waits for its retry.
    later: BTreeMap<(Instant, u64), ()>,
}

impl State {
    /// Moves what is due to `ready`, and tells when the next will be.
    fn promote(&mut self, now: Instant) -> Option<Instant> {
        while let Some((&(due, id), ())) = self.later.first_key_value() {
            if due > now {
                return Some(due);
            }
            self.later.pop_first();
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

    pub fn retry(&self, id: u64, wait: Duration) {
        self.state().later.insert((Instant::now() + wait, id), ());
        self.arrived.notify_one();
    }

    pub fn expire(&self, id: u64) {
        self.state().ready.push_front(id);
        self.arrived.notify_one();
    }

    pub fn recover(&self) {
        let mut state = self.state();
        state.later.clear();
        state.ready = state.messages.keys().copied().collect();
        drop(state);
        self.arrived.notify_one();
    }

    pub fn depth(&self) -> usize {
        self.state().messages.len()
    }
}
