//! Instances of flows: those that a run has idle, and room for more.

use super::context::Context;
use super::live::Live;
use super::services::Runs;
use crate::Error;
use faas_flow_core::{Code, Failure, RetryPolicy};
use faas_flow_guest::Instance;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The waits for room, up to a third of a second each.
const ROOM_RETRIES: RetryPolicy = RetryPolicy::exponential(Duration::from_millis(20), Duration::from_millis(320));

impl Live {
    /// An idle instance of this run, or else a fresh one, as soon as there is room for it.
    pub(super) async fn take_instance(self: &Arc<Self>) -> Result<Instance, Failure> {
        let idle = self.instances.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(instance) = idle {
            return Ok(instance);
        }
        let context = Arc::new(Context::of(self));
        let fresh = || async { Ok(self.flow.module.instantiate(context.clone()).await?) };
        let fresh = self.runs.in_room(Duration::MAX, fresh).await;
        fresh.map_err(|error| Failure::reject(error.code(), error.to_string()))
    }

    /// Keeps an instance for the run's next node.
    pub(super) fn give_back(&self, instance: Instance) {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
    }

    /// Drops the idle instances; answers with how many there were.
    pub(super) fn drop_idle(&self) -> usize {
        std::mem::take(&mut *self.instances.lock().unwrap_or_else(PoisonError::into_inner)).len()
    }
}

impl Runs {
    /// Asks for what needs an instance until there is room for it, `at_most` so long. Idle instances make room at once;
    /// those at work are waited for. That there is no room is no failure of what needs it.
    pub(super) async fn in_room<T, F>(&self, at_most: Duration, mut ask: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let began = Instant::now();
        let mut delays = ROOM_RETRIES.delays(|| 0.0);
        loop {
            match ask().await {
                Err(error) if error.code() == Code::GUEST_POOL_FULL => {
                    if self.drop_idle() > 0 {
                        continue;
                    }
                    let Some(delay) = delays.next().filter(|_| began.elapsed() < at_most) else { return Err(error) };
                    tokio::time::sleep(delay.min(at_most)).await;
                }
                answer => return answer,
            }
        }
    }

    /// Drops the idle instances of all runs; answers with how many there were.
    fn drop_idle(&self) -> usize {
        self.all().iter().map(|live| live.drop_idle()).sum()
    }
}
