//! Runs that were called look now and then whether the run that called them goes on. That one stops them when it ends without
//! them, but its replica may be lost before it has done so, or before it has heard that they have begun.

use super::stop::has_abandoned;
use crate::live::Live;
use crate::log::log_run;
use faas_flow_core::run::{Parent, RunState};
use faas_flow_core::{Code, RetryPolicy, Status};
use faas_flow_versions::runs::load_around;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The time until each look.
const DELAYS: RetryPolicy = RetryPolicy::exponential(Duration::from_secs(10), Duration::from_secs(300));

/// When a run that this replica works on looks next.
pub(crate) struct Looks(Mutex<(u32, Instant)>);

impl Looks {
    pub(crate) fn new() -> Self {
        Self(Mutex::new((1, after(1))))
    }

    /// Whether it is time for a look, which is taken then.
    fn are_due(&self) -> bool {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.1 <= Instant::now();
        if due {
            let number = next.0.saturating_add(1);
            *next = (number, after(number));
        }
        due
    }
}

fn after(number: u32) -> Instant {
    Instant::now() + DELAYS.delay_after(number, fastrand::f64()).unwrap_or_default()
}

impl Live {
    /// Stops the run if another one has called it and has ended since, or goes on without it. Looks for that seldom.
    pub(crate) async fn stop_if_orphaned(self: &Arc<Self>) {
        let (Some(parent), Some(looks)) = (self.parent.as_deref(), &self.parent_looks) else { return };
        if !looks.are_due() {
            return;
        }
        if !self.is_abandoned(parent).await {
            return;
        }
        let Some(host) = self.services.host() else { return };
        log_run!(info, self, parent = %parent.run, "stopping a run since the run that called it continues or has ended without it");
        if let Err(error) = host.stop(&self.id, None).await
            && error.code() != Code::RUN_STATE
        {
            log_run!(warn, self, code = %error.code(), %error, "could not stop the run");
        }
    }

    /// Whether the run has ended that called this one. If it is in this store, also whether it goes on without this one, since
    /// it has caught a failure beside the node that called. What cannot be told at this moment is not so.
    async fn is_abandoned(&self, parent: &Parent) -> bool {
        if self.services.host_of(&parent.flow).is_some() {
            let state = load_around(&*self.services.state, &parent.run, &parent.node).await;
            let is_final = |state: &RunState| state.run().status().is_final();
            return matches!(state, Ok(Some(state)) if is_final(&state) || has_abandoned(&state, &parent.node));
        }
        match self.services.ask_for_result(parent.flow.as_str(), &parent.run).await {
            Ok(Some(response)) => {
                let header = |name: &str| {
                    let header = response.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
                    header.map(|(_, value)| value.as_str())
                };
                let is_of_parent = header("x-faas-flow-reqid") == Some(parent.run.as_str());
                is_of_parent && header("x-faas-flow-state").and_then(Status::parse).is_some_and(Status::is_final)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn looks_are_seldom_and_more_and_more_so() {
        let looks = Looks::new();
        let mut times = 0;
        for _ in 0..3600 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            times += u32::from(looks.are_due());
        }
        assert!((12..30).contains(&times), "{times} looks in an hour");
    }
}
