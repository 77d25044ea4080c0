//! A value for which others wait.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A value for which others wait. A change wakes them in the order in which they began to wait. Tokio's `watch` wakes them in
/// an order of its own, which is drawn anew each time, so that a simulation would not repeat itself.
#[derive(Debug, Default)]
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Copy> Watched<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self) -> T {
        *self.lock()
    }

    /// Changes the value, and wakes all who wait.
    pub(crate) fn modify(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.lock());
        self.changed.notify_waiters();
    }

    /// Has all who wait look again at what else they wait for.
    pub(crate) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until this is so of the value. Cancel-safe.
    pub(crate) async fn wait_for(&self, is_so: impl Fn(T) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // A change from here on wakes it.
            changed.as_mut().enable();
            if is_so(self.get()) {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn those_who_wait_are_woken_in_the_order_in_which_they_began_to_wait() {
        let watched: Arc<Watched<u32>> = Arc::default();
        let woken: Arc<Mutex<Vec<u32>>> = Arc::default();
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let (watched, woken) = (watched.clone(), woken.clone());
                tokio::spawn(async move {
                    watched.wait_for(|value| value == 1).await;
                    woken.lock().unwrap().push(number);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        watched.modify(|value| *value = 1);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*woken.lock().unwrap(), (0..20).collect::<Vec<_>>());
        watched.wait_for(|value| value == 1).await;
    }
}
