//! Nodes that sleep because the flow says so, and how runs that wait go on in time.

use super::attempt::{NodeAttempt, Unfinished};
use super::live::Live;
use super::retries::count;
use crate::log::log_node;
use faas_flow_core::run::Suspended;
use faas_flow_core::{BadMoment, Code, Content, Failure, Millis, Wake};
use faas_flow_session::Input;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

impl NodeAttempt<'_> {
    /// Suspends the node until a moment, after which it continues behind this operation. A moment that is not in the future
    /// suspends nothing.
    pub(super) async fn sleep(&mut self, index: usize, wake: &Wake, data: Content) -> Result<Content, Unfinished> {
        let now = self.live.services.now();
        let until = wake.moment(now).map_err(|bad| bad_moment(&bad))?;
        if until <= now {
            return Ok(data);
        }
        // Stored before, so that a sleep of days does not depend on this replica. If it cannot be stored now, the checks of
        // the run try that again.
        if let Err(error) = self.live.store_before(until - now).await {
            log_node!(warn, self.live, (self.work.path, self.context.attempt), code = %error.code(), %error, "sleeping in memory, since the run cannot be stored");
        }
        let data = Some(self.store(&format!("asleep/{index}"), data).await?);
        let operation = count(index + 1);
        let asleep = Some(now);
        let suspended = Suspended { operation, data, asleep, ..Suspended::until(until) };
        Err(Unfinished::Suspended(suspended))
    }
}

fn bad_moment(bad: &BadMoment) -> Failure {
    Failure::reject(Code::BAD_MOMENT, bad.to_string())
}

impl Live {
    /// Goes on with the run at this moment, if it is not far away. What is further away is found by the checks of the run, or,
    /// once this replica has left it, by the sweep.
    pub(super) fn wake_at(self: &Arc<Self>, until: Millis) {
        let wait = until.saturating_sub(self.services.now());
        if wait > self.services.rules.lease {
            return;
        }
        let mut next = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        if next.is_some_and(|next| next <= until) {
            return;
        }
        *next = Some(until);
        drop(next);
        let live = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            // An earlier moment may have come between, whose timer sets the later ones.
            let is_mine = live.wakes.lock().unwrap_or_else(PoisonError::into_inner).take_if(|next| *next == until);
            if is_mine.is_some() {
                live.react(Input::Wake).await;
                live.wake_next().await;
            }
        });
    }

    /// Sets the timer for the next node that waits, if its moment is not far away.
    pub(super) async fn wake_next(self: &Arc<Self>) {
        let next = {
            let session = self.lock().await;
            session.state().next_wake().filter(|_| !session.has_left())
        };
        // What is due already waits for room, or for somebody to resume the run.
        if let Some(next) = next.filter(|next| *next > self.services.now()) {
            self.wake_at(next);
        }
    }
}
