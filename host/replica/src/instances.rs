//! Instances of flows: the idle ones of a run, and room for more.

use super::context::Context;
use super::live::Live;
use super::memory::LONGEST_WAIT;
use super::runs::Runs;
use crate::Error;
use faas_flow_core::{Code, Failure, RetryPolicy};
use faas_flow_guest::{CallContext, Instance};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The waits for room.
pub(crate) const ROOM_RETRIES: RetryPolicy =
    RetryPolicy::exponential(Duration::from_millis(20), Duration::from_millis(320));

impl Live {
    /// An idle instance of this run, or a fresh one for this call as soon as there is room for it.
    pub(super) async fn take_instance(self: &Arc<Self>, call: &Arc<CallContext>) -> Result<Instance, Failure> {
        let idle = self.instances.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(instance) = idle {
            return Ok(instance);
        }
        let context = Arc::new(Context::of(self));
        let instantiate = || async { Ok(self.flow.module.instantiate(context.clone(), call.clone()).await?) };
        let fresh = self.runs.with_room(Duration::MAX, instantiate).await;
        fresh.map_err(|error| match error {
            Error::Guest(error) => error.into(),
            other => Failure::reject(other.code(), other.to_string()),
        })
    }

    /// Makes an instance idle, for the run's next node.
    pub(super) fn return_instance(&self, instance: Instance) {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
    }

    /// Drops the idle instances; answers with their number.
    pub(super) fn drop_idle(&self) -> usize {
        std::mem::take(&mut *self.instances.lock().unwrap_or_else(PoisonError::into_inner)).len()
    }
}

impl Runs {
    /// Does what needs an instance, and tries again until there is room for it, for at most the time `at_most`. Makes room by
    /// dropping idle instances if there are any, and otherwise waits for those at work. Those who want memory wait no longer
    /// than others for memory, since what they hold themselves may be what is missing.
    pub(super) async fn with_room<T, F>(&self, at_most: Duration, mut ask: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let began = Instant::now();
        let mut delays = ROOM_RETRIES.delays(|| 0.0);
        loop {
            match ask().await {
                Err(error) if matches!(error.code(), Code::GUEST_POOL_FULL | Code::OUT_OF_MEMORY) => {
                    let at_most = if error.code() == Code::OUT_OF_MEMORY { at_most.min(LONGEST_WAIT) } else { at_most };
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

    /// Drops the idle instances of all runs; answers with their number.
    fn drop_idle(&self) -> usize {
        self.all().iter().map(|live| live.drop_idle()).sum()
    }
}
